-- Each transition starts from the stage the one before it led to; the first from not started.
with

transitions as (
    select
        account_id,
        solution_area,
        occurred_on,
        from_stage_rank,
        coalesce(
            lag(to_stage_rank) over (
                partition by account_id, solution_area order by occurred_on
            ),
            0
        ) as previous_to_rank
    from {{ ref('fct_stage_transition') }}
)

select * from transitions
where from_stage_rank <> previous_to_rank
