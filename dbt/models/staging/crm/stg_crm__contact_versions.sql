-- Grain: contact_id, valid_from_on; a version; none where the key was gone.
with

versions as (
    {{ live_versions(source('raw_crm', 'contacts'), 'contact_id') }}
),

final as (
    select
        contact_id,
        account_id,
        contact_name,
        email,
        role,
        is_active,
        valid_from_on,
        valid_to_on,
        is_first_version
    from versions
)

select * from final
