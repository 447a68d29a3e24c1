-- Grain: account_id, due_on, opened_on, seen_from_on, seen_until_on; days a call is in view.
{#- A renewal date is known from versions of the subscription: a slot is in view on the days of its
    window on which the version in force names that renewal. It comes to be when it still is in
    view on its due date (seen_until_on is that day). #}
with

versions as (
    select * from {{ ref('stg_crm__subscription_versions') }}
),

subscriptions as (
    select * from {{ ref('stg_crm__subscriptions') }}
),

accounts as (
    select account_id from {{ ref('stg_crm__accounts') }}
),

steps as (
    select * from {{ ref('cadence_renewal_steps') }}
),

terms as (
    select
        versions.account_id,
        versions.renews_on,
        greatest(
            subscriptions.started_on,
            case
                when versions.is_first_version then subscriptions.started_on
                else versions.valid_from_on
            end
        ) as from_on,
        least(
            coalesce(
                lead(versions.valid_from_on) over (
                    partition by versions.subscription_id order by versions.valid_from_on
                ),
                cast('9999-12-31' as date)
            ),
            coalesce(subscriptions.removed_on, cast('9999-12-31' as date)),
            coalesce(subscriptions.ended_on, cast('9999-12-31' as date))
        ) as to_on
    from versions
    inner join subscriptions on versions.subscription_id = subscriptions.subscription_id
),

windows as (
    select
        terms.account_id,
        terms.renews_on,
        terms.from_on,
        terms.to_on,
        steps.step,
        steps.grace_days,
        terms.renews_on - steps.days_before_renewal as due_on,
        terms.renews_on - steps.days_before_renewal - steps.window_days + 1 as opened_on
    from terms
    inner join accounts on terms.account_id = accounts.account_id
    cross join steps
    where terms.renews_on is not null
),

final as (
    select
        account_id,
        due_on,
        opened_on,
        greatest(from_on, opened_on) as seen_from_on,
        least(to_on - 1, due_on) as seen_until_on,
        min(renews_on) as renews_on,
        min(step) as step,
        cast(max(grace_days) as integer) as grace_days
    from windows
    where
        greatest(from_on, opened_on) <= least(to_on - 1, due_on)
        and opened_on <= {{ as_of_date() }}
    group by account_id, due_on, opened_on, greatest(from_on, opened_on), least(to_on - 1, due_on)
)

select * from final
