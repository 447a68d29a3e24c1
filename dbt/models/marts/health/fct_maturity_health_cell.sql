-- grain: one row per account_id, solution_area, as_of_date: the field of the matrix it stands in
{{ config(materialized='view') }}

with

stage_days as (
    select * from {{ ref('fct_stage_daily') }}
),

health_days as (
    select * from {{ ref('fct_account_health_daily') }}
),

final as (
    select
        cast(stage_days.account_id as varchar) as account_id,
        cast(stage_days.solution_area as varchar) as solution_area,
        cast(stage_days.as_of_date as date) as as_of_date,
        cast(stage_days.stage as varchar) as stage,
        cast(coalesce(health_days.health_zone, 'unscored') as varchar) as health_zone,
        cast(health_days.tier as varchar) as tier,
        cast(health_days.region as varchar) as region,
        cast(health_days.owner_ca as varchar) as owner_ca,
        cast(stage_days.stage_rank as integer) as stage_rank,
        cast(health_days.health_score as double) as health_score,
        cast(stage_days.arr_usd as decimal(18, 2)) as arr_usd
    from stage_days
    inner join health_days
        on
            stage_days.account_id = health_days.account_id
            and stage_days.as_of_date = health_days.as_of_date
)

select * from final
