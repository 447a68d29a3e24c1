-- Grain: opportunity_id, valid_from_on; a version; none where the key was gone.
with

versions as (
    {{ live_versions(source('raw_crm', 'opportunities'), 'opportunity_id') }}
),

final as (
    select
        opportunity_id,
        account_id,
        kind,
        solution_area,
        subscription_id,
        stage,
        probability_ratio,
        amount_usd,
        expected_close_on,
        valid_from_on,
        valid_to_on,
        is_first_version
    from versions
)

select * from final
