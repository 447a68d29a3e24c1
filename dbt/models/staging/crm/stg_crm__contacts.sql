-- Grain: contact_id; its latest live version, kept after a tombstone with `removed_on`.
with

latest as (
    {{ latest_live_version(source('raw_crm', 'contacts'), 'contact_id') }}
),

final as (
    select
        contact_id,
        account_id,
        contact_name,
        email,
        role,
        is_active,
        created_on,
        departed_on,
        removed_on,
        first_extracted_on
    from latest
)

select * from final
