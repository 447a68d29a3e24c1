{# The expression is never false (null passes). `within_run` looks only at the run's own days. #}
{% test expression_holds(model, expression, within_run=false) %}
    select *
    from {{ model }}
    where
        not ({{ expression }})
        {% if within_run %}and as_of_date >= {{ from_date() }}{% endif %}
{% endtest %}
