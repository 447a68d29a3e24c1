-- Grain: account_id, solution_area, occurred_on; a day on which an area's stage changes.
{#- The stage is the number of latches set, counted from the first stage: a stage holds only when
    every earlier one does, so latches are nested. Where several are set within a few days the area
    still passes every stage, one a day; downward it falls as far as it fell. #}
with

latches as (
    select
        account_id,
        solution_area,
        stage_rank,
        as_of_date,
        is_latched,
        coalesce(
            lag(is_latched) over (
                partition by account_id, solution_area, stage_rank order by as_of_date
            ),
            false
        ) as was_latched
    from {{ ref('int_stages__latch_changes') }}
    where as_of_date <= {{ as_of_date() }}
),

stages as (
    select * from {{ ref('stages') }}
),

-- A stage is entered no earlier than one day after the stage below: the day less the rank never
-- falls from one set latch to the next, and adding the rank gives the day back.
promotions as (
    select
        account_id,
        solution_area,
        stage_rank + max(as_of_date - stage_rank) over (
            partition by account_id, solution_area
            order by as_of_date
            range between unbounded preceding and current row
        ) as occurred_on,
        1 as step
    from latches
    where is_latched and not was_latched
),

demotions as (
    select
        account_id,
        solution_area,
        as_of_date as occurred_on,
        -1 as step
    from latches
    where was_latched and not is_latched
),

steps as (
    select
        account_id,
        solution_area,
        occurred_on,
        sum(step) as step
    from (
        select * from promotions
        union all
        select * from demotions
    ) as flips
    where occurred_on <= {{ as_of_date() }}
    group by account_id, solution_area, occurred_on
    having sum(step) <> 0
),

ranks as (
    select
        account_id,
        solution_area,
        occurred_on,
        step,
        sum(step) over so_far as to_rank,
        lag(occurred_on) over so_far as from_stage_entered_on
    from steps
    window so_far as (partition by account_id, solution_area order by occurred_on)
),

final as (
    select
        cast(ranks.account_id as varchar) as account_id,
        cast(ranks.solution_area as varchar) as solution_area,
        cast(from_stages.stage as varchar) as from_stage,
        cast(to_stages.stage as varchar) as to_stage,
        cast(case when ranks.step > 0 then 'promotion' else 'demotion' end as varchar) as kind,
        cast(from_stages.stage_rank as integer) as from_stage_rank,
        cast(to_stages.stage_rank as integer) as to_stage_rank,
        cast(
            {{ days_between('ranks.from_stage_entered_on', 'ranks.occurred_on') }} as integer
        ) as days_in_from_stage,
        cast(ranks.occurred_on as date) as occurred_on
    from ranks
    inner join stages as to_stages on ranks.to_rank = to_stages.stage_rank
    inner join stages as from_stages on ranks.to_rank - ranks.step = from_stages.stage_rank
)

select * from final
