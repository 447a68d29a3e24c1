-- Grain: account_id, solution_area, criterion_id, as_of_date; days on which a status changes.
{#- Status: met, unmet, or no_data (no gauge, or one past its expiry). No row yet means no_data.
    A status is a function of the facts dated on or before the day, so only changes are stored; the
    run compares its first day with the last stored status. A gauge counts for a limited time, so
    the ones that can matter lie within the lookback, however long the history is. #}
{{ daily_config() }}

with

policy as (
    select * from {{ ref('stage_policy') }}
),

criteria as (
    select
        stage_criteria.criterion_id,
        stage_criteria.solution_area,
        stage_criteria.kind,
        stage_criteria.measure,
        stage_criteria.direction,
        stage_criteria.threshold,
        stage_measures.source,
        least(
            coalesce(stage_criteria.expiry_days, policy.gauge_lookback_days),
            policy.gauge_lookback_days
        ) as expiry_days
    from {{ ref('stage_criteria') }} as stage_criteria
    cross join policy
    left join {{ ref('stage_measures') }} as stage_measures
        on stage_criteria.measure = stage_measures.measure
),

evidence as (
    select * from {{ ref('stg_crm__stage_evidence') }}
),

presence as (
    select * from {{ ref('int_stages__area_presence') }}
),

usage_days as (
    select * from {{ ref('int_usage__area_daily') }}
),

readings as (
    select
        account_id,
        solution_area,
        measure,
        measured_on,
        value,
        lead(measured_on) over (
            partition by account_id, solution_area, measure order by measured_on
        ) as next_measured_on
    from {{ ref('stg_usage__solution_measures') }}
    where
        value is not null
        and measured_on
        >= (select {{ from_date() }} - policy.gauge_lookback_days - 1 from policy)
),

judged_readings as (
    select
        readings.account_id,
        readings.solution_area,
        criteria.criterion_id,
        readings.measured_on,
        readings.next_measured_on,
        readings.measured_on + criteria.expiry_days + 1 as expired_on,
        case
            when criteria.direction = 'at_least' and readings.value >= criteria.threshold
                then 'met'
            when criteria.direction = 'at_most' and readings.value <= criteria.threshold
                then 'met'
            else 'unmet'
        end as status
    from readings
    inner join criteria
        on
            readings.solution_area = criteria.solution_area
            and readings.measure = criteria.measure
            and criteria.source = 'gauge'
),

gauge_spans as (
    select
        account_id,
        solution_area,
        criterion_id,
        status,
        measured_on as starts_on,
        least(coalesce(next_measured_on, expired_on), expired_on) as ends_on
    from judged_readings
    union all
    select
        account_id,
        solution_area,
        criterion_id,
        'no_data' as status,
        expired_on as starts_on,
        coalesce(next_measured_on, {{ as_of_date() }} + 1) as ends_on
    from judged_readings
    where expired_on < coalesce(next_measured_on, {{ as_of_date() }} + 1)
),

confirmations as (
    select
        evidence.account_id,
        evidence.solution_area,
        evidence.criterion_id,
        evidence.confirmed_on,
        least(
            coalesce(evidence.revoked_on, {{ as_of_date() }} + 1),
            coalesce(evidence.removed_on, {{ as_of_date() }} + 1),
            {{ as_of_date() }} + 1
        ) as ended_on
    from evidence
    inner join criteria
        on
            evidence.solution_area = criteria.solution_area
            and evidence.criterion_id = criteria.criterion_id
            and criteria.kind = 'evidence'
),

-- Two people may confirm the same criterion; it holds until the last confirmation ends.
confirmation_steps as (
    select
        account_id,
        solution_area,
        criterion_id,
        changed_on,
        sum(step) as step
    from (
        select
            account_id,
            solution_area,
            criterion_id,
            confirmed_on as changed_on,
            1 as step
        from confirmations
        where confirmed_on < ended_on
        union all
        select
            account_id,
            solution_area,
            criterion_id,
            ended_on as changed_on,
            -1 as step
        from confirmations
        where confirmed_on < ended_on
    ) as steps
    group by account_id, solution_area, criterion_id, changed_on
),

evidence_spans as (
    select
        account_id,
        solution_area,
        criterion_id,
        case when sum(step) over so_far > 0 then 'met' else 'unmet' end as status,
        changed_on as starts_on,
        coalesce(lead(changed_on) over so_far, {{ as_of_date() }} + 1) as ends_on
    from confirmation_steps
    window so_far as (
        partition by account_id, solution_area, criterion_id order by changed_on
    )
),

measured_days as (
    select
        usage_days.account_id,
        usage_days.solution_area,
        usage_days.as_of_date,
        usage_days.active_users_28d,
        usage_days.active_days_28d,
        usage_days.features_used_28d,
        usage_days.usage_count_28d,
        cast(usage_days.active_users_28d as double)
        / nullif(presence.seats_licensed, 0) as active_user_ratio,
        cast(usage_days.usage_count_28d as double)
        / nullif(usage_days.usage_count_prev_28d, 0) as usage_growth_ratio
    from usage_days
    inner join presence
        on
            usage_days.account_id = presence.account_id
            and usage_days.solution_area = presence.solution_area
            and usage_days.as_of_date >= presence.starts_on
            and usage_days.as_of_date < presence.ends_on
),

{%- set usage_measures = [
    'active_users_28d', 'active_days_28d', 'features_used_28d', 'usage_count_28d',
    'active_user_ratio', 'usage_growth_ratio',
] %}

-- The day before is put beside each day once, for all criteria together.
compared_days as (
    select
        account_id,
        solution_area,
        as_of_date,
        {% for measure in usage_measures %}
            {{ measure }},
            lag({{ measure }}) over area_days as previous_{{ measure }},
        {% endfor %}
        lag(as_of_date) over area_days as previous_date
    from measured_days
    window area_days as (partition by account_id, solution_area order by as_of_date)
),

usage_values as (
    select
        compared_days.account_id,
        compared_days.solution_area,
        compared_days.as_of_date,
        compared_days.previous_date,
        criteria.criterion_id,
        criteria.direction,
        criteria.threshold,
        case criteria.measure
            {% for measure in usage_measures %}
                when '{{ measure }}' then compared_days.{{ measure }}
            {% endfor %}
        end as usage_value,
        case criteria.measure
            {% for measure in usage_measures %}
                when '{{ measure }}' then compared_days.previous_{{ measure }}
            {% endfor %}
        end as previous_usage_value
    from compared_days
    inner join criteria
        on compared_days.solution_area = criteria.solution_area and criteria.source = 'usage'
),

usage_statuses as (
    select
        account_id,
        solution_area,
        criterion_id,
        as_of_date,
        previous_date,
        case
            when usage_value is null then 'no_data'
            when direction = 'at_least' and usage_value >= threshold then 'met'
            when direction = 'at_most' and usage_value <= threshold then 'met'
            else 'unmet'
        end as status,
        case
            when previous_usage_value is null then 'no_data'
            when direction = 'at_least' and previous_usage_value >= threshold then 'met'
            when direction = 'at_most' and previous_usage_value <= threshold then 'met'
            else 'unmet'
        end as previous_status
    from usage_values
),

-- Between the run's days only changes are left; the run's own first day is compared below.
run_points as (
    select
        account_id,
        solution_area,
        criterion_id,
        status,
        greatest(starts_on, {{ from_date() }}) as as_of_date
    from gauge_spans
    where starts_on < ends_on and ends_on > {{ from_date() }}
    union all
    select
        account_id,
        solution_area,
        criterion_id,
        status,
        greatest(starts_on, {{ from_date() }}) as as_of_date
    from evidence_spans
    where starts_on <= {{ as_of_date() }} and ends_on > {{ from_date() }}
    union all
    select
        account_id,
        solution_area,
        criterion_id,
        status,
        as_of_date
    from usage_statuses
    where previous_date is null or status <> previous_status
),

stored as (
    {% if is_incremental() %}
        select
            account_id,
            solution_area,
            criterion_id,
            max_by(status, as_of_date) as status
        from {{ this }}
        where as_of_date < {{ from_date() }}
        group by account_id, solution_area, criterion_id
    {% else %}
        select
            cast(null as varchar) as account_id,
            cast(null as varchar) as solution_area,
            cast(null as varchar) as criterion_id,
            cast(null as varchar) as status
        where false
    {% endif %}
),

followed as (
    select
        run_points.account_id,
        run_points.solution_area,
        run_points.criterion_id,
        run_points.as_of_date,
        run_points.status,
        coalesce(
            lag(run_points.status) over (
                partition by
                    run_points.account_id, run_points.solution_area, run_points.criterion_id
                order by run_points.as_of_date
            ),
            stored.status,
            'no_data'
        ) as previous_status
    from run_points
    left join stored
        on
            run_points.account_id = stored.account_id
            and run_points.solution_area = stored.solution_area
            and run_points.criterion_id = stored.criterion_id
),

final as (
    select
        account_id,
        solution_area,
        criterion_id,
        as_of_date,
        status,
        previous_status
    from followed
    where status <> previous_status
)

select * from final
