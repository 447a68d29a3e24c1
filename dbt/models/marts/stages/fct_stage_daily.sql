-- Grain: account_id, solution_area, as_of_date; days on which a subscription to the area is active.
{{ daily_config() }}

with

policy as (
    select * from {{ ref('stage_policy') }}
),

stages as (
    select
        stage,
        stage_rank,
        stage_rank = max(stage_rank) over () as is_last
    from {{ ref('stages') }}
),

presence as (
    select * from {{ ref('int_stages__area_presence') }}
),

transitions as (
    select * from {{ ref('fct_stage_transition') }}
),

points as (
    select * from {{ ref('int_stages__stage_points') }}
),

days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

-- Before its first transition an area has not started, since its subscription or since the first
-- day that was ever computed, whichever is later: earlier days were not observed.
first_computed as (
    {% if is_incremental() %}
        select least(min(as_of_date), {{ from_date() }}) as first_on from {{ this }}
    {% else %}
        select {{ from_date() }} as first_on
    {% endif %}
),

stage_starts as (
    select
        presence.account_id,
        presence.solution_area,
        0 as stage_rank,
        greatest(min(presence.subscription_started_on), max(first_computed.first_on))
            as entered_on,
        cast('0001-01-01' as date) as starts_on
    from presence
    cross join first_computed
    group by presence.account_id, presence.solution_area
    union all
    select
        account_id,
        solution_area,
        to_stage_rank as stage_rank,
        occurred_on as entered_on,
        occurred_on as starts_on
    from transitions
),

stage_spans as (
    select
        account_id,
        solution_area,
        stage_rank,
        entered_on,
        starts_on,
        coalesce(
            lead(starts_on) over (
                partition by account_id, solution_area order by starts_on
            ),
            {{ as_of_date() }} + 1
        ) as ends_on,
        max(stage_rank) over (
            partition by account_id, solution_area
            order by starts_on
            rows between unbounded preceding and current row
        ) as highest_rank
    from stage_starts
),

staged_presence as (
    select
        presence.account_id,
        presence.solution_area,
        presence.arr_usd,
        presence.go_live_on,
        stage_spans.stage_rank,
        stage_spans.highest_rank,
        stage_spans.entered_on,
        greatest(presence.starts_on, stage_spans.starts_on) as starts_on,
        least(presence.ends_on, stage_spans.ends_on) as ends_on
    from presence
    inner join stage_spans
        on
            presence.account_id = stage_spans.account_id
            and presence.solution_area = stage_spans.solution_area
            and presence.starts_on < stage_spans.ends_on
            and presence.ends_on > stage_spans.starts_on
),

-- The last stage has no next one, and an area without criteria for the next stage has no counts.
counted as (
    select
        staged_presence.account_id,
        staged_presence.solution_area,
        staged_presence.arr_usd,
        staged_presence.go_live_on,
        staged_presence.stage_rank,
        staged_presence.highest_rank,
        staged_presence.entered_on,
        points.met_weight,
        points.total_weight,
        points.met_count,
        points.total_count,
        coalesce(greatest(staged_presence.starts_on, points.starts_on), staged_presence.starts_on)
            as starts_on,
        coalesce(least(staged_presence.ends_on, points.ends_on), staged_presence.ends_on)
            as ends_on
    from staged_presence
    left join points
        on
            staged_presence.account_id = points.account_id
            and staged_presence.solution_area = points.solution_area
            and staged_presence.stage_rank + 1 = points.stage_rank
            and staged_presence.starts_on < points.ends_on
            and staged_presence.ends_on > points.starts_on
),

final as (
    select
        cast(counted.account_id as varchar) as account_id,
        cast(counted.solution_area as varchar) as solution_area,
        cast(days.as_of_date as date) as as_of_date,
        cast(stages.stage as varchar) as stage,
        cast(counted.stage_rank as integer) as stage_rank,
        cast(next_stages.stage as varchar) as next_stage,
        cast(counted.arr_usd as decimal(18, 2)) as arr_usd,
        cast(
            cast(counted.met_weight as double) / nullif(counted.total_weight, 0) as double
        ) as readiness_ratio,
        cast(counted.met_count as integer) as criteria_met_count,
        cast(counted.total_count - counted.met_count as integer) as criteria_pending_count,
        cast({{ days_between('counted.entered_on', 'days.as_of_date') }} as integer)
            as stage_age_days,
        cast(
            not stages.is_last
            and {{ days_between('counted.entered_on', 'days.as_of_date') }}
            >= policy.stalled_days
            as boolean
        ) as is_stalled,
        cast(counted.stage_rank < counted.highest_rank as boolean) as is_regressed,
        cast(counted.entered_on as date) as stage_entered_on,
        cast(counted.go_live_on as date) as go_live_on
    from counted
    inner join days on counted.starts_on <= days.as_of_date and counted.ends_on > days.as_of_date
    inner join stages on counted.stage_rank = stages.stage_rank
    left join stages as next_stages on counted.stage_rank + 1 = next_stages.stage_rank
    cross join policy
)

select * from final
