-- Grain: blocker_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'adoption_blockers'), 'blocker_id') }}
),

final as (
    select
        blocker_id,
        account_id,
        solution_area,
        category,
        opened_on,
        resolved_on,
        description,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
