-- Grain: account_id, valid_from_on; success objectives met, due, progressing and worth.
-- depends_on: {{ ref('health_definitions') }}
with

objectives as (
    select
        *,
        least(met_on, due_on + 1) as decided_on
    from {{ ref('stg_crm__success_objectives') }}
),

measurements as (
    select * from {{ ref('int_health__objective_measurements') }}
),

windows as (
    select * from {{ health_windows('objective_window_days') }} as held
),

known as (
    select
        account_id,
        created_on as from_on,
        removed_on as to_on,
        1 as objective_count
    from objectives
),

decided as (
    select
        objectives.account_id,
        greatest(objectives.decided_on, windows.valid_from_on) as from_on,
        least(
            objectives.decided_on + windows.value, objectives.removed_on, windows.valid_to_on
        ) as to_on,
        1 as objective_decided_count
    from objectives
    cross join windows
    where objectives.decided_on is not null
),

met as (
    select
        objectives.account_id,
        greatest(objectives.met_on, windows.valid_from_on) as from_on,
        least(
            objectives.decided_on + windows.value, objectives.removed_on, windows.valid_to_on
        ) as to_on,
        1 as objective_met_count
    from objectives
    cross join windows
    where objectives.met_on is not null
),

measured as (
    select
        objectives.account_id,
        objectives.created_on,
        objectives.due_on,
        objectives.decided_on,
        objectives.planned_value_usd,
        measurements.realised_value_usd,
        greatest(measurements.measured_on, objectives.created_on) as measured_on,
        least(measurements.next_measured_on, objectives.removed_on) as superseded_on,
        least(
            measurements.next_measured_on, objectives.removed_on, objectives.met_on
        ) as closed_on,
        least(1.0, greatest(
            0.0,
            (measurements.current_value - objectives.baseline_value)
            / nullif(objectives.target_value - objectives.baseline_value, 0.0)
        )) as progress_ratio,
        {{ days_between('objectives.created_on', 'objectives.due_on') }} as planned_days
    from objectives
    inner join measurements on objectives.objective_id = measurements.objective_id
),

-- Until its due date an objective should have got as far as its time has: a line over the days,
-- held as its slope and its slope times its first day, in billionths.
on_the_way as (
    select
        account_id,
        measured_on as from_on,
        least(closed_on, due_on) as to_on,
        cast(round(progress_ratio * 1000000000) as bigint) as progress_nano,
        cast(round(1000000000.0 / planned_days) as bigint) as slope_nano,
        cast(round(1000000000.0 / planned_days) as bigint)
        * {{ health_day_number('created_on') }} as slope_start_nano
    from measured
    where progress_ratio is not null and planned_days > 0
),

overdue as (
    select
        account_id,
        greatest(measured_on, due_on) as from_on,
        closed_on as to_on,
        cast(round(progress_ratio * 1000000000) as bigint) as late_progress_nano,
        1 as objective_overdue_count
    from measured
    where progress_ratio is not null and planned_days > 0
),

valued as (
    select
        measured.account_id,
        greatest(measured.measured_on, measured.decided_on, windows.valid_from_on) as from_on,
        least(
            measured.superseded_on, measured.decided_on + windows.value, windows.valid_to_on
        ) as to_on,
        cast(round(measured.realised_value_usd * 100) as bigint) as realised_cents,
        cast(round(measured.planned_value_usd * 100) as bigint) as planned_cents
    from measured
    cross join windows
    where
        measured.realised_value_usd is not null
        and measured.planned_value_usd > 0
        and measured.decided_on is not null
),

last_measured_days as (
    select distinct
        account_id,
        measured_on as from_on
    from measured
),

last_measured as (
    select
        account_id,
        from_on,
        lead(from_on) over (partition by account_id order by from_on) as to_on,
        {{ health_day_number('from_on') }} as last_measured_day
    from last_measured_days
),

{{ health_spans({
    'known': ['objective_count'],
    'decided': ['objective_decided_count'],
    'met': ['objective_met_count'],
    'on_the_way': ['progress_nano', 'slope_nano', 'slope_start_nano'],
    'overdue': ['late_progress_nano', 'objective_overdue_count'],
    'valued': ['realised_cents', 'planned_cents'],
    'last_measured': ['last_measured_day'],
}) }},

final as (
    select * from spans
)

select * from final
