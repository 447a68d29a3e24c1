{# Two readings of a snapshot's change log as of the run. A log holds one row per key and extract
   in which the key changed, and a tombstone (`_is_deleted`) where it vanished. Grouping, not
   windows: the logs of calls and tickets are the long ones, and this is several times faster. #}

{# One row per key: its newest live row, with `removed_on` and `first_extracted_on`. A key that
   came back is alive; its gap is read as an extract that lacked it. #}
{% macro latest_live_version(relation, key) -%}
    select
        log.*,
        spans.first_extracted_on,
        case when spans.removed_on > log._extracted_on then spans.removed_on end as removed_on
    from {{ relation }} as log
    inner join (
        select
            {{ key }},
            min(case when not _is_deleted then _extracted_on end) as first_extracted_on,
            max(case when not _is_deleted then _extracted_on end) as last_live_on,
            max(case when _is_deleted then _extracted_on end) as removed_on
        from {{ relation }}
        where _extracted_on <= {{ as_of_date() }}
        group by {{ key }}
    ) as spans
        on log.{{ key }} = spans.{{ key }} and log._extracted_on = spans.last_live_on
    where not log._is_deleted
{%- endmacro %}

{# One row per key and live version, with `valid_from_on`, `valid_to_on` (exclusive, null while
   current) and `is_first_version`. #}
{% macro live_versions(relation, key) -%}
    select *
    from (
        select
            *,
            _extracted_on as valid_from_on,
            lead(_extracted_on) over (
                partition by {{ key }} order by _extracted_on
            ) as valid_to_on,
            _extracted_on = min(case when not _is_deleted then _extracted_on end) over (
                partition by {{ key }}
            ) as is_first_version
        from {{ relation }}
        where _extracted_on <= {{ as_of_date() }}
    ) as log
    where not _is_deleted
{%- endmacro %}
