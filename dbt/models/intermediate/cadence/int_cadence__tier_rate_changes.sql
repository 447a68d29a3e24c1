-- Grain: account_id, call_type, as_of_date; days on which the tier's own rate of calls changes.
{{ daily_config() }}

with

account_spans as (
    select * from {{ ref('int_core__account_spans') }}
),

call_types as (
    select * from {{ ref('call_types') }}
    where slot_kind = 'rate'
),

intervals as (
    select * from {{ ref('int_cadence__intervals') }}
),

segments as (
    select
        account_spans.account_id,
        call_types.call_type,
        account_spans.starts_on,
        account_spans.ends_on,
        account_spans.tier,
        cast(null as varchar) as health_zone,
        false as is_at_risk,
        account_spans.customer_since_on,
        intervals.interval_days,
        case when account_spans.is_paused then 'paused' else 'active' end as state,
        case
            when account_spans.is_paused then 0
            else coalesce(intervals.daily_micro_calls, 0)
        end as daily_micro_calls,
        coalesce(intervals.daily_micro_calls, 0) as tier_micro_calls
    from account_spans
    cross join call_types
    left join intervals
        on account_spans.tier = intervals.tier and call_types.call_type = intervals.call_type
),

{{ cadence_rate_rows() }},

final as (
    select
        account_id,
        call_type,
        as_of_date,
        tier,
        health_zone,
        is_at_risk,
        state,
        interval_days,
        daily_micro_calls,
        accrued_micro_calls,
        first_opened_on
    from rate_rows
    where not is_stored
)

select * from final
