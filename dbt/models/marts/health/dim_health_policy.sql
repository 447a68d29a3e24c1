-- Grain: policy_key, measure; every policy that ever scored a day, as it was when it did.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
) }}
{%- set band_limit = 6 %}
with

policy as (
    select * from {{ ref('int_health__policy') }}
),

wide as (
    select
        policy_key,
        profile_id,
        valid_from_on,
        coverage_floor
    from {{ ref('int_health__policy_wide') }}
),

bands as (
    select
        profile_id,
        measure,
        effective_from,
        band_from,
        score,
        row_number() over (
            partition by profile_id, measure, effective_from order by band_from nulls first
        ) as band_number
    from {{ ref('health_bands') }}
    where policy_set = '{{ health_policy_set() }}'
),

banded as (
    select
        profile_id,
        measure,
        effective_from,
        {%- for number in range(1, band_limit + 1) %}
        max(case when band_number = {{ number }} then band_from end) as band_{{ number }}_from,
        max(case when band_number = {{ number }} then score end) as band_{{ number }}_score
        {{- ',' if not loop.last }}
        {%- endfor %}
    from bands
    group by profile_id, measure, effective_from
),

final as (
    select
        cast(wide.policy_key as varchar) as policy_key,
        cast(policy.measure as varchar) as measure,
        cast(policy.policy_set as varchar) as policy_set,
        cast(policy.profile_id as varchar) as profile_id,
        cast(policy.component as varchar) as component,
        cast(policy.method as varchar) as method,
        cast(policy.force_scope as varchar) as force_scope,
        cast(policy.definition as varchar) as definition,
        cast(policy.measure_order as integer) as measure_order,
        cast(wide.coverage_floor as double) as coverage_floor,
        cast(policy.component_weight as double) as component_weight,
        cast(policy.measure_weight as double) as measure_weight,
        cast(policy.floor_value as double) as floor_value,
        cast(policy.ceiling_value as double) as ceiling_value,
        {%- for number in range(1, band_limit + 1) %}
        {%- if number > 1 %}
        cast(banded.band_{{ number }}_from as double) as band_{{ number }}_from,
        {%- endif %}
        cast(banded.band_{{ number }}_score as double) as band_{{ number }}_score,
        {%- endfor %}
        cast(policy.force_at_or_below as double) as force_at_or_below,
        cast(policy.force_to as double) as force_to,
        cast(policy.expiry_days as integer) as expiry_days,
        cast(policy.min_tenure_days as integer) as min_tenure_days,
        cast(policy.valid_from_on as date) as valid_from_on
    from policy
    inner join wide
        on policy.profile_id = wide.profile_id and policy.valid_from_on = wide.valid_from_on
    left join banded
        on
            policy.method = 'bands'
            and policy.line_profile_id = banded.profile_id
            and policy.line_effective_from = banded.effective_from
            and policy.measure = banded.measure
    {%- if is_incremental() %}
    where wide.policy_key not in (select known.policy_key from {{ this }} as known)
    {%- endif %}
)

select * from final
