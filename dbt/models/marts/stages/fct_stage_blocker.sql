-- Grain: blocker_id; adoption blockers opened by the run's last day, with their age on it.
with

blockers as (
    select * from {{ ref('stg_crm__adoption_blockers') }}
    where
        opened_on <= {{ as_of_date() }}
        and coalesce(removed_on > opened_on, true)
),

accounts as (
    select account_id from {{ ref('stg_crm__accounts') }}
),

categories as (
    select * from {{ ref('blocker_categories') }}
),

-- A blocker that left the extracts is closed without a resolution.
dated as (
    select
        *,
        case when resolved_on <= {{ as_of_date() }} then resolved_on end as known_resolved_on,
        case
            when
                removed_on <= {{ as_of_date() }}
                and coalesce(resolved_on > removed_on, true)
                then removed_on
        end as dropped_on
    from blockers
),

aged as (
    select
        *,
        {{ days_between(
            'opened_on', 'coalesce(known_resolved_on, dropped_on, ' ~ as_of_date() ~ ')'
        ) }} as age_days,
        case
            when known_resolved_on is not null and dropped_on is null then 'resolved'
            when dropped_on is not null then 'dropped'
            else 'open'
        end as status
    from dated
),

final as (
    select
        cast(aged.blocker_id as varchar) as blocker_id,
        cast(aged.account_id as varchar) as account_id,
        cast(aged.solution_area as varchar) as solution_area,
        cast({{ as_of_date() }} as date) as as_of_date,
        cast(aged.category as varchar) as category,
        cast(aged.status as varchar) as status,
        cast(aged.description as varchar) as description,
        cast(aged.age_days as integer) as age_days,
        cast(aged.status = 'open' as boolean) as is_open,
        cast(
            coalesce(aged.status = 'open' and aged.age_days >= categories.aged_after_days, false)
            as boolean
        ) as is_aged,
        cast(aged.opened_on as date) as opened_on,
        cast(aged.known_resolved_on as date) as resolved_on
    from aged
    inner join accounts on aged.account_id = accounts.account_id
    left join categories on aged.category = categories.category
)

select * from final
