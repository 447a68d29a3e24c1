-- Grain: account_id, solution_area, starts_on; days of the run over which no subscription changes.
with

subscriptions as (
    select * from {{ ref('stg_crm__subscriptions') }}
),

versions as (
    select * from {{ ref('stg_crm__subscription_versions') }}
),

-- What a subscription was on a day: the version of that day, the first reaching back to the start.
terms as (
    select
        versions.subscription_id,
        versions.account_id,
        versions.solution_area,
        versions.renews_on,
        versions.arr_usd,
        versions.seats,
        subscriptions.started_on,
        subscriptions.ended_on,
        subscriptions.go_live_on,
        case
            when versions.is_first_version then subscriptions.started_on
            else greatest(versions.valid_from_on, subscriptions.started_on)
        end as from_on,
        least(
            coalesce(
                lead(versions.valid_from_on) over (
                    partition by versions.subscription_id order by versions.valid_from_on
                ),
                {{ as_of_date() }} + 1
            ),
            coalesce(subscriptions.removed_on, {{ as_of_date() }} + 1)
        ) as to_on
    from versions
    inner join subscriptions on versions.subscription_id = subscriptions.subscription_id
),

terms_in_run as (
    select * from terms
    where from_on < to_on and from_on <= {{ as_of_date() }} and to_on > {{ from_date() }}
),

changes as (
    select
        account_id,
        solution_area,
        from_on as changed_on
    from terms_in_run
    union all
    select
        account_id,
        solution_area,
        to_on as changed_on
    from terms_in_run
    union all
    select
        account_id,
        solution_area,
        ended_on as changed_on
    from terms_in_run
    where ended_on >= from_on
    union all
    select
        account_id,
        solution_area,
        go_live_on as changed_on
    from terms_in_run
    where go_live_on >= from_on
    union all
    -- On its renewal day a term is still the next to renew; the day after it is not.
    select
        account_id,
        solution_area,
        renews_on + 1 as changed_on
    from terms_in_run
    where renews_on >= from_on
),

starts as (
    select distinct
        account_id,
        solution_area,
        greatest(changed_on, {{ from_date() }}) as starts_on
    from changes
    where changed_on <= {{ as_of_date() }}
),

spans as (
    select
        account_id,
        solution_area,
        starts_on,
        coalesce(
            lead(starts_on) over (partition by account_id, solution_area order by starts_on),
            {{ as_of_date() }} + 1
        ) as ends_on
    from starts
),

terms_of_spans as (
    select
        spans.account_id,
        spans.solution_area,
        spans.starts_on,
        spans.ends_on,
        terms_in_run.started_on,
        terms_in_run.arr_usd,
        terms_in_run.seats,
        coalesce(terms_in_run.ended_on > spans.starts_on, true) as is_active,
        case
            when terms_in_run.go_live_on <= spans.starts_on then terms_in_run.go_live_on
        end as go_live_on,
        case
            when terms_in_run.renews_on >= spans.starts_on then terms_in_run.renews_on
        end as renews_on
    from spans
    inner join terms_in_run
        on
            spans.account_id = terms_in_run.account_id
            and spans.solution_area = terms_in_run.solution_area
            and spans.starts_on >= terms_in_run.from_on
            and spans.starts_on < terms_in_run.to_on
),

final as (
    select
        account_id,
        solution_area,
        starts_on,
        ends_on,
        cast(sum(case when is_active then seats end) as bigint) as seats_licensed,
        cast(sum(case when is_active then arr_usd end) as decimal(18, 2)) as arr_usd,
        min(started_on) as subscription_started_on,
        coalesce(min(go_live_on), min(started_on)) as go_live_on,
        min(case when is_active then renews_on end) as next_renewal_on
    from terms_of_spans
    group by account_id, solution_area, starts_on, ends_on
    having bool_or(is_active)
)

select * from final
