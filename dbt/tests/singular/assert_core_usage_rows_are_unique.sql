-- Ingestion keeps one usage row per natural key; 28 days are looked at, so that the test does not
-- grow with history.
{{ config(meta={'dagster': {'ref': {'name': 'stg_usage__feature_usage'}}}) }}
select
    account_id,
    solution_area,
    user_id,
    feature,
    used_on,
    event_id,
    count(*) as row_count
from {{ ref('stg_usage__feature_usage') }}
where used_on > {{ as_of_date() }} - 28
group by account_id, solution_area, user_id, feature, used_on, event_id
having count(*) > 1
