-- Ingestion keeps one reading per gauge and day; 28 days are looked at, so that the test does not
-- grow with history.
{{ config(meta={'dagster': {'ref': {'name': 'stg_usage__solution_measures'}}}) }}
select
    account_id,
    solution_area,
    measure,
    measured_on,
    count(*) as row_count
from {{ ref('stg_usage__solution_measures') }}
where measured_on > {{ as_of_date() }} - 28
group by account_id, solution_area, measure, measured_on
having count(*) > 1
