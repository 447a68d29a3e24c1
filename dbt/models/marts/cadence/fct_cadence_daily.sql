-- Grain: account_id, call_type, as_of_date; days on which the account is a customer.
{{ config(materialized='view') }}
{%- set rated = cadence_call_types('rate') %}

with

schedule_days as (
    select * from {{ ref('fct_cadence_schedule_daily') }}
),

policy as (
    select * from {{ ref('cadence_policy') }}
),

feed as (
    select has_touchpoint_feed from {{ ref('dim_cadence_feed') }}
),

typed_days as (
    {% for type in cadence_call_types() %}
        select
            account_id,
            '{{ type }}' as call_type,
            as_of_date,
            tier,
            health_zone,
            state,
            is_at_risk,
            {{ type ~ '__micro_calls' if type in rated else 'cast(null as bigint)' }}
                as micro_calls,
            {{ type }}__met as met_count,
            {{ type }}__missed as missed_count,
            {{ type }}__streak as streak,
            {{ type }}__attended as attended_count,
            {{ type }}__expected as expected_count,
            {{ type }}__held_early as held_early_count,
            {{ type }}__next_due_on as next_due_on
        from schedule_days
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
),

final as (
    select
        cast(typed_days.account_id as varchar) as account_id,
        cast(typed_days.call_type as varchar) as call_type,
        cast(typed_days.as_of_date as date) as as_of_date,
        cast(typed_days.tier as varchar) as tier,
        cast(typed_days.health_zone as varchar) as bending_zone,
        cast(typed_days.state as varchar) as account_state,
        cast(
            typed_days.micro_calls / cast({{ cadence_micro_calls() }} as double) as double
        ) as calls_per_day,
        cast(
            case
                when feed.has_touchpoint_feed
                    then
                        cast(typed_days.met_count as double)
                        / nullif(typed_days.met_count + typed_days.missed_count, 0)
            end as double
        ) as adherence_ratio,
        cast(
            cast(typed_days.attended_count as double)
            / nullif(typed_days.expected_count, 0) as double
        ) as attendance_ratio,
        cast(
            case when feed.has_touchpoint_feed then typed_days.met_count end as integer
        ) as met_count,
        cast(
            case when feed.has_touchpoint_feed then typed_days.missed_count end as integer
        ) as missed_count,
        cast(
            case when feed.has_touchpoint_feed then typed_days.streak end as integer
        ) as consecutive_missed_count,
        cast(typed_days.is_at_risk as boolean) as is_at_risk,
        cast(
            coalesce(
                typed_days.next_due_on - policy.due_lead_days <= typed_days.as_of_date
                and typed_days.held_early_count = 0
                and feed.has_touchpoint_feed,
                false
            ) as boolean
        ) as is_call_due,
        cast(typed_days.held_early_count > 0 as boolean) as is_held_early,
        cast(
            coalesce(
                cast(typed_days.attended_count as double)
                / nullif(typed_days.expected_count, 0)
                < policy.attendance_floor_ratio,
                false
            ) as boolean
        ) as is_attendance_low,
        cast(typed_days.next_due_on as date) as next_due_on
    from typed_days
    cross join policy
    cross join feed
)

select * from final
