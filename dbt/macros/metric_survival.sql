{# Kaplan-Meier times per day, for the whole run range in one pass. `spells` names a CTE of one
   metric with metric_id, tier, region, owner, solution_area, playbook, started_on, ended_on (first
   day after the spell; null while open), known_on (day from which the end is known), left_on (first
   day the subject was no longer seen; null while it is), shown_from_on and shown_until_on
   (exclusive, null when nothing follows: the days on which this is what was known of the spell; from
   its start at the earliest) and is_excluded (its start was not observed).
   A spell is looked at on every day of its window from its start. On day D it ended when known_on
   <= D, and is censored at D, or at left_on, otherwise; so day D never knows a later end.
   The time read is the first at which the share still open is at most the survival quantile. Its
   logarithms are rounded to 12 places before they are added, which makes the sum the same in any
   order, and the product to 9 before it is compared, so that an exact half is a half.
   Spells x days is the largest thing here, so it carries numbers only: a cut is a key.
   Needs `days`, `definitions`, `dimensions`, `policy`, `metric_presence`. Ends with the CTE
   `survival`, shaped like the input of metric_judged. #}
{% macro metric_survival_ctes(metric_id, spells='spells') -%}
spell_cuts as (
    select
        {{ spells }}.started_on,
        {{ spells }}.known_on,
        {{ spells }}.left_on,
        {{ spells }}.is_excluded,
        dimensions.dimension,
        {{ metric_dimension_value(spells, 'dimensions') }} as dimension_value,
        {{ days_between(spells ~ '.started_on', spells ~ '.ended_on') }} as ended_days,
        coalesce(definitions.alert, definitions.target) as at_risk_after_days,
        greatest({{ spells }}.shown_from_on, {{ from_date() }}) as looked_from_on,
        least(
            {{ spells }}.started_on + cast(definitions.window_days as integer),
            coalesce({{ spells }}.shown_until_on, {{ as_of_date() }} + 1),
            {{ as_of_date() }} + 1
        ) as looked_until_on
    from {{ spells }}
    inner join definitions on {{ spells }}.metric_id = definitions.metric_id
    inner join dimensions on {{ spells }}.metric_id = dimensions.metric_id
),

survival_cuts as (
    select
        dimension,
        dimension_value,
        row_number() over (order by dimension, dimension_value) as cut_number
    from (
        select
            dimension,
            dimension_value
        from spell_cuts
        union distinct
        select
            dimension,
            dimension_value
        from metric_presence
        where metric_id = '{{ metric_id }}'
    ) as found
),

spell_days as (
    select
        cast(survival_cuts.cut_number as integer) as cut_number,
        days.as_of_date,
        spell_cuts.is_excluded,
        coalesce(spell_cuts.known_on <= days.as_of_date, false) as is_ended,
        coalesce(spell_cuts.left_on <= days.as_of_date, false) as is_gone,
        cast(
            case
                when spell_cuts.known_on <= days.as_of_date then spell_cuts.ended_days
                else {{ days_between(
                    'spell_cuts.started_on',
                    'least(days.as_of_date, coalesce(spell_cuts.left_on, days.as_of_date))'
                ) }}
            end as integer
        ) as observed_days,
        spell_cuts.at_risk_after_days
    from spell_cuts
    inner join survival_cuts
        on
            spell_cuts.dimension = survival_cuts.dimension
            and spell_cuts.dimension_value = survival_cuts.dimension_value
    inner join days
        on
            spell_cuts.looked_from_on <= days.as_of_date
            and spell_cuts.looked_until_on > days.as_of_date
),

spell_counts as (
    select
        cut_number,
        as_of_date,
        observed_days,
        cast(count_if(is_ended and not is_excluded) as integer) as ended_count,
        cast(count_if(not is_excluded) as integer) as spell_count,
        cast(
            count_if(
                not is_excluded
                and not is_ended
                and not is_gone
                and observed_days > at_risk_after_days
            ) as integer
        ) as at_risk_count,
        cast(count_if(is_excluded) as integer) as excluded_count
    from spell_days
    group by cut_number, as_of_date, observed_days
),

exposed as (
    select
        *,
        sum(spell_count) over (
            partition by cut_number, as_of_date
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
        ) over cut_times as log_open,
        max(case when ended_count > 0 and ended_count = exposed_count then 1 else 0 end)
            over cut_times as is_all_ended
    from exposed
    window cut_times as (
        partition by cut_number, as_of_date
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
        shares.cut_number,
        shares.as_of_date,
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
    group by shares.cut_number, shares.as_of_date
),

survival_keys as (
    select
        cut_number,
        as_of_date
    from medians
    union distinct
    select
        survival_cuts.cut_number,
        metric_presence.as_of_date
    from metric_presence
    inner join survival_cuts
        on
            metric_presence.dimension = survival_cuts.dimension
            and metric_presence.dimension_value = survival_cuts.dimension_value
    where metric_presence.metric_id = '{{ metric_id }}'
),

survival as (
    select
        '{{ metric_id }}' as metric_id,
        survival_keys.as_of_date,
        survival_cuts.dimension,
        survival_cuts.dimension_value,
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
    inner join survival_cuts on survival_keys.cut_number = survival_cuts.cut_number
    left join medians
        on
            survival_keys.cut_number = medians.cut_number
            and survival_keys.as_of_date = medians.as_of_date
)
{%- endmacro %}
