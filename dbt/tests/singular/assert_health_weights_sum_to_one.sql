-- The weights of what was scored sum to 1, by component and by measure.
with

by_component as (
    select
        account_id,
        as_of_date,
        engagement_weight + adoption_weight + outcomes_weight
        + support_weight + relationship_weight + commercial_weight as weight_sum
    from {{ ref('fct_account_health_daily') }}
    where as_of_date >= {{ from_date() }} and score_status = 'scored'
),

by_measure as (
    select
        measures.account_id,
        measures.as_of_date,
        sum(measures.effective_weight) as weight_sum
    from {{ ref('fct_health_measure_daily') }} as measures
    inner join by_component
        on
            measures.account_id = by_component.account_id
            and measures.as_of_date = by_component.as_of_date
    where measures.as_of_date = {{ as_of_date() }}
    group by measures.account_id, measures.as_of_date
)

select *
from by_component
where abs(weight_sum - 1) > 1e-9
union all
select *
from by_measure
where abs(weight_sum - 1) > 1e-9
