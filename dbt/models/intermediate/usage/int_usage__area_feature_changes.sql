-- Grain: account_id, solution_area, changed_on; features entering less features leaving 28 days.
{%- set keys = ['account_id', 'solution_area'] %}
with

usage as (
    select * from {{ ref('stg_usage__feature_usage') }}
),

feature_days as (
    select
        account_id,
        solution_area,
        feature,
        used_on
    from usage
    where used_on >= {{ window_start(27) }} and usage_count > 0
    group by account_id, solution_area, feature, used_on
),

changes as (
    {{ usage_changes('feature_days', keys, 'feature') }}
),

final as (
    select
        account_id,
        solution_area,
        changed_on,
        change as feature_change
    from changes
)

select * from final
