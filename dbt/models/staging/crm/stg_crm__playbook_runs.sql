-- Grain: action_id, event, step_id, occurred_on.
with

accepted as (
    select * from {{ source('raw_crm', 'playbook_runs') }}
),

final as (
    select
        {{ surrogate_key(['action_id', 'event', 'step_id', 'occurred_on']) }} as playbook_run_key,
        action_id,
        event,
        occurred_on,
        step_id,
        reason,
        outcome,
        actor,
        cast(null as date) as removed_on,
        _extracted_on as first_extracted_on
    from accepted
    where
        _extracted_on <= {{ as_of_date() }}
        and occurred_on <= {{ as_of_date() }}
)

select * from final
