-- Grain: account_id, occurred_on; days on which an account's zone differs from the last it had.
{{ config(materialized='view') }}
with

health as (
    select * from {{ ref('fct_account_health_daily') }}
),

-- Days on which a zone begins. Between two of them the account has that zone or none, so the one
-- begun before is the last it had, however long it was unscored in between.
begun as (
    select
        account_id,
        health_zone,
        as_of_date,
        lag(health_zone) over (partition by account_id order by as_of_date) as last_zone
    from health
    where
        health_zone is not null
        and (previous_health_zone is null or health_zone <> previous_health_zone)
),

final as (
    select
        cast(account_id as varchar) as account_id,
        cast(last_zone as varchar) as from_zone,
        cast(health_zone as varchar) as to_zone,
        cast(as_of_date as date) as occurred_on
    from begun
    where health_zone <> last_zone
)

select * from final
