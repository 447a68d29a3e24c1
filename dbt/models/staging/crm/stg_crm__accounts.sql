-- Grain: account_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'accounts'), 'account_id') }}
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
        customer_since_on,
        churned_on,
        realm,
        node,
        is_at_risk,
        paused_from_on,
        paused_until_on,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
