{# The expression is never false (null passes). Days as in `unique_combination`. #}
{% test expression_holds(model, expression, within_run=false, on_last_day=false) %}
    select *
    from {{ model }}
    where
        not ({{ expression }})
        and {{ tested_days(within_run, on_last_day) }}
{% endtest %}
