-- Grain: account_id, as_of_date; the account's health, computed and as published.
{{ daily_config() }}
{%- set components = health_components() %}
{%- set codes = health_status_codes() %}
{%- set published_score = 'coalesce(overrides.override_score, facts.computed_score)' %}
with

policy as (
    select * from {{ ref('int_health__policy_wide') }}
),

overrides as (
    select * from {{ ref('int_health__override_days') }}
),

account_days as (
    select * from {{ ref('int_core__account_days') }}
),

-- What was published on earlier days, of this run and before it. Narrow and read from the facts
-- once more, because the wide rows would be kept in memory if they were asked for it.
earlier as (
    select
        facts.account_id,
        facts.as_of_date,
        {{ published_score }} as health_score,
        coalesce(overrides.override_zone, {{ health_zone(published_score) | indent(8) }})
            as health_zone
    from {{ ref('fct_health_facts_daily') }} as facts
    left join policy on facts.policy_key = policy.policy_key
    left join overrides
        on
            facts.account_id = overrides.account_id
            and facts.as_of_date = overrides.as_of_date
    where facts.as_of_date between {{ from_date() }} and {{ as_of_date() }}
    {%- if is_incremental() %}
    union all
    select
        account_id,
        as_of_date,
        health_score,
        health_zone
    from {{ this }}
    where as_of_date >= {{ window_start(30) }} and as_of_date < {{ from_date() }}
    {%- endif %}
),

-- What is unscored is blamed on the state that holds most of the weight left out.
published as (
    select
        facts.account_id,
        facts.as_of_date,
        facts.profile_id,
        facts.policy_key,
        facts.computed_score,
        facts.coverage_ratio,
        {%- for component in components %}
        facts.{{ component }}_score,
        facts.{{ component }}_status,
        facts.{{ component }}_weight,
        {%- endfor %}
        overrides.override_id,
        overrides.override_score,
        overrides.override_zone,
        overrides.override_reason,
        overrides.override_author,
        overrides.override_expires_on,
        {{ published_score }} as health_score,
        coalesce(overrides.override_zone, {{ health_zone(published_score) | indent(8) }})
            as health_zone,
        {{ health_zone('facts.computed_score') | indent(8) }} as computed_zone,
        {%- for state in ('no_data', 'stale', 'too_early', 'not_applicable') %}
        cast(
            {%- for component in components %}
            case
                when facts.{{ component }}_status = {{ codes[state] }}
                    then policy.{{ component }}_weight
                else 0.0
            end{{ ' +' if not loop.last }}
            {%- else %} 0.0
            {%- endfor %} as double
        ) as {{ state }}_weight{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_health_facts_daily') }} as facts
    left join policy on facts.policy_key = policy.policy_key
    left join overrides
        on
            facts.account_id = overrides.account_id
            and facts.as_of_date = overrides.as_of_date
    where facts.as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

final as (
    select
        cast(published.account_id as varchar) as account_id,
        cast(published.as_of_date as date) as as_of_date,
        cast(account_days.tier as varchar) as tier,
        cast(account_days.segment as varchar) as segment,
        cast(account_days.region as varchar) as region,
        cast(account_days.owner_ca as varchar) as owner_ca,
        cast(published.profile_id as varchar) as profile_id,
        cast(published.policy_key as varchar) as policy_key,
        cast(published.health_zone as varchar) as health_zone,
        cast(published.computed_zone as varchar) as computed_zone,
        cast(day_before.health_zone as varchar) as previous_health_zone,
        cast(
            case when published.computed_score is null then 'unscored' else 'scored' end as varchar
        ) as score_status,
        cast(
            case
                when published.computed_score is not null then null
                when
                    published.no_data_weight >= greatest(
                        published.stale_weight,
                        published.too_early_weight,
                        published.not_applicable_weight
                    ) then 'no_data'
                when
                    published.stale_weight
                    >= greatest(published.too_early_weight, published.not_applicable_weight)
                    then 'stale'
                when published.too_early_weight >= published.not_applicable_weight
                    then 'too_early'
                else 'not_applicable'
            end as varchar
        ) as unscored_reason,
        {%- for component in components %}
        cast({{ health_status_name('published.' ~ component ~ '_status') | indent(8) }} as varchar)
            as {{ component }}_status,
        {%- endfor %}
        cast(published.override_id as varchar) as override_id,
        cast(published.override_reason as varchar) as override_reason,
        cast(published.override_author as varchar) as override_author,
        cast(published.override_zone as varchar) as override_zone,
        cast(published.health_score as double) as health_score,
        cast(published.computed_score as double) as computed_score,
        cast(published.override_score as double) as override_score,
        cast(published.health_score - month_before.health_score as double) as score_change_30d,
        cast(published.coverage_ratio as double) as coverage_ratio,
        {%- for component in components %}
        cast(published.{{ component }}_score as double) as {{ component }}_score,
        cast(coalesce(published.{{ component }}_weight, 0.0) as double) as {{ component }}_weight,
        {%- endfor %}
        cast(account_days.arr_usd as decimal(18, 2)) as arr_usd,
        cast(account_days.days_to_renewal as integer) as days_to_renewal,
        cast(account_days.tenure_days as integer) as tenure_days,
        cast(published.override_expires_on as date) as override_expires_on
    from published
    inner join account_days
        on
            published.account_id = account_days.account_id
            and published.as_of_date = account_days.as_of_date
    left join earlier as day_before
        on
            published.account_id = day_before.account_id
            and published.as_of_date - 1 = day_before.as_of_date
    left join earlier as month_before
        on
            published.account_id = month_before.account_id
            and published.as_of_date - 30 = month_before.as_of_date
)

select * from final
