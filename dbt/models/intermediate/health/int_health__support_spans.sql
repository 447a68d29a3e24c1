-- Grain: account_id, valid_from_on; tickets and surveys as counted over trailing windows.
-- depends_on: {{ ref('health_definitions') }}
{%- set ticket_window = health_definition('ticket_window_days') %}
{%- set survey_window = health_definition('survey_window_days') %}
with

targets as (
    select * from {{ ref('support_targets') }}
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
        account_id,
        opened_on as from_on,
        least(opened_on + {{ ticket_window }}, removed_on) as to_on,
        1 as ticket_opened_count
    from tickets
),

resolved as (
    select
        tickets.account_id,
        tickets.resolved_on as from_on,
        least(tickets.resolved_on + {{ ticket_window }}, tickets.removed_on) as to_on,
        {{ health_micro(
            'least('
            ~ health_definition('resolution_ratio_cap')
            ~ ', cast(' ~ health_seconds_between('tickets.opened_at', 'tickets.resolved_at')
            ~ ' as double) / (targets.resolution_target_hours * 3600.0))'
        ) }} as resolution_ratio_micro,
        1 as ticket_resolved_count
    from tickets
    inner join targets on tickets.severity = targets.severity
    where tickets.resolved_on is not null
),

closed as (
    select
        account_id,
        first_closed_on as from_on,
        least(first_closed_on + {{ ticket_window }}, removed_on) as to_on,
        1 as ticket_closed_count
    from tickets
    where first_closed_on is not null
),

reopened as (
    select
        account_id,
        reopened_on as from_on,
        least(first_closed_on + {{ ticket_window }}, removed_on) as to_on,
        1 as ticket_reopened_count
    from tickets
    where reopened_on is not null
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

csat as (
    select
        account_id,
        responded_on as from_on,
        responded_on + {{ survey_window }} as to_on,
        score_micro as csat_micro,
        survey_count as csat_count
    from surveys
    where kind = 'csat'
),

last_csat as (
    select
        account_id,
        from_on,
        lead(from_on) over (partition by account_id order by from_on) as to_on,
        csat_micro as last_csat_micro,
        csat_count as last_csat_count,
        {{ health_day_number('from_on') }} as last_csat_day
    from csat
),

nps as (
    select
        account_id,
        responded_on as from_on,
        responded_on + {{ survey_window }} as to_on,
        score_micro as nps_micro,
        survey_count as nps_count
    from surveys
    where kind = 'nps'
),

last_nps as (
    select
        account_id,
        from_on,
        lead(from_on) over (partition by account_id order by from_on) as to_on,
        nps_micro as last_nps_micro,
        nps_count as last_nps_count,
        {{ health_day_number('from_on') }} as last_nps_day
    from nps
),

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
