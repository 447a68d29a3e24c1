-- Grain: blocker_id; its latest live version, kept after a tombstone with `removed_on`.
{#- Meeting notes state blockers, too. Where a note names a blocker of the CRM by its id, it fills
    in what the CRM leaves open. #}
with

latest as (
    {{ latest_live_version(source('raw_crm', 'adoption_blockers'), 'blocker_id') }}
),

note_blockers as (
    select * from {{ ref('stg_infohub__note_blockers') }}
),

final as (
    select
        latest.blocker_id,
        latest.account_id,
        latest.solution_area,
        latest.category,
        latest.opened_on,
        coalesce(
            latest.resolved_on,
            case
                when note_blockers.resolved_on is not null
                    then greatest(note_blockers.resolved_on, latest.opened_on)
            end
        ) as resolved_on,
        coalesce(latest.description, note_blockers.description) as description,
        latest.removed_on,
        latest.first_extracted_on
    from latest
    left join note_blockers
        on
            latest.blocker_id = note_blockers.blocker_key
            and latest.account_id = note_blockers.account_id
    union all
    select
        note_blockers.blocker_id,
        note_blockers.account_id,
        note_blockers.solution_area,
        note_blockers.category,
        note_blockers.opened_on,
        note_blockers.resolved_on,
        note_blockers.description,
        cast(null as date) as removed_on,
        note_blockers.first_extracted_on
    from note_blockers
    left join latest
        on
            note_blockers.blocker_key = latest.blocker_id
            and note_blockers.account_id = latest.account_id
    -- A note may close what no note and no extract has opened: that is no blocker.
    where
        latest.blocker_id is null
        and note_blockers.category is not null
        and note_blockers.solution_area is not null
)

select * from final
