-- Grain: account_id, as_of_date; days of the run on which the account is a customer.
with

spans as (
    select * from {{ ref('int_core__account_spans') }}
),

days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

final as (
    select
        spans.account_id,
        days.as_of_date,
        spans.account_name,
        spans.tier,
        spans.segment,
        spans.region,
        spans.industry,
        spans.owner_ca,
        spans.owner_sa,
        spans.owner_ae,
        spans.owner_ve,
        spans.owner_governance,
        spans.arr_usd,
        spans.seats_licensed,
        spans.active_area_count,
        cast({{ days_between('days.as_of_date', 'spans.next_renewal_on') }} as integer)
            as days_to_renewal,
        cast({{ days_between('spans.customer_since_on', 'days.as_of_date') }} as integer)
            as tenure_days,
        spans.is_paused,
        spans.is_at_risk_flagged,
        spans.next_renewal_on,
        spans.customer_since_on
    from spans
    inner join days
        on spans.starts_on <= days.as_of_date and spans.ends_on > days.as_of_date
)

select * from final
