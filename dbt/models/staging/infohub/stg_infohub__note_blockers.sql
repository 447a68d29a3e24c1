-- Grain: blocker_id; a blocker over all notes that state it.
{#- The newest note that names a blocker says whether it is resolved; of the rest the newest value
    given stands. #}
with

notes as (
    select * from {{ ref('stg_infohub__notes') }}
),

statements as (
    select
        blockers.blocker_id,
        notes.account_id,
        blockers.blocker_key,
        blockers.solution_area,
        blockers.category,
        blockers.description,
        coalesce(blockers.opened_on, notes.held_on) as opened_on,
        blockers.resolved_on,
        notes.first_extracted_on,
        row_number() over (
            partition by blockers.blocker_id
            order by notes.held_on, notes.note_id, blockers.position
        ) as statement_number
    from {{ source('raw_infohub', 'note_blockers') }} as blockers
    inner join notes on blockers.note_id = notes.note_id
),

newest as (
    select
        blocker_id,
        resolved_on
    from statements
    qualify row_number() over (partition by blocker_id order by statement_number desc) = 1
),

folded as (
    select
        blocker_id,
        account_id,
        max(blocker_key) as blocker_key,
        max_by(solution_area, statement_number) filter (where solution_area is not null)
            as solution_area,
        max_by(category, statement_number) filter (where category is not null) as category,
        max_by(description, statement_number) filter (where description is not null)
            as description,
        min(opened_on) as opened_on,
        min(first_extracted_on) as first_extracted_on
    from statements
    group by blocker_id, account_id
),

final as (
    select
        folded.blocker_id,
        folded.account_id,
        folded.blocker_key,
        folded.solution_area,
        folded.category,
        folded.description,
        folded.opened_on,
        case
            when newest.resolved_on is not null
                then greatest(newest.resolved_on, folded.opened_on)
        end as resolved_on,
        folded.first_extracted_on
    from folded
    inner join newest on folded.blocker_id = newest.blocker_id
)

select * from final
