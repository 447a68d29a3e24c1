{# The change ledger: an account's move between two days, split without a rest. The days are
   walked from the earlier to the later in fixed steps, each with what the one before left:
   1. behaviour: the measures scored on both days take their later values, scored by the earlier
      policy at the earlier weights; linear, so each measure has its own share;
   2. coverage: measures that fell silent leave and measures that spoke up enter, at the earlier
      policy; each is charged what it lies above or below the score it leaves or joins;
   3. config: the later policy takes over (another version, or another profile);
   4. cap and override: what forcing measures and people add or take.
   `pairs` is SQL for (account_id, as_of_date, compared_to_date). The tables are joined by name, not
   through import CTEs: one that is read twice is kept whole, and a question about one day would
   read every day. #}
{% macro health_change_ctes(facts, health, policy, pairs) -%}
{%- set measures = health_measures() -%}
{%- set components = health_components() -%}
{%- set scored = health_status_codes().scored -%}
policy as (
    select
        policy_key,
        {%- for component in components %}
        coalesce(max(case when component = '{{ component }}' then component_weight end), 0.0)
            as {{ component }}_base_weight,
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        max(case when measure = '{{ name }}' then measure_weight end) as {{ name }}_weight,
        max(case when measure = '{{ name }}' then method end) as {{ name }}_method,
        max(case when measure = '{{ name }}' then floor_value end) as {{ name }}_floor,
        max(case when measure = '{{ name }}' then ceiling_value end) as {{ name }}_ceiling,
        {%- for number in range(1, measure.band_count | int + 1) %}
        {%- if number > 1 %}
        max(case when measure = '{{ name }}' then band_{{ number }}_from end)
            as {{ name }}_band_{{ number }}_from,
        {%- endif %}
        max(case when measure = '{{ name }}' then band_{{ number }}_score end)
            as {{ name }}_band_{{ number }}_score,
        {%- endfor %}
        {%- endfor %}
        count(*) as measure_count
    from {{ policy }}
    group by policy_key
),

pairs as (
    {{ pairs }}
),

compared as (
    select
        pairs.account_id,
        pairs.as_of_date,
        pairs.compared_to_date,
        later.policy_key,
        later.policy_key <> earlier.policy_key as is_other_policy,
        later.computed_score as later_computed_score,
        earlier.computed_score as earlier_computed_score,
        later.uncapped_score as later_uncapped_score,
        earlier.uncapped_score as earlier_uncapped_score,
        later_health.health_score as later_health_score,
        earlier_health.health_score as earlier_health_score,
        {%- for component in components %}
        policy.{{ component }}_base_weight,
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        coalesce(policy.{{ name }}_weight, 0.0) as {{ name }}_weight,
        coalesce(earlier.{{ name }}_status = {{ scored }}, false) as {{ name }}_was_scored,
        coalesce(
            later.{{ name }}_status = {{ scored }}, earlier.{{ name }}_status = {{ scored }}, false
        ) as {{ name }}_is_scored,
        coalesce(earlier.{{ name }}_score, 0.0) as {{ name }}_earlier,
        coalesce(
            case
                when later.{{ name }}_status is null then earlier.{{ name }}_score
                when later.policy_key = earlier.policy_key then later.{{ name }}_score
                else {{ health_measure_score(measure, 'later.' ~ name ~ '_value') | indent(16) }}
            end,
            0.0
        ) as {{ name }}_later{{ ',' if not loop.last }}
        {%- else %}
        0 as no_measure
        {%- endfor %}
    from pairs
    inner join {{ facts }} as later
        on pairs.account_id = later.account_id and pairs.as_of_date = later.as_of_date
    inner join {{ facts }} as earlier
        on pairs.account_id = earlier.account_id and pairs.compared_to_date = earlier.as_of_date
    inner join {{ health }} as later_health
        on
            pairs.account_id = later_health.account_id
            and pairs.as_of_date = later_health.as_of_date
    inner join {{ health }} as earlier_health
        on
            pairs.account_id = earlier_health.account_id
            and pairs.compared_to_date = earlier_health.as_of_date
    left join policy on earlier.policy_key = policy.policy_key
    where later_health.health_score is not null and earlier_health.health_score is not null
),

weights as (
    select
        *,
        {%- for component in components %}
        {%- set own = health_measures_of(measures, component) %}
        {%- for state in ('was', 'is') %}
        cast(
            {%- for measure in own %}
            case
                when {{ measure.measure }}_{{ state }}_scored then {{ measure.measure }}_weight
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_{{ state }}_weight,
        {%- endfor %}
        cast(
            {%- for measure in own %}
            case
                when {{ measure.measure }}_was_scored and {{ measure.measure }}_is_scored
                    then {{ measure.measure }}_weight * {{ measure.measure }}_later
                when {{ measure.measure }}_was_scored
                    then {{ measure.measure }}_weight * {{ measure.measure }}_earlier
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_behaved_sum,
        cast(
            {%- for measure in own %}
            case
                when {{ measure.measure }}_is_scored
                    then {{ measure.measure }}_weight * {{ measure.measure }}_later
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_covered_sum{{ ',' if not loop.last }}
        {%- else %}
        0 as no_component
        {%- endfor %}
    from compared
),

shares as (
    select
        *,
        {%- for component in components %}
        {{ component }}_behaved_sum / nullif({{ component }}_was_weight, 0.0)
            as {{ component }}_behaved,
        coalesce(
            {{ component }}_covered_sum / nullif({{ component }}_is_weight, 0.0),
            {{ component }}_behaved_sum / nullif({{ component }}_was_weight, 0.0)
        ) as {{ component }}_covered,
        {%- endfor %}
        {%- for state in ('was', 'is') %}
        nullif(cast(
            {%- for component in components %}
            case
                when {{ component }}_{{ state }}_weight > 0 then {{ component }}_base_weight
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ), 0.0) as total_{{ state }}_weight{{ ',' if not loop.last }}
        {%- endfor %}
    from weights
),

-- The score after the components that speak on both days took their later state, and after
-- whole components left or entered.
walked as (
    select
        *,
        cast(
            {%- for component in components %}
            case
                when {{ component }}_was_weight > 0
                    then {{ component }}_base_weight * {{ component }}_covered
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) / total_was_weight as within_score,
        cast(
            {%- for component in components %}
            case
                when {{ component }}_is_weight > 0
                    then {{ component }}_base_weight * {{ component }}_covered
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) / total_is_weight as covered_score,
        cast(
            {%- for component in components %}
            case
                when {{ component }}_was_weight > 0
                    then {{ component }}_base_weight * {{ component }}_behaved
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) / total_was_weight as behaved_score,
        later_computed_score is not null and earlier_computed_score is not null as is_computed,
        total_is_weight is not null as is_walkable
    from shares
),

causes as (
    select
        account_id,
        as_of_date,
        compared_to_date,
        policy_key,
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        {%- set component = measure.component %}
        case
            when is_computed and {{ name }}_was_scored and {{ name }}_is_scored
                then nullif(
                    {{ component }}_base_weight / total_was_weight
                    * {{ name }}_weight / nullif({{ component }}_was_weight, 0.0)
                    * ({{ name }}_later - {{ name }}_earlier),
                    0.0
                )
        end as behaviour__{{ name }},
        case
            when not is_computed or not is_walkable or {{ name }}_was_scored = {{ name }}_is_scored
                then null
            when {{ component }}_was_weight > 0 and {{ component }}_is_weight > 0
                then nullif(
                    {{ component }}_base_weight / total_was_weight
                    * {{ name }}_weight / {{ component }}_is_weight
                    * case
                        when {{ name }}_is_scored then {{ name }}_later - {{ component }}_behaved
                        else {{ component }}_behaved - {{ name }}_earlier
                    end,
                    0.0
                )
            when {{ component }}_is_weight > 0
                then nullif(
                    {{ component }}_base_weight / total_is_weight
                    * {{ name }}_weight / {{ component }}_is_weight
                    * ({{ name }}_later - within_score),
                    0.0
                )
            when {{ component }}_was_weight > 0
                then nullif(
                    {{ component }}_base_weight / total_is_weight
                    * {{ name }}_weight / {{ component }}_was_weight
                    * (within_score - {{ name }}_earlier),
                    0.0
                )
        end as coverage__{{ name }},
        {%- endfor %}
        case
            when is_computed and is_other_policy
                then nullif(
                    later_uncapped_score
                    - case when is_walkable then covered_score else behaved_score end,
                    0.0
                )
        end as config__policy,
        case
            when is_computed
                then nullif(
                    (later_computed_score - later_uncapped_score)
                    - (earlier_computed_score - earlier_uncapped_score),
                    0.0
                )
        end as behaviour__score_cap,
        nullif(
            case
                when is_computed
                    then
                        (later_health_score - later_computed_score)
                        - (earlier_health_score - earlier_computed_score)
                else later_health_score - earlier_health_score
            end,
            0.0
        ) as override__override
    from walked
),

spread as (
    select
        account_id,
        as_of_date,
        compared_to_date,
        policy_key,
        cause_name,
        points
    from causes unpivot (
        points for cause_name in (
            {%- for measure in measures %}
            behaviour__{{ measure.measure }},
            coverage__{{ measure.measure }},
            {%- endfor %}
            config__policy,
            behaviour__score_cap,
            override__override
        )
    )
),

ledger as (
    select
        cast(account_id as varchar) as account_id,
        cast(as_of_date as date) as as_of_date,
        cast(compared_to_date as date) as compared_to_date,
        cast(split_part(cause_name, '__', 1) as varchar) as cause_kind,
        cast(
            case when cause_name = 'config__policy' then policy_key
                else split_part(cause_name, '__', 2)
            end as varchar
        ) as cause,
        cast(points as double) as points
    from spread
)
{%- endmacro %}
