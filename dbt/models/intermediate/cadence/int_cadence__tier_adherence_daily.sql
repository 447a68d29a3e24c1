-- Grain: account_id, as_of_date; days of the run on which the account is a customer.
{#- Every figure is a running total of steps: a decided slot enters the trailing window on the day
    it is decided and leaves it when the window has passed. #}
with

account_days as (
    select
        account_id,
        as_of_date
    from {{ ref('int_core__account_days') }}
),

call_types as (
    select * from {{ ref('call_types') }}
),

feed as (
    select has_touchpoint_feed from {{ ref('dim_cadence_feed') }}
),

slots as (
    select
        slots.account_id,
        slots.call_type,
        slots.slot_number,
        slots.decided_on,
        case when slots.status = 'met' then 1 else 0 end as met_count,
        case when slots.status = 'missed' then 1 else 0 end as missed_count,
        case when slots.call_type = 'executive_review' then 1 else 0 end as executive_count,
        slots.decided_on + call_types.adherence_window_days as left_on
    from {{ ref('int_cadence__tier_slots') }} as slots
    inner join call_types on slots.call_type = call_types.call_type
    where
        slots.status in ('met', 'missed')
        and slots.decided_on <= {{ as_of_date() }}
),

calls as (
    select * from {{ ref('int_cadence__calls') }}
),

executive_window as (
    select cast(adherence_window_days as integer) as window_days from call_types
    where call_type = 'executive_review'
),

executive_calls as (
    select
        calls.account_id,
        calls.held_on,
        calls.held_on + executive_window.window_days as left_on
    from calls
    cross join executive_window
    where calls.call_type = 'executive_review' and calls.is_executive_present
),

-- Misses in a row: all misses so far less the misses there were at the newest met slot.
missed_so_far as (
    select
        *,
        sum(missed_count) over (
            partition by account_id
            order by decided_on, call_type, slot_number
            rows between unbounded preceding and current row
        ) as missed_total
    from slots
),

streaks as (
    select
        *,
        missed_total - coalesce(
            max(case when met_count = 1 then missed_total end) over (
                partition by account_id
                order by decided_on, call_type, slot_number
                rows between unbounded preceding and current row
            ),
            0
        ) as streak
    from missed_so_far
),

streak_steps as (
    select
        account_id,
        decided_on,
        streak - coalesce(
            lag(streak) over (
                partition by account_id order by decided_on, call_type, slot_number
            ),
            0
        ) as streak_step
    from streaks
),

steps as (
    select
        account_id,
        decided_on as as_of_date,
        met_count,
        1 as closed_count,
        executive_count,
        0 as executive_met_count,
        0 as streak_step,
        cast(null as date) as held_on
    from slots
    where left_on > {{ from_date() }}
    union all
    select
        account_id,
        left_on as as_of_date,
        -met_count as met_count,
        -1 as closed_count,
        -executive_count as executive_count,
        0 as executive_met_count,
        0 as streak_step,
        cast(null as date) as held_on
    from slots
    where left_on > {{ from_date() }} and left_on <= {{ as_of_date() }}
    union all
    select
        account_id,
        decided_on as as_of_date,
        0 as met_count,
        0 as closed_count,
        0 as executive_count,
        0 as executive_met_count,
        streak_step,
        cast(null as date) as held_on
    from streak_steps
    where streak_step <> 0
    union all
    select
        account_id,
        held_on as as_of_date,
        0 as met_count,
        0 as closed_count,
        0 as executive_count,
        1 as executive_met_count,
        0 as streak_step,
        cast(null as date) as held_on
    from executive_calls
    where left_on > {{ from_date() }}
    union all
    select
        account_id,
        left_on as as_of_date,
        0 as met_count,
        0 as closed_count,
        0 as executive_count,
        -1 as executive_met_count,
        0 as streak_step,
        cast(null as date) as held_on
    from executive_calls
    where left_on > {{ from_date() }} and left_on <= {{ as_of_date() }}
    union all
    select
        account_id,
        held_on as as_of_date,
        0 as met_count,
        0 as closed_count,
        0 as executive_count,
        0 as executive_met_count,
        0 as streak_step,
        held_on
    from calls
),

first_days as (
    select
        account_id,
        min(as_of_date) as first_on
    from account_days
    group by account_id
),

-- What was before the account's first day in the run stands on that day.
daily_steps as (
    select
        steps.account_id,
        greatest(steps.as_of_date, first_days.first_on) as as_of_date,
        sum(steps.met_count) as met_count,
        sum(steps.closed_count) as closed_count,
        sum(steps.executive_count) as executive_count,
        sum(steps.executive_met_count) as executive_met_count,
        sum(steps.streak_step) as streak_step,
        max(steps.held_on) as held_on
    from steps
    inner join first_days on steps.account_id = first_days.account_id
    group by steps.account_id, greatest(steps.as_of_date, first_days.first_on)
),

totals as (
    select
        account_days.account_id,
        account_days.as_of_date,
        sum(coalesce(daily_steps.met_count, 0)) over so_far as met_slot_count,
        sum(coalesce(daily_steps.closed_count, 0)) over so_far as closed_slot_count,
        sum(coalesce(daily_steps.executive_count, 0)) over so_far as executive_slot_count,
        sum(coalesce(daily_steps.executive_met_count, 0)) over so_far as executive_call_count,
        sum(coalesce(daily_steps.streak_step, 0)) over so_far as streak,
        max(daily_steps.held_on) over so_far as last_held_on
    from account_days
    left join daily_steps
        on
            account_days.account_id = daily_steps.account_id
            and account_days.as_of_date = daily_steps.as_of_date
    window so_far as (
        partition by account_days.account_id
        order by account_days.as_of_date
        rows between unbounded preceding and current row
    )
),

final as (
    select
        totals.account_id,
        totals.as_of_date,
        cast(totals.met_slot_count as double)
        / nullif(totals.closed_slot_count, 0) as cadence_adherence_ratio,
        case when feed.has_touchpoint_feed then cast(totals.met_slot_count as integer) end
            as met_slot_count,
        case when feed.has_touchpoint_feed then cast(totals.closed_slot_count as integer) end
            as closed_slot_count,
        case when feed.has_touchpoint_feed then cast(totals.streak as integer) end
            as consecutive_missed_count,
        case when feed.has_touchpoint_feed then cast(totals.executive_slot_count as integer) end
            as executive_review_expected_count,
        case when feed.has_touchpoint_feed then cast(totals.executive_call_count as integer) end
            as executive_review_held_with_executive_count,
        totals.last_held_on
    from totals
    cross join feed
)

select * from final
