{# `marts.health_change(from_date, to_date)`: the change ledger between any two days, computed on
   demand. A comfort of DuckDB for analysts and for `csp explain`; models do not use it. #}
{% macro create_health_change_function() -%}
    {{ return(adapter.dispatch('create_health_change_function', 'csp')()) }}
{%- endmacro %}

{% macro default__create_health_change_function() -%}{%- endmacro %}

{% macro duckdb__create_health_change_function() -%}
    {%- set found = namespace(all=execute) -%}
    {%- set tables = {} -%}
    {%- for name in ('fct_health_facts_daily', 'fct_account_health_daily', 'dim_health_policy') -%}
        {%- set relation = adapter.get_relation(target.database, 'marts', name) if execute -%}
        {%- if relation is none -%}{%- set found.all = false -%}{%- endif -%}
        {%- do tables.update({name: relation}) -%}
    {%- endfor -%}
    {#- After a measure was added to the policy, its columns come with the next run's facts. -#}
    {%- if found.all -%}
        {%- set columns = adapter.get_columns_in_relation(tables['fct_health_facts_daily'])
            | map(attribute='name') | list -%}
        {%- for measure in health_known_measures() if measure.measure ~ '_status' not in columns -%}
            {%- set found.all = false -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if found.all -%}
    {%- set pairs %}
        select
            health.account_id,
            health.as_of_date,
            cast(from_date as date) as compared_to_date
        from {{ tables['fct_account_health_daily'] }} as health
        where health.as_of_date = cast(to_date as date)
    {%- endset %}
    create or replace macro marts.health_change(from_date, to_date) as table (
        with
        {{ health_change_ctes(
            tables['fct_health_facts_daily'],
            tables['fct_account_health_daily'],
            tables['dim_health_policy'],
            pairs
        ) }}
        select * from ledger
    );
    {#- Reading the columns above began a transaction, which dbt rolls back after a hook. #}
    commit
    {%- endif -%}
{%- endmacro %}
