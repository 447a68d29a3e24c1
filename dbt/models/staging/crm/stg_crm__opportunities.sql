-- Grain: opportunity_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'opportunities'), 'opportunity_id') }}
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
        created_on,
        expected_close_on,
        closed_on,
        is_won,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
