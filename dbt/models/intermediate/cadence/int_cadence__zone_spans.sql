-- Grain: account_id, starts_on; days of the run over which the zone of the day before is the same.
{#- The zone that bends a day's rate is the one of the day before, so that health, which measures
    adherence to the tier's own rhythm, never waits for itself. A day without a zone before it (the
    first, or an unscored one) is not bent. #}
with

health_days as (
    select
        account_id,
        health_zone,
        as_of_date + 1 as bends_on
    from {{ ref('fct_account_health_daily') }}
    where
        as_of_date >= {{ from_date() }} - 1
        and as_of_date < {{ as_of_date() }}
),

compared_days as (
    select
        account_id,
        health_zone,
        bends_on,
        lag(bends_on) over account_order as previous_on,
        lag(health_zone) over account_order as previous_zone
    from health_days
    window account_order as (partition by account_id order by bends_on)
),

accounts as (
    select distinct account_id from {{ ref('int_core__account_spans') }}
),

changes as (
    select
        account_id,
        health_zone,
        bends_on as starts_on
    from compared_days
    where previous_on is null or health_zone is distinct from previous_zone
    union all
    select
        account_id,
        cast(null as varchar) as health_zone,
        cast('0001-01-01' as date) as starts_on
    from accounts
),

final as (
    select
        account_id,
        health_zone,
        starts_on,
        coalesce(
            lead(starts_on) over (partition by account_id order by starts_on),
            {{ as_of_date() }} + 1
        ) as ends_on
    from changes
)

select * from final
