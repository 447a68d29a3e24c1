-- Grain: account_id, as_of_date; the score with all that makes it, a column per measure.
-- Its columns follow the measures of the policy set: a measure added to the seeds is appended.
{{ daily_config() }}
{{ config(on_schema_change='append_new_columns') }}
{%- set measures = health_measures() %}
{%- set components = health_components() %}
{%- set codes = health_status_codes() %}
{%- set policy_day = as_of_date() if health_policy_mode() == 'latest' else 'profiled.as_of_date' %}
{%- set tables = measures | map(attribute='source_table') | list %}
{%- set outages = health_outages() | selectattr('table_name', 'in', tables) | list %}
with

{% if not outages -%}
measured as (
    select * from {{ ref('int_health__measures_daily') }}
),
{%- else -%}
{%- for outage in outages %}
{%- set own = measures | selectattr('source_table', 'equalto', outage.table_name) | list %}
kept_{{ outage.table_name }} as (
    select
        account_id,
        {%- if outage.good_on < run_variable('from_date') | string and is_incremental() %}
        {%- for measure in own %}
        {{ measure.measure }}_value,
        coalesce({{ measure.measure }}_status <> {{ codes.not_applicable }}, true)
            as {{ measure.measure }}_is_applicable{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ this }}
    where as_of_date = {{ window_start(1) }}
        {%- else %}
        {%- for measure in own %}
        {{ measure.measure }}_value,
        {{ measure.measure }}_is_applicable{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_health__measures_daily') }}
    where as_of_date = cast('{{ outage.good_on }}' as date)
        {%- endif %}
),
{% endfor %}
measured as (
    select
        today.account_id,
        today.as_of_date,
        today.tier,
        today.segment,
        today.tenure_days
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        {%- set outage = outages
            | selectattr('table_name', 'equalto', measure.source_table) | list | first %}
        {%- if outage %}
        {%- set kept = 'kept_' ~ outage.table_name %}
        {%- set is_kept = "today.as_of_date > cast('" ~ outage.good_on ~ "' as date)" %},
        case when {{ is_kept }} then {{ kept }}.{{ name }}_value else today.{{ name }}_value end
            as {{ name }}_value,
        case
            when {{ is_kept }} then coalesce({{ kept }}.{{ name }}_is_applicable, true)
            else today.{{ name }}_is_applicable
        end as {{ name }}_is_applicable,
        least(today.{{ name }}_observed_on, cast('{{ outage.good_on }}' as date))
            as {{ name }}_observed_on
        {%- else %},
        today.{{ name }}_value,
        today.{{ name }}_is_applicable,
        today.{{ name }}_observed_on
        {%- endif %}
        {%- endfor %}
    from {{ ref('int_health__measures_daily') }} as today
    {%- for outage in outages %}
    {%- set kept = 'kept_' ~ outage.table_name %}
    left join {{ kept }} on today.account_id = {{ kept }}.account_id
    {%- endfor %}
),
{%- endif %}

policy as (
    select * from {{ ref('int_health__policy_wide') }}
),

profiled as (
    select
        *,
        {{ health_profile() | indent(8) }} as profile_id
    from measured
),

-- A measure that the profile leaves out is null in value, state and score; one that does not
-- apply has a state only.
states as (
    select
        profiled.account_id,
        profiled.as_of_date,
        profiled.profile_id,
        policy.policy_key,
        policy.coverage_floor,
        {%- for component in components %}
        coalesce(policy.{{ component }}_weight, 0.0) as {{ component }}_base_weight,
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        policy.{{ name }}_weight,
        {%- if measure.forces_component or measure.forces_account %}
        policy.{{ name }}_force_scope,
        policy.{{ name }}_force_at_or_below,
        policy.{{ name }}_force_to,
        {%- endif %}
        case
            when policy.{{ name }}_weight is not null and profiled.{{ name }}_is_applicable
                then profiled.{{ name }}_value
        end as {{ name }}_value,
        case
            when policy.{{ name }}_weight is null then null
            when not profiled.{{ name }}_is_applicable then {{ codes.not_applicable }}
            when profiled.{{ name }}_value is null then {{ codes.no_data }}
            when profiled.tenure_days < policy.{{ name }}_min_tenure_days
                then {{ codes.too_early }}
            when {{ days_between('profiled.' ~ name ~ '_observed_on', 'profiled.as_of_date') }}
                > policy.{{ name }}_expiry_days then {{ codes.stale }}
            else {{ codes.scored }}
        end as {{ name }}_status,
        {{ health_measure_score(measure, 'profiled.' ~ name ~ '_value') | indent(8) }}
            as {{ name }}_line_score{{ ',' if not loop.last }}
        {%- else %}
        null as no_measure
        {%- endfor %}
    from profiled
    left join policy
        on
            profiled.profile_id = policy.profile_id
            and {{ policy_day }} >= policy.valid_from_on
            and (policy.valid_to_on is null or {{ policy_day }} < policy.valid_to_on)
),

scores as (
    select
        *,
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        case when {{ name }}_status = {{ codes.scored }} then {{ name }}_line_score end
            as {{ name }}_score,
        case when {{ name }}_status = {{ codes.scored }} then {{ name }}_weight else 0.0 end
            as {{ name }}_scored_weight{{ ',' if not loop.last }}
        {%- else %}
        null as no_score
        {%- endfor %}
    from states
),

