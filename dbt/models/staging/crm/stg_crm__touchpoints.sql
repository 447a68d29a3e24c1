-- Grain: touchpoint_id; its latest live version, kept after a tombstone with `removed_on`.
{#- A long log that half a dozen models read: sorted out once. Calls that meeting notes tell of are
    here, too. One call is one row: what its note states stands before what the CRM says, and the
    CRM fills in the rest. A call with a note was held, whatever the CRM thinks of it. #}
{{- config(materialized="table") }}
with

latest as (
    {{ latest_live_version(source('raw_crm', 'touchpoints'), 'touchpoint_id') }}
),

note_calls as (
    select * from {{ ref('stg_infohub__note_calls') }}
),

notes as (
    select * from {{ ref('stg_infohub__notes') }}
),

recorded as (
    select
        latest.touchpoint_id,
        latest.account_id,
        latest.call_type,
        latest.created_on,
        latest.scheduled_on,
        coalesce(note_calls.held_on, latest.held_on) as held_on,
        case when note_calls.note_id is null then latest.cancelled_on end as cancelled_on,
        case when note_calls.note_id is null then latest.status else 'held' end as status,
        coalesce(note_calls.expected_attendee_count, latest.expected_attendee_count)
            as expected_attendee_count,
        coalesce(note_calls.attended_count, latest.attended_count) as attended_count,
        coalesce(note_calls.is_executive_present, latest.is_executive_present)
            as is_executive_present,
        coalesce(note_calls.sentiment, latest.sentiment) as sentiment,
        case when note_calls.note_id is null then latest.removed_on end as removed_on,
        latest.first_extracted_on,
        note_calls.note_id,
        true as is_in_crm
    from latest
    left join note_calls on latest.touchpoint_id = note_calls.crm_touchpoint_id
),

noted as (
    select
        note_id as touchpoint_id,
        account_id,
        call_type,
        cast(null as date) as created_on,
        cast(null as date) as scheduled_on,
        held_on,
        cast(null as date) as cancelled_on,
        'held' as status,
        expected_attendee_count,
        attended_count,
        is_executive_present,
        sentiment,
        cast(null as date) as removed_on,
        first_extracted_on,
        note_id,
        false as is_in_crm
    from note_calls
    where crm_touchpoint_id is null
),

agreed as (
    select
        note_id,
        account_id,
        coalesce(next_call_type, call_type) as call_type,
        held_on as agreed_on,
        next_call_on,
        first_extracted_on
    from notes
    where next_call_on is not null
    qualify row_number() over (
        partition by account_id, coalesce(next_call_type, call_type), next_call_on
        order by note_id desc
    ) = 1
),

-- A call that was agreed is planned, unless it is in the CRM or has a note of its own by now.
known_days as (
    select
        account_id,
        call_type,
        scheduled_on as call_on
    from recorded
    union distinct
    select
        account_id,
        call_type,
        held_on as call_on
    from recorded
    union distinct
    select
        account_id,
        call_type,
        held_on as call_on
    from noted
),

planned as (
    select
        agreed.note_id || '_next' as touchpoint_id,
        agreed.account_id,
        agreed.call_type,
        agreed.agreed_on as created_on,
        agreed.next_call_on as scheduled_on,
        cast(null as date) as held_on,
        cast(null as date) as cancelled_on,
        'scheduled' as status,
        cast(null as bigint) as expected_attendee_count,
        cast(null as bigint) as attended_count,
        cast(null as boolean) as is_executive_present,
        cast(null as double) as sentiment,
        cast(null as date) as removed_on,
        agreed.first_extracted_on,
        agreed.note_id,
        false as is_in_crm
    from agreed
    left join known_days
        on
            agreed.account_id = known_days.account_id
            and agreed.call_type = known_days.call_type
            and agreed.next_call_on = known_days.call_on
    where known_days.account_id is null
),

final as (
    select * from recorded
    union all
    select * from noted
    union all
    select * from planned
)

select * from final
