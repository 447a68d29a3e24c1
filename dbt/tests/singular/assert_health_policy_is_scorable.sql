-- Every profile can score: weights are not negative and some are positive, lines have two ends in
-- the measure's direction, and a measure stays in one component.
with

policy as (
    select
        policy.*,
        measures.better
    from {{ ref('int_health__policy') }} as policy
    inner join {{ ref('health_measures') }} as measures on policy.measure = measures.measure
),

faults as (
    select
        profile_id,
        measure,
        'negative weight' as fault
    from policy
    where measure_weight < 0 or component_weight < 0
    union all
    select
        profile_id,
        measure,
        'a line needs two different ends in the direction of the measure' as fault
    from policy
    where
        method = 'linear'
        and coalesce((better = 'higher') <> (floor_value < ceiling_value), true)
    union all
    select
        profile_id,
        'all' as measure,
        'nothing carries weight' as fault
    from policy
    group by profile_id, valid_from_on
    having sum(component_weight * measure_weight) <= 0
    union all
    select
        'all' as profile_id,
        measure,
        'in two components' as fault
    from policy
    group by measure
    having count(distinct component) > 1
)

select * from faults
