-- Grain: touchpoint_id; its latest live version, kept after a tombstone with `removed_on`.
{#- A long log that half a dozen models read: sorted out once. #}
{{- config(materialized="table") }}
with

latest as (
    {{ latest_live_version(source('raw_crm', 'touchpoints'), 'touchpoint_id') }}
),

final as (
    select
        touchpoint_id,
        account_id,
        call_type,
        created_on,
        scheduled_on,
        held_on,
        cancelled_on,
        status,
        expected_attendee_count,
        attended_count,
        is_executive_present,
        sentiment,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
