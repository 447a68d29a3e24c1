-- Grain: account_id, starts_on; days of the run over which nothing about the account changes.
with

accounts as (
    select * from {{ ref('stg_crm__accounts') }}
),

versions as (
    select * from {{ ref('stg_crm__account_versions') }}
),

area_spans as (
    select * from {{ ref('int_core__area_spans') }}
),

customers as (
    select
        account_id,
        customer_since_on,
        paused_from_on,
        paused_until_on,
        greatest(customer_since_on, {{ from_date() }}) as first_on,
        least(
            coalesce(churned_on, {{ as_of_date() }} + 1),
            coalesce(removed_on, {{ as_of_date() }} + 1),
            {{ as_of_date() }} + 1
        ) as past_on
    from accounts
),

-- Who the account was on a day: the version of that day, the first reaching back to the start.
-- An extract that lacked the account does not change who it was, only hides its undated state.
identities as (
    select
        *,
        case
            when is_first_version then cast('0001-01-01' as date) else valid_from_on
        end as from_on,
        coalesce(
            lead(valid_from_on) over (partition by account_id order by valid_from_on),
            {{ as_of_date() }} + 1
        ) as to_on
    from versions
),

changes as (
    select
        account_id,
        first_on as changed_on
    from customers
    union all
    select
        account_id,
        paused_from_on as changed_on
    from customers
    union all
    select
        account_id,
        paused_until_on + 1 as changed_on
    from customers
    union all
    select
        account_id,
        valid_from_on as changed_on
    from versions
    union all
    select
        account_id,
        valid_to_on as changed_on
    from versions
    union all
    select
        account_id,
        starts_on as changed_on
    from area_spans
    union all
    select
        account_id,
        ends_on as changed_on
    from area_spans
),

starts as (
    select distinct
        customers.account_id,
        customers.past_on,
        changes.changed_on as starts_on
    from customers
    inner join changes
        on
            customers.account_id = changes.account_id
            and customers.first_on <= changes.changed_on
            and customers.past_on > changes.changed_on
),

spans as (
    select
        account_id,
        starts_on,
        coalesce(
            lead(starts_on) over (partition by account_id order by starts_on), past_on
        ) as ends_on
    from starts
),

areas_of_spans as (
    select
        spans.account_id,
        spans.starts_on,
        sum(area_spans.seats_licensed) as seats_licensed,
        sum(area_spans.arr_usd) as arr_usd,
        min(area_spans.next_renewal_on) as next_renewal_on,
        count(*) as active_area_count
    from spans
    inner join area_spans
        on
            spans.account_id = area_spans.account_id
            and spans.starts_on >= area_spans.starts_on
            and spans.starts_on < area_spans.ends_on
    group by spans.account_id, spans.starts_on
),

known as (
    select
        spans.account_id,
        spans.starts_on,
        spans.ends_on,
        identities.account_name,
        identities.tier,
        identities.segment,
        identities.region,
        identities.industry,
        identities.owner_ca,
        identities.owner_sa,
        identities.owner_ae,
        identities.owner_ve,
        identities.owner_governance,
        identities.arr_usd,
        identities.is_at_risk,
        spans.starts_on >= identities.valid_from_on
        and (identities.valid_to_on is null or spans.starts_on < identities.valid_to_on)
            as is_state_known
    from spans
    inner join identities
        on
            spans.account_id = identities.account_id
            and spans.starts_on >= identities.from_on
            and spans.starts_on < identities.to_on
),

final as (
    select
        known.account_id,
        known.starts_on,
        known.ends_on,
        known.account_name,
        known.tier,
        known.segment,
        known.region,
        known.industry,
        known.owner_ca,
        known.owner_sa,
        known.owner_ae,
        known.owner_ve,
        known.owner_governance,
        areas_of_spans.next_renewal_on,
        customers.customer_since_on,
        cast(
            coalesce(
                areas_of_spans.arr_usd, case when known.is_state_known then known.arr_usd end
            ) as decimal(18, 2)
        ) as arr_usd,
        cast(areas_of_spans.seats_licensed as bigint) as seats_licensed,
        cast(coalesce(areas_of_spans.active_area_count, 0) as integer) as active_area_count,
        coalesce(
            customers.paused_from_on <= known.starts_on
            and coalesce(customers.paused_until_on >= known.starts_on, true),
            false
        ) as is_paused,
        case when known.is_state_known then known.is_at_risk end as is_at_risk_flagged
    from known
    inner join customers on known.account_id = customers.account_id
    left join areas_of_spans
        on
            known.account_id = areas_of_spans.account_id
            and known.starts_on = areas_of_spans.starts_on
)

select * from final
