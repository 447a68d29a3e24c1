-- Grain: account_id; every account that has started by the run's day, churned ones too.
with

accounts as (
    select * from {{ ref('stg_crm__accounts') }}
),

today as (
    select * from {{ ref('int_core__account_spans') }}
    where starts_on <= {{ as_of_date() }} and ends_on > {{ as_of_date() }}
),

final as (
    select
        cast(accounts.account_id as varchar) as account_id,
        cast(accounts.account_name as varchar) as account_name,
        cast(accounts.tier as varchar) as tier,
        cast(accounts.segment as varchar) as segment,
        cast(accounts.region as varchar) as region,
        cast(accounts.industry as varchar) as industry,
        cast(accounts.owner_ca as varchar) as owner_ca,
        cast(accounts.owner_sa as varchar) as owner_sa,
        cast(accounts.owner_ae as varchar) as owner_ae,
        cast(accounts.owner_ve as varchar) as owner_ve,
        cast(accounts.owner_governance as varchar) as owner_governance,
        cast(accounts.realm as varchar) as realm,
        cast(accounts.node as varchar) as node,
        -- An account that is no customer today has no revenue, whatever its last extract says.
        cast(
            case when today.account_id is null then 0 else today.arr_usd end as decimal(18, 2)
        ) as arr_usd,
        cast(accounts.customer_since_on as date) as customer_since_on,
        cast(
            case when accounts.churned_on <= {{ as_of_date() }} then accounts.churned_on end
            as date
        ) as churned_on,
        cast(accounts.removed_on as date) as removed_on,
        cast(today.next_renewal_on as date) as next_renewal_on
    from accounts
    left join today on accounts.account_id = today.account_id
    where accounts.customer_since_on <= {{ as_of_date() }}
)

select * from final