-- Within a component the scored measures share its weight; its state is the smallest code of
-- the measures that carry weight.
sums as (
    select
        *,
        {%- for component in components %}
        {%- set own = health_measures_of(measures, component) %}
        cast(
            {%- for measure in own %}
            {{ measure.measure }}_scored_weight{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_scored_weight,
        cast(
            {%- for measure in own %}
            coalesce({{ measure.measure }}_weight, 0.0){{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_full_weight,
        cast(
            {%- for measure in own %}
            {{ measure.measure }}_scored_weight * coalesce({{ measure.measure }}_score, 0.0)
            {{- ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_weighted_sum,
        coalesce(
            {%- if own | length > 1 %}
            least(
                {%- for measure in own %}
                case when {{ measure.measure }}_weight > 0 then {{ measure.measure }}_status end
                {{- ',' if not loop.last }}
                {%- endfor %}
            ),
            {%- else %}
            {%- for measure in own %}
            case when {{ measure.measure }}_weight > 0 then {{ measure.measure }}_status end,
            {%- endfor %}
            {%- endif %}
            {{ codes.not_applicable }}
        ) as {{ component }}_status{{ ',' if not loop.last }}
        {%- else %}
        null as no_component
        {%- endfor %}
    from scores
),

-- A forcing measure caps its component, or the whole score, while its own score is low enough.
components as (
    select
        *,
        {%- for component in components %}
        {%- set forcing = health_measures_of(measures, component)
            | selectattr('forces_component') | list %}
        {%- set raw = component ~ '_weighted_sum / nullif(' ~ component ~ '_scored_weight, 0.0)' %}
        {%- if forcing %}
        least(
            {{ raw }}
            {%- for measure in forcing %},
            case
                when
                    {{ measure.measure }}_force_scope = 'component'
                    and {{ component }}_scored_weight > 0
                    and {{ measure.measure }}_score <= {{ measure.measure }}_force_at_or_below
                    then {{ measure.measure }}_force_to
            end
            {%- endfor %}
        ) as {{ component }}_score,
        {%- else %}
        {{ raw }} as {{ component }}_score,
        {%- endif %}
        case when {{ component }}_scored_weight > 0 then {{ component }}_base_weight else 0.0 end
            as {{ component }}_counted_weight{{ ',' if not loop.last }}
        {%- else %}
        null as no_component_score
        {%- endfor %}
    from sums
),

totals as (
    select
        *,
        {%- set forcing = measures | selectattr('forces_account') | list %}
        cast(
            {%- for component in components %}
            {{ component }}_counted_weight{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as counted_weight,
        cast(
            {%- for component in components %}
            {{ component }}_base_weight{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as base_weight,
        cast(
            {%- for component in components %}
            {{ component }}_counted_weight * coalesce({{ component }}_score, 0.0)
            {{- ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as counted_sum,
        cast(
            {%- for component in components %}
            coalesce(
                {{ component }}_base_weight * {{ component }}_scored_weight
                / nullif({{ component }}_full_weight, 0.0),
                0.0
            ){{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as covered_weight
    from components
),

covered as (
    select
        *,
        -- Ten decimals keep edges exact: a sum that is 80 must not read 79.99999999999999.
        round(coalesce(covered_weight / nullif(base_weight, 0.0), 0.0), 10) as coverage_ratio,
        cast(
            {%- for component in components %}
            {{ component }}_counted_weight
            * coalesce(
                {{ component }}_weighted_sum / nullif({{ component }}_scored_weight, 0.0), 0.0
            )
            {{- ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) / nullif(counted_weight, 0.0) as free_score,
        {%- if forcing %}
        least(
            counted_sum / nullif(counted_weight, 0.0)
            {%- for measure in forcing %},
            case
                when
                    {{ measure.measure }}_force_scope = 'account'
                    and counted_weight > 0
                    and {{ measure.measure }}_score <= {{ measure.measure }}_force_at_or_below
                    then {{ measure.measure }}_force_to
            end
            {%- endfor %}
        ) as any_score
        {%- else %}
        counted_sum / nullif(counted_weight, 0.0) as any_score
        {%- endif %}
    from totals
),

final as (
    select
        account_id,
        as_of_date,
        profile_id,
        policy_key,
        cast(
            case
                when coverage_ratio >= coverage_floor
                    then round(least(100.0, greatest(0.0, any_score)), 10)
            end as double
        ) as computed_score,
        cast(
            case
                when coverage_ratio >= coverage_floor
                    then round(least(100.0, greatest(0.0, free_score)), 10)
            end as double
        ) as uncapped_score,
        cast(coverage_ratio as double) as coverage_ratio,
        {%- for component in components %}
        cast({{ component }}_score as double) as {{ component }}_score,
        cast({{ component }}_status as tinyint) as {{ component }}_status,
        cast({{ component }}_counted_weight / nullif(counted_weight, 0.0) as double)
            as {{ component }}_weight,
        cast({{ component }}_scored_weight as double) as {{ component }}_scored_weight
        {{- ',' if measures or not loop.last }}
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        cast({{ name }}_value as double) as {{ name }}_value,
        cast({{ name }}_score as double) as {{ name }}_score,
        cast({{ name }}_status as tinyint) as {{ name }}_status{{ ',' if not loop.last }}
        {%- endfor %}
    from covered
)

select * from final
