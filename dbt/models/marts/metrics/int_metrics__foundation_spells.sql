-- grain: one row per account_id, solution_area and the day from which this state of it was known
{{ config(schema='intermediate', materialized='table') }}

with

definitions as (
    select
        metric_id,
        cast(window_days as integer) as window_days
    from {{ ref('metric_definitions') }}
    where metric_id = 'time_to_foundation'
),

first_stage as (
    select min(stage_rank) as stage_rank from {{ ref('stages') }}
    where stage_rank > 0
),

changes as (
    select * from {{ ref('int_metrics__area_changes') }}
),

transitions as (
    select * from {{ ref('fct_stage_transition') }}
),

-- Areas that were live before the first computed day were not watched from their start.
history as (
    select min(as_of_date) as first_on from changes
),

-- An area that is gone keeps what was last known of it, and its time stops.
states as (
    select
        account_id,
        solution_area,
        as_of_date as shown_from_on,
        lead(as_of_date) over area_order as shown_until_on,
        case when not is_present then as_of_date end as left_on,
        case when is_present then go_live_on else lag(go_live_on) over area_order end as started_on,
        case when is_present then tier else lag(tier) over area_order end as tier,
        case when is_present then region else lag(region) over area_order end as region,
        case when is_present then owner_ca else lag(owner_ca) over area_order end as owner_ca
    from changes
    window area_order as (partition by account_id, solution_area order by as_of_date)
),

foundations as (
    select
        transitions.account_id,
        transitions.solution_area,
        min(transitions.occurred_on) as reached_on
    from transitions
    inner join first_stage on transitions.to_stage_rank >= first_stage.stage_rank
    group by transitions.account_id, transitions.solution_area
),

final as (
    select
        definitions.metric_id,
        states.account_id,
        states.tier,
        states.region,
        states.owner_ca as owner,
        states.solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version,
        states.started_on < history.first_on as is_excluded,
        states.started_on,
        case
            when foundations.reached_on is not null
                then greatest(foundations.reached_on, states.started_on)
        end as ended_on,
        foundations.reached_on as known_on,
        states.shown_from_on,
        states.shown_until_on,
        states.left_on
    from states
    cross join definitions
    cross join history
    left join foundations
        on
            states.account_id = foundations.account_id
            and states.solution_area = foundations.solution_area
    where states.started_on > {{ from_date() }} - definitions.window_days
)

select * from final
