{# Every value lies in [low, high]; null passes. `within_run` looks only at the run's own days. #}
{% test in_range(model, column_name, low, high, within_run=false) %}
    select {{ column_name }}
    from {{ model }}
    where
        not ({{ column_name }} between {{ low }} and {{ high }})
        {% if within_run %}and as_of_date >= {{ from_date() }}{% endif %}
{% endtest %}
