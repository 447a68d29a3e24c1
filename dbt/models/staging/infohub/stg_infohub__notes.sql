-- Grain: note_id; notes that stand and that a run up to its last day knows of.
with

notes as (
    select * from {{ source('raw_infohub', 'notes') }}
),

final as (
    select
        note_id,
        account_id,
        call_type,
        touchpoint_id,
        next_call_type,
        expected_attendee_count,
        attended_count,
        is_executive_present,
        sentiment,
        held_on,
        recorded_on,
        updated_on,
        next_call_on,
        _extracted_on as first_extracted_on
    from notes
    where
        not _is_deleted
        and _extracted_on <= {{ as_of_date() }}
)

select * from final
