-- Grain: survey_id.
with

accepted as (
    select * from {{ source('raw_support', 'surveys') }}
),

final as (
    select
        survey_id,
        account_id,
        kind,
        responded_on,
        score,
        ticket_id,
        cast(null as date) as removed_on,
        _extracted_on as first_extracted_on
    from accepted
    where
        _extracted_on <= {{ as_of_date() }}
        and responded_on <= {{ as_of_date() }}
)

select * from final
