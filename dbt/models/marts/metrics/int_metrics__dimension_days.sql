-- grain: one row per as_of_date of the run, dimension and value that is present on that day
{{ config(schema='intermediate', materialized='table') }}

with

days as (
    {{ day_spine(from_date(), as_of_date()) }}
),

accounts as (
    select
        as_of_date,
        tier,
        region,
        owner_ca
    from {{ ref('fct_account_health_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

areas as (
    select
        as_of_date,
        solution_area
    from {{ ref('fct_stage_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

playbooks as (
    select
        playbook_id,
        min(opened_on) as first_opened_on
    from {{ source('playbooks', 'actions') }}
    -- What was promised in a call has no playbook.
    where playbook_id is not null
    group by playbook_id
),

rule_versions as (
    select
        rule_id || ' v' || rule_version as rule_version,
        min(opened_on) as first_opened_on
    from {{ source('playbooks', 'actions') }}
    where rule_id is not null
    group by rule_id, rule_version
),

final as (
    select
        as_of_date,
        'all' as dimension,
        'all' as dimension_value
    from days
    union distinct
    select
        as_of_date,
        'tier' as dimension,
        coalesce(tier, 'unknown') as dimension_value
    from accounts
    union distinct
    select
        as_of_date,
        'region' as dimension,
        coalesce(region, 'unknown') as dimension_value
    from accounts
    union distinct
    select
        as_of_date,
        'owner' as dimension,
        coalesce(owner_ca, 'unassigned') as dimension_value
    from accounts
    union distinct
    select
        as_of_date,
        'solution_area' as dimension,
        solution_area as dimension_value
    from areas
    union distinct
    select
        days.as_of_date,
        'playbook' as dimension,
        playbooks.playbook_id as dimension_value
    from playbooks
    inner join days on playbooks.first_opened_on <= days.as_of_date
    union distinct
    select
        days.as_of_date,
        'rule_version' as dimension,
        rule_versions.rule_version as dimension_value
    from rule_versions
    inner join days on rule_versions.first_opened_on <= days.as_of_date
)

select * from final
