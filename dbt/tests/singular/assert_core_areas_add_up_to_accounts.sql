-- Two models, one truth: the areas' ARR and seats are the account's, on every day with an area.
{{ config(meta={'dagster': {'ref': {'name': 'int_core__account_days'}}}) }}
with

areas as (
    select
        account_id,
        as_of_date,
        count(*) as area_count,
        sum(arr_usd) as arr_usd,
        sum(seats_licensed) as seats_licensed
    from {{ ref('int_core__area_days') }}
    group by account_id, as_of_date
)

select
    customers.account_id,
    customers.as_of_date
from {{ ref('int_core__account_days') }} as customers
left join areas
    on customers.account_id = areas.account_id and customers.as_of_date = areas.as_of_date
where
    customers.active_area_count <> coalesce(areas.area_count, 0)
    or (areas.area_count > 0 and customers.arr_usd <> areas.arr_usd)
    or customers.seats_licensed <> areas.seats_licensed
    or (customers.seats_licensed is null and areas.seats_licensed is not null)
    or (customers.seats_licensed is not null and areas.seats_licensed is null)
