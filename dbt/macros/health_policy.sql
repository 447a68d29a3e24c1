{# The health policy while a model is compiled: which measures, components, zones and parameters
   the set in use has. The numbers themselves are never compiled in, they are joined as a row of
   int_health__policy_wide; only names and counts shape the SQL. The seeds are read from their
   tables, so a model that calls one of these stands behind int_health__policy_wide, or names the
   seed in a `-- depends_on`. #}

{# Where a policy seed lives. #}
{% macro health_seed(name) -%}
    {{ return('policy.' ~ name) }}
{%- endmacro %}

{# The policy set in use; presets are other sets in the same seeds. #}
{% macro health_policy_set() -%}
    {{ return(run_variable('health_policy_set', 'standard')) }}
{%- endmacro %}

{# `in_force`: a day is scored by the policy of that day. `latest`: by the policy of the run's
   last day, whatever the day. #}
{% macro health_policy_mode() -%}
    {%- set mode = run_variable('health_policy_mode', 'in_force') -%}
    {%- if mode not in ('in_force', 'latest') -%}
        {{ exceptions.raise_compiler_error(
            "var health_policy_mode must be in_force or latest, not '" ~ mode ~ "'") }}
    {%- endif -%}
    {{ return(mode) }}
{%- endmacro %}

{# The rows of a query as a list of mappings; none while dbt only parses. #}
{% macro health_query(sql) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set table = run_query(sql) -%}
        {%- for row in table.rows -%}
            {%- set _ = found.append(dict(zip(table.column_names, row.values()))) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# Measures of the set in use, in their order. Each has: measure, component, source,
   source_table, gauge_measure, gauge_solution_area, has_linear, band_count, forces_component,
   forces_account. #}
{% macro health_measures() -%}
    {{ return(health_query(
        "with policy as (
            select * from " ~ health_seed('health_measure_policy') ~ "
            where policy_set = '" ~ health_policy_set() ~ "'
        ),
        bands as (
            select measure, max(band_count) as band_count
            from (
                select measure, profile_id, effective_from, count(*) as band_count
                from " ~ health_seed('health_bands') ~ "
                where policy_set = '" ~ health_policy_set() ~ "'
                group by measure, profile_id, effective_from
            ) as counted
            group by measure
        )
        select
            measures.measure,
            coalesce(max(policy.component), max(measures.component)) as component,
            max(measures.source) as source,
            max(measures.source_table) as source_table,
            max(measures.gauge_measure) as gauge_measure,
            max(measures.gauge_solution_area) as gauge_solution_area,
            max(case when policy.method = 'linear' then 1 else 0 end) as has_linear,
            max(case when policy.method = 'bands' then coalesce(bands.band_count, 0) else 0 end)
                as band_count,
            max(case when policy.force_scope = 'component' then 1 else 0 end) as forces_component,
            max(case when policy.force_scope = 'account' then 1 else 0 end) as forces_account
        from policy
        inner join " ~ health_seed('health_measures') ~ " as measures
            on policy.measure = measures.measure
        left join bands on policy.measure = bands.measure
        group by measures.measure, measures.measure_order
        order by measures.measure_order, measures.measure")) }}
{%- endmacro %}

{# Every measure that ever scored a day, with the component it counted in (seed rows may be gone
   meanwhile, or name another component): what reads past days asks for these. Each has: measure,
   component, has_linear, band_count, forces_component, forces_account. A model that calls it names
   dim_health_policy. #}
{% macro health_known_measures() -%}
    {%- set policy = adapter.get_relation(target.database, 'marts', 'dim_health_policy')
        if execute -%}
    {%- if policy is none or not execute -%}
        {{ return(health_measures()) }}
    {%- endif -%}
    {{ return(health_query(
        "select
            measure,
            component,
            max(case when method = 'linear' then 1 else 0 end) as has_linear,
            max(
                case when band_1_score is null then 0 else 1 end
                + case when band_2_score is null then 0 else 1 end
                + case when band_3_score is null then 0 else 1 end
                + case when band_4_score is null then 0 else 1 end
                + case when band_5_score is null then 0 else 1 end
                + case when band_6_score is null then 0 else 1 end
            ) as band_count,
            max(case when force_scope = 'component' then 1 else 0 end) as forces_component,
            max(case when force_scope = 'account' then 1 else 0 end) as forces_account
        from " ~ policy ~ "
        group by measure, component
        order by max(measure_order), measure, component")) }}
{%- endmacro %}

{# The six components, in their order. #}
{% macro health_components() -%}
    {{ return(health_query(
        "select component from " ~ health_seed('health_components') ~ " order by component_order"
    ) | map(attribute='component') | list) }}
{%- endmacro %}

{# Ranks of the set's zones, the best first. #}
{% macro health_zone_ranks() -%}
    {{ return(health_query(
        "select distinct zone_rank from " ~ health_seed('health_zones')
        ~ " where policy_set = '" ~ health_policy_set() ~ "' order by zone_rank"
    ) | map(attribute='zone_rank') | list) }}
{%- endmacro %}

{# Parameters of the set (seed health_policy), in order of name. #}
{% macro health_parameters() -%}
    {{ return(health_query(
        "select distinct parameter from " ~ health_seed('health_policy')
        ~ " where policy_set = '" ~ health_policy_set() ~ "' order by parameter"
    ) | map(attribute='parameter') | list) }}
{%- endmacro %}

{# Periods of a window or limit inside a measure's definition: value, starts_on, ends_on (exclusive;
   none for the last), in order. A past day counts by the definition of that day; in the mode
   `latest` every day counts by the one of the run's last day. #}
{% macro health_definition_periods(parameter) -%}
    {%- set rows = health_query(
        "select
            value,
            cast(effective_from as varchar) as starts_on,
            cast(lead(effective_from) over (order by effective_from) as varchar) as ends_on
        from " ~ health_seed('health_definitions') ~ "
        where parameter = '" ~ parameter ~ "'"
        ~ (" and effective_from <= " ~ as_of_date() if health_policy_mode() == 'latest' else "")
        ~ " order by starts_on") -%}
    {%- if execute and not rows -%}
        {{ exceptions.raise_compiler_error(
            "seeds/health/health_definitions.csv has no parameter '" ~ parameter ~ "'") }}
    {%- endif -%}
    {%- if health_policy_mode() == 'latest' and rows -%}
        {{ return([{'value': rows[-1].value, 'starts_on': '1900-01-01', 'ends_on': none}]) }}
    {%- endif -%}
    {{ return(rows) }}
{%- endmacro %}

{# The periods of a window or limit as a table to cross join: value, valid_from_on, valid_to_on
   (exclusive; null for the last). What falls into a window is cut to each period, so that a day
   sees the window of its own time. #}
{% macro health_windows(parameter) -%}
    (
        {%- for period in health_definition_periods(parameter) %}
        select
            {{ period.value | int }} as value,
            cast('{{ period.starts_on }}' as date) as valid_from_on,
            cast({{ "'" ~ period.ends_on ~ "'" if period.ends_on else 'null' }} as date)
                as valid_to_on
        {{ 'union all' if not loop.last }}
        {%- else %}
        select
            0 as value,
            cast('1900-01-01' as date) as valid_from_on,
            cast(null as date) as valid_to_on
        {%- endfor %}
    )
{%- endmacro %}

{# A window or limit on a day, as a number or a case over the day. #}
{% macro health_definition_on(parameter, day) -%}
    {%- set periods = health_definition_periods(parameter) -%}
    {%- if periods | length == 1 -%}
    {{ periods[0].value | int }}
    {%- elif not periods -%}
    0
    {%- else -%}
    case
        {%- for period in periods | reverse %}
        when {{ day }} >= cast('{{ period.starts_on }}' as date) then {{ period.value | int }}
        {%- endfor %}
    end
    {%- endif -%}
{%- endmacro %}

{# Rows of a dated seed with the days on which each holds, valid_from_on to valid_to_on (exclusive;
   null for the last): the newest row of its `subject` on a day. #}
{% macro health_dated(relation, subject, columns) -%}
    select
        {{ subject }},
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {%- if health_policy_mode() == 'latest' %}
        cast('1900-01-01' as date) as valid_from_on,
        cast(null as date) as valid_to_on
        {%- else %}
        effective_from as valid_from_on,
        lead(effective_from) over (
            partition by {{ subject }} order by effective_from
        ) as valid_to_on
        {%- endif %}
    from {{ relation }}
    {%- if health_policy_mode() == 'latest' %}
    where effective_from <= {{ as_of_date() }}
    qualify row_number() over (
        partition by {{ subject }} order by effective_from desc
    ) = 1
    {%- endif %}
{%- endmacro %}

{# Probability that a renewal should have on a day, so many days before it. The ranges that begin
   to hold on one day hold together. #}
{% macro health_renewal_expectation(days_to_renewal, day) -%}
    {%- set asked = as_of_date() if health_policy_mode() == 'latest' else day -%}
    {%- set rows = health_query(
        "select
            cast(effective_from as varchar) as starts_on, days_to, expected_probability_ratio
        from " ~ health_seed('health_renewal_expectations') ~ "
        order by effective_from desc, days_from nulls first") -%}
    case
        {%- for row in rows %}
        when
            {{ asked }} >= cast('{{ row.starts_on }}' as date)
            {%- if row.days_to is not none %}
            and {{ days_to_renewal }} < {{ row.days_to }}
            {%- endif %}
            then {{ row.expected_probability_ratio }}
        {%- else %}
        when true then 1.0
        {%- endfor %}
    end
{%- endmacro %}

{# State codes by name (seed health_statuses); while parsing all 0. #}
{% macro health_status_codes() -%}
    {%- set codes = {
        'scored': 0, 'stale': 0, 'too_early': 0, 'no_data': 0, 'not_applicable': 0} -%}
    {%- for row in health_query(
        "select status_code, status from " ~ health_seed('health_statuses')) -%}
        {%- do codes.update({row.status: row.status_code | int}) -%}
    {%- endfor -%}
    {{ return(codes) }}
{%- endmacro %}

{# Name of a stored state code; null for a null code. #}
{% macro health_status_name(code) -%}
    case {{ code }}
        {% for name, number in health_status_codes().items() -%}
        when {{ number }} then '{{ name }}'
        {% endfor -%}
    end
{%- endmacro %}

{# Score 0-100 of a value by the measure's line or bands in the policy row `policy`; null for a
   null value. Bands are half-open and ordered, so the first lower edge reached from above is it. #}
{% macro health_measure_score(measure, value, policy='policy') -%}
    {%- set name = policy ~ '.' ~ measure.measure -%}
    case
        when {{ value }} is null then null
        {%- if measure.has_linear %}
        when {{ name }}_method = 'linear' then greatest(0.0, least(100.0,
            100.0 * ({{ value }} - {{ name }}_floor)
            / nullif({{ name }}_ceiling - {{ name }}_floor, 0.0)
        ))
        {%- endif %}
        {%- for number in range(measure.band_count | int, 1, -1) %}
        when {{ value }} >= {{ name }}_band_{{ number }}_from
            then {{ name }}_band_{{ number }}_score
        {%- endfor %}
        {%- if measure.band_count %}
        when {{ name }}_method = 'bands' then {{ name }}_band_1_score
        {%- endif %}
    end
{%- endmacro %}

{# Zone of an unrounded score by the edges in the policy row; null for a null score. #}
{% macro health_zone(score, policy='policy') -%}
    case
        when {{ score }} is null then null
        {%- for rank in health_zone_ranks() %}
        {%- if not loop.last %}
        when {{ score }} >= {{ policy }}.zone_{{ rank }}_from then {{ policy }}.zone_{{ rank }}
        {%- else %}
        else {{ policy }}.zone_{{ rank }}
        {%- endif %}
        {%- endfor %}
    end
{%- endmacro %}

{# The profile of an account-day: the matching profile of lowest priority number. `on` is the day
   whose profiles are asked, by default the row's own. #}
{% macro health_profile() -%}
    {%- set day = as_of_date() if health_policy_mode() == 'latest' else 'as_of_date' -%}
    {%- set rows = health_query(
        "select
            profile_id, priority, tier, segment, min_tenure_days, max_tenure_days,
            cast(effective_from as varchar) as starts_on,
            cast(lead(effective_from) over (
                partition by profile_id order by effective_from
            ) as varchar) as ends_on
        from " ~ health_seed('health_profiles') ~ "
        where policy_set = '" ~ health_policy_set() ~ "'
        order by priority, profile_id, effective_from") -%}
    case
        {%- for row in rows %}
        when
            {{ day }} >= cast('{{ row.starts_on }}' as date)
            {%- if row.ends_on %} and {{ day }} < cast('{{ row.ends_on }}' as date){% endif %}
            {%- for column in ('tier', 'segment') %}
            {%- if row[column] is not none %}
            and {{ column }} = '{{ row[column] | replace("'", "''") }}'
            {%- endif %}
            {%- endfor %}
            {%- if row.min_tenure_days is not none %}
            and tenure_days >= {{ row.min_tenure_days | int }}
            {%- endif %}
            {%- if row.max_tenure_days is not none %}
            and tenure_days < {{ row.max_tenure_days | int }}
            {%- endif %}
            then '{{ row.profile_id | replace("'", "''") }}'
        {%- else %}
        when true then 'default'
        {%- endfor %}
    end
{%- endmacro %}

{# Source tables whose newest extract was refused, with the day of the last good one. For the days
   after it what is counted from them stays as it was: a bad file ages a measure, it does not
   move it. None in an ordinary run, so that the SQL of a run without faults knows nothing of it. #}
{% macro health_outages() -%}
    {{ return(health_query(
        "select table_name, cast(good_on as varchar) as good_on
        from (
            select
                table_name,
                max(case when status = 'accepted' then extracted_on end) as good_on,
                max(case when status = 'refused' then extracted_on end) as refused_on
            from pipeline.files
            where extracted_on <= " ~ as_of_date() ~ "
            group by table_name
        ) as extracts
        where refused_on > good_on
        order by table_name")) }}
{%- endmacro %}

{# Columns of the wide facts that are named after measures or components. #}
{% macro health_measures_of(measures, component) -%}
    {{ return(measures | selectattr('component', 'equalto', component) | list) }}
{%- endmacro %}
