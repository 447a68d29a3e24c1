-- Grain: tier, call_type; how many days and micro-calls a day a row of the cadence table means.
with

intervals as (
    select * from {{ ref('cadence_intervals') }}
),

policy as (
    select * from {{ ref('cadence_policy') }}
),

in_days as (
    select
        intervals.tier,
        intervals.call_type,
        cast(
            case intervals.interval_unit
                when 'days' then intervals.interval_value
                when 'months' then intervals.interval_value * policy.month_days
            end as double
        ) as interval_days
    from intervals
    cross join policy
),

-- More than one call of a type on one day is not planned.
final as (
    select
        tier,
        call_type,
        interval_days,
        cast(
            least(
                ceil({{ cadence_micro_calls() }} / interval_days), {{ cadence_micro_calls() }}
            ) as bigint
        ) as daily_micro_calls
    from in_days
)

select * from final
