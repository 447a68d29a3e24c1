-- A customer has a row for every day from the first in the run to the last.
{{ config(meta={'dagster': {'ref': {'name': 'int_core__account_days'}}}) }}
select
    account_id,
    min(as_of_date) as first_on,
    max(as_of_date) as last_on,
    count(*) as day_count
from {{ ref('int_core__account_days') }}
group by account_id
having count(*) <> {{ days_between('min(as_of_date)', 'max(as_of_date)') }} + 1
