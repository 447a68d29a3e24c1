-- Grain: override_id; every decision of a person on a score or zone, and how it stands on the run's
-- last day.
-- depends_on: {{ ref('health_definitions') }}
with

overrides as (
    select * from {{ ref('stg_crm__health_overrides') }}
),

in_force as (
    select override_id from {{ ref('int_health__override_days') }}
    where as_of_date = {{ as_of_date() }}
),

final as (
    select
        cast(overrides.override_id as varchar) as override_id,
        cast(overrides.account_id as varchar) as account_id,
        cast(
            case
                when overrides.removed_on <= {{ as_of_date() }} then 'withdrawn'
                when overrides.expires_on <= {{ as_of_date() }} then 'expired'
                when overrides.starts_on > {{ as_of_date() }} then 'planned'
                when in_force.override_id is null then 'superseded'
                when
                    {{ days_between(as_of_date(), 'overrides.expires_on') }}
                    <= {{ health_definition_on('override_notice_days', as_of_date()) }}
                    then 'expiring'
                else 'in_force'
            end as varchar
        ) as state,
        cast(overrides.health_zone as varchar) as health_zone,
        cast(overrides.reason as varchar) as reason,
        cast(overrides.author as varchar) as author,
        cast(overrides.health_score as double) as health_score,
        cast(
            {{ days_between(as_of_date(), 'overrides.expires_on') }} as integer
        ) as days_to_expiry,
        cast(overrides.starts_on as date) as starts_on,
        cast(overrides.expires_on as date) as expires_on
    from overrides
    left join in_force on overrides.override_id = in_force.override_id
)

select * from final
