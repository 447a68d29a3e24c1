-- Grain: account_id, call_type, slot_number; planning calls at fixed days before each renewal.
with

windows as (
    select * from {{ ref('int_cadence__renewal_windows') }}
),

feed as (
    select has_touchpoint_feed from {{ ref('dim_cadence_feed') }}
),

longest_grace as (
    select cast(max(grace_days) as integer) as grace_days from {{ ref('cadence_renewal_steps') }}
),

call_types as (
    select call_type from {{ ref('call_types') }}
    where slot_kind = 'renewal'
),

-- Who was a customer, and not paused, on which days: the rate table knows, for any rated type.
spans as (
    select
        account_id,
        as_of_date,
        state,
        tier,
        coalesce(
            lead(as_of_date) over (partition by account_id order by as_of_date),
            {{ as_of_date() }} + 1
        ) as ends_on
    from (
        select
            account_id,
            as_of_date,
            max(state) as state,
            max(tier) as tier
        from {{ ref('int_cadence__tier_rate_changes') }}
        where as_of_date <= {{ as_of_date() }}
        group by account_id, as_of_date
    ) as states
),

-- A slot is there from its due date on, and while it is in view on the run's last day.
due_windows as (
    select
        account_id,
        due_on,
        min(opened_on) as opened_on,
        min(renews_on) as renews_on,
        max(grace_days) as grace_days
    from windows
    where
        seen_until_on = due_on
        or (
            due_on > {{ as_of_date() }}
            and seen_from_on <= {{ as_of_date() }}
            and seen_until_on >= {{ as_of_date() }}
        )
    group by account_id, due_on
),

present as (
    select
        due_windows.account_id,
        call_types.call_type,
        due_windows.due_on,
        max(due_windows.opened_on) over (
            partition by due_windows.account_id
            order by due_windows.due_on
            rows between unbounded preceding and current row
        ) as opened_on,
        due_windows.renews_on,
        due_windows.due_on <= {{ as_of_date() }} as is_closed,
        spans.state,
        spans.tier,
        row_number() over (
            partition by due_windows.account_id order by due_windows.due_on
        ) as slot_number,
        max(due_windows.due_on + due_windows.grace_days) over (
            partition by due_windows.account_id
            order by due_windows.due_on
            rows between unbounded preceding and current row
        ) as grace_limit_on
    from due_windows
    cross join call_types
    inner join spans
        on
            due_windows.account_id = spans.account_id
            and least(due_windows.due_on, {{ as_of_date() }}) >= spans.as_of_date
            and least(due_windows.due_on, {{ as_of_date() }}) < spans.ends_on
    where spans.state <> 'inactive'
),

interruptions as (
    select
        present.account_id,
        present.slot_number,
        min(spans.as_of_date) as interrupted_on
    from present
    inner join spans
        on
            present.account_id = spans.account_id
            and present.due_on < spans.as_of_date
            and present.grace_limit_on >= spans.as_of_date
    where present.is_closed and spans.state <> 'active'
    group by present.account_id, present.slot_number
),

slots as (
    select
        present.account_id,
        present.call_type,
        present.slot_number,
        present.tier,
        cast(null as double) as interval_days,
        present.is_closed,
        present.opened_on,
        present.due_on,
        present.grace_limit_on,
        present.renews_on,
        least(
            present.grace_limit_on,
            coalesce(interruptions.interrupted_on - 1, present.grace_limit_on)
        ) as grace_ends_on,
        least(
            present.grace_limit_on,
            coalesce(interruptions.interrupted_on - 1, present.grace_limit_on)
        ) as match_until_on,
        case
            when present.state = 'paused' then least(present.due_on, {{ as_of_date() }})
            else interruptions.interrupted_on
        end as interrupted_on
    from present
    left join interruptions
        on
            present.account_id = interruptions.account_id
            and present.slot_number = interruptions.slot_number
),

calls as (
    select
        held_calls.account_id,
        held_calls.call_type,
        held_calls.touchpoint_id,
        held_calls.held_on
    from {{ ref('int_cadence__calls') }} as held_calls
    inner join call_types on held_calls.call_type = call_types.call_type
),

{{ cadence_matches() }},

{{ cadence_slot_statuses() }}

select * from final
