-- Grain: account_id, valid_from_on; invoices, renewals and open opportunities.
-- depends_on: {{ ref('health_definitions') }}
with

invoices as (
    select * from {{ ref('stg_crm__invoices') }}
),

subscriptions as (
    select * from {{ ref('stg_crm__subscriptions') }}
),

opportunities as (
    select * from {{ ref('stg_crm__opportunities') }}
),

opportunity_versions as (
    select * from {{ ref('stg_crm__opportunity_versions') }}
),

invoiced as (
    select
        account_id,
        issued_on as from_on,
        removed_on as to_on,
        1 as invoice_count
    from invoices
),

unpaid as (
    select
        account_id,
        invoice_id,
        due_on,
        greatest(due_on + 1, issued_on) as overdue_on,
        least(paid_on, removed_on) as ended_on
    from invoices
    where due_on is not null and (paid_on is null or paid_on > due_on)
),

-- The oldest overdue invoice: each is it from the end of all that fell due before it.
oldest_overdue as (
    select
        account_id,
        greatest(
            overdue_on,
            max(coalesce(ended_on, {{ as_of_date() }} + 1)) over (
                partition by account_id order by due_on, invoice_id
                rows between unbounded preceding and 1 preceding
            )
        ) as from_on,
        ended_on as to_on,
        {{ health_day_number('due_on') }} as oldest_due_day,
        1 as has_overdue
    from unpaid
),

subscribed as (
    select
        account_id,
        started_on as from_on,
        removed_on as to_on,
        1 as subscription_count
    from subscriptions
),

renewed as (
    select
        subscriptions.account_id,
        subscriptions.started_on,
        sum(cast(round(subscriptions.arr_usd * 100) as bigint)) as renewed_cents,
        sum(cast(round(previous.arr_usd * 100) as bigint)) as before_cents
    from subscriptions
    inner join subscriptions as previous
        on
            subscriptions.previous_subscription_id = previous.subscription_id
            and subscriptions.account_id = previous.account_id
    where subscriptions.removed_on is null
    group by subscriptions.account_id, subscriptions.started_on
),

last_renewal as (
    select
        account_id,
        started_on as from_on,
        lead(started_on) over (partition by account_id order by started_on) as to_on,
        renewed_cents,
        before_cents,
        {{ health_day_number('started_on') }} as last_renewal_day
    from renewed
    where before_cents > 0
),

-- Stage and probability are known from the first extract on, as each extract told them.
told as (
    select
        opportunities.account_id,
        opportunities.kind,
        opportunity_versions.probability_ratio,
        opportunity_versions.amount_usd,
        greatest(opportunities.created_on, opportunity_versions.valid_from_on) as from_on,
        least(
            opportunities.closed_on, opportunities.removed_on, opportunity_versions.valid_to_on
        ) as to_on
    from opportunity_versions
    inner join opportunities
        on opportunity_versions.opportunity_id = opportunities.opportunity_id
),

first_told as (
    select
        account_id,
        min(from_on) as from_on,
        cast(null as date) as to_on,
        1 as opportunities_known
    from told
    group by account_id
),

open_renewals as (
    select
        account_id,
        from_on,
        to_on,
        {{ health_micro('probability_ratio') }} as renewal_probability_micro,
        1 as renewal_opportunity_count
    from told
    where kind = 'renewal' and probability_ratio is not null
),

closed_renewals as (
    select
        opportunities.account_id,
        greatest(opportunities.closed_on, held.valid_from_on) as from_on,
        least(
            opportunities.closed_on + held.value, opportunities.removed_on, held.valid_to_on
        ) as to_on,
        case when opportunities.is_won then 1000000 else 0 end as closed_probability_micro,
        1 as closed_renewal_count
    from opportunities
    cross join {{ health_windows('renewal_window_days') }} as held
    where
        opportunities.kind = 'renewal'
        and opportunities.closed_on is not null
        and opportunities.is_won is not null
),

open_expansions as (
    select
        account_id,
        from_on,
        to_on,
        cast(round(probability_ratio * amount_usd * 100) as bigint) as expansion_cents
    from told
    where kind = 'expansion' and probability_ratio is not null and amount_usd is not null
),

{{ health_spans({
    'invoiced': ['invoice_count'],
    'oldest_overdue': ['oldest_due_day', 'has_overdue'],
    'subscribed': ['subscription_count'],
    'last_renewal': ['renewed_cents', 'before_cents', 'last_renewal_day'],
    'first_told': ['opportunities_known'],
    'open_renewals': ['renewal_probability_micro', 'renewal_opportunity_count'],
    'closed_renewals': ['closed_probability_micro', 'closed_renewal_count'],
    'open_expansions': ['expansion_cents'],
}) }},

final as (
    select * from spans
)

select * from final
