-- Grain: account_id, solution_area, stage_rank, starts_on; stretches of the run with equal counts.
{#- Every date on which any criterion of the area or its presence changes opens a stretch for all
    stages at once, so that the stages of one day can be read side by side. #}
with

policy as (
    select * from {{ ref('stage_policy') }}
),

criteria as (
    select
        criteria.criterion_id,
        criteria.solution_area,
        criteria.is_mandatory,
        criteria.weight,
        stage_ranks.stage_rank
    from {{ ref('stage_criteria') }} as criteria
    inner join {{ ref('stages') }} as stage_ranks on criteria.stage = stage_ranks.stage
),

criterion_changes as (
    select * from {{ ref('int_stages__criterion_changes') }}
),

presence as (
    select * from {{ ref('int_stages__area_presence') }}
),

area_stages as (
    select
        solution_area,
        stage_rank,
        cast(sum(weight) as decimal(12, 2)) as total_weight,
        cast(count(*) as integer) as total_count,
        cast(sum(case when is_mandatory then 1 else 0 end) as integer) as mandatory_count
    from criteria
    group by solution_area, stage_rank
),

-- What was met before the run stands on its first day.
criterion_steps as (
    select
        changes.account_id,
        changes.solution_area,
        criteria.stage_rank,
        greatest(changes.as_of_date, {{ from_date() }}) as starts_on,
        sum(changes.step * criteria.weight) as weight_step,
        sum(changes.step) as count_step,
        sum(case when criteria.is_mandatory then changes.step else 0 end) as mandatory_step
    from (
        select
            *,
            case when status = 'met' then 1 else 0 end
            - case when previous_status = 'met' then 1 else 0 end as step
        from criterion_changes
        where as_of_date <= {{ as_of_date() }}
    ) as changes
    inner join criteria on changes.criterion_id = criteria.criterion_id
    where changes.step <> 0
    group by
        changes.account_id,
        changes.solution_area,
        criteria.stage_rank,
        greatest(changes.as_of_date, {{ from_date() }})
),

presence_steps as (
    select
        account_id,
        solution_area,
        changed_on as starts_on,
        sum(step) as presence_step
    from (
        select
            account_id,
            solution_area,
            starts_on as changed_on,
            1 as step
        from presence
        union all
        select
            account_id,
            solution_area,
            ends_on as changed_on,
            -1 as step
        from presence
    ) as steps
    where changed_on <= {{ as_of_date() }}
    group by account_id, solution_area, changed_on
    having sum(step) <> 0
),

area_dates as (
    select
        account_id,
        solution_area,
        starts_on
    from criterion_steps
    union
    select
        account_id,
        solution_area,
        starts_on
    from presence_steps
),

grid as (
    select
        area_dates.account_id,
        area_dates.solution_area,
        area_dates.starts_on,
        area_stages.stage_rank,
        area_stages.total_weight,
        area_stages.total_count,
        area_stages.mandatory_count,
        coalesce(criterion_steps.weight_step, 0) as weight_step,
        coalesce(criterion_steps.count_step, 0) as count_step,
        coalesce(criterion_steps.mandatory_step, 0) as mandatory_step,
        coalesce(presence_steps.presence_step, 0) as presence_step
    from area_dates
    inner join area_stages on area_dates.solution_area = area_stages.solution_area
    left join criterion_steps
        on
            area_dates.account_id = criterion_steps.account_id
            and area_dates.solution_area = criterion_steps.solution_area
            and area_dates.starts_on = criterion_steps.starts_on
            and area_stages.stage_rank = criterion_steps.stage_rank
    left join presence_steps
        on
            area_dates.account_id = presence_steps.account_id
            and area_dates.solution_area = presence_steps.solution_area
            and area_dates.starts_on = presence_steps.starts_on
),

counted as (
    select
        account_id,
        solution_area,
        stage_rank,
        starts_on,
        total_weight,
        total_count,
        mandatory_count,
        sum(presence_step) over so_far > 0 as is_present,
        coalesce(lead(starts_on) over so_far, {{ as_of_date() }} + 1) as ends_on,
        cast(sum(weight_step) over so_far as decimal(12, 2)) as met_weight,
        cast(sum(count_step) over so_far as integer) as met_count,
        cast(sum(mandatory_step) over so_far as integer) as mandatory_met_count
    from grid
    window so_far as (
        partition by account_id, solution_area, stage_rank order by starts_on
    )
),

judged as (
    select
        counted.*,
        counted.met_weight >= policy.required_ratio * counted.total_weight
        and counted.mandatory_met_count = counted.mandatory_count as is_sufficient
    from counted
    cross join policy
),

final as (
    select
        account_id,
        solution_area,
        stage_rank,
        met_weight,
        total_weight,
        met_count,
        total_count,
        is_present,
        is_sufficient,
        bool_and(is_sufficient) over (
            partition by account_id, solution_area, starts_on
            order by stage_rank
            rows between unbounded preceding and current row
        ) as is_reached,
        starts_on,
        ends_on
    from judged
)

select * from final
