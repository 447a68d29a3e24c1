-- Grain: account_id, call_type, as_of_date; days on which the rate of calls in force changes.
{#- The tier's rate times the multiplier of the zone of the day before; in an at-risk zone, or when
    CRM flags the account, at least the rate of the at-risk row. #}
{{ daily_config() }}

with

account_spans as (
    select * from {{ ref('int_core__account_spans') }}
),

zone_spans as (
    select * from {{ ref('int_cadence__zone_spans') }}
),

call_types as (
    select * from {{ ref('call_types') }}
    where slot_kind = 'rate'
),

intervals as (
    select * from {{ ref('int_cadence__intervals') }}
),

at_risk_zones as (
    select * from {{ ref('cadence_at_risk_zones') }}
),

multipliers as (
    select
        health_zone,
        cast(engagement_multiplier as double) as multiplier,
        case
            when effective_from = min(effective_from) over (partition by health_zone)
                then cast('0001-01-01' as date)
            else effective_from
        end as starts_on,
        coalesce(
            lead(effective_from) over (partition by health_zone order by effective_from),
            cast('9999-12-31' as date)
        ) as ends_on
    from {{ ref('zone_multipliers') }}
),

zoned_spans as (
    select
        account_spans.account_id,
        account_spans.tier,
        account_spans.is_paused,
        account_spans.customer_since_on,
        zone_spans.health_zone,
        coalesce(account_spans.is_at_risk_flagged, false)
        or at_risk_zones.health_zone is not null as is_at_risk,
        greatest(account_spans.starts_on, zone_spans.starts_on) as starts_on,
        least(account_spans.ends_on, zone_spans.ends_on) as ends_on
    from account_spans
    inner join zone_spans
        on
            account_spans.account_id = zone_spans.account_id
            and account_spans.starts_on < zone_spans.ends_on
            and account_spans.ends_on > zone_spans.starts_on
    left join at_risk_zones on zone_spans.health_zone = at_risk_zones.health_zone
),

bent_spans as (
    select
        zoned_spans.account_id,
        zoned_spans.tier,
        zoned_spans.is_paused,
        zoned_spans.customer_since_on,
        zoned_spans.health_zone,
        zoned_spans.is_at_risk,
        coalesce(multipliers.multiplier, 1) as multiplier,
        greatest(
            zoned_spans.starts_on, coalesce(multipliers.starts_on, zoned_spans.starts_on)
        ) as starts_on,
        least(zoned_spans.ends_on, coalesce(multipliers.ends_on, zoned_spans.ends_on)) as ends_on
    from zoned_spans
    left join multipliers
        on
            zoned_spans.health_zone = multipliers.health_zone
            and zoned_spans.starts_on < multipliers.ends_on
            and zoned_spans.ends_on > multipliers.starts_on
),

rates as (
    select
        bent_spans.*,
        call_types.call_type,
        tier_intervals.daily_micro_calls as tier_micro_calls,
        case
            when bent_spans.is_at_risk
                then
                    least(
                        tier_intervals.interval_days / bent_spans.multiplier,
                        coalesce(
                            risk_intervals.interval_days,
                            tier_intervals.interval_days / bent_spans.multiplier
                        )
                    )
            else tier_intervals.interval_days / bent_spans.multiplier
        end as interval_days,
        greatest(
            least(
                ceil(
                    {{ cadence_micro_calls() }} * bent_spans.multiplier
                    / tier_intervals.interval_days
                ),
                {{ cadence_micro_calls() }}
            ),
            case
                when bent_spans.is_at_risk then coalesce(risk_intervals.daily_micro_calls, 0)
                else 0
            end
        ) as bent_micro_calls
    from bent_spans
    cross join call_types
    left join intervals as tier_intervals
        on
            bent_spans.tier = tier_intervals.tier
            and call_types.call_type = tier_intervals.call_type
    left join intervals as risk_intervals
        on
            risk_intervals.tier = 'at_risk'
            and call_types.call_type = risk_intervals.call_type
),

segments as (
    select
        account_id,
        call_type,
        starts_on,
        ends_on,
        tier,
        health_zone,
        is_at_risk,
        customer_since_on,
        interval_days,
        case when is_paused then 'paused' else 'active' end as state,
        case when is_paused then 0 else coalesce(bent_micro_calls, 0) end as daily_micro_calls,
        coalesce(tier_micro_calls, 0) as tier_micro_calls
    from rates
),

{{ cadence_rate_rows() }},

final as (
    select
        account_id,
        call_type,
        as_of_date,
        tier,
        health_zone,
        is_at_risk,
        state,
        interval_days,
        daily_micro_calls,
        accrued_micro_calls,
        first_opened_on
    from rate_rows
    where not is_stored
)

select * from final
