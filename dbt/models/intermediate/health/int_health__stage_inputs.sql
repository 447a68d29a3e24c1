-- Grain: account_id; the first day on which anything that stages are judged by was told of it.
-- An account without gauges and evidence has no stage to hold against it.
with

measures as (
    select
        account_id,
        measured_on as told_on
    from {{ ref('stg_usage__solution_measures') }}
),

evidence as (
    select
        account_id,
        confirmed_on as told_on
    from {{ ref('stg_crm__stage_evidence') }}
),

told as (
    select * from measures
    union all
    select * from evidence
),

final as (
    select
        account_id,
        min(told_on) as first_told_on
    from told
    where told_on <= {{ as_of_date() }}
    group by account_id
)

select * from final
