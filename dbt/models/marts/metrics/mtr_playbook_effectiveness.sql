-- grain: one row per metric_id, as_of_date, dimension, dimension_value
{{ daily_config() }}

with

{{ metric_context_ctes('mtr_playbook_effectiveness') }},

invalid_reasons as (
    select * from {{ ref('metric_invalid_reasons') }}
),

spells as (
    select * from {{ ref('int_metrics__recovery_spells') }}
),

-- Nobody can be late where starts and completions are not reported: judged are the actions opened
-- since reports, or files that could hold them, first came.
feedback_days as (
    select min(occurred_on) as known_on from {{ ref('stg_crm__playbook_runs') }}
    union all
    select min(extracted_on) as known_on
    from {{ source('pipeline', 'files') }}
    where
        source = 'crm'
        and table_name = 'playbook_runs'
        and status = 'accepted'
        and extracted_on <= {{ as_of_date() }}
),

feedback as (
    select min(known_on) as first_on from feedback_days
),

windows as (
    select
        max(case when metric_id = 'execution_rate' then cast(window_days as integer) end)
            as execution_days,
        max(case when metric_id = 'completion_rate' then cast(window_days as integer) end)
            as completion_days,
        max(case when metric_id = 'outcome_achievement' then cast(window_days as integer) end)
            as outcome_days
    from definitions
),

account_days as (
    select
        account_id,
        as_of_date,
        tier,
        region
    from {{ ref('fct_account_health_daily') }}
),

-- Who held the owner's role when the action opened: the person who had to start it.
openings as (
    select
        action_id,
        {{ metric_json_text('detail', 'owner') }} as owner
    from {{ source('playbooks', 'action_events') }}
    where event = 'opened'
),

-- Only actions that some day of the run still counts: open, or decided within the longest window.
actions as (
    select
        actions.action_id,
        actions.account_id,
        actions.solution_area,
        actions.playbook_id,
        actions.rule_id || ' v' || actions.rule_version as rule_version,
        actions.close_reason,
        actions.opened_on,
        actions.due_on,
        actions.plan_due_on,
        actions.closed_on,
        actions.objective_due_on,
        actions.objective_met_on,
        -- Work that was reported done without a start was started by then.
        coalesce(
            actions.started_on,
            case when actions.close_reason = 'completed' then actions.closed_on end
        ) as started_on,
        invalid_reasons.cancel_reason is not null as is_invalid
    from {{ source('playbooks', 'actions') }} as actions
    cross join windows
    inner join feedback on actions.opened_on >= feedback.first_on
    left join invalid_reasons on lower(trim(actions.cancel_reason)) = invalid_reasons.cancel_reason
    where
        -- Playbooks are judged by the work they opened, not by what was promised in a call.
        actions.playbook_id is not null
        and (
            actions.closed_on is null
            or greatest(actions.closed_on, actions.due_on, actions.objective_due_on)
            >= {{ from_date() }}
            - greatest(windows.execution_days, windows.completion_days, windows.outcome_days)
        )
),

-- Attributed to the account as it stood when the action opened; an account that opened it by
-- leaving stood for the last time on the day before.
attributed as (
    select
        actions.*,
        coalesce(opening_days.tier, day_before.tier) as tier,
        coalesce(opening_days.region, day_before.region) as region,
        openings.owner
    from actions
    left join openings on actions.action_id = openings.action_id
    left join account_days as opening_days
        on
            actions.account_id = opening_days.account_id
            and actions.opened_on = opening_days.as_of_date
    left join account_days as day_before
        on
            actions.account_id = day_before.account_id
            and actions.opened_on - 1 = day_before.as_of_date
),

-- The due date has passed for an action unless the pipeline itself took it back, unstarted, before.
judged as (
    select
        *,
        coalesce(started_on <= due_on, false) as is_started_in_time,
        coalesce(started_on <= closed_on, false) as is_executed_when_closed,
        coalesce(close_reason = 'restated', false) as is_restated,
        case
            when is_invalid or close_reason = 'restated' then closed_on
            when
                closed_on <= due_on
                and started_on is null
                and close_reason not in ('completed', 'cancelled')
                then closed_on
        end as withdrawn_on,
        cast('9999-12-31' as date) as never_on
    from attributed
),

