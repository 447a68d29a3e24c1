-- Grain: account_id, changed_on; users entering less users leaving 28 days.
{%- set keys = ['account_id'] %}
with

usage as (
    select * from {{ ref('stg_usage__feature_usage') }}
),

user_days as (
    select
        account_id,
        user_id,
        used_on
    from usage
    where used_on >= {{ window_start(27) }} and usage_count > 0 and user_id is not null
    group by account_id, user_id, used_on
),

changes as (
    {{ usage_changes('user_days', keys, 'user_id') }}
),

final as (
    select
        account_id,
        changed_on,
        change as user_change
    from changes
)

select * from final
