{# The columns together are a primary key: none null, no two rows equal. `within_run` looks only
   at the run's own days, so that the test on a daily table does not grow with history;
   `on_last_day` only at its last, for views whose rows are never stored. #}
{% test unique_combination(model, columns, within_run=false, on_last_day=false) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    where {{ tested_days(within_run, on_last_day) }}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns %} or {{ column }} is null{% endfor %}
{% endtest %}
