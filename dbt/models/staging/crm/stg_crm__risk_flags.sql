-- Grain: risk_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'risk_flags'), 'risk_id') }}
),

final as (
    select
        risk_id,
        account_id,
        kind,
        severity,
        raised_on,
        cleared_on,
        pulse_score,
        note,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
