-- Grain: account_id, as_of_date; days of the run with an override in force, the newest one.
with

overrides as (
    select * from {{ ref('stg_crm__health_overrides') }}
),

days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

final as (
    select
        overrides.account_id,
        days.as_of_date,
        overrides.override_id,
        overrides.health_score as override_score,
        overrides.health_zone as override_zone,
        overrides.reason as override_reason,
        overrides.author as override_author,
        overrides.expires_on as override_expires_on
    from overrides
    inner join days
        on
            overrides.starts_on <= days.as_of_date
            and overrides.expires_on > days.as_of_date
            and (overrides.removed_on is null or overrides.removed_on > days.as_of_date)
    qualify row_number() over (
        partition by overrides.account_id, days.as_of_date
        order by overrides.starts_on desc, overrides.override_id desc
    ) = 1
)

select * from final
