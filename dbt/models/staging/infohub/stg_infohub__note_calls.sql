-- Grain: note_id; one note per call, with the touchpoint of the CRM that is the same call.
{#- A note may name its touchpoint. Else the same call is the account's touchpoint of that type held
    on the note's day, or, where the CRM has not heard yet, the one planned for it. Of several notes
    on one call the last by id speaks. #}
with

notes as (
    select * from {{ ref('stg_infohub__notes') }}
),

touchpoints as (
    {{ latest_live_version(source('raw_crm', 'touchpoints'), 'touchpoint_id') }}
),

linked as (
    select
        notes.note_id,
        touchpoints.touchpoint_id as crm_touchpoint_id
    from notes
    inner join touchpoints
        on
            notes.touchpoint_id = touchpoints.touchpoint_id
            and notes.account_id = touchpoints.account_id
    qualify row_number() over (
        partition by touchpoints.touchpoint_id order by notes.note_id desc
    ) = 1
),

-- A second note that names the same touchpoint is about a call that is told already.
unlinked as (
    select notes.*
    from notes
    left join touchpoints
        on
            notes.touchpoint_id = touchpoints.touchpoint_id
            and notes.account_id = touchpoints.account_id
    where touchpoints.touchpoint_id is null
    qualify row_number() over (
        partition by notes.account_id, notes.call_type, notes.held_on
        order by notes.note_id desc
    ) = 1
),

free_touchpoints as (
    select
        touchpoints.touchpoint_id,
        touchpoints.account_id,
        touchpoints.call_type,
        coalesce(touchpoints.held_on, touchpoints.scheduled_on) as call_on,
        touchpoints.held_on is not null as is_held
    from touchpoints
    left join linked on touchpoints.touchpoint_id = linked.crm_touchpoint_id
    where linked.crm_touchpoint_id is null
),

matched as (
    select
        unlinked.note_id,
        free_touchpoints.touchpoint_id as crm_touchpoint_id
    from unlinked
    inner join free_touchpoints
        on
            unlinked.account_id = free_touchpoints.account_id
            and unlinked.call_type = free_touchpoints.call_type
            and unlinked.held_on = free_touchpoints.call_on
    qualify row_number() over (
        partition by unlinked.note_id
        order by free_touchpoints.is_held desc, free_touchpoints.touchpoint_id asc
    ) = 1
),

calls as (
    select * from linked
    union all
    select
        unlinked.note_id,
        matched.crm_touchpoint_id
    from unlinked
    left join matched on unlinked.note_id = matched.note_id
),

final as (
    select
        notes.note_id,
        notes.account_id,
        notes.call_type,
        calls.crm_touchpoint_id,
        notes.expected_attendee_count,
        notes.attended_count,
        notes.is_executive_present,
        notes.sentiment,
        notes.held_on,
        notes.first_extracted_on
    from calls
    inner join notes on calls.note_id = notes.note_id
)

select * from final
