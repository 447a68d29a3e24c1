-- grain: one row per metric_id, as_of_date, dimension, dimension_value
{{ daily_config() }}

with

{{ metric_context_ctes('mtr_engagement') }},

slots as (
    select * from {{ ref('fct_cadence_slot') }}
),

call_types as (
    select * from {{ ref('call_types') }}
),

feed as (
    select has_touchpoint_feed from {{ ref('dim_cadence_feed') }}
),

outreach as (
    select * from {{ ref('stg_crm__outreach') }}
),

account_days as (
    select
        account_id,
        as_of_date,
        tier,
        region,
        owner_ca as owner
    from {{ ref('fct_account_health_daily') }}
    where
        as_of_date
        between {{ window_start('(select cast(max(window_days) as integer) from definitions)') }}
        and {{ as_of_date() }}
),

-- A slot is attributed to the account as it stood on the day the slot was decided. Where no calls
-- are delivered at all, none can be missed.
decided_slots as (
    select
        slots.call_type,
        slots.status,
        slots.decided_on,
        cast(call_types.adherence_window_days as integer) as adherence_window_days,
        account_days.tier,
        account_days.region,
        account_days.owner
    from slots
    inner join call_types on slots.call_type = call_types.call_type
    inner join account_days
        on
            slots.account_id = account_days.account_id
            and slots.decided_on = account_days.as_of_date
    cross join feed
    where slots.status in ('met', 'missed') and feed.has_touchpoint_feed
),

cadence_intervals as (
    select
        'cadence_adherence' as metric_id,
        tier,
        region,
        owner,
        decided_on as counted_from_on,
        decided_on + adherence_window_days as counted_until_on,
        case when status = 'met' then 1 else 0 end as numerator,
        1 as denominator,
        case when status = 'missed' then 1 else 0 end as at_risk_count,
        0 as excluded_count
    from decided_slots
),

executive_intervals as (
    select
        definitions.metric_id,
        decided_slots.tier,
        decided_slots.region,
        decided_slots.owner,
        decided_slots.decided_on as counted_from_on,
        decided_slots.decided_on + cast(definitions.window_days as integer) as counted_until_on,
        case when decided_slots.status = 'met' then 1 else 0 end as numerator,
        1 as denominator,
        case when decided_slots.status = 'missed' then 1 else 0 end as at_risk_count,
        0 as excluded_count
    from decided_slots
    inner join definitions on definitions.metric_id = 'executive_engagement'
    where decided_slots.call_type = 'executive_review'
),

sent_outreach as (
    select
        definitions.metric_id,
        account_days.tier,
        account_days.region,
        account_days.owner,
        cast(outreach.sent_at as date) as sent_on,
        cast(outreach.responded_at as date) as responded_on,
        cast(outreach.sent_at as date) + policy.response_days + 1 as response_missed_on,
        coalesce(
            outreach.responded_at
            <= outreach.sent_at + policy.response_days * interval '1' day,
            false
        ) as is_answered_in_time,
        least(
            cast(outreach.sent_at as date) + cast(definitions.window_days as integer),
            coalesce(
                outreach.removed_on,
                cast(outreach.sent_at as date) + cast(definitions.window_days as integer)
            )
        ) as counted_until_on
    from outreach
    inner join account_days
        on
            outreach.account_id = account_days.account_id
            and cast(outreach.sent_at as date) = account_days.as_of_date
    inner join definitions on definitions.metric_id = 'response_rate'
    cross join policy
),

response_intervals as (
    select
        metric_id,
        tier,
        region,
        owner,
        sent_on as counted_from_on,
        counted_until_on,
        0 as numerator,
        1 as denominator,
        0 as at_risk_count,
        0 as excluded_count
    from sent_outreach
    union all
    select
        metric_id,
        tier,
        region,
        owner,
        responded_on as counted_from_on,
        counted_until_on,
        1 as numerator,
        0 as denominator,
        0 as at_risk_count,
        0 as excluded_count
    from sent_outreach
    where is_answered_in_time
    union all
    select
        metric_id,
        tier,
        region,
        owner,
        response_missed_on as counted_from_on,
        counted_until_on,
        0 as numerator,
        0 as denominator,
        1 as at_risk_count,
        0 as excluded_count
    from sent_outreach
    where not is_answered_in_time
),

intervals as (
    select
        *,
        cast(null as varchar) as solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version
    from cadence_intervals
    union all
    select
        *,
        cast(null as varchar) as solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version
    from executive_intervals
    union all
    select
        *,
        cast(null as varchar) as solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version
    from response_intervals
),

{{ metric_count_ctes() }},

measured as (
    select
        counts.metric_id,
        counts.as_of_date,
        counts.dimension,
        counts.dimension_value,
        counts.numerator / nullif(counts.denominator, 0) as value,
        cast(null as double) as lower_bound,
        counts.numerator,
        counts.denominator,
        counts.at_risk_count,
        counts.excluded_count,
        case
            when counts.metric_id <> 'response_rate' and not feed.has_touchpoint_feed
                then 'no calls are delivered, so none can be judged'
        end as reason
    from counts
    cross join feed
),

final as (
    {{ metric_judged() }}
)

select * from final
