{# The change ledger: an account's move between two days, split without a rest. The days are
   walked from the earlier to the later in fixed steps, each with what the one before left:
   1. behaviour: the measures scored on both days take their later values, scored by the earlier
      policy at the earlier weights; linear, so each measure has its own share;
   2. coverage: measures that fell silent leave and measures that spoke up enter, at the earlier
      policy; each is charged what it lies above or below the score it leaves or joins;
   3. config: the later policy takes over (another version, or another profile). What a policy
      redefines, a window or an expiry, is not charged to the measure that it moves;
   4. override: what people add or take.
   Caps of forcing measures are reckoned at every step; what they take or give is `score_cap` of the
   step's kind. A move from or to no score has no size: it is one row without points.
   `pairs` is SQL for (account_id, as_of_date, compared_to_date). The tables are joined by name, not
   through import CTEs: one that is read twice is kept whole, and a question about one day would
   read every day. #}

{# Weighted mean of the components that speak in a state, in order; `scores` is the suffix of the
   components' scores, `state` of their weights. #}
{% macro health_ledger_score(components, state, scores) -%}
    cast(
        {%- for component in components %}
        case
            when {{ component }}_{{ state }}_weight > 0
                then {{ component }}_base_weight * {{ component }}_{{ scores }}
            else 0.0
        end{{ ' +' if not loop.last }}
        {%- else %} 0.0
        {%- endfor %} as double
    ) / total_{{ state }}_weight
{%- endmacro %}

{# Cap of a forcing measure in a step, null while it caps nothing. #}
{% macro health_ledger_cap(measure, step) -%}
    {%- set name = measure.name -%}
    {%- set score = (
        'case when ' ~ name ~ '_is_scored then ' ~ name ~ '_later else ' ~ name ~ '_earlier end'
        if step == 'behaved' else name ~ '_later') -%}
    case
        when
            {{ name }}_{{ 'was' if step == 'behaved' else 'is' }}_scored
            and {{ score }} <= {{ name }}_force_at_or_below
            then {{ name }}_force_to
    end
{%- endmacro %}

{% macro health_change_ctes(facts, health, policy, pairs) -%}
{%- set components = health_components() -%}
{%- set scored = health_status_codes().scored -%}
{#- Scores are rounded to ten decimals; what is smaller than this is the rounding, no cause. -#}
{%- set noise = '2e-10' -%}
{#- A measure that counted in two components stands twice, each time with the weight of one. -#}
{%- set measures = [] -%}
{%- for known in health_known_measures() -%}
    {%- do measures.append(dict(known, name=known.measure ~ '__' ~ known.component)) -%}
{%- endfor -%}
{%- set forcing = [] -%}
{%- for measure in measures if measure.forces_component or measure.forces_account -%}
    {%- do forcing.append(measure) -%}
{%- endfor -%}
policy as (
    select
        policy_key,
        max(coverage_floor) as coverage_floor,
        {%- for component in components %}
        coalesce(max(case when component = '{{ component }}' then component_weight end), 0.0)
            as {{ component }}_base_weight,
        coalesce(sum(case when component = '{{ component }}' then measure_weight end), 0.0)
            as {{ component }}_full_weight,
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.name %}
        {%- set is_own = "measure = '" ~ measure.measure ~ "' and component = '"
            ~ measure.component ~ "'" %}
        max(case when {{ is_own }} then measure_weight end) as {{ name }}_weight,
        max(case when {{ is_own }} then method end) as {{ name }}_method,
        max(case when {{ is_own }} then floor_value end) as {{ name }}_floor,
        max(case when {{ is_own }} then ceiling_value end) as {{ name }}_ceiling,
        max(case when {{ is_own }} then definition end) as {{ name }}_definition,
        max(case when {{ is_own }} then expiry_days end) as {{ name }}_expiry_days,
        max(case when {{ is_own }} then min_tenure_days end) as {{ name }}_min_tenure_days,
        {%- if measure in forcing %}
        max(case when {{ is_own }} then force_scope end) as {{ name }}_force_scope,
        max(case when {{ is_own }} then force_at_or_below end) as {{ name }}_force_at_or_below,
        max(case when {{ is_own }} then force_to end) as {{ name }}_force_to,
        {%- endif %}
        {%- for number in range(1, measure.band_count | int + 1) %}
        {%- if number > 1 %}
        max(case when {{ is_own }} then band_{{ number }}_from end)
            as {{ name }}_band_{{ number }}_from,
        {%- endif %}
        max(case when {{ is_own }} then band_{{ number }}_score end)
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

-- A measure outside the later profile, and one whose definition or expiry the later policy
-- changed, keeps its earlier state here: what that moves is the policy's, not the measure's.
compared as (
    select
        pairs.account_id,
        pairs.as_of_date,
        pairs.compared_to_date,
        later.policy_key,
        later.policy_key <> earlier.policy_key as is_other_policy,
        later.computed_score as later_computed_score,
        earlier.computed_score as earlier_computed_score,
        earlier.uncapped_score as earlier_uncapped_score,
        later_health.health_score as later_health_score,
        earlier_health.health_score as earlier_health_score,
        policy.coverage_floor,
        {%- for component in components %}
        policy.{{ component }}_base_weight,
        policy.{{ component }}_full_weight,
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.name %}
        coalesce(policy.{{ name }}_weight, 0.0) as {{ name }}_weight,
        {%- if measure in forcing %}
        policy.{{ name }}_force_scope,
        policy.{{ name }}_force_at_or_below,
        policy.{{ name }}_force_to,
        {%- endif %}
        coalesce(policy.{{ name }}_definition <> later_policy.{{ name }}_definition, false)
            as {{ name }}_is_redefined,
        coalesce(
            earlier.{{ measure.measure }}_value is not null
            and later.{{ measure.measure }}_value is not null
            and (
                policy.{{ name }}_expiry_days <> later_policy.{{ name }}_expiry_days
                or policy.{{ name }}_min_tenure_days <> later_policy.{{ name }}_min_tenure_days
            ),
            false
        ) or {{ name }}_is_redefined as {{ name }}_keeps_state,
        coalesce(earlier.{{ measure.measure }}_status = {{ scored }}, false)
            as {{ name }}_was_scored,
        case
            when {{ name }}_keeps_state then {{ name }}_was_scored
            else
                coalesce(
                    later.{{ measure.measure }}_status = {{ scored }},
                    earlier.{{ measure.measure }}_status = {{ scored }},
                    false
                )
        end as {{ name }}_is_scored,
        coalesce(earlier.{{ measure.measure }}_score, 0.0) as {{ name }}_earlier,
        coalesce(
            case
                when
                    later.{{ measure.measure }}_status is null
                    or {{ name }}_is_redefined
                    then earlier.{{ measure.measure }}_score
                when later.policy_key = earlier.policy_key
                    then later.{{ measure.measure }}_score
                else {{ health_measure_score(
                    dict(measure, measure=name), 'later.' ~ measure.measure ~ '_value'
                ) | indent(16) }}
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
    left join policy as later_policy on later.policy_key = later_policy.policy_key
    where later_health.health_score is not null or earlier_health.health_score is not null
),

weights as (
    select
        *,
        {%- for component in components %}
        {%- set own = health_measures_of(measures, component) %}
        {%- for state in ('was', 'is') %}
        cast(
            {%- for measure in own %}
            case when {{ measure.name }}_{{ state }}_scored then {{ measure.name }}_weight else 0.0 end
            {{- ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_{{ state }}_weight,
        {%- endfor %}
        cast(
            {%- for measure in own %}
            case
                when {{ measure.name }}_was_scored and {{ measure.name }}_is_scored
                    then {{ measure.name }}_weight * {{ measure.name }}_later
                when {{ measure.name }}_was_scored
                    then {{ measure.name }}_weight * {{ measure.name }}_earlier
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ component }}_behaved_sum,
        cast(
            {%- for measure in own %}
            case
                when {{ measure.name }}_is_scored
                    then {{ measure.name }}_weight * {{ measure.name }}_later
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
        {%- for step, state in (('behaved', 'was'), ('covered', 'is')) %}
        {%- set caps = health_measures_of(forcing, component)
            | selectattr('forces_component') | list %}
        {%- if caps %}
        least(
            {{ component }}_{{ step }}
            {%- for measure in caps %},
            case
                when {{ measure.name }}_force_scope = 'component'
                    then {{ health_ledger_cap(measure, step) | indent(20) }}
            end
            {%- endfor %}
        ) as {{ component }}_{{ step }}_capped,
        {%- elif forcing %}
        {{ component }}_{{ step }} as {{ component }}_{{ step }}_capped,
        {%- endif %}
        {%- endfor %}
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
        ), 0.0) as total_{{ state }}_weight,
        {%- endfor %}
        -- What the earlier policy would say of the later day's silence.
        round(cast(
            {%- for component in components %}
            coalesce(
                {{ component }}_base_weight * {{ component }}_is_weight
                / nullif({{ component }}_full_weight, 0.0),
                0.0
            ){{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) / nullif(cast(
            {%- for component in components %}
            {{ component }}_base_weight{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ), 0.0), 10) >= coverage_floor as is_covered_by_earlier_policy
    from weights
),

-- The score after the components that speak on both days took their later state, and after
-- whole components left or entered.
walked as (
    select
        *,
        {{ health_ledger_score(components, 'was', 'covered') | indent(8) }} as within_score,
        {{ health_ledger_score(components, 'is', 'covered') | indent(8) }} as covered_score,
        {{ health_ledger_score(components, 'was', 'behaved') | indent(8) }} as behaved_score,
        {%- for step, state in (('behaved', 'was'), ('covered', 'is')) %}
        {%- if forcing %}
        least(
            {{ health_ledger_score(components, state, step ~ '_capped') | indent(12) }}
            {%- for measure in forcing if measure.forces_account %},
            case
                when {{ measure.name }}_force_scope = 'account'
                    then {{ health_ledger_cap(measure, step) | indent(20) }}
            end
            {%- endfor %}
        ) as {{ step }}_capped_score,
        {%- else %}
        {{ step }}_score as {{ step }}_capped_score,
        {%- endif %}
        {%- endfor %}
        {%- if forcing %}
        (behaved_capped_score - behaved_score)
        - (earlier_computed_score - earlier_uncapped_score) as behaviour_cap,
        (covered_capped_score - covered_score)
        - (behaved_capped_score - behaved_score) as coverage_cap,
        {%- endif %}
        later_computed_score
        - case
            when total_is_weight is not null then covered_capped_score
            else behaved_capped_score
        end as config_move,
        later_computed_score is not null and earlier_computed_score is not null as is_computed,
        later_health_score is null or earlier_health_score is null as is_without_size,
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
        {%- set name = measure.name %}
        {%- set component = measure.component %}
        case
            when is_without_size or not is_computed then null
            when {{ name }}_was_scored and {{ name }}_is_scored
                then nullif(
                    {{ component }}_base_weight / total_was_weight
                    * {{ name }}_weight / nullif({{ component }}_was_weight, 0.0)
                    * ({{ name }}_later - {{ name }}_earlier),
                    0.0
                )
        end as behaviour__{{ name }},
        case
            when
                is_without_size
                or not is_computed
                or not is_walkable
                or {{ name }}_was_scored = {{ name }}_is_scored
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
        {%- if forcing %}
        case
            when is_computed and not is_without_size and abs(behaviour_cap) > {{ noise }}
                then behaviour_cap
        end as behaviour__score_cap,
        case
            when
                is_computed
                and is_walkable
                and not is_without_size
                and abs(coverage_cap) > {{ noise }}
                then coverage_cap
        end as coverage__score_cap,
        {%- endif %}
        case
            when
                is_computed
                and is_other_policy
                and not is_without_size
                and abs(config_move) > {{ noise }}
                then config_move
        end as config__policy,
        case
            when is_without_size then null
            when is_computed
                then nullif(
                    (later_health_score - later_computed_score)
                    - (earlier_health_score - earlier_computed_score),
                    0.0
                )
            else nullif(later_health_score - earlier_health_score, 0.0)
        end as override__override,
        -- Zero stands for no size until the ledger is long.
        {%- for end, side, other in (
            ('became_unscored', 'later', 'earlier'), ('became_scored', 'earlier', 'later')
        ) %}
        {%- set is_it = side ~ '_health_score is null' %}
        case
            when
                {{ is_it }}
                and {{ other }}_computed_score is not null
                and not (
                    is_other_policy
                    and coalesce(
                        is_covered_by_earlier_policy = (earlier_computed_score is not null), false
                    )
                )
                then cast(0 as double)
        end as coverage__{{ end }},
        case
            when
                {{ is_it }}
                and {{ other }}_computed_score is not null
                and is_other_policy
                and coalesce(
                    is_covered_by_earlier_policy = (earlier_computed_score is not null), false
                )
                then cast(0 as double)
        end as config__{{ end }},
        case when {{ is_it }} and {{ other }}_computed_score is null then cast(0 as double) end
            as override__{{ end }}{{ ',' if not loop.last }}
        {%- endfor %}
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
            behaviour__{{ measure.name }},
            coverage__{{ measure.name }},
            {%- endfor %}
            {%- if forcing %}
            behaviour__score_cap,
            coverage__score_cap,
            {%- endif %}
            config__policy,
            override__override,
            {%- for end in ('became_unscored', 'became_scored') %}
            coverage__{{ end }},
            config__{{ end }},
            override__{{ end }}{{ ',' if not loop.last }}
            {%- endfor %}
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
        cast(nullif(points, 0.0) as double) as points
    from spread
)
{%- endmacro %}
