{# Trailing figures of usage, 28 days with the day itself: the parts that the account's and the
   area's models share. `keys` is the list of columns that name who is looked at.

   Distinct users and features are running totals: one enters on a day of use and leaves 28 days
   later, or hands over to itself on its next day of use, so that it counts once. What was used
   more than 27 days before from_date has left again by then, so the changes need no older use;
   the previous 28 days and the last use need 60. #}

{# Entries and leavings per day, as `change`. `stays` has the keys, `who` and `used_on`. Changes
   before the run stand on its first day. #}
{% macro usage_changes(stays, keys, who) %}
    select
        {{ keys | join(', ') }},
        greatest(
            case when signs.sign > 0 then stays.used_on else stays.left_on end, {{ from_date() }}
        ) as changed_on,
        cast(sum(signs.sign) as bigint) as change
    from (
        select
            {{ keys | join(', ') }},
            used_on,
            least(
                coalesce(
                    lead(used_on) over (
                        partition by {{ keys | join(', ') }}, {{ who }} order by used_on
                    ),
                    used_on + 28
                ),
                used_on + 28
            ) as left_on
        from {{ stays }}
    ) as stays
    cross join (select 1 as sign union all select -1 as sign) as signs
    where case when signs.sign > 0 then stays.used_on else stays.left_on end <= {{ as_of_date() }}
    group by
        {{ keys | join(', ') }},
        greatest(
            case when signs.sign > 0 then stays.used_on else stays.left_on end, {{ from_date() }}
        )
    having sum(signs.sign) <> 0
{% endmacro %}

{# The figures on each wanted day. Relations: `days` (keys, as_of_date), `changes` (keys,
   changed_on, user_change, feature_change), `use_days` (keys, used_on, usage_count). Changes and
   use on days that are not wanted (before the start, in a gap) count on the days after. #}
{% macro trailing_usage(keys, days, changes, use_days) %}
    select
        {{ keys | join(', ') }},
        as_of_date,
        sum(user_change) over so_far as active_users,
        sum(feature_change) over so_far as features_used,
        count(used_on) over trailing_28 as active_days,
        coalesce(sum(usage_count) over trailing_28, 0) as usage_count,
        coalesce(sum(usage_count) over previous_28, 0) as usage_count_prev,
        max(used_on) over trailing_60 as last_used_on,
        is_wanted
    from (
        select
            {{ keys | join(', ') }},
            as_of_date,
            sum(user_change) as user_change,
            sum(feature_change) as feature_change,
            sum(usage_count) as usage_count,
            max(used_on) as used_on,
            bool_or(is_wanted) as is_wanted
        from (
            select
                {{ keys | join(', ') }},
                as_of_date,
                0 as user_change,
                0 as feature_change,
                cast(null as bigint) as usage_count,
                cast(null as date) as used_on,
                true as is_wanted
            from {{ days }}
            union all
            select
                {{ keys | join(', ') }},
                changed_on as as_of_date,
                user_change,
                feature_change,
                null as usage_count,
                null as used_on,
                false as is_wanted
            from {{ changes }}
            union all
            select
                {{ keys | join(', ') }},
                used_on as as_of_date,
                0 as user_change,
                0 as feature_change,
                usage_count,
                used_on,
                false as is_wanted
            from {{ use_days }}
        ) as facts
        group by {{ keys | join(', ') }}, as_of_date
    ) as timeline
    window
        so_far as (
            partition by {{ keys | join(', ') }} order by as_of_date
            rows between unbounded preceding and current row
        ),
        trailing_28 as (
            partition by {{ keys | join(', ') }} order by as_of_date
            range between interval 27 days preceding and current row
        ),
        previous_28 as (
            partition by {{ keys | join(', ') }} order by as_of_date
            range between interval 55 days preceding and interval 28 days preceding
        ),
        trailing_60 as (
            partition by {{ keys | join(', ') }} order by as_of_date
            range between interval 60 days preceding and current row
        )
{% endmacro %}
