{# Stand-ins for the macros that only dbt can render; sqlfluff loads them after dbt/macros. #}
{% macro run_variable(name, default=none) -%}{{ return('2026-01-01') }}{%- endmacro %}
{% macro run_date(name) -%}cast('2026-01-01' as date){%- endmacro %}
{% macro from_date() -%}cast('2026-01-01' as date){%- endmacro %}
{% macro as_of_date() -%}cast('2026-01-05' as date){%- endmacro %}
{% macro window_start(days) -%}({{ from_date() }} - {{ days }}){%- endmacro %}
{% macro days_between(earlier, later) -%}date_diff('day', {{ earlier }}, {{ later }}){%- endmacro %}
{% macro day_spine(first, last) -%}
select cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as as_of_date
{%- endmacro %}
{% macro daily_config() -%}{%- endmacro %}
{% macro cadence_call_types(kind=none) -%}
{{ return(['technical_checkin', 'business_review']) }}
{%- endmacro %}
