-- Grain: objective_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'success_objectives'), 'objective_id') }}
),

final as (
    select
        objective_id,
        account_id,
        solution_area,
        objective_name,
        created_on,
        due_on,
        baseline_value,
        target_value,
        current_value,
        measured_on,
        met_on,
        planned_value_usd,
        realised_value_usd,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
