-- Grain: subscription_id, valid_from_on; a version; none where the key was gone.
with

versions as (
    {{ live_versions(source('raw_crm', 'subscriptions'), 'subscription_id') }}
),

final as (
    select
        subscription_id,
        account_id,
        solution_area,
        renews_on,
        arr_usd,
        seats,
        previous_subscription_id,
        is_displacement,
        valid_from_on,
        valid_to_on,
        is_first_version
    from versions
)

select * from final
