-- Grain: ticket_id; its latest live version, kept after a tombstone with `removed_on`.
{#- A long log that half a dozen models read: sorted out once. #}
{{- config(materialized="table") }}
with

latest as (
    {{ latest_live_version(source('raw_support', 'tickets'), 'ticket_id') }}
),

final as (
    select
        ticket_id,
        account_id,
        severity,
        opened_at,
        first_responded_at,
        resolved_at,
        escalated_at,
        reopened_at,
        status,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
