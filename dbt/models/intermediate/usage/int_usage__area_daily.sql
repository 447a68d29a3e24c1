-- Grain: account_id, solution_area, as_of_date; the days of int_core__area_days.
{%- set keys = ['account_id', 'solution_area'] %}
with

days as (
    select * from {{ ref('int_core__area_days') }}
),

use_days as (
    select * from {{ ref('int_usage__use_days') }}
),

user_changes as (
    select * from {{ ref('int_usage__area_user_changes') }}
),

feature_changes as (
    select * from {{ ref('int_usage__area_feature_changes') }}
),

first_use as (
    select * from {{ ref('int_usage__first_use') }}
),

changes as (
    select
        account_id,
        solution_area,
        changed_on,
        user_change,
        0 as feature_change
    from user_changes
    union all
    select
        account_id,
        solution_area,
        changed_on,
        0 as user_change,
        feature_change
    from feature_changes
),

figures as (
    {{ trailing_usage(keys, 'days', 'changes', 'use_days') }}
),

-- Before the first use nothing is known of it, so nothing is zero.
known as (
    select
        figures.account_id,
        figures.solution_area,
        figures.as_of_date,
        figures.last_used_on,
        first_use.first_used_on,
        figures.active_users,
        figures.active_days,
        figures.features_used,
        figures.usage_count,
        figures.usage_count_prev,
        first_use.account_id is not null as is_used
    from figures
    left join first_use
        on
            figures.account_id = first_use.account_id
            and figures.solution_area = first_use.solution_area
            and figures.as_of_date >= first_use.first_used_on
    where figures.is_wanted
),

final as (
    select
        account_id,
        solution_area,
        as_of_date,
        -- Use without a single user id says nothing of how many users there were.
        cast(
            case when is_used and (active_users > 0 or active_days = 0) then active_users end
            as bigint
        ) as active_users_28d,
        cast(case when is_used then active_days end as bigint) as active_days_28d,
        cast(case when is_used then features_used end as bigint) as features_used_28d,
        cast(case when is_used then usage_count end as bigint) as usage_count_28d,
        cast(case when is_used then usage_count_prev end as bigint) as usage_count_prev_28d,
        last_used_on,
        first_used_on
    from known
)

select * from final
