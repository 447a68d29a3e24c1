-- Grain: account_id, call_type, slot_number; slots opened by the run's last day.
with

slots as (
    select
        account_id,
        call_type,
        slot_number,
        status,
        met_touchpoint_id,
        tier,
        interval_days,
        opened_on,
        due_on,
        grace_ends_on,
        met_on,
        decided_on
    from {{ ref('int_cadence__bent_slots') }}
    union all
    select
        account_id,
        call_type,
        slot_number,
        status,
        met_touchpoint_id,
        tier,
        interval_days,
        opened_on,
        due_on,
        grace_ends_on,
        met_on,
        decided_on
    from {{ ref('int_cadence__renewal_slots') }}
),

calls as (
    select * from {{ ref('int_cadence__calls') }}
),

final as (
    select
        cast(slots.account_id as varchar) as account_id,
        cast(slots.call_type as varchar) as call_type,
        cast(slots.slot_number as bigint) as slot_number,
        cast(slots.status as varchar) as status,
        cast(slots.met_touchpoint_id as varchar) as met_touchpoint_id,
        cast(slots.tier as varchar) as tier,
        cast(slots.interval_days as double) as interval_days,
        cast(calls.expected_attendee_count as bigint) as expected_attendee_count,
        cast(calls.attended_count as bigint) as attended_count,
        cast(calls.is_executive_present as boolean) as is_executive_present,
        cast(slots.opened_on as date) as opened_on,
        cast(slots.due_on as date) as due_on,
        cast(slots.grace_ends_on as date) as grace_ends_on,
        cast(slots.met_on as date) as met_on,
        cast(slots.decided_on as date) as decided_on
    from slots
    left join calls on slots.met_touchpoint_id = calls.touchpoint_id
    where slots.opened_on <= {{ as_of_date() }}
)

select * from final
