-- Grain: one row; whether calls are recorded anywhere at all.
{#- Without a feed of touchpoints nothing is known about calls: no slot is missed for want of
    data. Meeting notes are no feed: who writes none may still have called. #}
with

touchpoints as (
    select count(*) as touchpoint_count
    from {{ ref('stg_crm__touchpoints') }}
    where coalesce(is_in_crm, true)
),

files as (
    select count(*) as file_count
    from {{ source('pipeline', 'files') }}
    where
        source = 'crm'
        and table_name = 'touchpoints'
        and status = 'accepted'
        and extracted_on <= {{ as_of_date() }}
),

final as (
    select
        cast(
            touchpoints.touchpoint_count > 0 or files.file_count > 0 as boolean
        ) as has_touchpoint_feed
    from touchpoints
    cross join files
)

select * from final
