-- Grain: account_id, valid_from_on; a version; none where the key was gone.
with

versions as (
    {{ live_versions(source('raw_crm', 'accounts'), 'account_id') }}
),

final as (
    select
        account_id,
        account_name,
        tier,
        segment,
        region,
        industry,
        arr_usd,
        owner_ca,
        owner_sa,
        owner_ae,
        owner_ve,
        owner_governance,
        realm,
        node,
        is_at_risk,
        valid_from_on,
        valid_to_on,
        is_first_version
    from versions
)

select * from final
