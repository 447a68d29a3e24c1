-- Grain: account_id, solution_area, activity_id; as of the run's last day, areas active on it.
{#- An activity covers a criterion. It is proposed while the criterion is pending and stands in the
    way: it belongs to the next stage or to one the area is in or past. It is seen as done when the
    criterion is met; those of later stages wait. #}
with

criteria as (
    select * from {{ ref('fct_stage_criterion') }}
),

activities as (
    select * from {{ ref('enablement_activities') }}
),

stages as (
    select * from {{ ref('stages') }}
),

current_stages as (
    select * from {{ ref('fct_stage_daily') }}
    where as_of_date = {{ as_of_date() }}
),

judged as (
    select
        criteria.account_id,
        criteria.solution_area,
        activities.activity_id,
        criteria.criterion_id,
        criteria.stage,
        activities.activity_name,
        activities.owner_role,
        activities.format,
        activities.effort_hours,
        criteria.is_mandatory,
        criteria.is_for_next_stage,
        criteria.met_since_on,
        -- What the next stage asks is in the way since the area stands before that stage.
        case
            when criteria.is_for_next_stage
                then greatest(criteria.pending_since_on, current_stages.stage_entered_on)
            else criteria.pending_since_on
        end as proposed_on,
        case
            when criteria.is_met then 'done'
            when stages.stage_rank <= current_stages.stage_rank + 1 then 'proposed'
            else 'later'
        end as status
    from criteria
    inner join activities on criteria.criterion_id = activities.criterion_id
    inner join stages on criteria.stage = stages.stage
    inner join current_stages
        on
            criteria.account_id = current_stages.account_id
            and criteria.solution_area = current_stages.solution_area
),

final as (
    select
        cast(account_id as varchar) as account_id,
        cast(solution_area as varchar) as solution_area,
        cast(activity_id as varchar) as activity_id,
        cast({{ as_of_date() }} as date) as as_of_date,
        cast(criterion_id as varchar) as criterion_id,
        cast(stage as varchar) as stage,
        cast(activity_name as varchar) as activity_name,
        cast(owner_role as varchar) as owner_role,
        cast(format as varchar) as format,
        cast(status as varchar) as status,
        cast(effort_hours as double) as effort_hours,
        cast(
            case
                when status = 'proposed'
                    then {{ days_between('proposed_on', as_of_date()) }}
            end as integer
        ) as proposed_age_days,
        cast(is_mandatory as boolean) as is_mandatory,
        cast(is_for_next_stage as boolean) as is_for_next_stage,
        cast(case when status = 'proposed' then proposed_on end as date) as proposed_on,
        cast(case when status = 'done' then met_since_on end as date) as done_on
    from judged
)

select * from final
