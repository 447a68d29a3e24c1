-- Grain: account_id, solution_area, as_of_date; days on which a subscription is active.
with

spans as (
    select * from {{ ref('int_core__area_spans') }}
),

days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

final as (
    select
        spans.account_id,
        spans.solution_area,
        days.as_of_date,
        spans.seats_licensed,
        spans.arr_usd,
        spans.subscription_started_on,
        spans.go_live_on,
        cast({{ days_between('spans.go_live_on', 'days.as_of_date') }} as integer)
            as days_since_go_live
    from spans
    inner join days
        on spans.starts_on <= days.as_of_date and spans.ends_on > days.as_of_date
)

select * from final
