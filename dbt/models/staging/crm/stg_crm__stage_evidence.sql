-- Grain: evidence_id; its latest live version, kept after a tombstone with `removed_on`.
{#- What meeting notes confirm stands beside what the CRM says. #}
with

latest as (
    {{ latest_live_version(source('raw_crm', 'stage_evidence'), 'evidence_id') }}
),

note_evidence as (
    select * from {{ source('raw_infohub', 'note_evidence') }}
),

notes as (
    select * from {{ ref('stg_infohub__notes') }}
),

final as (
    select
        evidence_id,
        account_id,
        solution_area,
        criterion_id,
        confirmed_on,
        confirmed_by,
        revoked_on,
        removed_on,
        first_extracted_on
    from latest
    union all
    select
        note_evidence.evidence_id,
        notes.account_id,
        note_evidence.solution_area,
        note_evidence.criterion_id,
        coalesce(note_evidence.confirmed_on, notes.held_on) as confirmed_on,
        note_evidence.confirmed_by,
        note_evidence.revoked_on,
        cast(null as date) as removed_on,
        notes.first_extracted_on
    from note_evidence
    inner join notes on note_evidence.note_id = notes.note_id
)

select * from final
