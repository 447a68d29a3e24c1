-- Grain: account_id, valid_from_on; who at the customer is active, and the last pulse.
with

roles as (
    {{ health_dated(ref('health_contact_roles'), 'role', ['is_champion', 'is_sponsor']) }}
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

versions as (
    select * from {{ ref('stg_crm__contact_versions') }}
),

pulses as (
    select * from {{ ref('stg_crm__risk_flags') }}
    where kind = 'csm_pulse'
),

-- Before its first extract a dated contact is there from its creation; whether it was active is
-- known from the extract on. A departure is dated and ends all of it.
presence as (
    select
        contacts.account_id,
        versions.role,
        contacts.created_on as from_on,
        least(versions.valid_from_on, contacts.departed_on) as to_on,
        true as is_active
    from versions
    inner join contacts on versions.contact_id = contacts.contact_id
    where versions.is_first_version and contacts.created_on is not null
    union all
    select
        contacts.account_id,
        versions.role,
        greatest(versions.valid_from_on, contacts.created_on) as from_on,
        least(versions.valid_to_on, contacts.departed_on) as to_on,
        versions.is_active
    from versions
    inner join contacts on versions.contact_id = contacts.contact_id
),

known as (
    select
        account_id,
        min(from_on) as from_on,
        cast(null as date) as to_on,
        1 as contacts_known
    from presence
    group by account_id
),

active as (
    select
        account_id,
        role,
        from_on,
        coalesce(to_on, {{ as_of_date() }} + 1) as to_on
    from presence
    where is_active and (to_on is null or to_on > from_on)
),

-- Overlapping people of one role are one presence of the role.
marked as (
    select
        *,
        case
            when from_on <= max(to_on) over (
                partition by account_id, role order by from_on, to_on
                rows between unbounded preceding and 1 preceding
            ) then 0
            else 1
        end as starts_island
    from active
),

numbered as (
    select
        *,
        sum(starts_island) over (
            partition by account_id, role order by from_on, to_on
            rows between unbounded preceding and current row
        ) as island
    from marked
),

role_presence as (
    select
        account_id,
        role,
        min(from_on) as from_on,
        max(to_on) as to_on,
        1 as active_role_count
    from numbered
    group by account_id, role, island
),

-- What a role stands for can change by policy while a person holds it.
standing as (
    select
        role_presence.account_id,
        greatest(role_presence.from_on, roles.valid_from_on) as from_on,
        least(role_presence.to_on, roles.valid_to_on) as to_on,
        case when roles.is_champion then 1 else 0 end as champion_role_count,
        case when roles.is_sponsor then 1 else 0 end as sponsor_role_count
    from role_presence
    inner join roles on role_presence.role = roles.role
    where roles.is_champion or roles.is_sponsor
),

last_pulse as (
    select
        account_id,
        raised_on as from_on,
        least(
            lead(raised_on) over (partition by account_id order by raised_on, risk_id),
            removed_on,
            cleared_on
        ) as to_on,
        pulse_score as last_pulse_score,
        {{ health_day_number('raised_on') }} as last_pulse_day,
        1 as has_pulse
    from pulses
    where pulse_score is not null
),

{{ health_spans({
    'known': ['contacts_known'],
    'role_presence': ['active_role_count'],
    'standing': ['champion_role_count', 'sponsor_role_count'],
    'last_pulse': ['last_pulse_score', 'last_pulse_day', 'has_pulse'],
}) }},

final as (
    select * from spans
)

select * from final
