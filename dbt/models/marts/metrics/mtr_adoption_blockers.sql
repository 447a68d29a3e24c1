-- grain: one row per as_of_date, solution_area, category
{{ daily_config() }}

with

categories as (
    select
        category,
        cast(aged_after_days as integer) as aged_after_days
    from {{ ref('blocker_categories') }}
),

policy as (
    select cast(value as integer) as window_days from {{ ref('metric_policy') }}
    where parameter = 'blocker_window_days'
),

-- A blocker ends when it is resolved, or when it leaves the extracts unresolved.
blockers as (
    select
        blocker_id,
        account_id,
        solution_area,
        category,
        opened_on,
        case
            when coalesce(removed_on >= resolved_on, true) then resolved_on
        end as resolved_on,
        least(
            coalesce(resolved_on, cast('9999-12-31' as date)),
            coalesce(removed_on, cast('9999-12-31' as date))
        ) as ended_on
    from {{ ref('stg_crm__adoption_blockers') }}
),

account_days as (
    select
        account_id,
        as_of_date
    from {{ ref('fct_account_health_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

area_days as (
    select distinct
        as_of_date,
        solution_area
    from {{ ref('fct_stage_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

-- Every blocker on each customer day on which it is open, or was resolved in the window before.
told as (
    select
        account_days.as_of_date,
        blockers.solution_area,
        blockers.category,
        blockers.ended_on > account_days.as_of_date as is_open,
        case
            when blockers.ended_on > account_days.as_of_date
                then {{ days_between('blockers.opened_on', 'account_days.as_of_date') }}
        end as age_days,
        case
            when blockers.resolved_on <= account_days.as_of_date
                then {{ days_between('blockers.opened_on', 'blockers.resolved_on') }}
        end as resolution_days,
        categories.aged_after_days
    from blockers
    cross join policy
    inner join account_days
        on
            blockers.account_id = account_days.account_id
            and blockers.opened_on <= account_days.as_of_date
            and (
                blockers.ended_on > account_days.as_of_date
                or blockers.resolved_on > account_days.as_of_date - policy.window_days
            )
    left join categories on blockers.category = categories.category
),

counted as (
    select
        as_of_date,
        solution_area,
        category,
        sum(case when is_open then 1 else 0 end) as open_count,
        sum(case when is_open and age_days >= aged_after_days then 1 else 0 end) as aged_count,
        sum(case when resolution_days is not null then 1 else 0 end) as resolved_count,
        median(age_days) as median_age_days,
        max(age_days) as oldest_age_days,
        median(resolution_days) as median_resolution_days
    from told
    group by as_of_date, solution_area, category
),

grid as (
    select
        area_days.as_of_date,
        area_days.solution_area,
        categories.category
    from area_days
    cross join categories
    union distinct
    select
        as_of_date,
        solution_area,
        category
    from counted
),

final as (
    select
        cast(grid.as_of_date as date) as as_of_date,
        cast(grid.solution_area as varchar) as solution_area,
        cast(grid.category as varchar) as category,
        cast(coalesce(counted.open_count, 0) as bigint) as open_count,
        cast(coalesce(counted.aged_count, 0) as bigint) as aged_count,
        cast(coalesce(counted.resolved_count, 0) as bigint) as resolved_count,
        cast(counted.median_age_days as double) as median_age_days,
        cast(counted.oldest_age_days as integer) as oldest_age_days,
        cast(counted.median_resolution_days as double) as median_resolution_days
    from grid
    left join counted
        on
            grid.as_of_date = counted.as_of_date
            and grid.solution_area = counted.solution_area
            and grid.category = counted.category
)

select * from final
