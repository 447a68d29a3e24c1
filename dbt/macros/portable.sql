{# What DuckDB and Spark spell differently lives here, dispatched; models use only these. #}

{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'csp')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    datediff({{ later }}, {{ earlier }})
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}
    date_diff('day', cast({{ earlier }} as date), cast({{ later }} as date))
{%- endmacro %}

{# One row per day, both ends included, in a column `as_of_date`. #}
{% macro day_spine(first, last) -%}
    {{ return(adapter.dispatch('day_spine', 'csp')(first, last)) }}
{%- endmacro %}

{% macro default__day_spine(first, last) -%}
    select explode(sequence({{ first }}, {{ last }}, interval 1 day)) as as_of_date
{%- endmacro %}

{% macro duckdb__day_spine(first, last) -%}
    select cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as as_of_date
{%- endmacro %}

{# Stable text key of several columns; null is its own value. #}
{% macro surrogate_key(columns) -%}
    md5(concat_ws('|', {% for column in columns -%}
        coalesce(cast({{ column }} as varchar), '_null_'){{ ', ' if not loop.last }}
    {%- endfor %}))
{%- endmacro %}

{# The texts of a group as one, in their own order. #}
{% macro sorted_text(text) -%}
    {{ return(adapter.dispatch('sorted_text', 'csp')(text)) }}
{%- endmacro %}

{% macro default__sorted_text(text) -%}
    array_join(array_sort(collect_list({{ text }})), ' ')
{%- endmacro %}

{% macro duckdb__sorted_text(text) -%}
    string_agg({{ text }}, ' ' order by {{ text }})
{%- endmacro %}
