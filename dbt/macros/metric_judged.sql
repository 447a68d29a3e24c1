{# The columns of every metric table, judged against the definitions. `measured` names a CTE with
   metric_id, as_of_date, dimension, dimension_value, value, lower_bound (what the value is known to
   exceed when it could not be read itself, else null), numerator, denominator, at_risk_count,
   excluded_count, reason (used when the value is missing; null takes the definition's). #}
{% macro metric_judged(measured='measured') -%}
    select
        cast({{ measured }}.metric_id as varchar) as metric_id,
        cast({{ measured }}.as_of_date as date) as as_of_date,
        cast({{ measured }}.dimension as varchar) as dimension,
        cast({{ measured }}.dimension_value as varchar) as dimension_value,
        cast(definitions.unit as varchar) as unit,
        cast({{ measured }}.value as double) as value,
        cast(definitions.target as double) as target,
        cast(definitions.alert as double) as alert,
        cast(definitions.direction as varchar) as direction,
        cast(
            case
                when {{ measured }}.value is null and {{ measured }}.lower_bound is null
                    then 'no_data'
                when definitions.direction = 'higher'
                    then case
                        when {{ measured }}.value < definitions.alert then 'alert'
                        when {{ measured }}.value > definitions.target then 'met'
                        when
                            {{ measured }}.value = definitions.target
                            and definitions.is_target_inclusive
                            then 'met'
                        else 'below_target'
                    end
                when {{ measured }}.value is null
                    then case
                        when {{ measured }}.lower_bound >= definitions.alert then 'alert'
                        when {{ measured }}.lower_bound >= definitions.target then 'below_target'
                        else 'no_data'
                    end
                when {{ measured }}.value > definitions.alert then 'alert'
                when {{ measured }}.value < definitions.target then 'met'
                when
                    {{ measured }}.value = definitions.target
                    and definitions.is_target_inclusive
                    then 'met'
                else 'below_target'
            end as varchar
        ) as status,
        cast({{ measured }}.numerator as double) as numerator,
        cast({{ measured }}.denominator as bigint) as denominator,
        cast({{ measured }}.denominator as bigint) as sample_size,
        cast({{ measured }}.at_risk_count as bigint) as at_risk_count,
        cast({{ measured }}.excluded_count as bigint) as excluded_count,
        cast(
            case
                when {{ measured }}.value is null
                    then coalesce({{ measured }}.reason, definitions.no_data_reason)
            end as varchar
        ) as reason
    from {{ measured }}
    inner join definitions on {{ measured }}.metric_id = definitions.metric_id
{%- endmacro %}
