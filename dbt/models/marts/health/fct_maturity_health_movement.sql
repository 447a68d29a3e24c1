-- grain: one row per account_id, solution_area, lag_days: its field of the matrix then and now
{#- Now is the run's last day. Then is `lag_days` earlier, where history reaches so far back: an
    account is not new because nothing was computed yet. #}
with

lags as (
    select
        cast(lag_days as integer) as lag_days,
        {{ as_of_date() }} - cast(lag_days as integer) as compared_to_date
    from {{ ref('metric_matrix_lags') }}
),

first_days as (
    select min(as_of_date) as first_on from {{ ref('fct_stage_daily') }}
),

told_lags as (
    select lags.*
    from lags
    inner join first_days on lags.compared_to_date >= first_days.first_on
),

-- The cells are read twice, so only the days that are compared are kept.
compared_days as (
    select {{ as_of_date() }} as as_of_date
    union
    select compared_to_date from told_lags
),

cells as (
    select cells.*
    from {{ ref('fct_maturity_health_cell') }} as cells
    inner join compared_days on cells.as_of_date = compared_days.as_of_date
),

zone_ranks as (
    select
        health_zone,
        min(zone_rank) as zone_rank
    from {{ ref('health_zones') }}
    where policy_set = '{{ health_policy_set() }}'
    group by health_zone
),

ranked_cells as (
    select
        cells.*,
        zone_ranks.zone_rank
    from cells
    left join zone_ranks on cells.health_zone = zone_ranks.health_zone
),

cells_now as (
    select
        told_lags.lag_days,
        told_lags.compared_to_date,
        ranked_cells.*
    from ranked_cells
    cross join told_lags
    where ranked_cells.as_of_date = {{ as_of_date() }}
),

cells_then as (
    select
        told_lags.lag_days,
        told_lags.compared_to_date,
        ranked_cells.*
    from ranked_cells
    inner join told_lags on ranked_cells.as_of_date = told_lags.compared_to_date
),

moves as (
    select
        coalesce(cells_now.account_id, cells_then.account_id) as account_id,
        coalesce(cells_now.solution_area, cells_then.solution_area) as solution_area,
        coalesce(cells_now.lag_days, cells_then.lag_days) as lag_days,
        coalesce(cells_now.compared_to_date, cells_then.compared_to_date) as compared_to_date,
        cells_then.stage as from_stage,
        cells_then.health_zone as from_zone,
        cells_now.stage as to_stage,
        cells_now.health_zone as to_zone,
        cells_then.arr_usd as from_arr_usd,
        cells_now.arr_usd as to_arr_usd,
        cells_now.stage_rank - cells_then.stage_rank as stages_up,
        -- The best zone has the lowest rank; a zone that is not known on both days moved nowhere.
        coalesce(cells_then.zone_rank - cells_now.zone_rank, 0) as zones_up
    from cells_now
    full join cells_then
        on
            cells_now.account_id = cells_then.account_id
            and cells_now.solution_area = cells_then.solution_area
            and cells_now.lag_days = cells_then.lag_days
),

final as (
    select
        cast(account_id as varchar) as account_id,
        cast(solution_area as varchar) as solution_area,
        cast({{ as_of_date() }} as date) as as_of_date,
        cast(compared_to_date as date) as compared_to_date,
        cast(lag_days as integer) as lag_days,
        cast(coalesce(from_stage, 'absent') as varchar) as from_stage,
        cast(coalesce(from_zone, 'absent') as varchar) as from_zone,
        cast(coalesce(to_stage, 'absent') as varchar) as to_stage,
        cast(coalesce(to_zone, 'absent') as varchar) as to_zone,
        cast(
            case
                when from_stage is null then 'entered'
                when to_stage is null then 'left'
                when stages_up >= 0 and zones_up >= 0 and stages_up + zones_up > 0 then 'improved'
                when stages_up <= 0 and zones_up <= 0 and stages_up + zones_up < 0 then 'worsened'
                when stages_up <> 0 and zones_up <> 0 then 'mixed'
                when from_zone <> to_zone then 'rescored'
                else 'stayed'
            end as varchar
        ) as movement,
        cast(coalesce(from_arr_usd, 0) as decimal(18, 2)) as from_arr_usd,
        cast(coalesce(to_arr_usd, 0) as decimal(18, 2)) as to_arr_usd
    from moves
)

select * from final
