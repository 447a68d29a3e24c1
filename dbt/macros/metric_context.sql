{# The inputs every metric table shares, as CTEs: the run's `days`; the `definitions` of this
   table's metrics; the `dimensions` each is cut by; the `policy` parameters as one row; and in
   `metric_presence` every value a metric shows on a day because it is present on that day, so that
   a denominator of 0 is seen. #}
{% macro metric_context_ctes(table_name) -%}
days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

definitions as (
    select * from {{ ref('metric_definitions') }}
    where table_name = '{{ table_name }}'
),

dimensions as (
    select
        metric_dimensions.metric_id,
        metric_dimensions.dimension
    from {{ ref('metric_dimensions') }} as metric_dimensions
    inner join definitions on metric_dimensions.metric_id = definitions.metric_id
),

policy as (
    select
        cast(max(case when parameter = 'green_confirm_days' then value end) as integer)
            as green_confirm_days,
        cast(max(case when parameter = 'response_days' then value end) as integer)
            as response_days,
        max(case when parameter = 'survival_quantile' then value end) as survival_quantile
    from {{ ref('metric_policy') }}
),

metric_presence as (
    select
        dimensions.metric_id,
        present.as_of_date,
        present.dimension,
        present.dimension_value
    from {{ ref('int_metrics__dimension_days') }} as present
    inner join dimensions on present.dimension = dimensions.dimension
)
{%- endmacro %}
