{# A call is a million micro-calls. A day accrues a whole number of them, rounded up, so that seven
   days of a weekly rhythm always make one call, and sums are exact in any order and range. #}
{% macro cadence_micro_calls() -%}1000000{%- endmacro %}

{# Call types of the seed `call_types` in their order, read from its table while a model is
   compiled: the wide daily table has columns named after each. `kind` is `rate` or `renewal`; none
   means both. A model that calls it stands behind that seed, itself or by another model. #}
{% macro cadence_call_types(kind=none) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set query -%}
            select call_type from policy.call_types
            {{ "where slot_kind = '" ~ kind ~ "'" if kind }}
            order by call_order, call_type
        {%- endset -%}
        {%- for row in run_query(query).rows -%}
            {%- if not modules.re.fullmatch('[a-z][a-z0-9]*(_[a-z0-9]+)*', row[0]) -%}
                {{ exceptions.raise_compiler_error(
                    "call type '" ~ row[0] ~ "' can be no column: use a-z, 0-9 and _") }}
            {%- endif -%}
            {%- set _ = found.append(row[0]) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# One row per whole number from `first` to `last`, both included; none when last < first. #}
{% macro cadence_spread(first, last) -%}
    {{ return(adapter.dispatch('cadence_spread', 'csp')(first, last)) }}
{%- endmacro %}

{% macro default__cadence_spread(first, last) -%}
    explode(filter(sequence(least({{ first }}, {{ last }}), {{ last }}), n -> n >= {{ first }}))
{%- endmacro %}

{% macro duckdb__cadence_spread(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }}))
{%- endmacro %}

{# First day on which `accrued` micro-calls, gaining `rate` a day from `day` on, reach whole call
   number `number`. Quotients are far below 2^53, so the division is exact where it must be. #}
{% macro cadence_reached_on(day, accrued, rate, number) -%}
    {{ day }}
    + cast(
        ceil(({{ number }} * {{ cadence_micro_calls() }} - {{ accrued }}) / cast({{ rate }} as double))
        as integer
    ) - 1
{%- endmacro %}

{# Whole calls in `accrued` micro-calls. #}
{% macro cadence_whole_calls(accrued) -%}
    cast(floor(({{ accrued }}) / cast({{ cadence_micro_calls() }} as double)) as bigint)
{%- endmacro %}

{# CTEs that turn `segments` into the rows to store: days on which the rate of an account changes,
   with what was accrued before them. `segments` must have account_id, call_type, starts_on,
   ends_on, tier, health_zone, is_at_risk, state, interval_days, daily_micro_calls,
   tier_micro_calls, customer_since_on, and cover every day of the run on which the account is a
   customer. The newest stored row carries the accrual into the run. Ends in the CTE `rate_rows`. #}
{% macro cadence_rate_rows() -%}
stored as (
    {% if is_incremental() %}
        select * from {{ this }}
        where as_of_date < {{ from_date() }}
        qualify row_number() over (
            partition by account_id, call_type order by as_of_date desc
        ) = 1
    {% else %}
        select
            cast(null as varchar) as account_id,
            cast(null as varchar) as call_type,
            cast(null as date) as as_of_date,
            cast(null as varchar) as tier,
            cast(null as varchar) as health_zone,
            cast(null as boolean) as is_at_risk,
            cast(null as varchar) as state,
            cast(null as double) as interval_days,
            cast(null as bigint) as daily_micro_calls,
            cast(null as bigint) as accrued_micro_calls,
            cast(null as date) as first_opened_on
        where false
    {% endif %}
),

customer_ends as (
    select
        account_id,
        call_type,
        min(starts_on) as starts_on,
        max(ends_on) as ends_on
    from segments
    group by account_id, call_type
),

steps as (
    select
        account_id,
        call_type,
        starts_on as as_of_date,
        tier,
        health_zone,
        is_at_risk,
        state,
        interval_days,
        daily_micro_calls,
        false as is_stored
    from segments
    union all
    select
        account_id,
        call_type,
        ends_on as as_of_date,
        cast(null as varchar) as tier,
        cast(null as varchar) as health_zone,
        false as is_at_risk,
        'inactive' as state,
        cast(null as double) as interval_days,
        0 as daily_micro_calls,
        false as is_stored
    from customer_ends
    where ends_on <= {{ as_of_date() }}
    union all
    -- Who was a customer on the day before the run and is none on its first day has left.
    select
        stored.account_id,
        stored.call_type,
        {{ from_date() }} as as_of_date,
        cast(null as varchar) as tier,
        cast(null as varchar) as health_zone,
        false as is_at_risk,
        'inactive' as state,
        cast(null as double) as interval_days,
        0 as daily_micro_calls,
        false as is_stored
    from stored
    left join customer_ends
        on
            stored.account_id = customer_ends.account_id
            and stored.call_type = customer_ends.call_type
            and customer_ends.starts_on = {{ from_date() }}
    where customer_ends.account_id is null
    union all
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
        true as is_stored
    from stored
),

previous_steps as (
    select
        *,
        lag(as_of_date) over schedule as previous_on,
        lag(tier) over schedule as previous_tier,
        lag(health_zone) over schedule as previous_zone,
        lag(is_at_risk) over schedule as was_at_risk,
        lag(state) over schedule as previous_state,
        lag(interval_days) over schedule as previous_interval_days,
        lag(daily_micro_calls) over schedule as previous_micro_calls
    from steps
    window schedule as (partition by account_id, call_type order by as_of_date)
),

-- All call types of an account change together, so that one day's rates can be read side by side.
changed_steps as (
    select *
    from previous_steps
    qualify bool_or(
        previous_on is null
        or tier is distinct from previous_tier
        or health_zone is distinct from previous_zone
        or is_at_risk is distinct from was_at_risk
        or state is distinct from previous_state
        or interval_days is distinct from previous_interval_days
        or daily_micro_calls is distinct from previous_micro_calls
    ) over (partition by account_id, as_of_date)
),

-- An account older than the history begins where a steady tier rhythm would have brought it.
beginnings as (
    select
        segments.account_id,
        segments.call_type,
        segments.starts_on,
        segments.tier_micro_calls
        * (
            {{ days_between('segments.customer_since_on', 'segments.starts_on') }}
            - case
                when accounts.paused_from_on < segments.starts_on
                    then
                        greatest(
                            0,
                            {{ days_between(
                                'greatest(accounts.paused_from_on, segments.customer_since_on)',
                                'least(coalesce(accounts.paused_until_on + 1, segments.starts_on),'
                                ~ ' segments.starts_on)',
                            ) }}
                        )
                else 0
            end
        ) as accrued_micro_calls,
        segments.tier_micro_calls
    from segments
    inner join customer_ends
        on
            segments.account_id = customer_ends.account_id
            and segments.call_type = customer_ends.call_type
            and segments.starts_on = customer_ends.starts_on
    inner join {{ ref('stg_crm__accounts') }} as accounts
        on segments.account_id = accounts.account_id
    left join stored
        on
            segments.account_id = stored.account_id
            and segments.call_type = stored.call_type
    where stored.account_id is null
),

accrued_steps as (
    select
        *,
        lag(as_of_date) over schedule as accrued_from_on,
        lag(daily_micro_calls) over schedule as accrued_daily
    from changed_steps
    window schedule as (partition by account_id, call_type order by as_of_date)
),

accruals as (
    select
        *,
        coalesce(
            accrued_daily * {{ days_between('accrued_from_on', 'as_of_date') }}, 0
        ) as gained_micro_calls
    from accrued_steps
),

rate_rows as (
    select
        accruals.account_id,
        accruals.call_type,
        accruals.as_of_date,
        accruals.tier,
        accruals.health_zone,
        accruals.is_at_risk,
        accruals.state,
        cast(accruals.interval_days as double) as interval_days,
        cast(accruals.daily_micro_calls as bigint) as daily_micro_calls,
        cast(
            coalesce(stored.accrued_micro_calls, beginnings.accrued_micro_calls, 0)
            + sum(accruals.gained_micro_calls) over (
                partition by accruals.account_id, accruals.call_type
                order by accruals.as_of_date
                rows between unbounded preceding and current row
            ) as bigint
        ) as accrued_micro_calls,
        cast(
            coalesce(
                stored.first_opened_on,
                beginnings.starts_on - cast(
                    floor(
                        (
                            beginnings.accrued_micro_calls
                            - {{ cadence_whole_calls('beginnings.accrued_micro_calls') }}
                            * {{ cadence_micro_calls() }}
                        ) / cast(nullif(beginnings.tier_micro_calls, 0) as double)
                    ) as integer
                ),
                beginnings.starts_on
            ) as date
        ) as first_opened_on,
        accruals.is_stored
    from accruals
    left join stored
        on
            accruals.account_id = stored.account_id
            and accruals.call_type = stored.call_type
    left join beginnings
        on
            accruals.account_id = beginnings.account_id
            and accruals.call_type = beginnings.call_type
)
{%- endmacro %}

{# CTEs that let calls meet slots, greedily and in order: a slot takes the earliest call in its
   window that no earlier slot took. `slots` must have account_id, call_type, slot_number
   (consecutive), opened_on and match_until_on (both never falling from slot to slot); `calls`
   account_id, call_type, touchpoint_id, held_on. Ends in the CTE `matches`: the slots that are met,
   with met_on and met_touchpoint_id.

   Calls are numbered per account and type. A slot's window holds the calls low..high. With g the
   highest call number taken so far, a slot takes c = max(g + 1, low) if c <= high; g then is
   min(high, c), which is harmless where the slot stays unmet: everything up to high is taken or too
   early for every later slot. So g - k is clamped, slot by slot, between low - k and high - k, and
   a run of clamps has the closed form
       g(k) - k = max over j <= k of min(low(j) - j, min over i in j..k of (high(i) - i)).
   A slot whose low cannot be touched by an earlier slot starts a new chain; chains are a few slots
   long, because each link needs a call within a grace. Later calls change no earlier decision. #}
{% macro cadence_matches() -%}
numbered_calls as (
    select
        account_id,
        call_type,
        touchpoint_id,
        held_on,
        row_number() over (
            partition by account_id, call_type order by held_on, touchpoint_id
        ) as call_number
    from calls
),

call_counts as (
    select
        account_id,
        call_type,
        slot_number,
        mark,
        count(touchpoint_id) over (
            partition by account_id, call_type
            order by marked_on, mark, slot_number, touchpoint_id
            rows between unbounded preceding and current row
        ) as call_count
    from (
        select
            account_id,
            call_type,
            slot_number,
            opened_on as marked_on,
            0 as mark,
            cast(null as varchar) as touchpoint_id
        from slots
        union all
        select
            account_id,
            call_type,
            0 as slot_number,
            held_on as marked_on,
            1 as mark,
            touchpoint_id
        from calls
        union all
        select
            account_id,
            call_type,
            slot_number,
            match_until_on as marked_on,
            2 as mark,
            cast(null as varchar) as touchpoint_id
        from slots
    ) as marks
),

slot_windows as (
    select
        account_id,
        call_type,
        slot_number,
        1 + max(case when mark = 0 then call_count end) as low_call,
        max(case when mark = 2 then call_count end) as high_call
    from call_counts
    where mark <> 1
    group by account_id, call_type, slot_number
),

links as (
    select
        *,
        low_call > lag(high_call) over schedule
        or low_call - slot_number >= max(low_call - slot_number) over (
            partition by account_id, call_type
            order by slot_number
            rows between unbounded preceding and 1 preceding
        ) as is_chain_start
    from slot_windows
    window schedule as (partition by account_id, call_type order by slot_number)
),

chains as (
    select
        *,
        sum(case when coalesce(is_chain_start, true) then 1 else 0 end) over (
            partition by account_id, call_type
            order by slot_number
            rows between unbounded preceding and current row
        ) as chain_number
    from links
),

chain_pairs as (
    select
        later.account_id,
        later.call_type,
        later.slot_number,
        earlier.low_call - earlier.slot_number as lower_clamp,
        min(earlier.high_call - earlier.slot_number) over (
            partition by later.account_id, later.call_type, later.slot_number
            order by earlier.slot_number desc
            rows between unbounded preceding and current row
        ) as upper_clamp
    from chains as later
    inner join chains as earlier
        on
            later.account_id = earlier.account_id
            and later.call_type = earlier.call_type
            and later.chain_number = earlier.chain_number
            and later.slot_number >= earlier.slot_number
),

taken as (
    select
        account_id,
        call_type,
        slot_number,
        max(least(lower_clamp, upper_clamp)) + slot_number as taken_call
    from chain_pairs
    group by account_id, call_type, slot_number
),

candidates as (
    select
        chains.account_id,
        chains.call_type,
        chains.slot_number,
        chains.high_call,
        greatest(
            chains.low_call,
            coalesce(
                lag(taken.taken_call) over (
                    partition by chains.account_id, chains.call_type, chains.chain_number
                    order by chains.slot_number
                ) + 1,
                chains.low_call
            )
        ) as call_number
    from chains
    inner join taken
        on
            chains.account_id = taken.account_id
            and chains.call_type = taken.call_type
            and chains.slot_number = taken.slot_number
),

matches as (
    select
        candidates.account_id,
        candidates.call_type,
        candidates.slot_number,
        numbered_calls.touchpoint_id as met_touchpoint_id,
        numbered_calls.held_on as met_on
    from candidates
    inner join numbered_calls
        on
            candidates.account_id = numbered_calls.account_id
            and candidates.call_type = numbered_calls.call_type
            and candidates.call_number = numbered_calls.call_number
    where candidates.call_number <= candidates.high_call
)
{%- endmacro %}

{# The whole slot model over a table of rate changes. Slots whose grace ended before the run are
   kept: `as_of_date` is the day by which any slot closed on its due date is settled, the due date
   plus the longest grace. The others are drawn and matched again from the calls no kept slot took. #}
{% macro cadence_slots(rate_changes) -%}
with

grace as (
    select * from {{ ref('cadence_grace') }}
),

longest_grace as (
    select cast(max(grace_days) as integer) as grace_days from grace
),

feed as (
    select has_touchpoint_feed from {{ ref('dim_cadence_feed') }}
),

kept as (
    {% if is_incremental() %}
        select
            account_id,
            call_type,
            max(slot_number) as slot_number,
            max(due_on) as due_on,
            max(grace_limit_on) as grace_limit_on
        from {{ this }}
        where as_of_date < {{ from_date() }}
        group by account_id, call_type
    {% else %}
        select
            cast(null as varchar) as account_id,
            cast(null as varchar) as call_type,
            cast(null as bigint) as slot_number,
            cast(null as date) as due_on,
            cast(null as date) as grace_limit_on
        where false
    {% endif %}
),

kept_calls as (
    {% if is_incremental() %}
        select met_touchpoint_id from {{ this }}
        where as_of_date < {{ from_date() }} and met_touchpoint_id is not null
    {% else %}
        select cast(null as varchar) as met_touchpoint_id where false
    {% endif %}
),

spans as (
    select
        *,
        coalesce(
            lead(as_of_date) over (
                partition by account_id, call_type order by as_of_date
            ),
            {{ as_of_date() }} + 1
        ) as ends_on
    from {{ rate_changes }}
    where as_of_date <= {{ as_of_date() }}
),

accrued_spans as (
    select
        spans.*,
        spans.accrued_micro_calls
        + spans.daily_micro_calls * {{ days_between('spans.as_of_date', 'spans.ends_on') }}
            as ends_with_micro_calls
    from spans
    cross join longest_grace
    where spans.ends_on + longest_grace.grace_days >= {{ from_date() }}
),

closed as (
    select
        accrued_spans.account_id,
        accrued_spans.call_type,
        accrued_spans.as_of_date,
        accrued_spans.accrued_micro_calls,
        accrued_spans.daily_micro_calls,
        accrued_spans.tier,
        accrued_spans.interval_days,
        accrued_spans.state,
        true as is_closed,
        accrued_spans.first_opened_on,
        {{ cadence_spread(
            'greatest(' ~ cadence_whole_calls('accrued_spans.accrued_micro_calls') ~ ', '
            ~ 'coalesce(kept.slot_number, 0)) + 1',
            cadence_whole_calls('accrued_spans.ends_with_micro_calls'),
        ) }} as slot_number
    from accrued_spans
    left join kept
        on
            accrued_spans.account_id = kept.account_id
            and accrued_spans.call_type = kept.call_type
    where accrued_spans.daily_micro_calls > 0
),

in_progress as (
    select
        account_id,
        call_type,
        as_of_date,
        accrued_micro_calls,
        daily_micro_calls,
        tier,
        interval_days,
        state,
        false as is_closed,
        first_opened_on,
        {{ cadence_whole_calls('ends_with_micro_calls') }} + 1 as slot_number
    from accrued_spans
    where ends_on = {{ as_of_date() }} + 1 and state <> 'inactive'
),

numbered as (
    select * from closed
    union all
    select * from in_progress
),

dated as (
    select
        numbered.account_id,
        numbered.call_type,
        numbered.slot_number,
        numbered.tier,
        numbered.interval_days,
        numbered.state,
        numbered.is_closed,
        numbered.first_opened_on,
        grace.grace_days,
        case
            when numbered.daily_micro_calls > 0
                then
                    {{ cadence_reached_on(
                        'numbered.as_of_date', 'numbered.accrued_micro_calls',
                        'numbered.daily_micro_calls', 'numbered.slot_number',
                    ) }}
        end as due_on
    from numbered
    left join grace
        on
            numbered.interval_days >= grace.interval_from_days
            and (
                grace.interval_to_days is null
                or numbered.interval_days < grace.interval_to_days
            )
),

-- A slot's grace never ends before an earlier slot's, also where the rhythm has tightened.
opened as (
    select
        dated.account_id,
        dated.call_type,
        dated.slot_number,
        dated.tier,
        dated.interval_days,
        dated.state,
        dated.is_closed,
        dated.due_on,
        coalesce(
            lag(dated.due_on) over schedule + 1, kept.due_on + 1, dated.first_opened_on
        ) as opened_on,
        greatest(
            max(dated.due_on + coalesce(dated.grace_days, 0)) over schedule,
            coalesce(kept.grace_limit_on, cast('0001-01-01' as date))
        ) as grace_limit_on
    from dated
    left join kept
        on dated.account_id = kept.account_id and dated.call_type = kept.call_type
    window schedule as (
        partition by dated.account_id, dated.call_type
        order by dated.slot_number
    )
),

-- A pause or a departure within the grace ends it: the slot is not applicable unless met before.
interruptions as (
    select
        opened.account_id,
        opened.call_type,
        opened.slot_number,
        min(spans.as_of_date) as interrupted_on
    from opened
    inner join spans
        on
            opened.account_id = spans.account_id
            and opened.call_type = spans.call_type
            and opened.due_on < spans.as_of_date
            and opened.grace_limit_on >= spans.as_of_date
    where opened.is_closed and spans.daily_micro_calls = 0
    group by opened.account_id, opened.call_type, opened.slot_number
),

slots as (
    select
        opened.*,
        interruptions.interrupted_on,
        case
            when opened.due_on is not null
                then
                    least(
                        opened.grace_limit_on,
                        coalesce(interruptions.interrupted_on - 1, opened.grace_limit_on)
                    )
        end as grace_ends_on,
        case
            when opened.is_closed
                then
                    least(
                        opened.grace_limit_on,
                        coalesce(interruptions.interrupted_on - 1, opened.grace_limit_on)
                    )
            else greatest({{ as_of_date() }}, opened.opened_on)
        end as match_until_on
    from opened
    left join interruptions
        on
            opened.account_id = interruptions.account_id
            and opened.call_type = interruptions.call_type
            and opened.slot_number = interruptions.slot_number
),

first_slots as (
    select
        account_id,
        call_type,
        min(opened_on) as opened_on
    from slots
    group by account_id, call_type
),

calls as (
    select
        held_calls.account_id,
        held_calls.call_type,
        held_calls.touchpoint_id,
        held_calls.held_on
    from {{ ref('int_cadence__calls') }} as held_calls
    inner join first_slots
        on
            held_calls.account_id = first_slots.account_id
            and held_calls.call_type = first_slots.call_type
            and held_calls.held_on >= first_slots.opened_on
    left join kept_calls on held_calls.touchpoint_id = kept_calls.met_touchpoint_id
    where kept_calls.met_touchpoint_id is null
),
{%- endmacro %}

{# The end of a slot model: what became of every slot, as of the run's last day. Ends in `final`. #}
{% macro cadence_slot_statuses() -%}
judged as (
    select
        slots.account_id,
        slots.call_type,
        slots.slot_number,
        slots.tier,
        slots.interval_days,
        slots.is_closed,
        slots.opened_on,
        slots.due_on,
        slots.grace_limit_on,
        slots.grace_ends_on,
        slots.interrupted_on,
        longest_grace.grace_days as longest_grace_days,
        feed.has_touchpoint_feed,
        case when feed.has_touchpoint_feed then matches.met_on end as met_on,
        case when feed.has_touchpoint_feed then matches.met_touchpoint_id end
            as met_touchpoint_id,
        case
            when not feed.has_touchpoint_feed then 'not_applicable'
            when matches.met_on is not null then 'met'
            when slots.due_on is null then 'not_applicable'
            when slots.interrupted_on is not null then 'not_applicable'
            when not slots.is_closed then 'open'
            when slots.grace_ends_on < {{ as_of_date() }} then 'missed'
            else 'open'
        end as status
    from slots
    cross join longest_grace
    cross join feed
    left join matches
        on
            slots.account_id = matches.account_id
            and slots.call_type = matches.call_type
            and slots.slot_number = matches.slot_number
),

final as (
    select
        account_id,
        call_type,
        cast(slot_number as bigint) as slot_number,
        case
            when is_closed then due_on + longest_grace_days
            else {{ as_of_date() }} + 1 + longest_grace_days
        end as as_of_date,
        status,
        met_touchpoint_id,
        tier,
        interval_days,
        is_closed,
        opened_on,
        due_on,
        grace_limit_on,
        grace_ends_on,
        met_on,
        case
            when not has_touchpoint_feed then cast(null as date)
            when status = 'met' and due_on is not null then greatest(met_on, due_on)
            when status = 'missed' then grace_ends_on + 1
            when status = 'not_applicable' then interrupted_on
        end as decided_on
    from judged
)
{%- endmacro %}