execution_intervals as (
    select
        judged.tier,
        judged.region,
        judged.owner,
        judged.solution_area,
        judged.playbook_id as playbook,
        judged.rule_version,
        judged.due_on + 1 as counted_from_on,
        least(
            judged.due_on + 1 + windows.execution_days,
            coalesce(judged.withdrawn_on, judged.never_on)
        ) as counted_until_on,
        case when judged.is_started_in_time then 1 else 0 end as numerator,
        1 as denominator,
        0 as at_risk_count,
        0 as excluded_count
    from judged
    cross join windows
    union all
    select
        judged.tier,
        judged.region,
        judged.owner,
        judged.solution_area,
        judged.playbook_id as playbook,
        judged.rule_version,
        judged.withdrawn_on as counted_from_on,
        judged.withdrawn_on + windows.execution_days as counted_until_on,
        0 as numerator,
        0 as denominator,
        0 as at_risk_count,
        1 as excluded_count
    from judged
    cross join windows
    where judged.withdrawn_on is not null
    union all
    select
        judged.tier,
        judged.region,
        judged.owner,
        judged.solution_area,
        judged.playbook_id as playbook,
        judged.rule_version,
        judged.due_on + 1 as counted_from_on,
        least(
            coalesce(judged.started_on, judged.never_on),
            coalesce(judged.closed_on, judged.never_on)
        ) as counted_until_on,
        0 as numerator,
        0 as denominator,
        1 as at_risk_count,
        0 as excluded_count
    from judged
),

completion_intervals as (
    select
        judged.tier,
        judged.region,
        judged.owner,
        judged.solution_area,
        judged.playbook_id as playbook,
        judged.rule_version,
        judged.closed_on as counted_from_on,
        judged.closed_on + windows.completion_days as counted_until_on,
        case when judged.close_reason = 'completed' then 1 else 0 end as numerator,
        1 as denominator,
        0 as at_risk_count,
        0 as excluded_count
    from judged
    cross join windows
    where judged.is_executed_when_closed and not judged.is_restated
    union all
    select
        judged.tier,
        judged.region,
        judged.owner,
        judged.solution_area,
        judged.playbook_id as playbook,
        judged.rule_version,
        greatest(judged.plan_due_on + 1, judged.started_on) as counted_from_on,
        coalesce(judged.closed_on, judged.never_on) as counted_until_on,
        0 as numerator,
        0 as denominator,
        1 as at_risk_count,
        0 as excluded_count
    from judged
    where judged.started_on is not null
),

outcome_intervals as (
    select
        judged.tier,
        judged.region,
        judged.owner,
        judged.solution_area,
        judged.playbook_id as playbook,
        judged.rule_version,
        judged.objective_due_on + 1 as counted_from_on,
        judged.objective_due_on + 1 + windows.outcome_days as counted_until_on,
        case
            when judged.objective_met_on <= judged.objective_due_on then 1 else 0
        end as numerator,
        1 as denominator,
        0 as at_risk_count,
        0 as excluded_count
    from judged
    cross join windows
    where judged.close_reason = 'completed' and judged.objective_due_on is not null
),

intervals as (
    select
        *,
        'execution_rate' as metric_id
    from execution_intervals
    union all
    select
        *,
        'completion_rate' as metric_id
    from completion_intervals
    union all
    select
        *,
        'outcome_achievement' as metric_id
    from outcome_intervals
),

{{ metric_count_ctes(survival_metric='time_to_green') }},

{{ metric_survival_ctes('time_to_green') }},

measured as (
    select
        counts.metric_id,
        counts.as_of_date,
        counts.dimension,
        counts.dimension_value,
        counts.numerator / nullif(counts.denominator, 0) as value,
        cast(null as double) as lower_bound,
        counts.numerator,
        counts.denominator,
        counts.at_risk_count,
        counts.excluded_count,
        case
            when not coalesce(feedback.first_on <= counts.as_of_date, false)
                then 'no playbook runs are delivered, so no action can be judged'
        end as reason
    from counts
    cross join feedback
    union all
    select * from survival
),

final as (
    {{ metric_judged() }}
)

select * from final
