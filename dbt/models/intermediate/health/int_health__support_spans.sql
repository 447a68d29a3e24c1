-- Grain: account_id, valid_from_on; tickets and surveys as counted over trailing windows.
-- depends_on: {{ ref('health_definitions') }}
with

targets as (
    {{ health_dated(ref('support_targets'), 'severity', ['resolution_target_hours']) }}
),

ticket_windows as (
    select * from {{ health_windows('ticket_window_days') }} as held
),

survey_windows as (
    select * from {{ health_windows('survey_window_days') }} as held
),

tickets as (
    select
        *,
        cast(opened_at as date) as opened_on,
        cast(resolved_at as date) as resolved_on,
        cast(escalated_at as date) as escalated_on,
        cast(reopened_at as date) as reopened_on,
        least(cast(resolved_at as date), cast(reopened_at as date)) as first_closed_on
    from {{ ref('stg_support__tickets') }}
),

surveys as (
    select
        account_id,
        kind,
        responded_on,
        sum({{ health_micro('score') }}) as score_micro,
        count(*) as survey_count
    from {{ ref('stg_support__surveys') }}
    group by account_id, kind, responded_on
),

opened as (
    select
        tickets.account_id,
        greatest(tickets.opened_on, held.valid_from_on) as from_on,
        least(tickets.opened_on + held.value, tickets.removed_on, held.valid_to_on) as to_on,
        1 as ticket_opened_count
    from tickets
    cross join ticket_windows as held
),

resolved as (
    select
        tickets.account_id,
        greatest(
            tickets.resolved_on, held.valid_from_on, targets.valid_from_on, capped.valid_from_on
        ) as from_on,
        least(
            tickets.resolved_on + held.value,
            tickets.removed_on,
            held.valid_to_on,
            targets.valid_to_on,
            capped.valid_to_on
        ) as to_on,
        {{ health_micro(
            'least(capped.value, cast('
            ~ health_seconds_between('tickets.opened_at', 'tickets.resolved_at')
            ~ ' as double) / (targets.resolution_target_hours * 3600.0))'
        ) }} as resolution_ratio_micro,
        1 as ticket_resolved_count
    from tickets
    inner join targets on tickets.severity = targets.severity
    cross join ticket_windows as held
    cross join {{ health_windows('resolution_ratio_cap') }} as capped
    where tickets.resolved_on is not null
),

closed as (
    select
        tickets.account_id,
        greatest(tickets.first_closed_on, held.valid_from_on) as from_on,
        least(tickets.first_closed_on + held.value, tickets.removed_on, held.valid_to_on) as to_on,
        1 as ticket_closed_count
    from tickets
    cross join ticket_windows as held
    where tickets.first_closed_on is not null
),

reopened as (
    select
        tickets.account_id,
        greatest(tickets.reopened_on, held.valid_from_on) as from_on,
        least(tickets.first_closed_on + held.value, tickets.removed_on, held.valid_to_on) as to_on,
        1 as ticket_reopened_count
    from tickets
    cross join ticket_windows as held
    where tickets.reopened_on is not null
),

escalated as (
    select
        account_id,
        ticket_id,
        escalated_on,
        least(resolved_on, removed_on) as ended_on
    from tickets
    where escalated_on is not null
),

-- The oldest open escalation: each is it from the end of all that were raised before it.
oldest_escalation as (
    select
        account_id,
        greatest(
            escalated_on,
            max(coalesce(ended_on, {{ as_of_date() }} + 1)) over (
                partition by account_id order by escalated_on, ticket_id
                rows between unbounded preceding and 1 preceding
            )
        ) as from_on,
        ended_on as to_on,
        {{ health_day_number('escalated_on') }} as oldest_escalation_day,
        1 as has_escalation
    from escalated
),

{%- for kind in ('csat', 'nps') %}

{{ kind }} as (
    select
        surveys.account_id,
        greatest(surveys.responded_on, held.valid_from_on) as from_on,
        least(surveys.responded_on + held.value, held.valid_to_on) as to_on,
        surveys.score_micro as {{ kind }}_micro,
        surveys.survey_count as {{ kind }}_count
    from surveys
    cross join survey_windows as held
    where surveys.kind = '{{ kind }}'
),

last_{{ kind }} as (
    select
        account_id,
        responded_on as from_on,
        lead(responded_on) over (partition by account_id order by responded_on) as to_on,
        score_micro as last_{{ kind }}_micro,
        survey_count as last_{{ kind }}_count,
        {{ health_day_number('responded_on') }} as last_{{ kind }}_day
    from surveys
    where kind = '{{ kind }}'
),
{%- endfor %}

{{ health_spans({
    'opened': ['ticket_opened_count'],
    'resolved': ['resolution_ratio_micro', 'ticket_resolved_count'],
    'closed': ['ticket_closed_count'],
    'reopened': ['ticket_reopened_count'],
    'oldest_escalation': ['oldest_escalation_day', 'has_escalation'],
    'csat': ['csat_micro', 'csat_count'],
    'last_csat': ['last_csat_micro', 'last_csat_count', 'last_csat_day'],
    'nps': ['nps_micro', 'nps_count'],
    'last_nps': ['last_nps_micro', 'last_nps_count', 'last_nps_day'],
}) }},

final as (
    select * from spans
)

select * from final
