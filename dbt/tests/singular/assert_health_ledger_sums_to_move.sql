-- The causes of a pair of days sum to the published score's move between them, each cause stands
-- once, and a move from or to no score is one cause without points. Each look-back is asked for by
-- itself: with a constant day the ledger reads that day, not all days up to it.
-- depends_on: {{ ref('health_change_lags') }}
{%- set lags = health_query('select compared_days from ' ~ health_seed('health_change_lags')) %}
with

health as (
    select
        account_id,
        as_of_date,
        health_score
    from {{ ref('fct_account_health_daily') }}
),

moves as (
    select
        health.account_id,
        health.as_of_date,
        earlier.as_of_date as compared_to_date,
        health.health_score - earlier.health_score as move
    from health
    cross join {{ ref('health_change_lags') }} as lags
    inner join health as earlier
        on
            health.account_id = earlier.account_id
            and health.as_of_date - lags.compared_days = earlier.as_of_date
    where
        health.as_of_date = {{ as_of_date() }}
        and (health.health_score is not null or earlier.health_score is not null)
),

causes as (
    {%- for lag in lags %}
    select
        account_id,
        as_of_date,
        compared_to_date,
        cause_kind,
        cause,
        points
    from {{ ref('fct_health_change') }}
    where
        as_of_date = {{ as_of_date() }}
        and compared_to_date = {{ as_of_date() }} - {{ lag.compared_days }}
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        account_id,
        as_of_date,
        compared_to_date,
        cause_kind,
        cause,
        points
    from {{ ref('fct_health_change') }}
    where as_of_date = {{ as_of_date() }}
    {%- endfor %}
),

ledger as (
    select
        account_id,
        as_of_date,
        compared_to_date,
        sum(points) as points,
        count(*) as cause_count,
        count(distinct cause_kind || ':' || cause) as distinct_count
    from causes
    group by account_id, as_of_date, compared_to_date
)

select
    ledger.account_id,
    ledger.as_of_date,
    ledger.compared_to_date,
    moves.move,
    ledger.points,
    ledger.cause_count,
    ledger.distinct_count
from moves
full join ledger
    on
        moves.account_id = ledger.account_id
        and moves.as_of_date = ledger.as_of_date
        and moves.compared_to_date = ledger.compared_to_date
where
    ledger.distinct_count <> ledger.cause_count
    or (moves.move is not null and abs(moves.move - coalesce(ledger.points, 0)) > 1e-9)
    or (
        moves.move is null
        and (coalesce(ledger.cause_count, 0) <> 1 or ledger.points is not null)
    )
