{# The value an event carries in the dimension of the joined row; `rows` and `dimensions` are the
   aliases of the event and of metric_dimensions. A missing attribute is its own value, so that the
   values of a dimension always add up to `all`. #}
{% macro metric_dimension_value(rows, dimensions) -%}
    case {{ dimensions }}.dimension
        when 'all' then 'all'
        when 'tier' then coalesce({{ rows }}.tier, 'unknown')
        when 'region' then coalesce({{ rows }}.region, 'unknown')
        when 'owner' then coalesce({{ rows }}.owner, 'unassigned')
        when 'solution_area' then coalesce({{ rows }}.solution_area, 'none')
        when 'playbook' then coalesce({{ rows }}.playbook, 'none')
        when 'rule_version' then coalesce({{ rows }}.rule_version, 'none')
    end
{%- endmacro %}

{# Counts per day from intervals, for the whole run range in one pass. `intervals` names a CTE with
   metric_id, tier, region, owner, solution_area, playbook, rule_version, counted_from_on,
   counted_until_on (exclusive) and the whole numbers numerator, denominator, at_risk_count, excluded_count. An
   interval adds its numbers on every day it covers: a trailing window of n days is the interval of
   n days from the day of the event. Only its two edges are stored, and a running sum fills the
   days between, so that two years cost little more than a day.
   `survival_metric` is the table's metric that is no count, if any.
   Needs `days`, `definitions`, `dimensions`, `metric_presence`. Ends with the CTE `counts`. #}
{% macro metric_count_ctes(intervals='intervals', survival_metric=none) -%}
counted_presence as (
    select * from metric_presence
    {%- if survival_metric %}
    where metric_id <> '{{ survival_metric }}'
    {%- endif %}
),

counted as (
    select
        {{ intervals }}.metric_id,
        dimensions.dimension,
        {{ metric_dimension_value(intervals, 'dimensions') }} as dimension_value,
        greatest({{ intervals }}.counted_from_on, {{ from_date() }}) as counted_from_on,
        {{ intervals }}.counted_until_on,
        {{ intervals }}.numerator,
        {{ intervals }}.denominator,
        {{ intervals }}.at_risk_count,
        {{ intervals }}.excluded_count
    from {{ intervals }}
    inner join dimensions on {{ intervals }}.metric_id = dimensions.metric_id
    where
        {{ intervals }}.counted_from_on < {{ intervals }}.counted_until_on
        and {{ intervals }}.counted_from_on <= {{ as_of_date() }}
        and {{ intervals }}.counted_until_on > {{ from_date() }}
),

keys as (
    select
        metric_id,
        dimension,
        dimension_value
    from counted
    union distinct
    select
        metric_id,
        dimension,
        dimension_value
    from counted_presence
),

edges as (
    select
        metric_id,
        dimension,
        dimension_value,
        counted_from_on as as_of_date,
        numerator,
        denominator,
        at_risk_count,
        excluded_count
    from counted
    union all
    select
        metric_id,
        dimension,
        dimension_value,
        counted_until_on as as_of_date,
        -numerator as numerator,
        -denominator as denominator,
        -at_risk_count as at_risk_count,
        -excluded_count as excluded_count
    from counted
    where counted_until_on <= {{ as_of_date() }}
    union all
    select
        keys.metric_id,
        keys.dimension,
        keys.dimension_value,
        days.as_of_date,
        0 as numerator,
        0 as denominator,
        0 as at_risk_count,
        0 as excluded_count
    from keys
    cross join days
),

steps as (
    select
        metric_id,
        dimension,
        dimension_value,
        as_of_date,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(at_risk_count) as at_risk_count,
        sum(excluded_count) as excluded_count
    from edges
    group by metric_id, dimension, dimension_value, as_of_date
),

running as (
    select
        metric_id,
        dimension,
        dimension_value,
        as_of_date,
        sum(numerator) over key_days as numerator,
        sum(denominator) over key_days as denominator,
        sum(at_risk_count) over key_days as at_risk_count,
        sum(excluded_count) over key_days as excluded_count
    from steps
    window key_days as (
        partition by metric_id, dimension, dimension_value
        order by as_of_date
        rows between unbounded preceding and current row
    )
),

counts as (
    select
        running.metric_id,
        running.as_of_date,
        running.dimension,
        running.dimension_value,
        cast(running.numerator as double) as numerator,
        cast(running.denominator as bigint) as denominator,
        cast(running.at_risk_count as bigint) as at_risk_count,
        cast(running.excluded_count as bigint) as excluded_count
    from running
    left join counted_presence
        on
            running.metric_id = counted_presence.metric_id
            and running.as_of_date = counted_presence.as_of_date
            and running.dimension = counted_presence.dimension
            and running.dimension_value = counted_presence.dimension_value
    where
        counted_presence.metric_id is not null
        or running.denominator <> 0
        or running.at_risk_count <> 0
        or running.excluded_count <> 0
)
{%- endmacro %}
