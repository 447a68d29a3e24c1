-- grain: one row per account_id, solution_area, as_of_date on which it came, went or changed
{{ daily_config() }}
{{ config(schema='intermediate') }}

with

stage_days as (
    select
        account_id,
        solution_area,
        as_of_date,
        go_live_on
    from {{ ref('fct_stage_daily') }}
    where as_of_date between {{ from_date() }} - 1 and {{ as_of_date() }}
),

account_days as (
    select
        account_id,
        as_of_date,
        tier,
        region,
        owner_ca
    from {{ ref('fct_account_health_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

neighbours as (
    select
        *,
        lag(as_of_date) over area_order as previous_on,
        lag(go_live_on) over area_order as previous_go_live_on,
        lead(as_of_date) over area_order as next_on
    from stage_days
    window area_order as (partition by account_id, solution_area order by as_of_date)
),

final as (
    select
        neighbours.account_id,
        neighbours.solution_area,
        neighbours.as_of_date,
        account_days.tier,
        account_days.region,
        account_days.owner_ca,
        true as is_present,
        neighbours.go_live_on
    from neighbours
    left join account_days
        on
            neighbours.account_id = account_days.account_id
            and neighbours.as_of_date = account_days.as_of_date
    where
        neighbours.as_of_date >= {{ from_date() }}
        and (
            neighbours.previous_on is null
            or neighbours.previous_on < neighbours.as_of_date - 1
            or neighbours.previous_go_live_on <> neighbours.go_live_on
        )
    union all
    -- The first day without the area.
    select
        account_id,
        solution_area,
        as_of_date + 1 as as_of_date,
        cast(null as varchar) as tier,
        cast(null as varchar) as region,
        cast(null as varchar) as owner_ca,
        false as is_present,
        cast(null as date) as go_live_on
    from neighbours
    where
        as_of_date < {{ as_of_date() }}
        and (next_on is null or next_on > as_of_date + 1)
)

select * from final
