-- What the measures add is the computed score. Looked at on the run's last day: the view behind
-- is as long as accounts x measures.
with

contributions as (
    select
        account_id,
        as_of_date,
        sum(contribution) as contribution_sum
    from {{ ref('fct_health_measure_daily') }}
    where as_of_date = {{ as_of_date() }}
    group by account_id, as_of_date
)

select
    health.account_id,
    health.as_of_date,
    health.computed_score,
    contributions.contribution_sum
from {{ ref('fct_account_health_daily') }} as health
left join contributions
    on
        health.account_id = contributions.account_id
        and health.as_of_date = contributions.as_of_date
where
    health.as_of_date = {{ as_of_date() }}
    and health.computed_score is not null
    and coalesce(abs(health.computed_score - contributions.contribution_sum) > 1e-9, true)
