{# Kaplan-Meier times per day, for the whole run range in one pass. `spells` names a CTE of
   one metric with metric_id, tier, region, owner, solution_area, playbook, started_on, ended_on (first day after the
   spell; null while open), known_on (day from which the end is known), left_on (first day the
   subject was no longer seen; null while it is), shown_from_on and shown_until_on (exclusive, null
   when nothing follows: the days on which this is what was known of the spell; from its start at
   the earliest) and is_excluded (its start was not observed).
   A spell is looked at on every day of its window from its start. On day D it ended when known_on
   <= D, and is censored at D, or at left_on, otherwise; so day D never knows a later end.
   The time read is the first at which the share still open is at most the survival quantile. Its
   logarithms are rounded to 12 places before they are added, which makes the sum the same in any
   order, and the product to 9 before it is compared, so that an exact half is a half.
   Needs `days`, `definitions`, `dimensions`, `policy`, `metric_presence`. Ends with the CTE
   `survival`, shaped like the input of metric_judged. #}
{% macro metric_survival_ctes(metric_id, spells='spells') -%}
spell_days as (
    select
        {{ spells }}.metric_id,
        days.as_of_date,
        {{ spells }}.tier,
        {{ spells }}.region,
        {{ spells }}.owner,
        {{ spells }}.solution_area,
        {{ spells }}.playbook,
        {{ spells }}.is_excluded,
        coalesce({{ spells }}.known_on <= days.as_of_date, false) as is_ended,
        coalesce({{ spells }}.left_on <= days.as_of_date, false) as is_gone,
        case
            when {{ spells }}.known_on <= days.as_of_date
                then {{ days_between(spells ~ '.started_on', spells ~ '.ended_on') }}
            else {{ days_between(
                spells ~ '.started_on',
                'least(days.as_of_date, coalesce(' ~ spells ~ '.left_on, days.as_of_date))'
            ) }}
        end as observed_days,
        coalesce(definitions.alert, definitions.target) as at_risk_after_days
    from {{ spells }}
    inner join definitions on {{ spells }}.metric_id = definitions.metric_id
    inner join days
        on
            {{ spells }}.shown_from_on <= days.as_of_date
            and coalesce({{ spells }}.shown_until_on > days.as_of_date, true)
            and {{ spells }}.started_on + cast(definitions.window_days as integer)
            > days.as_of_date
),

spell_counts as (
    select
        spell_days.metric_id,
        spell_days.as_of_date,
        dimensions.dimension,
        {{ metric_dimension_value('spell_days', 'dimensions') }} as dimension_value,
        spell_days.observed_days,
        count_if(spell_days.is_ended and not spell_days.is_excluded) as ended_count,
        count_if(not spell_days.is_excluded) as spell_count,
        count_if(
            not spell_days.is_excluded
            and not spell_days.is_ended
            and not spell_days.is_gone
            and spell_days.observed_days > spell_days.at_risk_after_days
        ) as at_risk_count,
        count_if(spell_days.is_excluded) as excluded_count
    from spell_days
    inner join dimensions on spell_days.metric_id = dimensions.metric_id
    group by
        spell_days.metric_id,
        spell_days.as_of_date,
        dimensions.dimension,
        {{ metric_dimension_value('spell_days', 'dimensions') }},
        spell_days.observed_days
),

exposed as (
    select
        *,
        sum(spell_count) over (
            partition by metric_id, as_of_date, dimension, dimension_value
            order by observed_days
            rows between current row and unbounded following
        ) as exposed_count
    from spell_counts
),

hazards as (
    select
        *,
        sum(
            case
                when ended_count = 0 or ended_count = exposed_count
                    then cast(0 as decimal(28, 12))
                else cast(
                    round(ln(1.0 - cast(ended_count as double) / exposed_count), 12)
                    as decimal(28, 12)
                )
            end
        ) over key_times as log_open,
        max(case when ended_count > 0 and ended_count = exposed_count then 1 else 0 end)
            over key_times as is_all_ended
    from exposed
    window key_times as (
        partition by metric_id, as_of_date, dimension, dimension_value
        order by observed_days
        rows between unbounded preceding and current row
    )
),

shares as (
    select
        *,
        case
            when is_all_ended = 1 then 0.0
            else round(exp(cast(log_open as double)), 9)
        end as open_ratio
    from hazards
),

medians as (
    select
        shares.metric_id,
        shares.as_of_date,
        shares.dimension,
        shares.dimension_value,
        min(case
            when shares.ended_count > 0 and shares.open_ratio <= policy.survival_quantile
                then shares.observed_days
        end) as value,
        max(case when shares.spell_count > 0 then shares.observed_days end) as followed_days,
        sum(shares.ended_count) as numerator,
        sum(shares.spell_count) as denominator,
        sum(shares.at_risk_count) as at_risk_count,
        sum(shares.excluded_count) as excluded_count
    from shares
    cross join policy
    group by shares.metric_id, shares.as_of_date, shares.dimension, shares.dimension_value
),

survival_keys as (
    select
        metric_id,
        as_of_date,
        dimension,
        dimension_value
    from medians
    union distinct
    select
        metric_id,
        as_of_date,
        dimension,
        dimension_value
    from metric_presence
    where metric_id = '{{ metric_id }}'
),

survival as (
    select
        survival_keys.metric_id,
        survival_keys.as_of_date,
        survival_keys.dimension,
        survival_keys.dimension_value,
        cast(medians.value as double) as value,
        cast(
            case when medians.value is null then medians.followed_days end as double
        ) as lower_bound,
        cast(coalesce(medians.numerator, 0) as double) as numerator,
        cast(coalesce(medians.denominator, 0) as bigint) as denominator,
        cast(coalesce(medians.at_risk_count, 0) as bigint) as at_risk_count,
        cast(coalesce(medians.excluded_count, 0) as bigint) as excluded_count,
        case
            when medians.denominator > 0
                then 'median not reached: more than half of the spells are still open after '
                    || cast(medians.followed_days as varchar) || ' days'
        end as reason
    from survival_keys
    left join medians
        on
            survival_keys.metric_id = medians.metric_id
            and survival_keys.as_of_date = medians.as_of_date
            and survival_keys.dimension = medians.dimension
            and survival_keys.dimension_value = medians.dimension_value
)
{%- endmacro %}
