-- grain: one row per metric_id, as_of_date, dimension, dimension_value
{{ daily_config() }}

with

{{ metric_context_ctes('mtr_stage_adoption') }},

top_stage as (
    select max(stage_rank) as stage_rank from {{ ref('stages') }}
),

spells as (
    select * from {{ ref('int_metrics__foundation_spells') }}
),

progression_window as (
    select
        metric_id,
        cast(window_days as integer) as window_days
    from definitions
    where metric_id = 'stage_progression'
),

account_days as (
    select
        account_id,
        as_of_date,
        tier,
        region,
        owner_ca as owner,
        adoption_score
    from {{ ref('fct_account_health_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

stage_days as (
    select
        account_id,
        solution_area,
        as_of_date,
        stage_rank,
        is_stalled
    from {{ ref('fct_stage_daily') }}
    where as_of_date between {{ from_date() }} and {{ as_of_date() }}
),

-- Where the areas stood at the start of each day's window, whether or not they are still there.
earlier_areas as (
    select
        stage_days.account_id,
        stage_days.solution_area,
        stage_days.as_of_date + progression_window.window_days as as_of_date,
        stage_days.stage_rank,
        account_days.tier,
        account_days.region,
        account_days.owner_ca as owner
    from {{ ref('fct_stage_daily') }} as stage_days
    cross join progression_window
    inner join top_stage on stage_days.stage_rank < top_stage.stage_rank
    inner join {{ ref('fct_account_health_daily') }} as account_days
        on
            stage_days.account_id = account_days.account_id
            and stage_days.as_of_date = account_days.as_of_date
    where
        stage_days.as_of_date
        between {{ from_date() }} - progression_window.window_days
        and {{ as_of_date() }} - progression_window.window_days
),

-- Attributed to the account of the day; to the account of then when the customer has left since.
progressed_areas as (
    select
        earlier_areas.as_of_date,
        earlier_areas.solution_area,
        case when account_days.account_id is null then earlier_areas.tier else account_days.tier end
            as tier,
        case
            when account_days.account_id is null then earlier_areas.region else account_days.region
        end as region,
        case
            when account_days.account_id is null then earlier_areas.owner else account_days.owner
        end as owner,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version,
        case when stage_days.stage_rank > earlier_areas.stage_rank then 1 else 0 end as numerator,
        1 as denominator,
        case when stage_days.is_stalled then 1 else 0 end as at_risk_count
    from earlier_areas
    left join stage_days
        on
            earlier_areas.account_id = stage_days.account_id
            and earlier_areas.solution_area = stage_days.solution_area
            and earlier_areas.as_of_date = stage_days.as_of_date
    left join account_days
        on
            earlier_areas.account_id = account_days.account_id
            and earlier_areas.as_of_date = account_days.as_of_date
),

-- Scores are added as decimals: the same sum in any order.
scored_accounts as (
    select
        account_days.account_id,
        account_days.as_of_date,
        account_days.tier,
        account_days.region,
        account_days.owner,
        cast(account_days.adoption_score as decimal(18, 6)) as numerator,
        1 as denominator,
        case when account_days.adoption_score < definitions.alert then 1 else 0 end
            as at_risk_count
    from account_days
    inner join definitions on definitions.metric_id = 'adoption_score'
    where account_days.adoption_score is not null
),

contributions as (
    select
        'stage_progression' as metric_id,
        as_of_date,
        tier,
        region,
        owner,
        solution_area,
        playbook,
        rule_version,
        cast(numerator as decimal(18, 6)) as numerator,
        denominator,
        at_risk_count,
        cast(null as boolean) as is_area
    from progressed_areas
    union all
    select
        'adoption_score' as metric_id,
        as_of_date,
        tier,
        region,
        owner,
        cast(null as varchar) as solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version,
        numerator,
        denominator,
        at_risk_count,
        false as is_area
    from scored_accounts
    union all
    -- By area an account counts in each area it has; elsewhere once.
    select
        'adoption_score' as metric_id,
        scored_accounts.as_of_date,
        scored_accounts.tier,
        scored_accounts.region,
        scored_accounts.owner,
        stage_days.solution_area,
        cast(null as varchar) as playbook,
        cast(null as varchar) as rule_version,
        scored_accounts.numerator,
        scored_accounts.denominator,
        scored_accounts.at_risk_count,
        true as is_area
    from scored_accounts
    inner join stage_days
        on
            scored_accounts.account_id = stage_days.account_id
            and scored_accounts.as_of_date = stage_days.as_of_date
),

contributed as (
    select
        contributions.metric_id,
        contributions.as_of_date,
        dimensions.dimension,
        {{ metric_dimension_value('contributions', 'dimensions') }} as dimension_value,
        cast(sum(contributions.numerator) as double) as numerator,
        count(*) as denominator,
        sum(contributions.at_risk_count) as at_risk_count
    from contributions
    inner join dimensions
        on
            contributions.metric_id = dimensions.metric_id
            and coalesce(contributions.is_area = (dimensions.dimension = 'solution_area'), true)
    group by
        contributions.metric_id,
        contributions.as_of_date,
        dimensions.dimension,
        {{ metric_dimension_value('contributions', 'dimensions') }}
),

contributed_keys as (
    select
        metric_id,
        as_of_date,
        dimension,
        dimension_value
    from contributed
    union distinct
    select
        metric_id,
        as_of_date,
        dimension,
        dimension_value
    from metric_presence
    where metric_id in ('stage_progression', 'adoption_score')
),

{{ metric_survival_ctes('time_to_foundation') }},

measured as (
    select
        contributed_keys.metric_id,
        contributed_keys.as_of_date,
        contributed_keys.dimension,
        contributed_keys.dimension_value,
        contributed.numerator / nullif(contributed.denominator, 0) as value,
        cast(null as double) as lower_bound,
        coalesce(contributed.numerator, 0) as numerator,
        coalesce(contributed.denominator, 0) as denominator,
        coalesce(contributed.at_risk_count, 0) as at_risk_count,
        0 as excluded_count,
        cast(null as varchar) as reason
    from contributed_keys
    left join contributed
        on
            contributed_keys.metric_id = contributed.metric_id
            and contributed_keys.as_of_date = contributed.as_of_date
            and contributed_keys.dimension = contributed.dimension
            and contributed_keys.dimension_value = contributed.dimension_value
    union all
    select * from survival
),

final as (
    {{ metric_judged() }}
)

select * from final
