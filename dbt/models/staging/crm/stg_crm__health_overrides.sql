-- Grain: override_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'health_overrides'), 'override_id') }}
),

final as (
    select
        override_id,
        account_id,
        health_score,
        health_zone,
        reason,
        author,
        starts_on,
        expires_on,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
