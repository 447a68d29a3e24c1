-- Grain: account_id, solution_area, used_on; days of use that the run's trailing windows can see.
with

usage as (
    select * from {{ ref('stg_usage__feature_usage') }}
),

final as (
    select
        account_id,
        solution_area,
        used_on,
        cast(sum(usage_count) as bigint) as usage_count
    from usage
    where used_on >= {{ window_start(60) }} and usage_count > 0
    group by account_id, solution_area, used_on
)

select * from final
