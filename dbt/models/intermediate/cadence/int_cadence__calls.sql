-- Grain: touchpoint_id; calls of planned types that were held by the run's last day.
{#- A call that CRM deletes later stays: the slot it met was met while it stood there. One deleted
    by the day it was held was never seen. #}
with

touchpoints as (
    select * from {{ ref('stg_crm__touchpoints') }}
),

call_types as (
    select * from {{ ref('call_types') }}
),

final as (
    select
        touchpoints.touchpoint_id,
        touchpoints.account_id,
        touchpoints.call_type,
        touchpoints.expected_attendee_count,
        touchpoints.attended_count,
        touchpoints.is_executive_present,
        touchpoints.held_on
    from touchpoints
    inner join call_types on touchpoints.call_type = call_types.call_type
    where
        touchpoints.held_on <= {{ as_of_date() }}
        and coalesce(touchpoints.removed_on > touchpoints.held_on, true)
)

select * from final
