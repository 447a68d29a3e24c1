-- Grain: account_id, as_of_date, measure; the wide facts turned long, with what each measure
-- weighs and adds. A view: stored, it would be accounts x days x measures. Past days show the
-- measures of their policy, also those that were taken out since.
{{ config(materialized='view') }}
{%- set measures = health_known_measures() %}
{%- set codes = health_status_codes() %}
with

facts as (
    select * from {{ ref('fct_health_facts_daily') }}
),

policy as (
    select * from {{ ref('dim_health_policy') }}
),

unpivoted as (
    {%- for measure in measures %}
    {%- set name = measure.measure %}
    select
        facts.account_id,
        facts.as_of_date,
        facts.policy_key,
        '{{ name }}' as measure,
        '{{ measure.component }}' as component,
        facts.{{ name }}_status as status_code,
        facts.{{ name }}_value as value,
        facts.{{ name }}_score as measure_score,
        facts.{{ measure.component }}_weight as component_weight,
        facts.{{ measure.component }}_scored_weight as scored_weight,
        facts.computed_score
    from facts
    where facts.{{ name }}_status is not null
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        account_id,
        as_of_date,
        policy_key,
        '' as measure,
        '' as component,
        0 as status_code,
        0.0 as value,
        0.0 as measure_score,
        0.0 as component_weight,
        0.0 as scored_weight,
        0.0 as computed_score
    from facts
    where false
    {%- endfor %}
),

weighed as (
    select
        unpivoted.*,
        case
            when unpivoted.status_code = {{ codes.scored }}
                then
                    coalesce(
                        unpivoted.component_weight * policy.measure_weight
                        / nullif(unpivoted.scored_weight, 0.0),
                        0.0
                    )
            else 0.0
        end as effective_weight
    from unpivoted
    inner join policy
        on
            unpivoted.policy_key = policy.policy_key
            and unpivoted.measure = policy.measure
            and unpivoted.component = policy.component
),

final as (
    select
        cast(account_id as varchar) as account_id,
        cast(as_of_date as date) as as_of_date,
        cast(measure as varchar) as measure,
        cast(component as varchar) as component,
        cast({{ health_status_name('status_code') | indent(8) }} as varchar) as status,
        cast(value as double) as value,
        cast(measure_score as double) as measure_score,
        cast(effective_weight as double) as effective_weight,
        cast(
            case when computed_score is not null then effective_weight * measure_score end
            as double
        ) as contribution
    from weighed
    {%- if measures | selectattr('forces_component') | list
        or measures | selectattr('forces_account') | list %}
    union all
    -- What a forcing measure takes off is a row of its own, so that contributions add up.
    select
        account_id,
        as_of_date,
        'score_cap' as measure,
        cast(null as varchar) as component,
        'scored' as status,
        cast(null as double) as value,
        cast(null as double) as measure_score,
        0.0 as effective_weight,
        computed_score - uncapped_score as contribution
    from facts
    where computed_score <> uncapped_score
    {%- endif %}
)

select * from final
