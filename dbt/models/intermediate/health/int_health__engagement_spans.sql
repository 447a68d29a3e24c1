-- Grain: account_id, valid_from_on; calls and outreach as counted over trailing windows.
-- depends_on: {{ ref('health_definitions') }}
with

touchpoints as (
    select * from {{ ref('stg_crm__touchpoints') }}
),

outreach as (
    select
        *,
        cast(sent_at as date) as sent_on,
        cast(responded_at as date) as responded_on
    from {{ ref('stg_crm__outreach') }}
),

executive_calls as (
    select
        touchpoints.account_id,
        greatest(touchpoints.held_on, held.valid_from_on) as from_on,
        least(touchpoints.held_on + held.value, touchpoints.removed_on, held.valid_to_on) as to_on,
        1 as executive_call_count
    from touchpoints
    cross join {{ health_windows('executive_call_window_days') }} as held
    where touchpoints.is_executive_present and touchpoints.held_on is not null
),

felt as (
    select
        account_id,
        held_on,
        removed_on,
        {{ health_micro('sentiment') }} as sentiment_micro
    from touchpoints
    where
        sentiment is not null
        and held_on is not null
        and (removed_on is null or removed_on > held_on)
),

felt_calls as (
    select
        felt.account_id,
        greatest(felt.held_on, held.valid_from_on) as from_on,
        least(felt.held_on + held.value, felt.removed_on, held.valid_to_on) as to_on,
        felt.sentiment_micro,
        1 as sentiment_count
    from felt
    cross join {{ health_windows('sentiment_window_days') }} as held
),

felt_days as (
    select
        account_id,
        held_on as from_on,
        sum(sentiment_micro) as last_sentiment_micro,
        count(*) as last_sentiment_count
    from felt
    group by account_id, held_on
),

last_felt as (
    select
        account_id,
        from_on,
        lead(from_on) over (partition by account_id order by from_on) as to_on,
        last_sentiment_micro,
        last_sentiment_count,
        {{ health_day_number('from_on') }} as last_sentiment_day
    from felt_days
),

-- An outreach is decided by an answer in time, or by the end of that time; a window that the
-- policy changed counts on each day as it was then.
decided as (
    select
        outreach.account_id,
        outreach.removed_on,
        held.valid_from_on,
        held.valid_to_on,
        coalesce(outreach.responded_on <= outreach.sent_on + held.value, false) as is_answered,
        case
            when outreach.responded_on <= outreach.sent_on + held.value then outreach.responded_on
            else outreach.sent_on + held.value + 1
        end as decided_on
    from outreach
    cross join {{ health_windows('response_days') }} as held
),

decided_outreach as (
    select
        decided.account_id,
        greatest(decided.decided_on, decided.valid_from_on, held.valid_from_on) as from_on,
        least(
            decided.decided_on + held.value,
            decided.removed_on,
            decided.valid_to_on,
            held.valid_to_on
        ) as to_on,
        1 as outreach_decided_count,
        case when decided.is_answered then 1 else 0 end as outreach_answered_count
    from decided
    cross join {{ health_windows('outreach_window_days') }} as held
),

{{ health_spans({
    'executive_calls': ['executive_call_count'],
    'felt_calls': ['sentiment_micro', 'sentiment_count'],
    'last_felt': ['last_sentiment_micro', 'last_sentiment_count', 'last_sentiment_day'],
    'decided_outreach': ['outreach_decided_count', 'outreach_answered_count'],
}) }},

final as (
    select * from spans
)

select * from final
