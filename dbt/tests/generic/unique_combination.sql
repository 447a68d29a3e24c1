{# The columns together are a primary key: none null, no two rows equal. `within_run` looks only
   at the run's own days, so that the test on a daily table does not grow with history. #}
{% test unique_combination(model, columns, within_run=false) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    {% if within_run %}where as_of_date >= {{ from_date() }}{% endif %}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns %} or {{ column }} is null{% endfor %}
{% endtest %}
