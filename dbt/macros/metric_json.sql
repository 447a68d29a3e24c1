{# A text field of a JSON object held as text; null when it is not there. #}
{% macro metric_json_text(column, field) -%}
    {{ return(adapter.dispatch('metric_json_text', 'csp')(column, field)) }}
{%- endmacro %}

{% macro default__metric_json_text(column, field) -%}
    get_json_object({{ column }}, '$.{{ field }}')
{%- endmacro %}

{% macro duckdb__metric_json_text(column, field) -%}
    json_extract_string({{ column }}, '$.{{ field }}')
{%- endmacro %}
