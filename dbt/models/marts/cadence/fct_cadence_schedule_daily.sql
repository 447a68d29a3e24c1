-- Grain: account_id, as_of_date; days on which the account is a customer, call types side by side.
{#- Wide, because accounts x call types x days would be four times the rows; fct_cadence_daily shows
    the long form. Counts are running totals of steps: a fact enters a trailing window on its day
    and leaves it when the window has passed; what entered before the run stands on its first day.
    Of each count there is one column per call type, named <call type>__<count>. #}
{{ daily_config() }}
{%- set types = cadence_call_types() %}
{%- set rated = cadence_call_types('rate') %}
{%- set counts = ['met', 'missed', 'streak', 'attended', 'expected', 'held_early'] %}

with

call_types as (
    select
        call_type,
        cast(adherence_window_days as integer) as adherence_window_days
    from {{ ref('call_types') }}
),

policy as (
    select cast(attendance_window_days as integer) as attendance_window_days
    from {{ ref('cadence_policy') }}
),

days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

slots as (
    select
        slots.account_id,
        slots.call_type,
        slots.slot_number,
        slots.status,
        slots.due_on,
        slots.met_on,
        slots.decided_on,
        call_types.adherence_window_days
    from (
        select
            account_id,
            call_type,
            slot_number,
            status,
            due_on,
            met_on,
            decided_on
        from {{ ref('int_cadence__bent_slots') }}
        union all
        select
            account_id,
            call_type,
            slot_number,
            status,
            due_on,
            met_on,
            decided_on
        from {{ ref('int_cadence__renewal_slots') }}
    ) as slots
    inner join call_types on slots.call_type = call_types.call_type
),

calls as (
    select * from {{ ref('int_cadence__calls') }}
),

decided_slots as (
    select
        account_id,
        call_type,
        slot_number,
        decided_on,
        case when status = 'met' then 1 else 0 end as met,
        case when status = 'missed' then 1 else 0 end as missed,
        decided_on + adherence_window_days as left_on
    from slots
    where status in ('met', 'missed') and decided_on <= {{ as_of_date() }}
),

-- Misses in a row: all misses so far less the misses there were at the newest met slot.
missed_so_far as (
    select
        *,
        sum(missed) over (
            partition by account_id, call_type
            order by decided_on, slot_number
            rows between unbounded preceding and current row
        ) as missed_total
    from decided_slots
),

streaks as (
    select
        *,
        missed_total - coalesce(
            max(case when met = 1 then missed_total end) over (
                partition by account_id, call_type
                order by decided_on, slot_number
                rows between unbounded preceding and current row
            ),
            0
        ) as streak
    from missed_so_far
),

streak_steps as (
    select
        account_id,
        call_type,
        decided_on,
        streak - coalesce(
            lag(streak) over (
                partition by account_id, call_type order by decided_on, slot_number
            ),
            0
        ) as streak_step
    from streaks
),

-- From the call to the due date, which a pause leaves open, the slot needs no further call.
early_calls as (
    select
        account_id,
        call_type,
        1 as held_count,
        met_on,
        due_on + 1 as left_on
    from slots
    where status = 'met' and coalesce(met_on <= due_on, true)
),

attended_calls as (
    select
        calls.account_id,
        calls.call_type,
        calls.attended_count,
        calls.expected_attendee_count,
        calls.held_on,
        calls.held_on + policy.attendance_window_days as left_on
    from calls
    cross join policy
    where
        calls.held_on > {{ from_date() }} - policy.attendance_window_days
        and calls.attended_count is not null
        and calls.expected_attendee_count > 0
),

-- Each fact adds to one figure of one call type from a day on, until it leaves it or for good.
{% set figures = [
    ('met', 'met', 'decided_on', 'left_on', 'decided_slots where met = 1'),
    ('missed', 'missed', 'decided_on', 'left_on', 'decided_slots where missed = 1'),
    ('streak', 'streak_step', 'decided_on', none, 'streak_steps where streak_step <> 0'),
    ('attended', 'attended_count', 'held_on', 'left_on', 'attended_calls'),
    ('expected', 'expected_attendee_count', 'held_on', 'left_on', 'attended_calls'),
    ('held_early', 'held_count', 'met_on', 'left_on', 'early_calls'),
] %}
facts as (
    {% for figure, step, entered_on, left_on, rows in figures %}
        select
            account_id,
            call_type,
            '{{ figure }}' as figure,
            {{ step }} as step,
            {{ entered_on }} as entered_on,
            {{ left_on or 'cast(null as date)' }} as left_on
        from {{ rows }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
),

steps as (
    select
        account_id,
        call_type,
        figure,
        step,
        entered_on as as_of_date
    from facts
    where coalesce(left_on > {{ from_date() }}, true)
    union all
    select
        account_id,
        call_type,
        figure,
        -step as step,
        left_on as as_of_date
    from facts
    where left_on > {{ from_date() }} and left_on <= {{ as_of_date() }}
),

rate_changes as (
    select
        account_id,
        as_of_date as starts_on,
        max(tier) as tier,
        max(health_zone) as health_zone,
        max(state) as state,
        bool_or(is_at_risk) as is_at_risk,
        {% for type in rated %}
            max(case when call_type = '{{ type }}' then daily_micro_calls end)
                as {{ type }}__micro_calls,
            max(case when call_type = '{{ type }}' then accrued_micro_calls end)
                as {{ type }}__accrued
            {{- ',' if not loop.last }}
        {% endfor %}
    from {{ ref('int_cadence__bent_rate_changes') }}
    where as_of_date <= {{ as_of_date() }}
    group by account_id, as_of_date
),

rate_spans as (
    select
        *,
        coalesce(
            lead(starts_on) over (partition by account_id order by starts_on),
            {{ as_of_date() }} + 1
        ) as ends_on
    from rate_changes
),

present_spans as (
    select
        *,
        greatest(starts_on, {{ from_date() }}) as first_on
    from rate_spans
    where ends_on > {{ from_date() }} and state <> 'inactive'
),

first_days as (
    select
        account_id,
        min(first_on) as first_on
    from present_spans
    group by account_id
),

-- The first day is always there, so that every later day has a row to look back to.
all_steps as (
    select * from steps
    union all
    select
        account_id,
        'none' as call_type,
        'none' as figure,
        0 as step,
        first_on as as_of_date
    from first_days
),

-- Days on which a figure changes; what was before the account's first day stands on that day.
change_days as (
    select
        steps.account_id,
        greatest(steps.as_of_date, first_days.first_on) as starts_on,
        {% for type in types %}
            {% set last_type = loop.last %}
            {% for count in counts %}
                cast(
                    sum(
                        case
                            when steps.call_type = '{{ type }}' and steps.figure = '{{ count }}'
                                then steps.step
                            else 0
                        end
                    ) as integer
                ) as {{ type }}__{{ count }}
                {{- ',' if not (loop.last and last_type) }}
            {% endfor %}
        {% endfor %}
    from all_steps as steps
    inner join first_days on steps.account_id = first_days.account_id
    group by steps.account_id, greatest(steps.as_of_date, first_days.first_on)
),

-- Running totals over the days of change only: most days change nothing.
total_spans as (
    select
        account_id,
        starts_on,
        {% for type in types %}
            {% for count in counts %}
                cast(sum({{ type }}__{{ count }}) over so_far as integer)
                    as {{ type }}__{{ count }},
            {% endfor %}
        {% endfor %}
        coalesce(lead(starts_on) over so_far, {{ as_of_date() }} + 1) as ends_on
    from change_days
    window so_far as (partition by account_id order by starts_on)
),

-- Stretches over which neither a rate nor a figure changes.
schedule_spans as (
    select
        present_spans.account_id,
        present_spans.tier,
        present_spans.health_zone,
        present_spans.state,
        present_spans.is_at_risk,
        {% for type in rated %}
            present_spans.{{ type }}__micro_calls,
            present_spans.{{ type }}__accrued,
        {% endfor %}
        {% for type in types %}
            {% for count in counts %}
                total_spans.{{ type }}__{{ count }},
            {% endfor %}
        {% endfor %}
        present_spans.starts_on as rate_starts_on,
        greatest(present_spans.first_on, total_spans.starts_on) as starts_on,
        least(present_spans.ends_on, total_spans.ends_on) as ends_on
    from present_spans
    inner join total_spans
        on
            present_spans.account_id = total_spans.account_id
            and present_spans.first_on < total_spans.ends_on
            and present_spans.ends_on > total_spans.starts_on
),

renewal_days as (
    select
        windows.account_id,
        days.as_of_date,
        min(windows.due_on) as next_due_on
    from {{ ref('int_cadence__renewal_windows') }} as windows
    inner join days
        on windows.seen_from_on <= days.as_of_date and windows.seen_until_on >= days.as_of_date
    where windows.seen_until_on >= {{ from_date() }}
    group by windows.account_id, days.as_of_date
),

-- What the account had accrued before the day, and from it the end of the slot the day lies in.
account_days as (
    select
        schedule_spans.account_id,
        days.as_of_date,
        schedule_spans.tier,
        schedule_spans.health_zone,
        schedule_spans.state,
        schedule_spans.is_at_risk,
        {% for type in rated %}
            schedule_spans.{{ type }}__micro_calls,
            schedule_spans.{{ type }}__accrued
            + schedule_spans.{{ type }}__micro_calls
            * {{ days_between('schedule_spans.rate_starts_on', 'days.as_of_date') }}
                as {{ type }}__accrued,
        {% endfor %}
        {% for type in types %}
            {% set last_type = loop.last %}
            {% for count in counts %}
                schedule_spans.{{ type }}__{{ count }}
                {{- ',' if not (loop.last and last_type) }}
            {% endfor %}
        {% endfor %}
    from schedule_spans
    inner join days
        on
            schedule_spans.starts_on <= days.as_of_date
            and schedule_spans.ends_on > days.as_of_date
),

final as (
    select
        cast(account_days.account_id as varchar) as account_id,
        cast(account_days.as_of_date as date) as as_of_date,
        cast(account_days.tier as varchar) as tier,
        cast(account_days.health_zone as varchar) as health_zone,
        cast(account_days.state as varchar) as state,
        cast(account_days.is_at_risk as boolean) as is_at_risk,
        {% for type in rated %}
            cast(account_days.{{ type }}__micro_calls as bigint) as {{ type }}__micro_calls,
            cast(
                case
                    when account_days.{{ type }}__micro_calls > 0
                        then
                            {{ cadence_reached_on(
                                'account_days.as_of_date',
                                'account_days.' ~ type ~ '__accrued',
                                'account_days.' ~ type ~ '__micro_calls',
                                '(' ~ cadence_whole_calls('account_days.' ~ type ~ '__accrued')
                                ~ ' + 1)',
                            ) }}
                end as date
            ) as {{ type }}__next_due_on,
        {% endfor %}
        {% for type in cadence_call_types('renewal') %}
            cast(
                case when account_days.state = 'active' then renewal_days.next_due_on end as date
            ) as {{ type }}__next_due_on,
        {% endfor %}
        {% for type in types %}
            {% set last_type = loop.last %}
            {% for count in counts %}
                cast(account_days.{{ type }}__{{ count }} as integer) as {{ type }}__{{ count }}
                {{- ',' if not (loop.last and last_type) }}
            {% endfor %}
        {% endfor %}
    from account_days
    left join renewal_days
        on
            account_days.account_id = renewal_days.account_id
            and account_days.as_of_date = renewal_days.as_of_date
)

select * from final
