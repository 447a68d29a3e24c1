-- Grain: subscription_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'subscriptions'), 'subscription_id') }}
),

final as (
    select
        subscription_id,
        account_id,
        solution_area,
        started_on,
        renews_on,
        ended_on,
        arr_usd,
        seats,
        go_live_on,
        previous_subscription_id,
        is_displacement,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
