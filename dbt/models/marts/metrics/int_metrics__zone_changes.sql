-- grain: one row per account_id and day on which its health zone differs from the day before
{{ daily_config() }}
{{ config(schema='intermediate') }}

with

account_days as (
    select
        account_id,
        as_of_date,
        tier,
        region,
        owner_ca,
        coalesce(health_zone, 'unscored') as health_zone
    from {{ ref('fct_account_health_daily') }}
    where as_of_date between {{ from_date() }} - 1 and {{ as_of_date() }}
),

neighbours as (
    select
        *,
        lag(as_of_date) over account_order as previous_on,
        lag(health_zone) over account_order as previous_zone,
        lead(as_of_date) over account_order as next_on
    from account_days
    window account_order as (partition by account_id order by as_of_date)
),

final as (
    select
        account_id,
        as_of_date,
        tier,
        region,
        owner_ca,
        health_zone
    from neighbours
    where
        as_of_date >= {{ from_date() }}
        and (
            previous_on is null
            or previous_on < as_of_date - 1
            or previous_zone <> health_zone
        )
    union all
    -- The first day without the account.
    select
        account_id,
        as_of_date + 1 as as_of_date,
        cast(null as varchar) as tier,
        cast(null as varchar) as region,
        cast(null as varchar) as owner_ca,
        'absent' as health_zone
    from neighbours
    where
        as_of_date < {{ as_of_date() }}
        and (next_on is null or next_on > as_of_date + 1)
)

select * from final
