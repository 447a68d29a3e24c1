-- Grain: account_id, solution_area, measure, measured_on.
with

accepted as (
    select * from {{ source('raw_usage', 'solution_measures') }}
),

final as (
    select
        account_id,
        solution_area,
        measure,
        measured_on,
        value,
        _extracted_on as first_extracted_on
    from accepted
    where
        _extracted_on <= {{ as_of_date() }}
        and measured_on <= {{ as_of_date() }}
)

select * from final
