-- Grain: evidence_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'stage_evidence'), 'evidence_id') }}
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
)

select * from final
