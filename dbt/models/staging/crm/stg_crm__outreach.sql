-- Grain: outreach_id; its latest live version, kept after a tombstone with `removed_on`.
{#- A long log that half a dozen models read: sorted out once. #}
{{- config(materialized="table") }}
with

latest as (
    {{ latest_live_version(source('raw_crm', 'outreach'), 'outreach_id') }}
),

final as (
    select
        outreach_id,
        account_id,
        contact_id,
        channel,
        sent_at,
        responded_at,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
