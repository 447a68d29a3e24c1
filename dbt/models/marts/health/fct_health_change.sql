-- Grain: account_id, as_of_date, compared_to_date, cause_kind, cause; what moved the published
-- score against some days before. Causes that moved nothing have no row; a move from or to no
-- score is one row without points.
{{ config(materialized='view') }}
{%- set pairs %}
    select
        health.account_id,
        health.as_of_date,
        health.as_of_date - lags.compared_days as compared_to_date
    from {{ ref('fct_account_health_daily') }} as health
    cross join {{ ref('health_change_lags') }} as lags
{%- endset %}
with

{{ health_change_ctes(
    ref('fct_health_facts_daily'), ref('fct_account_health_daily'), ref('dim_health_policy'), pairs
) }}

select * from ledger
