-- Grain: objective_id, measured_on; every measurement an extract ever carried, in its newest
-- wording. The staged row keeps only the last one, and a past day needs the one of its time.
with

log as (
    select
        objective_id,
        measured_on,
        current_value,
        realised_value_usd,
        _extracted_on
    from {{ source('raw_crm', 'success_objectives') }}
    where
        not _is_deleted
        and measured_on is not null
        and _extracted_on <= {{ as_of_date() }}
    qualify row_number() over (
        partition by objective_id, measured_on order by _extracted_on desc
    ) = 1
),

final as (
    select
        objective_id,
        measured_on,
        lead(measured_on) over (
            partition by objective_id order by measured_on
        ) as next_measured_on,
        current_value,
        realised_value_usd
    from log
)

select * from final
