"""Usage rows and gauges: the weekly parameters of each area spread over users, days and features.

This is where a sample gets big, so it is set-based SQL. Chance is arithmetic on whole numbers (a
multiplier modulo a prime with shifts between), not the engine's own hash, so that another version
of DuckDB draws the same rows.
"""

from __future__ import annotations

from typing import Final

_PRIME: Final = 2_147_483_647

FEATURES: Final = {
    "security": (
        "alerts", "dashboards", "detection_rules", "cases", "timeline", "threat_intel",
        "endpoint", "hunting",
    ),
    "observability": (
        "metrics", "dashboards", "logs", "apm", "alert_policies", "slos", "synthetics",
        "anomaly_detection",
    ),
    "search": (
        "index_management", "query_console", "relevance_tuning", "analytics", "connectors",
        "vector_search", "playground", "rag",
    ),
}  # fmt: skip

#: (area, measure, maturity where it begins and ends to grow, value there, value there, decimals,
#: whether it is only measured once it has begun)
GAUGES: Final = (
    ("security", "data_sources_connected", 0.3, 4.0, 0.6, 24.0, 0, False),
    ("security", "dashboards_active", 0.4, 3.5, 0.6, 18.0, 0, False),
    ("security", "detection_rules_active", 0.8, 3.8, 0.0, 95.0, 0, False),
    ("security", "custom_rules_active", 2.1, 4.0, 0.0, 40.0, 0, False),
    ("security", "mttd_minutes", 1.3, 4.0, 240.0, 20.0, 0, True),
    ("security", "manual_effort_reduction_pct", 1.6, 3.8, 0.0, 55.0, 1, True),
    ("security", "endpoint_visibility_pct", 1.0, 3.9, 20.0, 99.0, 1, False),
    ("security", "correlation_sources", 1.8, 3.8, 0.0, 9.0, 0, False),
    ("observability", "agents_deployed", 0.2, 3.6, 0.6, 320.0, 0, False),
    ("observability", "dashboards_active", 0.4, 3.5, 0.6, 22.0, 0, False),
    ("observability", "apm_services_traced", 1.1, 3.8, 0.0, 60.0, 0, False),
    ("observability", "log_correlation_pct", 1.1, 3.4, 0.0, 95.0, 1, False),
    ("observability", "mttr_minutes", 1.3, 4.0, 180.0, 25.0, 0, True),
    ("observability", "slos_defined", 1.4, 3.8, 0.0, 30.0, 0, False),
    ("observability", "stack_coverage_pct", 1.0, 3.2, 15.0, 97.0, 1, False),
    ("observability", "alert_policies_active", 1.5, 3.6, 0.0, 45.0, 0, False),
    ("observability", "predictive_detectors_active", 3.1, 4.2, 0.0, 12.0, 0, False),
    ("search", "indices_created", 0.2, 3.6, 0.6, 26.0, 0, False),
    ("search", "queries_per_day", 0.4, 4.0, 5.0, 90000.0, 0, False),
    ("search", "relevance_tests", 1.1, 3.5, 0.0, 40.0, 0, False),
    ("search", "integrations_active", 1.1, 3.6, 0.0, 9.0, 0, False),
    ("search", "use_cases_live", 0.8, 3.8, 0.6, 7.0, 0, False),
    ("search", "vector_indices", 2.1, 3.8, 0.0, 8.0, 0, False),
    ("search", "rag_apps_in_production", 3.0, 4.3, 0.0, 4.0, 0, False),
)


def _mix(value: str) -> str:
    """One round of stirring a number below the prime; the result is below it too."""
    return f"(xor({value}, {value} >> 13) * 1274126177 % {_PRIME})"


def feature_usage(seed: int, first_on: str, last_on: str) -> str:
    """SQL of the usage rows dated first_on..last_on (ISO dates), ordered by date."""
    features = ", ".join(
        f"('{area}', {place}, '{name}')"
        for area, list_ in FEATURES.items()
        for place, name in enumerate(list_)
    )
    return f"""
        with weeks as (
            select *, greatest(first_on, date '{first_on}') as begin_on,
                least(last_on, date '{last_on}') as end_on
            from area_weeks
            where last_on >= date '{first_on}' and first_on <= date '{last_on}' and user_count > 0
        ),
        user_weeks as (
            select *, unnest(range(user_count)) as user_place from weeks
        ),
        user_days as (
            select *, unnest(range(begin_on - week_on, end_on - week_on + 1)) as weekday
            from user_weeks
        ),
        keyed as (
            select account_id, account_number, solution_area, user_place, weekday,
                active_permille, feature_count, intensity, week_on + weekday::integer as used_on,
                (
                    account_number * 7919 + ascii(solution_area[3:]) * 104729 + user_place * 1299709
                    + (week_on - date '2000-01-03' + weekday) * 15485863 + {seed % 10_007} * 611953
                ) % {_PRIME} as k0
            from user_days
        ),
        stirred as (select *, {_mix("k0")} as k1 from keyed),
        drawn as (select *, {_mix("k1")} as k2 from stirred),
        active as (
            -- Weekends are quiet; every user has a pace of their own.
            select *, {_mix("k2")} as k3 from drawn
            where k2 % 1000 < active_permille * (60 + (user_place * 37 % 9) * 10) / 100
                * case when weekday >= 5 then 0.12 else 1 end
        ),
        sessions as (
            select *, unnest(range(least(1 + least(k3 % 5, 3) % 3, feature_count))) as turn
            from active
        ),
        features (area, place, feature) as (values {features})
        select s.account_id, s.solution_area,
            'u-' || s.account_id[5:] || '-' || s.solution_area[1:3] || s.user_place as user_id,
            f.feature, s.used_on,
            1 + (k3 // 7 + turn * 3) % (2 * intensity) as usage_count,
            null::varchar as event_id
        from sessions as s
        inner join features as f
            on f.area = s.solution_area
                and f.place = (s.user_place + k3 // 64 + turn) % s.feature_count
        order by s.used_on, s.account_id, s.solution_area, s.user_place, f.feature
    """


def solution_measures(first_on: str, last_on: str) -> str:
    """SQL of the gauges measured first_on..last_on: weekly in the first ten weeks, then monthly."""
    gauges = ", ".join(
        f"('{area}', '{name}', {low}, {high}, {at_low}, {at_high}, {decimals}, {late})"
        for area, name, low, high, at_low, at_high, decimals, late in GAUGES
    )
    return f"""
        with gauges (area, measure, low, high, at_low, at_high, decimals, is_late) as (
            values {gauges}
        ),
        measured as (
            select *, week_on + (account_number % 5)::integer as measured_on,
                maturity_permille / 1000.0::double as maturity
            from area_weeks
            where week_number <= 10 or week_number % 4 = account_number % 4
        ),
        final as (
            select account_id, solution_area, measure, measured_on, maturity, low, is_late,
                decimals,
                at_low + (at_high - at_low) * least(
                    greatest((maturity - low) / (high - low), 0.0::double), 1.0::double
                ) as level
            from measured
            inner join gauges on area = solution_area
            where measured_on between first_on and last_on
                and measured_on between date '{first_on}' and date '{last_on}'
        )
        select account_id, solution_area, measure, measured_on,
            case
                when maturity < low then case when decimals = 0 then floor(level) else level end
                when decimals = 0 then round(level, 0)
                else round(level, 1)
            end::double as value
        from final
        where not is_late or maturity >= low
        order by measured_on, account_id, solution_area, measure
    """
