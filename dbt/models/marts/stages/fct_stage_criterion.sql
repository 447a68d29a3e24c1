-- Grain: account_id, solution_area, criterion_id; as of the run's last day, areas active on it.
with

areas as (
    select
        account_id,
        solution_area,
        seats_licensed,
        subscription_started_on
    from {{ ref('int_stages__area_presence') }}
    where starts_on <= {{ as_of_date() }} and ends_on > {{ as_of_date() }}
),

criteria as (
    select
        criteria.*,
        stage_ranks.stage_rank,
        stage_measures.source
    from {{ ref('stage_criteria') }} as criteria
    inner join {{ ref('stages') }} as stage_ranks on criteria.stage = stage_ranks.stage
    left join {{ ref('stage_measures') }} as stage_measures
        on criteria.measure = stage_measures.measure
),

policy as (
    select * from {{ ref('stage_policy') }}
),

current_stages as (
    select
        account_id,
        solution_area,
        stage_rank
    from {{ ref('fct_stage_daily') }}
    where as_of_date = {{ as_of_date() }}
),

-- One activity per criterion is proposed: the first by key.
activities as (
    select
        criterion_id,
        min(activity_id) as activity_id
    from {{ ref('enablement_activities') }}
    group by criterion_id
),

current_statuses as (
    select
        account_id,
        solution_area,
        criterion_id,
        max_by(status, as_of_date) as status,
        max(as_of_date) as since_on
    from {{ ref('int_stages__criterion_changes') }}
    where as_of_date <= {{ as_of_date() }}
    group by account_id, solution_area, criterion_id
),

readings as (
    select
        account_id,
        solution_area,
        measure,
        max_by(value, measured_on) as observed_value,
        max(measured_on) as observed_on
    from {{ ref('stg_usage__solution_measures') }}
    where
        value is not null
        and measured_on >= (select {{ as_of_date() }} - policy.gauge_lookback_days from policy)
    group by account_id, solution_area, measure
),

usage_today as (
    select * from {{ ref('int_usage__area_daily') }}
    where as_of_date = {{ as_of_date() }}
),

confirmations as (
    select
        account_id,
        solution_area,
        criterion_id,
        max(confirmed_on) as confirmed_on
    from {{ ref('stg_crm__stage_evidence') }}
    where
        confirmed_on <= {{ as_of_date() }}
        and coalesce(revoked_on > {{ as_of_date() }}, true)
        and coalesce(removed_on > {{ as_of_date() }}, true)
    group by account_id, solution_area, criterion_id
),

observed as (
    select
        areas.account_id,
        areas.solution_area,
        areas.subscription_started_on,
        criteria.criterion_id,
        criteria.stage,
        criteria.stage_rank,
        criteria.criterion_name,
        criteria.kind,
        criteria.measure,
        criteria.direction,
        criteria.threshold,
        criteria.weight,
        criteria.is_mandatory,
        activities.activity_id,
        case
            when criteria.measure = 'active_users_28d' then usage_today.active_users_28d
            when criteria.measure = 'active_days_28d' then usage_today.active_days_28d
            when criteria.measure = 'features_used_28d' then usage_today.features_used_28d
            when criteria.measure = 'usage_count_28d' then usage_today.usage_count_28d
            when criteria.measure = 'active_user_ratio'
                then
                    cast(usage_today.active_users_28d as double)
                    / nullif(areas.seats_licensed, 0)
            when criteria.measure = 'usage_growth_ratio'
                then
                    cast(usage_today.usage_count_28d as double)
                    / nullif(usage_today.usage_count_prev_28d, 0)
            else readings.observed_value
        end as observed_value,
        case
            when criteria.source = 'usage' then usage_today.as_of_date
            when criteria.kind = 'evidence' then confirmations.confirmed_on
            else readings.observed_on
        end as observed_on
    from areas
    inner join criteria on areas.solution_area = criteria.solution_area
    left join activities on criteria.criterion_id = activities.criterion_id
    left join usage_today
        on
            areas.account_id = usage_today.account_id
            and areas.solution_area = usage_today.solution_area
    left join readings
        on
            areas.account_id = readings.account_id
            and areas.solution_area = readings.solution_area
            and criteria.measure = readings.measure
            and criteria.source = 'gauge'
    left join confirmations
        on
            areas.account_id = confirmations.account_id
            and areas.solution_area = confirmations.solution_area
            and criteria.criterion_id = confirmations.criterion_id
),

final as (
    select
        cast(observed.account_id as varchar) as account_id,
        cast(observed.solution_area as varchar) as solution_area,
        cast(observed.criterion_id as varchar) as criterion_id,
        cast({{ as_of_date() }} as date) as as_of_date,
        cast(observed.stage as varchar) as stage,
        cast(observed.criterion_name as varchar) as criterion_name,
        cast(observed.kind as varchar) as kind,
        cast(observed.measure as varchar) as measure,
        cast(observed.direction as varchar) as direction,
        cast(
            coalesce(
                current_statuses.status,
                case when observed.kind = 'evidence' then 'unmet' else 'no_data' end
            ) as varchar
        ) as status,
        cast(observed.activity_id as varchar) as activity_id,
        cast(observed.threshold as double) as threshold,
        cast(observed.observed_value as double) as observed_value,
        cast(observed.weight as decimal(6, 2)) as weight,
        cast(
            {{ days_between(
                'coalesce(current_statuses.since_on, observed.subscription_started_on)',
                as_of_date(),
            ) }} as integer
        ) as status_age_days,
        cast(observed.is_mandatory as boolean) as is_mandatory,
        cast(coalesce(current_statuses.status = 'met', false) as boolean) as is_met,
        cast(
            coalesce(observed.stage_rank = current_stages.stage_rank + 1, false) as boolean
        ) as is_for_next_stage,
        cast(observed.observed_on as date) as observed_on,
        cast(
            case when current_statuses.status = 'met' then current_statuses.since_on end as date
        ) as met_since_on,
        cast(
            case
                when coalesce(current_statuses.status <> 'met', true)
                    then
                        greatest(
                            coalesce(
                                current_statuses.since_on, observed.subscription_started_on
                            ),
                            observed.subscription_started_on
                        )
            end as date
        ) as pending_since_on
    from observed
    left join current_statuses
        on
            observed.account_id = current_statuses.account_id
            and observed.solution_area = current_statuses.solution_area
            and observed.criterion_id = current_statuses.criterion_id
    left join current_stages
        on
            observed.account_id = current_stages.account_id
            and observed.solution_area = current_stages.solution_area
)

select * from final
