{# Facts that hold over spans of days, summed per account without joining days to facts: a fact
   adds its numbers on the day it begins and takes them away on the day it ends, and running sums
   over those few days give the state between them. All numbers are integers, so that the sums do
   not depend on their order. #}

{# From CTEs with (account_id, from_on, to_on exclusive or null, numbers …) the CTEs `changes`,
   `daily_changes` and `spans`: account_id, valid_from_on, valid_to_on (exclusive), numbers, cut to
   the run's days. `sources` maps the name of each CTE to the list of its number columns. #}
{% macro health_spans(sources) -%}
{%- set columns = sources.values() | sum(start=[]) -%}
changes as (
    {%- for name, own in sources.items() %}
    {%- for column, sign in (('from_on', ''), ('to_on', '-')) %}
    select
        account_id,
        greatest({{ column }}, {{ from_date() }}) as changed_on,
        {%- for number in columns %}
        cast({{ sign ~ number if number in own else '0' }} as bigint) as {{ number }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ name }}
    where
        {{ column }} is not null
        and {{ column }} <= {{ as_of_date() }}
        and (to_on is null or (to_on > from_on and to_on > {{ from_date() }}))
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

daily_changes as (
    select
        account_id,
        changed_on,
        {%- for number in columns %}
        cast(sum({{ number }}) as bigint) as {{ number }}{{ ',' if not loop.last }}
        {%- endfor %}
    from changes
    group by account_id, changed_on
),

spans as (
    select
        account_id,
        changed_on as valid_from_on,
        coalesce(
            lead(changed_on) over (partition by account_id order by changed_on),
            {{ as_of_date() }} + 1
        ) as valid_to_on,
        {%- for number in columns %}
        cast(sum({{ number }}) over (
            partition by account_id order by changed_on
            rows between unbounded preceding and current row
        ) as bigint) as {{ number }}{{ ',' if not loop.last }}
        {%- endfor %}
    from daily_changes
)
{%- endmacro %}

{# Spans once per month that they touch, with `month_on`: a join of days to spans by account and
   month then compares a handful of rows, where one by account alone compares them all. #}
{% macro health_spans_by_month(spans, months='months') -%}
    select
        spans.*,
        months.month_on
    from {{ spans }} as spans
    inner join {{ months }} as months
        on months.month_on < spans.valid_to_on and months.next_month_on > spans.valid_from_on
{%- endmacro %}

{# Whole days since 1970-01-01 as an integer that can be summed. #}
{% macro health_day_number(day) -%}
    cast({{ days_between("cast('1970-01-01' as date)", day) }} as bigint)
{%- endmacro %}

{% macro health_seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('health_seconds_between', 'csp')(earlier, later)) }}
{%- endmacro %}

{% macro default__health_seconds_between(earlier, later) -%}
    (unix_timestamp({{ later }}) - unix_timestamp({{ earlier }}))
{%- endmacro %}

{% macro duckdb__health_seconds_between(earlier, later) -%}
    date_diff('second', {{ earlier }}, {{ later }})
{%- endmacro %}

{# A number with six decimals as an integer, rounded here and nowhere later. #}
{% macro health_micro(number) -%}
    cast(round(cast({{ number }} as double) * 1000000) as bigint)
{%- endmacro %}
