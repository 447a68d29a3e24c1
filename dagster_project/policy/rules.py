"""What the seeds must satisfy together, each rule over the tables it names.

A rule is skipped when one of its tables could not be read, so that one bad cell is one fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from dagster_project.errors import Fault
from dagster_project.policy.tables import Policy, PolicyRow, nearest

DEFAULT_PROFILE = "default"
AT_RISK_TIER = "at_risk"
# Names that become names of columns.
_COLUMN_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# A call that no cadence plans.
OTHER_CALL = "other"
SEVERITIES = ("critical", "high", "medium", "low")
CONTACT_ROLES = (
    "champion",
    "executive_sponsor",
    "business_sponsor",
    "technical_champion",
    "economic_buyer",
    "user",
    "other",
)
# Windows and limits that the models ask for, each with the least value that makes sense.
HEALTH_DEFINITIONS = {
    "response_days": 0,
    "outreach_window_days": 1,
    "objective_window_days": 1,
    "ticket_window_days": 1,
    "resolution_ratio_cap": 1,
    "survey_window_days": 1,
    "sentiment_window_days": 1,
    "executive_call_window_days": 1,
    "renewal_window_days": 1,
    "stage_grace_days": 0,
    "override_notice_days": 0,
}
# What int_health__measures_daily computes; every other measure must be a gauge.
MODEL_MEASURES = (
    "cadence_adherence_ratio",
    "days_since_last_call",
    "executive_participation_ratio",
    "response_ratio",
    "consecutive_missed_calls",
    "active_user_ratio",
    "active_days",
    "feature_breadth",
    "usage_trend_ratio",
    "stage_vs_tenure",
    "objectives_met_ratio",
    "objective_progress_ratio",
    "value_realised_ratio",
    "tickets_per_seat",
    "resolution_vs_target_ratio",
    "open_escalation_age_days",
    "reopen_ratio",
    "csat_score",
    "champion_present",
    "sponsor_engaged",
    "active_roles_count",
    "sentiment_score",
    "csm_pulse",
    "nps_score",
    "invoice_overdue_days",
    "renewal_arr_change_ratio",
    "renewal_outlook",
    "expansion_pipeline_ratio",
    "tickets_opened_count",
    "account_tenure_days",
    "days_to_licence_end",
)
# Seeds that a measure's value can depend on, beside the windows.
DEFINING_SEEDS = ("support_targets", "health_contact_roles", "health_renewal_expectations")
# Names become columns and parts of keys; these two are what the change ledger adds to measures.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TAKEN = ("score_cap", "override")
OWNER_ROLES = ("CA", "SA", "AE", "VE", "Governance")
# What the metric models compute; a definition of anything else would never be filled.
METRIC_TABLES = {
    "execution_rate": "mtr_playbook_effectiveness",
    "completion_rate": "mtr_playbook_effectiveness",
    "outcome_achievement": "mtr_playbook_effectiveness",
    "time_to_green": "mtr_playbook_effectiveness",
    "stage_progression": "mtr_stage_adoption",
    "time_to_foundation": "mtr_stage_adoption",
    "adoption_score": "mtr_stage_adoption",
    "cadence_adherence": "mtr_engagement",
    "executive_engagement": "mtr_engagement",
    "response_rate": "mtr_engagement",
}
METRIC_PARAMETERS = (
    "green_confirm_days",
    "response_days",
    "survival_quantile",
    "blocker_window_days",
)

Check = Callable[[Policy], Iterator[Fault]]


@dataclass(frozen=True)
class _Rule:
    tables: tuple[str, ...]
    check: Check


_RULES: list[_Rule] = []


def _over(*tables: str) -> Callable[[Check], Check]:
    """Register a rule over these seeds."""

    def register(check: Check) -> Check:
        _RULES.append(_Rule(tables, check))
        return check

    return register


def find_faults(policy: Policy) -> list[Fault]:
    """Every fault that shows only when rows or seeds are seen together."""
    faults: list[Fault] = []
    for rule in _RULES:
        present = all(table in policy.tables for table in rule.tables)
        if present and not policy.broken & set(rule.tables):
            faults.extend(rule.check(policy))
    return faults


# Half-open ranges ----------------------------------------------------------------------------


def range_faults(
    file: str,
    rows: Sequence[PolicyRow],
    lower: str,
    upper: str,
    *,
    must_start: Decimal | None = None,
    must_end: Decimal | None = None,
    what: str = "the ranges",
) -> Iterator[Fault]:
    """Gaps, overlaps and open ends of half-open ranges [lower, upper).

    An empty edge means none on that side. The ranges together must reach from `must_start` (None:
    from no lower edge) to past `must_end` (None: to no upper edge).
    """
    sound: list[PolicyRow] = []
    for row in rows:
        if row[lower] is not None and row[upper] is not None and row[lower] >= row[upper]:
            yield Fault(
                file,
                row.line,
                upper,
                f"the range ends at {row[upper]}, where or before it starts ({row[lower]})",
                f"make {upper} larger than {lower}",
            )
        else:
            sound.append(row)
    if len(sound) < len(rows) or not sound:
        return
    low, high = Decimal("-Infinity"), Decimal("Infinity")
    ordered = sorted(
        sound,
        key=lambda row: (
            low if row[lower] is None else row[lower],
            high if row[upper] is None else row[upper],
            row.line,
        ),
    )
    first = ordered[0]
    if first[lower] is not None and (must_start is None or first[lower] > must_start):
        start = "the bottom" if must_start is None else str(must_start)
        yield Fault(
            file,
            first.line,
            lower,
            f"gap: nothing holds from {start} to {first[lower]}",
            f"leave {lower} empty" if must_start is None else f"start {what} at {must_start}",
        )
    reached: Decimal | None = first[upper]
    reached_by = first
    for row in ordered[1:]:
        start_of_row = row[lower]
        if reached is None or start_of_row is None or start_of_row < reached:
            end = "the top" if reached is None else str(reached)
            yield Fault(
                file,
                row.line,
                lower,
                f"overlap: line {reached_by.line} already holds up to {end}",
                f"start where line {reached_by.line} ends, or end that one earlier",
            )
        elif start_of_row > reached:
            yield Fault(
                file,
                row.line,
                lower,
                f"gap: nothing holds from {reached} to {start_of_row}",
                f"start at {reached}, where line {reached_by.line} ends",
            )
        if reached is not None and (row[upper] is None or row[upper] > reached):
            reached, reached_by = row[upper], row
    if reached is not None and (must_end is None or reached <= must_end):
        end = "the top" if must_end is None else f"{must_end} inclusive"
        yield Fault(
            file,
            reached_by.line,
            upper,
            f"gap: nothing holds from {reached} to {end}",
            f"leave {upper} empty",
        )


def _groups(rows: Sequence[PolicyRow], *columns: str) -> dict[tuple[Any, ...], list[PolicyRow]]:
    found: dict[tuple[Any, ...], list[PolicyRow]] = {}
    for row in rows:
        found.setdefault(tuple(row[column] for column in columns), []).append(row)
    return found


def _outside(
    policy: Policy,
    table: str,
    column: str,
    low: int | None,
    high: int | None,
    *,
    is_low_inside: bool = True,
) -> Iterator[Fault]:
    """Cells of the column outside [low, high] (or (low, high]); empty ones pass."""
    for row in policy.rows(table):
        value = row[column]
        if value is None:
            continue
        too_low = low is not None and (value < low or (value == low and not is_low_inside))
        if too_low or (high is not None and value > high):
            words = "above" if not is_low_inside else "at least"
            limits = [f"{words} {low}"] if low is not None else []
            limits += [f"at most {high}"] if high is not None else []
            yield Fault(
                policy.place(table),
                row.line,
                column,
                f"{value} is out of range",
                "use a value " + " and ".join(limits),
            )


def _missing(policy: Policy, table: str, column: str, words: Sequence[str]) -> Iterator[Fault]:
    """Words that the column must have."""
    for word in words:
        if word not in policy.values(table, column):
            yield Fault(
                policy.place(table), 0, column, f"there is no row for {word!r}", "add the row"
            )


def _unknown(
    policy: Policy, table: str, column: str, known: set[Any], what: str
) -> Iterator[Fault]:
    for row in policy.rows(table):
        if row[column] is not None and row[column] not in known:
            yield Fault(
                policy.place(table),
                row.line,
                column,
                f"unknown {what} {row[column]!r}",
                nearest(row[column], known),
            )


# Health --------------------------------------------------------------------------------------


@_over("health_zones")
def _zones(policy: Policy) -> Iterator[Fault]:
    file = policy.place("health_zones")
    yield from _outside(policy, "health_zones", "zone_rank", 1, None)
    for (policy_set,), rows in _groups(policy.rows("health_zones"), "policy_set").items():
        for day in sorted({row["effective_from"] for row in rows}):
            in_force = _newest(rows, ("health_zone",), day)
            yield from range_faults(
                file,
                in_force,
                "score_from",
                "score_to",
                must_start=Decimal(0),
                must_end=Decimal(100),
                what=f"the zones of {policy_set!r}",
            )
            by_score = sorted(
                in_force,
                key=lambda row: (
                    Decimal("-Infinity") if row["score_from"] is None else row["score_from"]
                ),
                reverse=True,
            )
            for better, worse in zip(by_score, by_score[1:], strict=False):
                if better["zone_rank"] >= worse["zone_rank"]:
                    yield Fault(
                        file,
                        worse.line,
                        "zone_rank",
                        f"rank {worse['zone_rank']} is not behind rank {better['zone_rank']} of "
                        f"the better zone on line {better.line}",
                        "rank the zones from the highest scores (1) down",
                    )


@_over("health_bands", "health_measure_policy")
def _bands(policy: Policy) -> Iterator[Fault]:
    file = policy.place("health_bands")
    yield from _outside(policy, "health_bands", "score", 0, 100)
    keys = ("policy_set", "profile_id", "measure", "effective_from")
    banded = {
        tuple(row[key] for key in keys): row
        for row in policy.rows("health_measure_policy")
        if row["method"] == "bands"
    }
    groups = _groups(policy.rows("health_bands"), *keys)
    for group, rows in groups.items():
        yield from range_faults(file, rows, "band_from", "band_to", what="the bands")
        if group not in banded:
            yield Fault(
                file,
                rows[0].line,
                "measure",
                f"{group[2]!r} is not scored by bands in profile {group[1]!r} from {group[3]}",
                "set its method to bands in health_measure_policy, or remove the bands",
            )
    for group, row in banded.items():
        if group not in groups:
            yield Fault(
                policy.place("health_measure_policy"),
                row.line,
                "method",
                f"there are no bands for {group[2]!r} in profile {group[1]!r} from {group[3]}",
                "add its bands to health_bands",
            )


@_over("health_measure_policy")
def _measure_lines(policy: Policy) -> Iterator[Fault]:
    table = "health_measure_policy"
    file = policy.place(table)
    yield from _outside(policy, table, "weight", 0, None)
    yield from _outside(policy, table, "expiry_days", 1, None)
    yield from _outside(policy, table, "min_tenure_days", 0, None)
    yield from _outside(policy, table, "force_at_or_below", 0, 100)
    yield from _outside(policy, table, "force_to", 0, 100)
    for row in policy.rows(table):
        if row["weight"] is None:
            continue
        edges = (row["floor_value"], row["ceiling_value"])
        if row["method"] is None:
            yield Fault(
                file, row.line, "method", "a weighted measure has no method", "linear or bands"
            )
        elif row["method"] == "linear":
            for column, edge in zip(("floor_value", "ceiling_value"), edges, strict=True):
                if edge is None:
                    yield Fault(file, row.line, column, "a line needs both ends", "give it a value")
            if None not in edges and edges[0] == edges[1]:
                yield Fault(
                    file,
                    row.line,
                    "ceiling_value",
                    f"floor and ceiling are both {edges[0]}: the line has no slope",
                    "make them differ; the ceiling lies below the floor where less is better",
                )
        elif edges != (None, None):
            yield Fault(
                file, row.line, "floor_value", "bands take no floor or ceiling", "leave both empty"
            )
        for column in ("expiry_days", "min_tenure_days"):
            if row[column] is None:
                yield Fault(file, row.line, column, "the cell is empty", "give it a number of days")
        forces = [row[c] is not None for c in ("force_scope", "force_at_or_below", "force_to")]
        if any(forces) and not all(forces):
            yield Fault(
                file,
                row.line,
                "force_scope",
                "a cap needs all three: force_scope, force_at_or_below and force_to",
                "fill all three or none",
            )


@_over("health_measure_policy", "health_measures")
def _measure_direction(policy: Policy) -> Iterator[Fault]:
    better = {row["measure"]: row["better"] for row in policy.rows("health_measures")}
    for row in policy.rows("health_measure_policy"):
        floor, ceiling = row["floor_value"], row["ceiling_value"]
        wanted = better.get(row["measure"])
        if None in {floor, ceiling, wanted} or floor == ceiling:
            continue
        if (ceiling > floor) != (wanted == "higher"):
            yield Fault(
                policy.place("health_measure_policy"),
                row.line,
                "ceiling_value",
                f"the line runs from {floor} to {ceiling}, but {wanted} is better for "
                f"{row['measure']!r}",
                "swap floor and ceiling, or correct `better` in health_measures",
            )


@_over("health_measure_policy", "health_components")
def _policy_component(policy: Policy) -> Iterator[Fault]:
    known = policy.values("health_components", "component")
    yield from _unknown(policy, "health_measure_policy", "component", known, "component")


@_over("health_component_weights", "health_measure_policy", "health_measures", "health_profiles")
def _weights(policy: Policy) -> Iterator[Fault]:
    """In every profile and period the components, and the measures of each, must sum above 0."""
    table = "health_component_weights"
    yield from _outside(policy, table, "weight", 0, None)
    own_component = {row["measure"]: row["component"] for row in policy.rows("health_measures")}
    profiles = _groups(policy.rows("health_profiles"), "policy_set")
    told: set[tuple[Any, ...]] = set()
    for (policy_set,), rows in profiles.items():
        weights = [row for row in policy.rows(table) if row["policy_set"] == policy_set]
        lines = [
            row for row in policy.rows("health_measure_policy") if row["policy_set"] == policy_set
        ]
        for profile in sorted({row["profile_id"] for row in rows}):
            days = {
                row["effective_from"]
                for row in (*weights, *lines)
                if row["profile_id"] in {profile, DEFAULT_PROFILE}
            }
            for day in sorted(days):
                components = _in_force(weights, "component", profile, day)
                total = sum(row["weight"] for row in components)
                key: tuple[Any, ...] = (policy_set, profile)
                if total <= 0 and key not in told:
                    told.add(key)
                    yield Fault(
                        policy.place(table),
                        components[0].line if components else 0,
                        "weight",
                        f"the component weights of profile {profile!r} in set {policy_set!r} sum "
                        f"to {total} from {day}",
                        "give one component a weight above 0",
                    )
                measured: dict[Any, Decimal] = {}
                for line in _in_force(lines, "measure", profile, day):
                    component = line["component"] or own_component.get(line["measure"])
                    weight = line["weight"] or Decimal(0)
                    measured[component] = measured.get(component, Decimal(0)) + weight
                for row in components:
                    key = (policy_set, profile, row["component"])
                    is_empty = row["weight"] > 0 and measured.get(row["component"], 0) <= 0
                    if is_empty and key not in told:
                        told.add(key)
                        yield Fault(
                            policy.place(table),
                            row.line,
                            "weight",
                            f"component {row['component']!r} is weighted, but the measures of "
                            f"profile {profile!r} in it sum to 0 from {day}",
                            "weight one of its measures, or set the component's weight to 0",
                        )


@_over("health_profiles")
def _profiles(policy: Policy) -> Iterator[Fault]:
    file = policy.place("health_profiles")
    yield from _outside(policy, "health_profiles", "min_tenure_days", 0, None)
    for (policy_set,), rows in _groups(policy.rows("health_profiles"), "policy_set").items():
        defaults = [row for row in rows if row["profile_id"] == DEFAULT_PROFILE]
        if not defaults:
            yield Fault(
                file,
                rows[0].line,
                "profile_id",
                f"set {policy_set!r} has no profile {DEFAULT_PROFILE!r}",
                "add it: every account needs a profile",
            )
        for row in defaults:
            for column in ("tier", "segment", "min_tenure_days", "max_tenure_days"):
                if row[column] is not None:
                    yield Fault(
                        file,
                        row.line,
                        column,
                        "the default profile must match every account",
                        "leave the cell empty",
                    )
        ranks: dict[Any, PolicyRow] = {}
        for row in rows:
            other = ranks.setdefault(row["priority"], row)
            if other["profile_id"] != row["profile_id"]:
                yield Fault(
                    file,
                    row.line,
                    "priority",
                    f"priority {row['priority']} is taken by {other['profile_id']!r} on line "
                    f"{other.line}",
                    "give every profile of a set its own",
                )
            low, high = row["min_tenure_days"], row["max_tenure_days"]
            if low is not None and high is not None and low >= high:
                yield Fault(
                    file,
                    row.line,
                    "max_tenure_days",
                    f"the tenure ends at {high}, where or before it starts ({low})",
                    "make it larger than min_tenure_days",
                )
        yield from _shadowed_profiles(file, rows)


def _shadowed_profiles(file: str, rows: Sequence[PolicyRow]) -> Iterator[Fault]:
    """Profiles that no account can reach, because one asked before takes all of theirs."""
    told: set[tuple[int, int]] = set()
    for day in sorted({row["effective_from"] for row in rows}):
        in_force = sorted(
            (row for row in _newest(rows, ("profile_id",), day) if row["priority"] is not None),
            key=lambda row: (row["priority"], row.line),
        )
        for place, later in enumerate(in_force):
            for earlier in in_force[:place]:
                pair = (earlier.line, later.line)
                if earlier["priority"] < later["priority"] and pair not in told:
                    if not _takes_all(earlier, later):
                        continue
                    told.add(pair)
                    yield Fault(
                        file,
                        later.line,
                        "priority",
                        f"no account can match {later['profile_id']!r} from {day}: "
                        f"{earlier['profile_id']!r} on line {earlier.line} takes them all",
                        "give the narrower profile the lower priority number",
                    )


def _takes_all(earlier: PolicyRow, later: PolicyRow) -> bool:
    """Whether every account that matches `later` matches `earlier`."""
    same = all(earlier[column] in {None, later[column]} for column in ("tier", "segment"))
    starts = (earlier["min_tenure_days"] or 0) <= (later["min_tenure_days"] or 0)
    ends = earlier["max_tenure_days"] is None or (
        later["max_tenure_days"] is not None
        and later["max_tenure_days"] <= earlier["max_tenure_days"]
    )
    return same and starts and ends


@_over("health_profiles", "tiers")
def _profile_tiers(policy: Policy) -> Iterator[Fault]:
    tiers = policy.values("tiers", "tier")
    yield from _unknown(policy, "health_profiles", "tier", tiers, "tier")


@_over("health_profiles", "health_measure_policy", "health_component_weights", "health_bands")
def _known_profiles(policy: Policy) -> Iterator[Fault]:
    """Every row that names a profile names one of its set."""
    known = {(row["policy_set"], row["profile_id"]) for row in policy.rows("health_profiles")}
    for table in ("health_measure_policy", "health_component_weights", "health_bands"):
        for row in policy.rows(table):
            if (row["policy_set"], row["profile_id"]) not in known:
                near = {profile for name, profile in known if name == row["policy_set"]}
                yield Fault(
                    policy.place(table),
                    row.line,
                    "profile_id",
                    f"set {row['policy_set']!r} has no profile {row['profile_id']!r}",
                    nearest(row["profile_id"], near),
                )


@_over("health_profiles", "health_zones", "health_policy")
def _complete_sets(policy: Policy) -> Iterator[Fault]:
    """A policy set needs zones and a coverage floor of its own."""
    yield from _outside_of_parameter(policy, "health_policy", "coverage_floor", 0, 1)
    zoned = policy.values("health_zones", "policy_set")
    floored = {
        row["policy_set"]
        for row in policy.rows("health_policy")
        if row["parameter"] == "coverage_floor"
    }
    for (policy_set,), rows in _groups(policy.rows("health_profiles"), "policy_set").items():
        for has, table, column in (
            (policy_set in zoned, "health_zones", "policy_set"),
            (policy_set in floored, "health_policy", "parameter"),
        ):
            if not has:
                what = "zones" if table == "health_zones" else "coverage_floor"
                yield Fault(
                    policy.place(table),
                    0,
                    column,
                    f"set {policy_set!r} (health_profiles, line {rows[0].line}) has no {what}",
                    "add the rows of the set",
                )


@_over("zone_multipliers", "health_zones")
def _multipliers(policy: Policy) -> Iterator[Fault]:
    yield from _outside(
        policy, "zone_multipliers", "engagement_multiplier", 0, None, is_low_inside=False
    )
    zones = sorted(policy.values("health_zones", "health_zone"))
    yield from _missing(policy, "zone_multipliers", "health_zone", zones)


@_over("health_measures", "health_components", "solution_areas")
def _measures(policy: Policy) -> Iterator[Fault]:
    """Names that can be columns, gauges that can be found, definitions that exist."""
    file = policy.place("health_measures")
    components = policy.values("health_components", "component")
    areas = policy.values("solution_areas", "solution_area")
    yield from _unknown(policy, "health_measures", "gauge_solution_area", areas, "solution area")
    parts = {*HEALTH_DEFINITIONS, *DEFINING_SEEDS}
    for row in policy.rows("health_measures"):
        name = row["measure"]
        if not _NAME.fullmatch(name):
            yield Fault(
                file,
                row.line,
                "measure",
                f"{name!r} cannot be a column",
                "use small letters, digits and single underscores, a letter first",
            )
        elif name in _TAKEN or name in components:
            yield Fault(
                file, row.line, "measure", f"{name!r} is the name of something else", "rename it"
            )
        elif row["source"] == "model" and name not in MODEL_MEASURES:
            yield Fault(
                file,
                row.line,
                "measure",
                f"nothing computes {name!r}",
                f"{nearest(name, MODEL_MEASURES)}, or say gauge and name its gauge_measure",
            )
        is_gauge = row["source"] == "gauge"
        if is_gauge and row["gauge_measure"] is None:
            yield Fault(
                file,
                row.line,
                "gauge_measure",
                "a gauge needs its name in the solution-measures extract",
                "give it the name",
            )
        for column in ("gauge_measure", "gauge_solution_area"):
            if not is_gauge and row[column] is not None:
                yield Fault(
                    file, row.line, column, "only a gauge has one", "leave it empty, or say gauge"
                )
        for part in (row["defined_by"] or "").split():
            if part not in parts:
                yield Fault(
                    file,
                    row.line,
                    "defined_by",
                    f"unknown definition {part!r}",
                    nearest(part, parts),
                )


@_over("stage_measures")
def _stage_measures(policy: Policy) -> Iterator[Fault]:
    for row in policy.rows("stage_measures"):
        if not _NAME.fullmatch(row["measure"]):
            yield Fault(
                policy.place("stage_measures"),
                row.line,
                "measure",
                f"{row['measure']!r} cannot be a name in rules",
                "use small letters, digits and single underscores, a letter first",
            )


@_over("health_definitions", "health_profiles")
def _definitions(policy: Policy) -> Iterator[Fault]:
    table = "health_definitions"
    yield from _unknown(policy, table, "parameter", set(HEALTH_DEFINITIONS), "parameter")
    for parameter, least in HEALTH_DEFINITIONS.items():
        yield from _outside_of_parameter(policy, table, parameter, least, None)
    yield from _begins_with_policy(policy, table, "parameter", tuple(HEALTH_DEFINITIONS))


@_over("health_contact_roles", "health_profiles")
def _contact_roles(policy: Policy) -> Iterator[Fault]:
    table = "health_contact_roles"
    yield from _unknown(policy, table, "role", set(CONTACT_ROLES), "role")
    yield from _begins_with_policy(policy, table, "role", CONTACT_ROLES)
    rows = policy.rows(table)
    for day in sorted({row["effective_from"] for row in rows}):
        in_force = _newest(rows, ("role",), day)
        for column, what in (("is_champion", "champion"), ("is_sponsor", "sponsor")):
            if not any(row[column] for row in in_force):
                yield Fault(
                    policy.place(table),
                    in_force[0].line,
                    column,
                    f"from {day} no role makes a {what}: no account could have one",
                    "say true for one role",
                )


@_over("support_targets", "health_profiles")
def _support(policy: Policy) -> Iterator[Fault]:
    yield from _begins_with_policy(policy, "support_targets", "severity", SEVERITIES)
    yield from _outside(policy, "support_targets", "resolution_target_hours", 1, None)
    yield from _unknown(policy, "support_targets", "severity", set(SEVERITIES), "severity")


@_over("health_renewal_expectations", "health_profiles")
def _renewals(policy: Policy) -> Iterator[Fault]:
    table = "health_renewal_expectations"
    yield from _outside(policy, table, "expected_probability_ratio", 0, 1, is_low_inside=False)
    groups = _groups(policy.rows(table), "effective_from")
    for rows in groups.values():
        yield from range_faults(policy.place(table), rows, "days_from", "days_to")
    begins = _first_day(policy)
    first = min((day for (day,) in groups), default=None)
    if begins is not None and (first is None or first > begins):
        yield Fault(
            policy.place(table),
            groups[first,][0].line if first is not None else 0,
            "effective_from",
            f"gap: nothing holds before {first}, but profiles are in force from {begins}"
            if first is not None
            else "there are no ranges",
            f"let the first ranges hold from {begins}",
        )


# Cadence -------------------------------------------------------------------------------------


@_over("cadence_intervals", "tiers", "call_types")
def _intervals(policy: Policy) -> Iterator[Fault]:
    table = "cadence_intervals"
    yield from _outside(policy, table, "interval_value", 0, None, is_low_inside=False)
    tiers = policy.values("tiers", "tier") | {AT_RISK_TIER}
    yield from _unknown(policy, table, "tier", tiers, "tier")
    rated = [row["call_type"] for row in policy.rows("call_types") if row["slot_kind"] == "rate"]
    present = {(row["tier"], row["call_type"]) for row in policy.rows(table)}
    for tier in sorted(tiers):
        for call_type in rated:
            if (tier, call_type) not in present:
                yield Fault(
                    policy.place(table),
                    0,
                    "tier",
                    f"tier {tier!r} has no interval for {call_type!r}",
                    "add the row: every tier needs one for every call type with a rate",
                )
    kinds = {row["call_type"]: row["slot_kind"] for row in policy.rows("call_types")}
    for row in policy.rows(table):
        if kinds.get(row["call_type"], "rate") != "rate":
            yield Fault(
                policy.place(table),
                row.line,
                "call_type",
                f"{row['call_type']!r} has no rate: it stands at fixed days before a renewal",
                "remove the row; its days are in cadence_renewal_steps",
            )


@_over("cadence_grace")
def _grace(policy: Policy) -> Iterator[Fault]:
    yield from _outside(policy, "cadence_grace", "grace_days", 0, None)
    yield from range_faults(
        policy.place("cadence_grace"),
        policy.rows("cadence_grace"),
        "interval_from_days",
        "interval_to_days",
        must_start=Decimal(0),
        what="the intervals",
    )


@_over("cadence_at_risk_zones", "health_zones")
def _at_risk_zones(policy: Policy) -> Iterator[Fault]:
    zones = policy.values("health_zones", "health_zone")
    yield from _unknown(policy, "cadence_at_risk_zones", "health_zone", zones, "zone")


@_over("call_types")
def _renewal_call(policy: Policy) -> Iterator[Fault]:
    """The days before a renewal are one list: a second type would plan every call twice."""
    rows = [row for row in policy.rows("call_types") if row["slot_kind"] == "renewal"]
    for row in rows[1:]:
        yield Fault(
            policy.place("call_types"),
            row.line,
            "slot_kind",
            f"{rows[0]['call_type']!r} stands before renewals already",
            "give it a rate",
        )


@_over("call_types")
def _call_types(policy: Policy) -> Iterator[Fault]:
    for row in policy.rows("call_types"):
        name = row["call_type"]
        if name == OTHER_CALL or not _COLUMN_NAME.fullmatch(name):
            yield Fault(
                policy.place("call_types"),
                row.line,
                "call_type",
                f"{name!r} cannot be a call type: its figures stand in columns named after it"
                if name != OTHER_CALL
                else f"{OTHER_CALL!r} is every call that the cadence does not plan",
                "use another name, of small letters, digits and underscores",
            )
    for column in ("adherence_window_days", "min_minutes", "max_minutes"):
        yield from _outside(policy, "call_types", column, 1, None)
    for row in policy.rows("call_types"):
        if row["adherence_window_days"] is None:
            yield Fault(
                policy.place("call_types"),
                row.line,
                "adherence_window_days",
                "the cell is empty",
                "give it a number of days",
            )
        if row["min_minutes"] and row["max_minutes"] and row["min_minutes"] > row["max_minutes"]:
            yield Fault(
                policy.place("call_types"),
                row.line,
                "max_minutes",
                f"{row['max_minutes']} minutes are fewer than the least, {row['min_minutes']}",
                "make it at least min_minutes",
            )


@_over("cadence_renewal_steps")
def _renewal_steps(policy: Policy) -> Iterator[Fault]:
    table = "cadence_renewal_steps"
    yield from _outside(policy, table, "days_before_renewal", 1, None)
    yield from _outside(policy, table, "window_days", 1, None)
    yield from _outside(policy, table, "grace_days", 0, None)
    for (days,), rows in _groups(policy.rows(table), "days_before_renewal").items():
        for row in rows[1:]:
            yield Fault(
                policy.place(table),
                row.line,
                "days_before_renewal",
                f"{days} days are taken by the step on line {rows[0].line}",
                "give every step its own day",
            )


@_over("cadence_policy")
def _cadence_policy(policy: Policy) -> Iterator[Fault]:
    yield from _single_row(policy, "cadence_policy")
    yield from _outside(policy, "cadence_policy", "month_days", 28, 31)
    yield from _outside(policy, "cadence_policy", "attendance_floor_ratio", 0, 1)
    for column in ("due_lead_days", "missed_alert_days", "no_engagement_days"):
        yield from _outside(policy, "cadence_policy", column, 0, None)
    for column in ("repeated_miss_count", "attendance_window_days"):
        yield from _outside(policy, "cadence_policy", column, 1, None)


# Meeting notes -------------------------------------------------------------------------------


@_over("note_words", "call_types")
def _note_words(policy: Policy) -> Iterator[Fault]:
    file = policy.place("note_words")
    call_types = policy.values("call_types", "call_type") | {OTHER_CALL}
    for row in policy.rows("note_words"):
        meaning = row["meaning"]
        if row["subject"] == "call_type" and meaning not in call_types:
            yield Fault(
                file,
                row.line,
                "meaning",
                f"unknown call type {meaning!r}",
                nearest(meaning, call_types),
            )
        elif row["subject"] == "sentiment" and not _is_mood(meaning):
            yield Fault(
                file, row.line, "meaning", f"{meaning!r} is no mood", "use a number from -1 to 1"
            )


@_over("note_policy")
def _note_policy(policy: Policy) -> Iterator[Fault]:
    yield from _single_row(policy, "note_policy")
    yield from _outside(policy, "note_policy", "action_due_days", 1, None)


def _is_mood(text: str | None) -> bool:
    try:
        return -1 <= float(text or "") <= 1
    except ValueError:
        return False


# Stages --------------------------------------------------------------------------------------


@_over("stages")
def _stage_order(policy: Policy) -> Iterator[Fault]:
    file = policy.place("stages")
    rows = sorted(policy.rows("stages"), key=lambda row: (row["stage_rank"] or 0, row.line))
    for expected, row in enumerate(rows):
        if row["stage_rank"] != expected:
            yield Fault(
                file,
                row.line,
                "stage_rank",
                f"rank {row['stage_rank']} stands where {expected} is due",
                "number the stages from 0, one apart",
            )
            return
    for row in rows:
        low, high = row["typical_from_days"], row["typical_to_days"]
        if low is not None and high is not None and low > high:
            yield Fault(
                file,
                row.line,
                "typical_to_days",
                f"the typical days end at {high}, before they start ({low})",
                "make it at least typical_from_days",
            )


@_over("stage_policy")
def _stage_policy(policy: Policy) -> Iterator[Fault]:
    yield from _single_row(policy, "stage_policy")
    yield from _outside(policy, "stage_policy", "required_ratio", 0, 1, is_low_inside=False)
    for column in ("promotion_days", "demotion_days", "stalled_days", "gauge_lookback_days"):
        yield from _outside(policy, "stage_policy", column, 1, None)


@_over("stage_criteria", "stages", "solution_areas")
def _criteria(policy: Policy) -> Iterator[Fault]:
    table = "stage_criteria"
    file = policy.place(table)
    yield from _outside(policy, table, "weight", 0, None)
    yield from _outside(policy, table, "expiry_days", 1, None)
    ranks = {row["stage"]: row["stage_rank"] for row in policy.rows("stages")}
    for row in policy.rows(table):
        for column in ("stage", "solution_area", "kind", "weight", "is_mandatory"):
            if row[column] is None:
                yield Fault(file, row.line, column, "the cell is empty", "give it a value")
        if ranks.get(row["stage"]) == 0:
            yield Fault(
                file,
                row.line,
                "stage",
                f"{row['stage']!r} is where every area starts: it has no criteria",
                "name a later stage",
            )
        on_measure = ("measure", "direction", "threshold")
        for column in on_measure:
            if row["kind"] == "measure" and row[column] is None:
                yield Fault(
                    file, row.line, column, "a criterion on a measure needs it", "give it a value"
                )
            if row["kind"] == "evidence" and row[column] is not None:
                yield Fault(
                    file, row.line, column, "evidence is confirmed by a person", "leave it empty"
                )
    criteria = _groups(policy.rows(table), "solution_area", "stage")
    for area in sorted(policy.values("solution_areas", "solution_area")):
        for stage, rank in sorted(ranks.items(), key=lambda item: item[1]):
            rows = criteria.get((area, stage), [])
            if rank and not rows:
                yield Fault(
                    file,
                    0,
                    "stage",
                    f"{area!r} has no criteria for {stage!r}: nobody could reach it",
                    "add the criteria",
                )
            elif rank and sum(row["weight"] or 0 for row in rows) <= 0:
                yield Fault(
                    file,
                    rows[0].line,
                    "weight",
                    f"the criteria of {area!r} for {stage!r} weigh nothing together",
                    "give one of them a weight above 0",
                )


@_over("stage_criteria", "stage_measures", "stage_policy")
def _gauge_expiry(policy: Policy) -> Iterator[Fault]:
    sources = {row["measure"]: row["source"] for row in policy.rows("stage_measures")}
    lookback = min(
        (row["gauge_lookback_days"] for row in policy.rows("stage_policy")), default=None
    )
    for row in policy.rows("stage_criteria"):
        is_gauge = sources.get(row["measure"]) == "gauge"
        if is_gauge and row["expiry_days"] is None:
            yield Fault(
                policy.place("stage_criteria"),
                row.line,
                "expiry_days",
                "a gauge needs the days after which it is too old to count",
                "give it a number of days",
            )
        elif is_gauge and lookback is not None and row["expiry_days"] > lookback:
            yield Fault(
                policy.place("stage_criteria"),
                row.line,
                "expiry_days",
                f"{row['expiry_days']} days are more than gauges are looked back for ({lookback})",
                "raise gauge_lookback_days in stage_policy, or lower this",
            )


@_over("enablement_activities", "stage_criteria")
def _enablement(policy: Policy) -> Iterator[Fault]:
    criteria = {row["criterion_id"]: row for row in policy.rows("stage_criteria")}
    file = policy.place("enablement_activities")
    yield from _unknown(
        policy, "enablement_activities", "owner_role", set(OWNER_ROLES), "owner role"
    )
    for row in policy.rows("enablement_activities"):
        criterion = criteria.get(row["criterion_id"])
        for column in ("solution_area", "stage"):
            if criterion is not None and criterion[column] not in {None, row[column]}:
                yield Fault(
                    file,
                    row.line,
                    column,
                    f"{row['criterion_id']!r} belongs to {criterion[column]!r}, not to "
                    f"{row[column]!r}",
                    f"write {criterion[column]!r}",
                )


# Metrics -------------------------------------------------------------------------------------


@_over("metric_definitions")
def _metrics(policy: Policy) -> Iterator[Fault]:
    table = "metric_definitions"
    file = policy.place(table)
    yield from _unknown(policy, table, "metric_id", set(METRIC_TABLES), "metric")
    yield from _missing(policy, table, "metric_id", tuple(METRIC_TABLES))
    yield from _outside(policy, table, "window_days", 1, None)
    yield from _unknown(policy, table, "owner", set(OWNER_ROLES), "owner")
    limits = {"ratio": 1, "points": 100, "days": None}
    for row in policy.rows(table):
        for column in ("unit", "window_days", "target", "is_target_inclusive", "direction"):
            if row[column] is None:
                yield Fault(file, row.line, column, "the cell is empty", "give it a value")
        home = METRIC_TABLES.get(row["metric_id"])
        if home is not None and row["table_name"] != home:
            yield Fault(
                file,
                row.line,
                "table_name",
                f"{row['metric_id']!r} is computed in {home}",
                f"write {home}",
            )
        high = limits.get(row["unit"])
        for column in ("target", "alert"):
            value = row[column]
            if value is not None and (value < 0 or (high is not None and value > high)):
                yield Fault(
                    file,
                    row.line,
                    column,
                    f"{value} is no {row['unit']}",
                    f"use 0 to {high}" if high is not None else "use 0 or more",
                )
        target, alert = row["target"], row["alert"]
        if target is not None and alert is not None:
            wrong = alert > target if row["direction"] == "higher" else alert < target
            if wrong:
                yield Fault(
                    file,
                    row.line,
                    "alert",
                    f"the alert {alert} lies on the good side of the target {target}",
                    "move it beyond the target, on the bad side",
                )


@_over("metric_dimensions", "metric_definitions")
def _metric_dimensions(policy: Policy) -> Iterator[Fault]:
    cut = _groups(policy.rows("metric_dimensions"), "metric_id")
    for row in policy.rows("metric_definitions"):
        dimensions = {found["dimension"] for found in cut.get((row["metric_id"],), [])}
        if "all" not in dimensions:
            yield Fault(
                policy.place("metric_dimensions"),
                0,
                "dimension",
                f"metric {row['metric_id']!r} has no dimension 'all'",
                "add the row: the uncut number is always shown",
            )


@_over("metric_policy")
def _metric_policy(policy: Policy) -> Iterator[Fault]:
    table = "metric_policy"
    yield from _unknown(policy, table, "parameter", set(METRIC_PARAMETERS), "parameter")
    yield from _missing(policy, table, "parameter", METRIC_PARAMETERS)
    yield from _outside_of_parameter(policy, table, "green_confirm_days", 1, None)
    yield from _outside_of_parameter(policy, table, "response_days", 0, None)
    yield from _outside_of_parameter(policy, table, "survival_quantile", 0, 1)
    yield from _outside_of_parameter(policy, table, "blocker_window_days", 1, None)


@_over("metric_matrix_lags")
def _matrix_lags(policy: Policy) -> Iterator[Fault]:
    yield from _outside(policy, "metric_matrix_lags", "lag_days", 1, None)


# Shared --------------------------------------------------------------------------------------


def _first_day(policy: Policy) -> date | None:
    """The day from which any account has a profile."""
    return min((row["effective_from"] for row in policy.rows("health_profiles")), default=None)


def _begins_with_policy(
    policy: Policy, table: str, subject: str, words: Sequence[str]
) -> Iterator[Fault]:
    """Every word has a row, and its first holds from the first day of the policy on."""
    yield from _missing(policy, table, subject, words)
    begins = _first_day(policy)
    for (word,), rows in _groups(policy.rows(table), subject).items():
        first = min(rows, key=lambda row: (row["effective_from"], row.line))
        if begins is not None and first["effective_from"] > begins:
            yield Fault(
                policy.place(table),
                first.line,
                "effective_from",
                f"gap: nothing holds for {word!r} before {first['effective_from']}, but profiles "
                f"are in force from {begins}",
                f"let its first row hold from {begins}",
            )


def _single_row(policy: Policy, table: str) -> Iterator[Fault]:
    if len(policy.rows(table)) != 1:
        yield Fault(
            policy.place(table),
            0,
            "",
            f"{len(policy.rows(table))} rows where one is read",
            "keep exactly one row",
        )


def _outside_of_parameter(
    policy: Policy, table: str, parameter: str, low: int, high: int | None
) -> Iterator[Fault]:
    for row in policy.rows(table):
        value = row["value"]
        if row["parameter"] != parameter:
            continue
        if value is None or value < low or (high is not None and value > high):
            limit = f"from {low}" + ("" if high is None else f" to {high}")
            yield Fault(
                policy.place(table),
                row.line,
                "value",
                f"{parameter} is {value}",
                f"use a value {limit}",
            )


def _newest(rows: Sequence[PolicyRow], key: tuple[str, ...], day: date) -> list[PolicyRow]:
    """Of each key the row in force on the day: the one that began last."""
    found: dict[tuple[Any, ...], PolicyRow] = {}
    for row in sorted(rows, key=lambda row: row["effective_from"]):
        if row["effective_from"] <= day:
            found[tuple(row[column] for column in key)] = row
    return list(found.values())


def _in_force(rows: Sequence[PolicyRow], key: str, profile: str, day: date) -> list[PolicyRow]:
    """Rows of a profile in force on a day; what it lacks it takes from the default profile."""
    found: dict[Any, PolicyRow] = {}
    for source in (DEFAULT_PROFILE, profile):
        own = [row for row in rows if row["profile_id"] == source]
        found.update({row[key]: row for row in _newest(own, (key,), day)})
    return list(found.values())
