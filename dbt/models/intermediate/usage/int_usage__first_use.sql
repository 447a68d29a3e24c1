-- Grain: account_id, solution_area; the first day of any use.
with

usage as (
    select * from {{ ref('stg_usage__feature_usage') }}
),

final as (
    select
        account_id,
        solution_area,
        min(used_on) as first_used_on
    from usage
    where usage_count > 0
    group by account_id, solution_area
)

select * from final
