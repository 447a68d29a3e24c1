-- grain: one row per account_id, spell and the day from which this state of it was known
{{ config(schema='intermediate', materialized='table') }}

with

definitions as (
    select
        metric_id,
        cast(window_days as integer) as window_days
    from {{ ref('metric_definitions') }}
    where metric_id = 'time_to_green'
),

policy as (
    select cast(value as integer) as green_confirm_days from {{ ref('metric_policy') }}
    where parameter = 'green_confirm_days'
),

at_risk_zones as (
    select health_zone from {{ ref('cadence_at_risk_zones') }}
),

best_zone as (
    select min_by(health_zone, zone_rank) as health_zone from {{ ref('health_zones') }}
),

history as (
    select min(as_of_date) as first_on from {{ ref('int_metrics__zone_changes') }}
),

zone_intervals as (
    select
        *,
        as_of_date as from_on,
        lead(as_of_date) over (partition by account_id order by as_of_date) as to_on
    from {{ ref('int_metrics__zone_changes') }}
),

-- A green run is a recovery once it lasted long enough. One that broke earlier is part of the spell
-- around it; one that has only begun may become one, on the day that confirms it.
marked as (
    select
        zone_intervals.account_id,
        zone_intervals.tier,
        zone_intervals.region,
        zone_intervals.owner_ca,
        zone_intervals.from_on,
        zone_intervals.to_on,
        zone_intervals.health_zone = 'absent' as is_absent,
        at_risk_zones.health_zone is not null as is_at_risk,
        best_zone.health_zone is not null
        and coalesce(
            {{ days_between('zone_intervals.from_on', 'zone_intervals.to_on') }}
            >= policy.green_confirm_days,
            true
        ) as is_recovery
    from zone_intervals
    cross join policy
    left join at_risk_zones on zone_intervals.health_zone = at_risk_zones.health_zone
    left join best_zone on zone_intervals.health_zone = best_zone.health_zone
),

numbered as (
    select
        *,
        sum(case when is_recovery then 1 else 0 end) over (
            partition by account_id
            order by from_on
            rows between unbounded preceding and current row
        ) as recovery_number
    from marked
),

-- Everything at risk between two recoveries is one spell; `from_on` of the entry is its first day.
entries as (
    select
        account_id,
        recovery_number,
        tier,
        region,
        owner_ca,
        from_on as started_on
    from numbered
    where is_at_risk
    qualify row_number() over (
        partition by account_id, recovery_number order by from_on
    ) = 1
),

recoveries as (
    select
        account_id,
        recovery_number,
        from_on
    from numbered
    where is_recovery
),

spells as (
    select
        definitions.metric_id,
        entries.account_id,
        entries.recovery_number,
        entries.tier,
        entries.region,
        entries.owner_ca,
        entries.started_on,
        entries.started_on = history.first_on as is_excluded,
        recoveries.from_on as ended_on,
        recoveries.from_on + policy.green_confirm_days - 1 as known_on
    from entries
    cross join definitions
    cross join policy
    cross join history
    left join recoveries
        on
            entries.account_id = recoveries.account_id
            and entries.recovery_number + 1 = recoveries.recovery_number
    where entries.started_on > {{ from_date() }} - definitions.window_days
),

-- What was known of the spell changes where the account leaves, and where it comes back.
states as (
    select
        account_id,
        recovery_number,
        started_on as shown_from_on,
        cast(null as date) as left_on
    from spells
    union all
    select
        spells.account_id,
        spells.recovery_number,
        numbered.from_on as shown_from_on,
        numbered.from_on as left_on
    from spells
    inner join numbered
        on spells.account_id = numbered.account_id and spells.started_on < numbered.from_on
    where numbered.is_absent
    union all
    select
        spells.account_id,
        spells.recovery_number,
        numbered.to_on as shown_from_on,
        cast(null as date) as left_on
    from spells
    inner join numbered
        on spells.account_id = numbered.account_id and spells.started_on < numbered.from_on
    where numbered.is_absent and numbered.to_on is not null
),

final as (
    select
        spells.metric_id,
        spells.account_id,
        spells.tier,
        spells.region,
        spells.owner_ca as owner,
        cast(null as varchar) as solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version,
        spells.is_excluded,
        spells.started_on,
        spells.ended_on,
        spells.known_on,
        states.shown_from_on,
        lead(states.shown_from_on) over (
            partition by spells.account_id, spells.started_on order by states.shown_from_on
        ) as shown_until_on,
        states.left_on
    from spells
    inner join states
        on
            spells.account_id = states.account_id
            and spells.recovery_number = states.recovery_number
)

select * from final
