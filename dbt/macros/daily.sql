{# Daily facts: the run's range is replaced, everything before it stays and is the state that
   latches and accruals start from. Rows after as_of_date are stale by definition and go too:
   a run always computes up to the newest day. #}

{% macro daily_config() -%}
    {{ config(
        materialized='incremental',
        incremental_strategy='replace_range',
        on_schema_change='fail',
    ) }}
{%- endmacro %}

{% macro get_incremental_replace_range_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set source = arg_dict['temp_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}

    delete from {{ target }} where as_of_date >= {{ from_date() }};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ source }}
{% endmacro %}

{# dbt-duckdb names its strategies in its own validation; this one is ours. #}
{% macro duckdb__get_incremental_replace_range_sql(arg_dict) %}
    {{ return(get_incremental_replace_range_sql(arg_dict)) }}
{% endmacro %}
