-- Grain: action_item_id; an action item, as the newest note that carries it says.
with

notes as (
    select * from {{ ref('stg_infohub__notes') }}
),

statements as (
    select
        items.action_item_id,
        notes.account_id,
        notes.note_id,
        notes.call_type,
        items.item_text,
        items.owner,
        items.due_on,
        items.is_done,
        items.done_on,
        items.position,
        notes.held_on,
        notes.updated_on
    from {{ source('raw_infohub', 'note_actions') }} as items
    inner join notes on items.note_id = notes.note_id
),

openings as (
    select
        action_item_id,
        min(held_on) as opened_on
    from statements
    group by action_item_id
),

-- A tick has no date of its own: without one it counts from the day the note was last changed, or
-- else from its call.
final as (
    select
        statements.action_item_id,
        statements.account_id,
        statements.note_id,
        statements.call_type,
        statements.item_text,
        statements.owner,
        openings.opened_on,
        statements.due_on,
        case
            when statements.is_done
                then
                    greatest(
                        coalesce(statements.done_on, statements.updated_on, statements.held_on),
                        openings.opened_on
                    )
        end as done_on
    from statements
    inner join openings on statements.action_item_id = openings.action_item_id
    qualify row_number() over (
        partition by statements.action_item_id
        order by statements.held_on desc, statements.note_id desc, statements.position desc
    ) = 1
)

select * from final
