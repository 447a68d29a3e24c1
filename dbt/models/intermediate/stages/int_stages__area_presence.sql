-- Grain: account_id, solution_area, starts_on; stretches of the run in which the area is judged.
{#- An area is judged while a subscription is active and the account is a customer. Outside, it
    neither holds nor fails a stage: nothing of an absent product can be observed. #}
with

area_spans as (
    select * from {{ ref('int_core__area_spans') }}
),

customer_days as (
    select
        account_id,
        min(starts_on) as starts_on,
        max(ends_on) as ends_on
    from {{ ref('int_core__account_spans') }}
    group by account_id
),

final as (
    select
        area_spans.account_id,
        area_spans.solution_area,
        area_spans.seats_licensed,
        area_spans.arr_usd,
        area_spans.subscription_started_on,
        area_spans.go_live_on,
        greatest(area_spans.starts_on, customer_days.starts_on) as starts_on,
        least(area_spans.ends_on, customer_days.ends_on) as ends_on
    from area_spans
    inner join customer_days
        on
            area_spans.account_id = customer_days.account_id
            and area_spans.starts_on < customer_days.ends_on
            and area_spans.ends_on > customer_days.starts_on
)

select * from final
