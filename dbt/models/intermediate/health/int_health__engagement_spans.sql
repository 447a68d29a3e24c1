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
        account_id,
        held_on as from_on,
        least(held_on + {{ health_definition('executive_call_window_days') }}, removed_on) as to_on,
        1 as executive_call_count
    from touchpoints
    where is_executive_present and held_on is not null
),

felt_calls as (
    select
        account_id,
        held_on as from_on,
        least(held_on + {{ health_definition('sentiment_window_days') }}, removed_on) as to_on,
        {{ health_micro('sentiment') }} as sentiment_micro,
        1 as sentiment_count
    from touchpoints
    where sentiment is not null and held_on is not null
),

felt_days as (
    select
        account_id,
        from_on,
        sum(sentiment_micro) as last_sentiment_micro,
        sum(sentiment_count) as last_sentiment_count,
        max(to_on) as window_to_on
    from felt_calls
    where to_on > from_on
    group by account_id, from_on
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

-- An outreach is decided by an answer in time, or by the end of that time.
decided as (
    select
        account_id,
        removed_on,
        coalesce(
            responded_on <= sent_on + {{ health_definition('response_days') }}, false
        ) as is_answered,
        case
            when responded_on <= sent_on + {{ health_definition('response_days') }}
                then responded_on
            else sent_on + {{ health_definition('response_days') }} + 1
        end as decided_on
    from outreach
),

decided_outreach as (
    select
        account_id,
        decided_on as from_on,
        least(decided_on + {{ health_definition('outreach_window_days') }}, removed_on) as to_on,
        1 as outreach_decided_count,
        case when is_answered then 1 else 0 end as outreach_answered_count
    from decided
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
