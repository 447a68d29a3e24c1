{# The one clock: a run computes [from_date, as_of_date]; both are given, neither has a default.
   While dbt only parses, a marker date stands in, so that parsing needs no variables. #}

{# A variable of the run: from `--vars`, else from the JSON that the pipeline puts into the
   environment. dbt parses the whole project again when `--vars` differ from the last time, as
   dates do every night; the environment is read here, while SQL is rendered, and parses nothing. #}
{% macro run_variable(name, default=none) -%}
    {%- set given = var(name, none) -%}
    {%- if given is none and execute -%}
        {%- set given = fromjson(env_var('CSP_RUN_VARIABLES', '{}')).get(name) -%}
    {%- endif -%}
    {{ return(default if given is none else given) }}
{%- endmacro %}

{% macro run_date(name) -%}
    {%- set given = run_variable(name) -%}
    {%- if given is none and execute and flags.WHICH in ('run', 'build') -%}
        {{ exceptions.raise_compiler_error("--vars must give '" ~ name ~ "' as YYYY-MM-DD") }}
    {%- endif -%}
    {%- set text = (given or '1900-01-01') | string -%}
    {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}', text) -%}
        {{ exceptions.raise_compiler_error(name ~ " must be YYYY-MM-DD, not '" ~ text ~ "'") }}
    {%- endif -%}
    cast('{{ text }}' as date)
{%- endmacro %}

{% macro from_date() -%}{{ run_date('from_date') }}{%- endmacro %}

{% macro as_of_date() -%}{{ run_date('as_of_date') }}{%- endmacro %}

{# First day whose facts a trailing window of `days` days can need. #}
{% macro window_start(days) -%}({{ from_date() }} - {{ days }}){%- endmacro %}

{# Condition on the days a data test looks at. #}
{% macro tested_days(within_run, on_last_day) -%}
    {%- if on_last_day -%} as_of_date = {{ as_of_date() }}
    {%- elif within_run -%} as_of_date >= {{ from_date() }}
    {%- else -%} true
    {%- endif -%}
{%- endmacro %}
