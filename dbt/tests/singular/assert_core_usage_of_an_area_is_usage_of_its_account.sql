-- No area shows more use than its account: same raw rows, counted by different models.
{{ config(meta={'dagster': {'ref': {'name': 'int_usage__area_daily'}}}) }}
select
    areas.account_id,
    areas.solution_area,
    areas.as_of_date
from {{ ref('int_usage__area_daily') }} as areas
inner join {{ ref('int_usage__account_daily') }} as customers
    on areas.account_id = customers.account_id and areas.as_of_date = customers.as_of_date
where
    areas.usage_count_28d > customers.usage_count_28d
    or areas.usage_count_prev_28d > customers.usage_count_prev_28d
    or areas.active_days_28d > customers.active_days_28d
    or areas.active_users_28d > customers.active_users_28d
    or areas.features_used_28d > customers.features_used_28d
    or areas.last_used_on > customers.last_used_on
    or areas.first_used_on < customers.first_used_on
    or (areas.usage_count_28d is not null and customers.usage_count_28d is null)
