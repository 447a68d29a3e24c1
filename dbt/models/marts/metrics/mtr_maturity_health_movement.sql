-- grain: one row per lag_days, solution_area, field of the matrix then, field now; run's last day
with

movements as (
    select * from {{ ref('fct_maturity_health_movement') }}
),

final as (
    select
        cast(as_of_date as date) as as_of_date,
        cast(compared_to_date as date) as compared_to_date,
        cast(lag_days as integer) as lag_days,
        cast(solution_area as varchar) as solution_area,
        cast(from_stage as varchar) as from_stage,
        cast(from_zone as varchar) as from_zone,
        cast(to_stage as varchar) as to_stage,
        cast(to_zone as varchar) as to_zone,
        cast(movement as varchar) as movement,
        cast(count(*) as bigint) as account_count,
        cast(sum(from_arr_usd) as decimal(18, 2)) as from_arr_usd,
        cast(sum(to_arr_usd) as decimal(18, 2)) as to_arr_usd
    from movements
    group by
        as_of_date,
        compared_to_date,
        lag_days,
        solution_area,
        from_stage,
        from_zone,
        to_stage,
        to_zone,
        movement
)

select * from final
