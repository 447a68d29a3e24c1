-- Grain: account_id, solution_area, stage_rank, as_of_date; days on which a run or a latch changes.
{#- A latch per stage is set on the last day of a run of promotion_days that hold, and reset on the
    last day of a run of demotion_days that fail. Days without the area end a run and count for
    neither. Nothing is stored before the first day that holds. The newest row before the run
    carries the run in progress and the latch, so a day and two years are the same statement. #}
{{ daily_config() }}

with

policy as (
    select * from {{ ref('stage_policy') }}
),

points as (
    select
        account_id,
        solution_area,
        stage_rank,
        starts_on,
        case
            when not is_present then 'absent'
            when is_reached then 'holds'
            else 'fails'
        end as run_state
    from {{ ref('int_stages__stage_points') }}
),

first_points as (
    select * from points
    where starts_on = {{ from_date() }}
),

stored as (
    {% if is_incremental() %}
        select
            account_id,
            solution_area,
            stage_rank,
            max_by(run_state, as_of_date) as run_state,
            max_by(run_started_on, as_of_date) as run_started_on,
            max_by(is_latched, as_of_date) as is_latched
        from {{ this }}
        where as_of_date < {{ from_date() }}
        group by account_id, solution_area, stage_rank
    {% else %}
        select
            cast(null as varchar) as account_id,
            cast(null as varchar) as solution_area,
            cast(null as integer) as stage_rank,
            cast(null as varchar) as run_state,
            cast(null as date) as run_started_on,
            cast(null as boolean) as is_latched
        where false
    {% endif %}
),

known_points as (
    select
        points.account_id,
        points.solution_area,
        points.stage_rank,
        points.starts_on,
        points.run_state,
        stored.run_state is not null
        or max(case when points.run_state = 'holds' then 1 else 0 end) over (
            partition by points.account_id, points.solution_area, points.stage_rank
            order by points.starts_on
            rows between unbounded preceding and current row
        ) = 1 as has_held
    from points
    left join stored
        on
            points.account_id = stored.account_id
            and points.solution_area = stored.solution_area
            and points.stage_rank = stored.stage_rank
    union all
    select
        account_id,
        solution_area,
        stage_rank,
        run_started_on as starts_on,
        run_state,
        true as has_held
    from stored
    union all
    -- Every area that is there on the run's first day has a point on it; the others have left.
    select
        stored.account_id,
        stored.solution_area,
        stored.stage_rank,
        {{ from_date() }} as starts_on,
        'absent' as run_state,
        true as has_held
    from stored
    left join first_points
        on
            stored.account_id = first_points.account_id
            and stored.solution_area = first_points.solution_area
            and stored.stage_rank = first_points.stage_rank
    where first_points.account_id is null
),

followed as (
    select
        account_id,
        solution_area,
        stage_rank,
        starts_on,
        run_state,
        lag(run_state) over (
            partition by account_id, solution_area, stage_rank order by starts_on
        ) as previous_state
    from known_points
    where has_held
),

runs as (
    select
        account_id,
        solution_area,
        stage_rank,
        run_state,
        starts_on,
        coalesce(
            lead(starts_on) over (
                partition by account_id, solution_area, stage_rank order by starts_on
            ),
            {{ as_of_date() }} + 1
        ) as ends_on
    from followed
    where previous_state is null or run_state <> previous_state
),

flips as (
    select
        runs.account_id,
        runs.solution_area,
        runs.stage_rank,
        runs.run_state,
        runs.starts_on as run_started_on,
        case runs.run_state
            when 'holds' then runs.starts_on + policy.promotion_days - 1
            when 'fails' then runs.starts_on + policy.demotion_days - 1
        end as as_of_date,
        case when runs.run_state = 'holds' then 1 else 0 end as latch
    from runs
    cross join policy
    where
        (
            runs.run_state = 'holds'
            and runs.starts_on + policy.promotion_days <= runs.ends_on
        )
        or (
            runs.run_state = 'fails'
            and runs.starts_on + policy.demotion_days <= runs.ends_on
        )
),

events as (
    select
        account_id,
        solution_area,
        stage_rank,
        as_of_date,
        run_state,
        run_started_on,
        max(latch) as latch
    from (
        select
            account_id,
            solution_area,
            stage_rank,
            starts_on as as_of_date,
            run_state,
            starts_on as run_started_on,
            cast(null as integer) as latch
        from runs
        union all
        select
            account_id,
            solution_area,
            stage_rank,
            as_of_date,
            run_state,
            run_started_on,
            latch
        from flips
    ) as steps
    where as_of_date >= {{ from_date() }}
    group by account_id, solution_area, stage_rank, as_of_date, run_state, run_started_on
),

-- The newest flip decides: its day and its value travel in one number, the value the last digit.
latched as (
    select
        events.account_id,
        events.solution_area,
        events.stage_rank,
        events.as_of_date,
        events.run_state,
        events.run_started_on,
        events.latch,
        stored.is_latched as stored_latch,
        max(
            case
                when events.latch is not null
                    then
                        10 * {{ days_between("cast('1970-01-01' as date)", 'events.as_of_date') }}
                        + events.latch
            end
        ) over (
            partition by events.account_id, events.solution_area, events.stage_rank
            order by events.as_of_date
            rows between unbounded preceding and current row
        ) % 10 as newest_latch
    from events
    left join stored
        on
            events.account_id = stored.account_id
            and events.solution_area = stored.solution_area
            and events.stage_rank = stored.stage_rank
),

states as (
    select
        account_id,
        solution_area,
        stage_rank,
        as_of_date,
        run_state,
        run_started_on,
        coalesce(newest_latch = 1, stored_latch, false) as is_latched,
        coalesce(stored_latch, false) as was_latched
    from latched
),

-- A flip to what already was is no change.
final as (
    select
        account_id,
        solution_area,
        stage_rank,
        as_of_date,
        run_state,
        run_started_on,
        is_latched
    from states
    qualify
        run_started_on = as_of_date
        or is_latched <> coalesce(
            lag(is_latched) over (
                partition by account_id, solution_area, stage_rank order by as_of_date
            ),
            was_latched
        )
)

select * from final
