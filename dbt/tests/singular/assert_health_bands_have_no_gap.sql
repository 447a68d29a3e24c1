-- Bands and zones are half-open and joined end to end, open at both ends, no more bands than
-- dim_health_policy has columns for.
with

edges as (
    select
        concat_ws('/', policy_set, profile_id, measure) as scale,
        effective_from,
        band_from as edge_from,
        band_to as edge_to
    from {{ ref('health_bands') }}
    union all
    select
        concat_ws('/', policy_set, 'zones') as scale,
        effective_from,
        score_from as edge_from,
        score_to as edge_to
    from {{ ref('health_zones') }}
),

ordered as (
    select
        *,
        row_number() over (
            partition by scale, effective_from order by edge_from nulls first
        ) as place,
        count(*) over (partition by scale, effective_from) as edge_count,
        lag(edge_to) over (
            partition by scale, effective_from order by edge_from nulls first
        ) as edge_before
    from edges
)

select *
from ordered
where
    edge_count > 6
    or (place = 1) <> (edge_from is null)
    or (place = edge_count) <> (edge_to is null)
    or (place > 1 and (edge_before is null or edge_before <> edge_from))
