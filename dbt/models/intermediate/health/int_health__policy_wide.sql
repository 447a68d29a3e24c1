-- Grain: profile_id, valid_from_on; everything that scores a day of the profile, in one row.
-- depends_on: {{ ref('health_components') }}
-- depends_on: {{ ref('health_statuses') }}
{%- set measures = health_measures() %}
{%- set components = health_components() %}
{%- set ranks = health_zone_ranks() %}
{%- set parameters = health_parameters() %}
with

policy as (
    select * from {{ ref('int_health__policy') }}
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

zones as (
    select * from {{ ref('health_zones') }}
    where policy_set = '{{ health_policy_set() }}'
),

parameters as (
    select * from {{ ref('health_policy') }}
    where policy_set = '{{ health_policy_set() }}'
),

periods as (
    select
        policy_set,
        profile_id,
        valid_from_on,
        max(valid_to_on) as valid_to_on
    from policy
    group by policy_set, profile_id, valid_from_on
),

component_weights as (
    select
        profile_id,
        valid_from_on,
        {%- for component in components %}
        coalesce(max(case when component = '{{ component }}' then component_weight end), 0.0)
            as {{ component }}_weight{{ ',' if not loop.last }}
        {%- else %}
        count(*) as component_count
        {%- endfor %}
    from policy
    group by profile_id, valid_from_on
),

lines as (
    select
        profile_id,
        valid_from_on,
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        max(case when measure = '{{ name }}' then measure_weight end) as {{ name }}_weight,
        max(case when measure = '{{ name }}' then method end) as {{ name }}_method,
        max(case when measure = '{{ name }}' then floor_value end) as {{ name }}_floor,
        max(case when measure = '{{ name }}' then ceiling_value end) as {{ name }}_ceiling,
        max(case when measure = '{{ name }}' then expiry_days end) as {{ name }}_expiry_days,
        max(case when measure = '{{ name }}' then min_tenure_days end)
            as {{ name }}_min_tenure_days,
        max(case when measure = '{{ name }}' then force_scope end) as {{ name }}_force_scope,
        max(case when measure = '{{ name }}' then force_at_or_below end)
            as {{ name }}_force_at_or_below,
        max(case when measure = '{{ name }}' then force_to end) as {{ name }}_force_to,
        max(case when measure = '{{ name }}' then definition end) as {{ name }}_definition,
        {%- endfor %}
        count(*) as measure_count
    from policy
    group by profile_id, valid_from_on
),

banded as (
    select
        policy.profile_id,
        policy.valid_from_on,
        {%- for measure in measures %}
        {%- for number in range(1, measure.band_count | int + 1) %}
        max(case when bands.measure = '{{ measure.measure }}' and bands.band_number = {{ number }}
            then bands.band_from end) as {{ measure.measure }}_band_{{ number }}_from,
        max(case when bands.measure = '{{ measure.measure }}' and bands.band_number = {{ number }}
            then bands.score end) as {{ measure.measure }}_band_{{ number }}_score,
        {%- endfor %}
        {%- endfor %}
        count(*) as band_count
    from policy
    inner join bands
        on
            policy.line_profile_id = bands.profile_id
            and policy.line_effective_from = bands.effective_from
            and policy.measure = bands.measure
    where policy.method = 'bands'
    group by policy.profile_id, policy.valid_from_on
),

zones_in_force as (
    select
        periods.profile_id,
        periods.valid_from_on,
        zones.zone_rank,
        zones.health_zone,
        zones.score_from
    from periods
    inner join zones on periods.valid_from_on >= zones.effective_from
    qualify row_number() over (
        partition by periods.profile_id, periods.valid_from_on, zones.zone_rank
        order by zones.effective_from desc
    ) = 1
),

zoned as (
    select
        profile_id,
        valid_from_on,
        {%- for rank in ranks %}
        max(case when zone_rank = {{ rank }} then health_zone end) as zone_{{ rank }},
        max(case when zone_rank = {{ rank }} then score_from end) as zone_{{ rank }}_from,
        {%- endfor %}
        count(*) as zone_count
    from zones_in_force
    group by profile_id, valid_from_on
),

parameters_in_force as (
    select
        periods.profile_id,
        periods.valid_from_on,
        parameters.parameter,
        parameters.value
    from periods
    inner join parameters on periods.valid_from_on >= parameters.effective_from
    qualify row_number() over (
        partition by periods.profile_id, periods.valid_from_on, parameters.parameter
        order by parameters.effective_from desc
    ) = 1
),

set_to as (
    select
        profile_id,
        valid_from_on,
        {%- for parameter in parameters %}
        max(case when parameter = '{{ parameter }}' then value end) as {{ parameter }},
        {%- endfor %}
        count(*) as parameter_count
    from parameters_in_force
    group by profile_id, valid_from_on
),

joined as (
    select
        periods.policy_set,
        periods.profile_id,
        periods.valid_from_on,
        periods.valid_to_on,
        {%- for parameter in parameters %}
        set_to.{{ parameter }},
        {%- endfor %}
        {%- for rank in ranks %}
        zoned.zone_{{ rank }},
        zoned.zone_{{ rank }}_from,
        {%- endfor %}
        {%- for component in components %}
        component_weights.{{ component }}_weight,
        {%- endfor %}
        {%- for measure in measures %}
        {%- set name = measure.measure %}
        lines.{{ name }}_weight,
        lines.{{ name }}_method,
        lines.{{ name }}_floor,
        lines.{{ name }}_ceiling,
        lines.{{ name }}_expiry_days,
        lines.{{ name }}_min_tenure_days,
        lines.{{ name }}_force_scope,
        lines.{{ name }}_force_at_or_below,
        lines.{{ name }}_force_to,
        lines.{{ name }}_definition,
        {%- for number in range(1, measure.band_count | int + 1) %}
        banded.{{ name }}_band_{{ number }}_from,
        banded.{{ name }}_band_{{ number }}_score,
        {%- endfor %}
        {%- endfor %}
        lines.measure_count
    from periods
    inner join component_weights
        on
            periods.profile_id = component_weights.profile_id
            and periods.valid_from_on = component_weights.valid_from_on
    inner join lines
        on periods.profile_id = lines.profile_id and periods.valid_from_on = lines.valid_from_on
    left join banded
        on periods.profile_id = banded.profile_id and periods.valid_from_on = banded.valid_from_on
    left join zoned
        on periods.profile_id = zoned.profile_id and periods.valid_from_on = zoned.valid_from_on
    left join set_to
        on periods.profile_id = set_to.profile_id and periods.valid_from_on = set_to.valid_from_on
),

-- The key names the content: a policy edited in place gets a new key, and what the old one
-- scored still points at the numbers that scored it. What is not in force is not in it, so that a
-- measure or a band that policy adds for later days leaves the keys of the days before as they are.
final as (
    select
        concat_ws(
            '/',
            joined.policy_set,
            joined.profile_id,
            cast(joined.valid_from_on as varchar),
            substring(md5(concat_ws(
                '|'
                {%- for parameter in parameters %},
                '{{ parameter }}=' || cast(joined.{{ parameter }} as varchar)
                {%- endfor %}
                {%- for rank in ranks %},
                'zone {{ rank }}=' || joined.zone_{{ rank }},
                'from {{ rank }}=' || cast(joined.zone_{{ rank }}_from as varchar)
                {%- endfor %}
                {%- for component in components %},
                '{{ component }}=' || cast(joined.{{ component }}_weight as varchar)
                {%- endfor %}
                {%- for measure in measures %}
                {%- set name = measure.measure %},
                case when joined.{{ name }}_weight is not null then concat_ws(
                    '|',
                    '{{ measure.component }}/{{ name }}',
                    'weight=' || cast(joined.{{ name }}_weight as varchar),
                    'method=' || joined.{{ name }}_method,
                    'floor=' || cast(joined.{{ name }}_floor as varchar),
                    'ceiling=' || cast(joined.{{ name }}_ceiling as varchar),
                    'expiry=' || cast(joined.{{ name }}_expiry_days as varchar),
                    'tenure=' || cast(joined.{{ name }}_min_tenure_days as varchar),
                    'force=' || joined.{{ name }}_force_scope,
                    'at=' || cast(joined.{{ name }}_force_at_or_below as varchar),
                    'to=' || cast(joined.{{ name }}_force_to as varchar),
                    'defined=' || joined.{{ name }}_definition
                    {%- for number in range(1, measure.band_count | int + 1) %},
                    'from {{ number }}='
                    || cast(joined.{{ name }}_band_{{ number }}_from as varchar),
                    'score {{ number }}='
                    || cast(joined.{{ name }}_band_{{ number }}_score as varchar)
                    {%- endfor %}
                ) end
                {%- endfor %}
            )), 1, 8)
        ) as policy_key,
        joined.*
    from joined
)

select * from final
