-- Grain: account_id, valid_from_on; last value of each gauge that the policy set makes a measure.
-- depends_on: {{ ref('health_measures') }}
-- depends_on: {{ ref('health_measure_policy') }}
-- depends_on: {{ ref('health_bands') }}
{%- set gauges = health_measures() | selectattr('source', 'equalto', 'gauge') | list %}
{%- set sources = {} %}
with

observations as (
    select
        account_id,
        solution_area,
        measure,
        measured_on,
        value
    from {{ ref('stg_usage__solution_measures') }}
),

{%- for gauge in gauges %}
{%- set name = gauge.measure %}
{%- do sources.update({
    name ~ '_last': [name ~ '_micro', name ~ '_day', 'has_' ~ name],
}) %}

-- Areas that report on the same day are averaged.
{{ name }}_days as (
    select
        account_id,
        measured_on as from_on,
        cast(round(avg({{ health_micro('value') }})) as bigint) as {{ name }}_micro
    from observations
    where
        measure = '{{ gauge.gauge_measure | replace("'", "''") }}'
        {%- if gauge.gauge_solution_area %}
        and solution_area = '{{ gauge.gauge_solution_area | replace("'", "''") }}'
        {%- endif %}
    group by account_id, measured_on
),

{{ name }}_last as (
    select
        account_id,
        from_on,
        lead(from_on) over (partition by account_id order by from_on) as to_on,
        {{ name }}_micro,
        {{ health_day_number('from_on') }} as {{ name }}_day,
        1 as has_{{ name }}
    from {{ name }}_days
),
{%- endfor %}

{%- if gauges %}

{{ health_spans(sources) }},

{%- else %}

spans as (
    select
        account_id,
        measured_on as valid_from_on,
        measured_on as valid_to_on
    from observations
    where false
),

{%- endif %}

final as (
    select * from spans
)

select * from final
