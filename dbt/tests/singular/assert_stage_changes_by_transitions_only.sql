-- On the run's last day every area is in the stage its newest transition led to.
with

newest as (
    select
        account_id,
        solution_area,
        max_by(to_stage, occurred_on) as stage
    from {{ ref('fct_stage_transition') }}
    group by account_id, solution_area
)

select
    stage_days.account_id,
    stage_days.solution_area,
    stage_days.stage
from {{ ref('fct_stage_daily') }} as stage_days
left join newest
    on
        stage_days.account_id = newest.account_id
        and stage_days.solution_area = newest.solution_area
where
    stage_days.as_of_date = {{ as_of_date() }}
    and stage_days.stage <> coalesce(newest.stage, 'not_started')
