-- Grain: account_id, occurred_on; days on which an account's zone differs from the day before.
{{ config(materialized='view') }}
with

health as (
    select * from {{ ref('fct_account_health_daily') }}
),

final as (
    select
        cast(account_id as varchar) as account_id,
        cast(previous_health_zone as varchar) as from_zone,
        cast(health_zone as varchar) as to_zone,
        cast(as_of_date as date) as occurred_on
    from health
    where health_zone <> previous_health_zone
)

select * from final
