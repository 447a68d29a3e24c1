-- grain: one row per as_of_date, solution_area, stage, health_zone
{{ daily_config() }}

with

stages as (
    select * from {{ ref('stages') }}
),

zones as (
    select health_zone from {{ ref('health_zones') }}
    union distinct
    select 'unscored' as health_zone
),

stage_days as (
    select
        account_id,
        solution_area,
        as_of_date,
        stage,
        arr_usd
    from {{ ref('fct_stage_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

health_days as (
    select
        account_id,
        as_of_date,
        health_zone
    from {{ ref('fct_account_health_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

areas as (
    select distinct
        as_of_date,
        solution_area
    from stage_days
),

-- Every stage meets every zone, so that an empty field of the matrix reads 0 and not as missing.
grid as (
    select
        areas.as_of_date,
        areas.solution_area,
        stages.stage,
        zones.health_zone
    from areas
    cross join stages
    cross join zones
),

counted as (
    select
        stage_days.as_of_date,
        stage_days.solution_area,
        stage_days.stage,
        coalesce(health_days.health_zone, 'unscored') as health_zone,
        count(*) as account_count,
        sum(stage_days.arr_usd) as arr_usd
    from stage_days
    inner join health_days
        on
            stage_days.account_id = health_days.account_id
            and stage_days.as_of_date = health_days.as_of_date
    group by
        stage_days.as_of_date,
        stage_days.solution_area,
        stage_days.stage,
        coalesce(health_days.health_zone, 'unscored')
),

final as (
    select
        cast(grid.as_of_date as date) as as_of_date,
        cast(grid.solution_area as varchar) as solution_area,
        cast(grid.stage as varchar) as stage,
        cast(grid.health_zone as varchar) as health_zone,
        cast(coalesce(counted.account_count, 0) as bigint) as account_count,
        cast(coalesce(counted.arr_usd, 0) as decimal(18, 2)) as arr_usd
    from grid
    left join counted
        on
            grid.as_of_date = counted.as_of_date
            and grid.solution_area = counted.solution_area
            and grid.stage = counted.stage
            and grid.health_zone = counted.health_zone
)

select * from final
