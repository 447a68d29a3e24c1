{# Every value lies in [low, high]; null passes. Days as in `unique_combination`. #}
{% test in_range(model, column_name, low, high, within_run=false, on_last_day=false) %}
    select {{ column_name }}
    from {{ model }}
    where
        not ({{ column_name }} between {{ low }} and {{ high }})
        and {{ tested_days(within_run, on_last_day) }}
{% endtest %}
