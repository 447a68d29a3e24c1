"""`csp explain`: an account's score read aloud: what moved it, what holds it down, what is open."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb

from dagster_project.errors import ConfigError
from dagster_project.reporting.plain_words import (
    STATES,
    day_text,
    fell_silent,
    in_tenths,
    moved,
    points_text,
    spoke_up,
    value_text,
)

_DEFAULT_LOOK_BACK = timedelta(days=30)
_CAUSES_SHOWN = 3
_DRAGS_SHOWN = 5
_GAPS_SHOWN = 6
# Groups of the ledger that are no component, as they are read aloud.
_COVERAGE, _POLICY, _OVERRIDE, _CAP = "coverage", "policy", "override", "cap"
_SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class _Measure:
    """What a measure is called and counted in."""

    label: str
    unit: str


def explain_account(
    con: duckdb.DuckDBPyConnection,
    account: str,
    *,
    as_of: date | None = None,
    since: date | None = None,
) -> str:
    """Say what an account's score is made of and what moved it.

    Args:
        con: the published file, read-only.
        account: its id or its name.
        as_of: the day to explain; the published day when not given.
        since: the day to compare with; 30 days earlier when not given.

    Raises:
        ConfigError: no such account or day, with the nearest there is.
    """
    account_id, name = _find(con, account)
    day = as_of or _value(con, "select as_of_date from pipeline.publication")
    before = since or day - _DEFAULT_LOOK_BACK
    if before >= day:
        raise ConfigError(f"--since {before} must lie before the day explained, {day}")
    health = _row(
        con,
        "select * from marts.fct_account_health_daily where account_id = ? and as_of_date = ?",
        [account_id, day],
    )
    if health is None:
        raise ConfigError(_no_such_day(con, account_id, name, day))
    catalogue = _catalogue(con)
    measures = con.execute(
        """
        select component, measure, value, measure_score, status, effective_weight, contribution
        from marts.fct_health_measure_daily where account_id = ? and as_of_date = ?
        order by effective_weight desc, measure
        """,
        [account_id, day],
    ).fetchall()
    parts = [
        _headline(con, account_id, name, day, health),
        _override(con, account_id, day, health),
        str(_moves(con, (before, day), health, catalogue)),
        _drags(measures, catalogue, health),
        _silent(measures, catalogue),
        _table(measures, catalogue, health),
        _actions(con, account_id, day),
    ]
    return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class Move:
    """A change of the score read aloud: what it is, and what moved it, largest first.

    `groups` are components and other kinds of causes: name, points as written, causes in words.
    The points as written add up to those of the headline.

    `causes` are the rows behind it: kind, cause, points (None: a move without a size). `values`
    has, by measure, its component, and value and status on both days.
    """

    headline: str
    groups: tuple[tuple[str, str, str], ...] = ()
    causes: tuple[tuple[str, str, float | None], ...] = ()
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        width = max((len(group) for group, _, _ in self.groups), default=0)
        return "\n".join(
            [
                self.headline,
                *(
                    f"  {group:<{width}}  {points:>6}  {words}"
                    for group, points, words in self.groups
                ),
            ]
        )


def explain_move(
    con: duckdb.DuckDBPyConnection, account_id: str, *, before: date, day: date
) -> Move:
    """Say what moved an account's score from one day to a later one, and nothing else.

    Args:
        con: the published file, read-only.
        account_id: its id.
        before: the day to compare with.
        day: the day to explain.

    Raises:
        ConfigError: the account has no row on `day`, with the days it has.
    """
    health = _row(
        con,
        "select * from marts.fct_account_health_daily where account_id = ? and as_of_date = ?",
        [account_id, day],
    )
    if health is None:
        raise ConfigError(_no_such_day(con, account_id, account_id, day))
    return _moves(con, (before, day), health, _catalogue(con))


# --- reading -------------------------------------------------------------------------------------


def _catalogue(con: duckdb.DuckDBPyConnection) -> dict[str, _Measure]:
    """What the measures are called and counted in."""
    return {
        str(measure): _Measure(str(label), str(unit or ""))
        for measure, label, unit in con.execute(
            "select measure, coalesce(label, measure), unit from policy.health_measures"
        ).fetchall()
    }


def _row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: list[object]
) -> dict[str, Any] | None:
    rows = con.execute(query, parameters)
    names = [column[0] for column in rows.description or ()]
    found = rows.fetchone()
    return dict(zip(names, found, strict=True)) if found else None


def _value(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = con.execute(query).fetchone()
    return row[0] if row else None


def _find(con: duckdb.DuckDBPyConnection, account: str) -> tuple[str, str]:
    rows = con.execute(
        "select account_id, account_name from marts.dim_account "
        "where account_id = $1 or lower(account_name) = lower($1) order by all",
        [account],
    ).fetchall()
    if len(rows) == 1:
        return str(rows[0][0]), str(rows[0][1] or rows[0][0])
    if rows:
        ids = ", ".join(str(row[0]) for row in rows)
        raise ConfigError(f"{account!r} names {len(rows)} accounts: give one of the ids {ids}")
    known = con.execute("select account_id, account_name from marts.dim_account").fetchall()
    words = {str(text): str(text) for row in known for text in row if text is not None}
    near = difflib.get_close_matches(account, sorted(words), n=3, cutoff=0.5)
    mend = f" — did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(f"there is no account {account!r} in the published tables{mend}")


def _no_such_day(con: duckdb.DuckDBPyConnection, account_id: str, name: str, day: date) -> str:
    row = _row(
        con,
        "select min(as_of_date) as first_on, max(as_of_date) as last_on "
        "from marts.fct_account_health_daily where account_id = ?",
        [account_id],
    )
    if row is None or row["first_on"] is None:
        return f"{name} ({account_id}) has no published day: it was no customer on any of them"
    return (
        f"{name} ({account_id}) has no row on {day}; "
        f"it has days from {row['first_on']} to {row['last_on']}"
    )


# --- what it is ----------------------------------------------------------------------------------


def _headline(
    con: duckdb.DuckDBPyConnection,
    account_id: str,
    name: str,
    day: date,
    health: Mapping[str, Any],
) -> str:
    facts = [
        str(health["tier"] or "no tier"),
        f"ARR {health['arr_usd']:,.0f} USD" if health["arr_usd"] is not None else "ARR unknown",
    ]
    if health["days_to_renewal"] is not None:
        facts.append(f"renews in {health['days_to_renewal']} days")
    covered = f"{100 * health['coverage_ratio']:.0f} % of the weight is scored"
    if health["health_score"] is None:
        floor = _row(
            con,
            "select max(coverage_floor) as floor from marts.dim_health_policy where policy_key = ?",
            [health["policy_key"]],
        )
        needed = floor["floor"] if floor else None
        asked = f", {100 * needed:.0f} % are needed" if needed is not None else ""
        reason = health.get("unscored_reason")
        most = f"; most of the rest: {STATES.get(reason, reason)}" if reason else ""
        facts.append(f"{covered}{asked}{most}")
        score = "no score"
    else:
        score = f"{health['health_score']:.1f}, {health['health_zone'] or 'no zone'}"
        facts.append(covered)
    return f"{name} ({account_id}), {day_text(day)}: {score}\n{', '.join(facts)}"


def _override(
    con: duckdb.DuckDBPyConnection, account_id: str, day: date, health: Mapping[str, Any]
) -> str:
    """The override in force with its end, and one that begins later."""
    lines = []
    if health.get("override_reason"):
        computed = health["computed_score"]
        text = f"{computed:.1f}, {health['computed_zone']}" if computed is not None else "no score"
        left = (health["override_expires_on"] - day).days
        lines.append(
            f"Set by {health['override_author']} until {day_text(health['override_expires_on'])} "
            f"({left} days left): {health['override_reason']}. Computed: {text}."
        )
    ahead = con.execute(
        "select health_score, health_zone, author, starts_on, expires_on, reason "
        "from marts.dim_health_override where account_id = ? and state = 'planned' "
        "order by starts_on, override_id",
        [account_id],
    ).fetchall()
    for score, zone, author, starts, expires, reason in ahead:
        what = ", ".join(
            part for part in (f"{score:.1f}" if score is not None else "", zone or "") if part
        )
        lines.append(
            f"{author} sets it to {what} from {day_text(starts)} to {day_text(expires)}: {reason}."
        )
    return "\n".join(lines)


# --- what moved it -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cause:
    """One cause of the move with its group, in points and in words."""

    group: str
    points: float
    words: str


def _moves(
    con: duckdb.DuckDBPyConnection,
    days: tuple[date, date],
    health: Mapping[str, Any],
    catalogue: Mapping[str, _Measure],
) -> Move:
    before, day = days
    account_id = health["account_id"]
    old = _row(
        con,
        "select health_score, health_zone from marts.fct_account_health_daily "
        "where account_id = ? and as_of_date = ?",
        [account_id, before],
    )
    since = day_text(before)
    if old is None:
        return Move(f"Since {since}: it was no customer then, so there is nothing to compare with")
    rows = con.execute(
        "select cause_kind, cause, points from marts.health_change(?::date, ?::date) "
        "where account_id = ? order by abs(points) desc, cause_kind, cause",
        [before, day, account_id],
    ).fetchall()
    if old["health_score"] is None or health["health_score"] is None:
        said = _without_size(since, old, health, [str(row[0]) for row in rows])
        return Move(said, causes=tuple(rows))
    values = _values(con, account_id, before, day)
    causes = _causes(values, health, rows, catalogue)
    total = round(10 * (health["health_score"] - old["health_score"]))
    zones = (
        f", still {health['health_zone']}"
        if old["health_zone"] == health["health_zone"]
        else f", {old['health_zone']} to {health['health_zone']}"
    )
    headline = (
        f"{points_text(total)} since {since} "
        f"({old['health_score']:.1f} to {health['health_score']:.1f}{zones})"
    )
    if not causes:
        return Move(f"{headline}: nothing moved")
    groups: dict[str, list[_Cause]] = {}
    for cause in causes:
        groups.setdefault(cause.group, []).append(cause)
    ordered = sorted(
        groups.items(), key=lambda item: (-abs(sum(c.points for c in item[1])), item[0])
    )
    sums = in_tenths([sum(cause.points for cause in own) for _, own in ordered], total)
    return Move(
        headline,
        tuple(
            (group, points_text(tenths), _read_aloud(own, tenths))
            for (group, own), tenths in zip(ordered, sums, strict=True)
            if tenths or any(round(10 * cause.points) for cause in own)
        ),
        tuple(rows),
        values,
    )


def _read_aloud(causes: Sequence[_Cause], total: int) -> str:
    """The largest causes of a group in words; each with its points where there are several."""
    tenths = in_tenths([cause.points for cause in causes], total)
    if len(causes) == 1:
        return causes[0].words
    shown = [
        f"{points_text(own)} {cause.words}"
        for cause, own in zip(causes[:_CAUSES_SHOWN], tenths, strict=False)
        if own
    ]
    rest = len(causes) - len(shown)
    if rest:
        left = total - sum(own for own in tenths[:_CAUSES_SHOWN])
        shown.append(f"{points_text(left)} {rest} more")
    return "; ".join(shown)


def _causes(
    values: Mapping[str, tuple[Any, ...]],
    health: Mapping[str, Any],
    rows: Sequence[tuple[str, str, float]],
    catalogue: Mapping[str, _Measure],
) -> list[_Cause]:
    found: list[_Cause] = []
    for kind, cause, points in rows:
        component, old, old_status, new, new_status = values.get(cause, (None,) * 5)
        known = catalogue.get(cause, _Measure(cause, ""))
        if kind == "config":
            group, words = _POLICY, f"scored by {_policy_text(cause)} now"
        elif kind == "override":
            author = health.get("override_author")
            group = _OVERRIDE
            words = f"set by {author}" if author else "what a person had set has ended"
        elif cause == "score_cap":
            group, words = (
                _CAP,
                "a bad value that caps the score" + ("" if points < 0 else " caps less"),
            )
        elif kind == "coverage":
            group = _COVERAGE
            words = (
                spoke_up(known.label, old_status, new, known.unit)
                if new_status == "scored"
                else fell_silent(known.label, new_status)
            )
        else:
            group, words = component or "other", moved(known.label, old, new, known.unit)
        found.append(_Cause(group, points, words))
    return found


def _policy_text(policy_key: str) -> str:
    """A policy version in words: set, profile and first day from the key."""
    policy_set, profile, starts = (policy_key.split("/") + ["", "", ""])[:3]
    try:
        since = day_text(date.fromisoformat(starts))
    except ValueError:
        return f"policy {policy_key}"
    return f"policy {policy_set} of {since}, profile {profile}"


def _without_size(
    since: str, old: Mapping[str, Any], health: Mapping[str, Any], kinds: Sequence[str]
) -> str:
    why = {
        "config": " by another policy",
        "override": " by what a person set",
        "coverage": "",
    }.get(kinds[0] if kinds else "coverage", "")
    if old["health_score"] is None and health["health_score"] is None:
        return f"Since {since}: it had no score then, and has none now"
    if old["health_score"] is None:
        return (
            f"Since {since}: it had no score then{', it has one' if why else ''}{why}, so the move "
            "has no size"
        )
    return (
        f"Since {since}: it had {old['health_score']:.1f}, {old['health_zone']}; it has no score "
        f"now{why}, so the move has no size"
    )


def _values(
    con: duckdb.DuckDBPyConnection, account_id: str, before: date, day: date
) -> dict[str, tuple[Any, ...]]:
    """Per measure its component, and value and status on both days."""
    rows = con.execute(
        """
        select
            measure,
            max(component),
            max(value) filter (where as_of_date = $before),
            max(status) filter (where as_of_date = $before),
            max(value) filter (where as_of_date = $day),
            max(status) filter (where as_of_date = $day)
        from marts.fct_health_measure_daily
        where account_id = $account and (as_of_date = $before or as_of_date = $day)
        group by measure
        order by measure
        """,
        {"before": before, "day": day, "account": account_id},
    ).fetchall()
    return {str(row[0]): tuple(row[1:]) for row in rows}


# --- what it is made of --------------------------------------------------------------------------


def _drags(
    measures: Sequence[tuple[Any, ...]],
    catalogue: Mapping[str, _Measure],
    health: Mapping[str, Any],
) -> str:
    """The measures that keep the score furthest from 100."""
    if health["computed_score"] is None:
        return ""
    lost = sorted(
        (
            (weight * (100 - score), measure, value)
            for _, measure, value, score, status, weight, _ in measures
            if status == "scored" and score is not None and weight * (100 - score) >= 0.05
        ),
        key=lambda row: (-row[0], row[1]),
    )[:_DRAGS_SHOWN]
    if not lost:
        return ""
    lines = ["Furthest from full marks"]
    for points, measure, value in lost:
        known = catalogue.get(measure, _Measure(measure, ""))
        lines.append(f"  {-points:>6.1f}  {moved(known.label, value, value, known.unit)}")
    return "\n".join(lines)


def _silent(measures: Sequence[tuple[Any, ...]], catalogue: Mapping[str, _Measure]) -> str:
    """What is not scored, by state; a measure that does not apply is no gap."""
    gaps: dict[str, list[str]] = {}
    for _, measure, value, _, status, _, _ in measures:
        if status in {"scored", "not_applicable"}:
            continue
        known = catalogue.get(measure, _Measure(measure, ""))
        last = f" (last {value_text(value, known.unit)})" if status == "stale" else ""
        gaps.setdefault(status, []).append(f"{known.label}{last}")
    if not gaps:
        return ""
    return "\n".join(
        [
            "Not scored; its weight is with the rest",
            *(f"  {STATES[state]}: {_listed(gaps[state])}" for state in STATES if state in gaps),
        ]
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _GAPS_SHOWN
    return ", ".join(names[:_GAPS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _table(
    measures: Sequence[tuple[Any, ...]],
    catalogue: Mapping[str, _Measure],
    health: Mapping[str, Any],
) -> str:
    components = [
        column.removesuffix("_weight")
        for column in health
        if column.endswith("_weight") and f"{column.removesuffix('_weight')}_status" in health
    ]
    width = max(
        [28, *(len(catalogue[row[1]].label) + 2 for row in measures if row[1] in catalogue)]
    )
    lines = [f"{'':{width}}{'value':>12}{'score':>8}{'weight':>9}{'points':>9}"]
    for component in components:
        score = health[f"{component}_score"]
        weight = health[f"{component}_weight"]
        status = health[f"{component}_status"]
        points = weight * score if score is not None else None
        lines.append(
            f"{component:<{width}}{'':>12}{_number(score):>8}{_percent(weight):>9}"
            f"{_number(points):>9}{_state(status)}"
        )
        for own, measure, value, measure_score, state, share, contribution in measures:
            if own != component:
                continue
            known = catalogue.get(measure, _Measure(measure, ""))
            shown = "" if value is None else value_text(value, known.unit)
            is_scored = state == "scored"
            lines.append(
                f"  {known.label:<{width - 2}}{shown:>12}{_number(measure_score):>8}"
                f"{_percent(share) if is_scored else '':>9}"
                f"{_number(contribution) if is_scored else '':>9}{_state(state)}"
            )
    for own, measure, *_, contribution in measures:
        if own is None and measure == "score_cap":
            lines.append(f"{'cap':<{width}}{'':>29}{_number(contribution):>9}")
    computed = health["computed_score"]
    if computed is not None:
        lines.append(f"{'computed score':<{width}}{'':>29}{_number(computed):>9}")
    return "\n".join(lines)


def _state(state: str | None) -> str:
    return "" if state == "scored" else f"  {STATES.get(str(state), str(state))}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


# --- what is open --------------------------------------------------------------------------------


def _actions(con: duckdb.DuckDBPyConnection, account_id: str, day: date) -> str:
    """Open actions, one line per playbook and owner: how many, the most severe, the first due."""
    rows = con.execute(
        """
        select
            coalesce(playbook_id, 'promised in a call') as playbook_id, owner_role, count(*),
            min(list_position($severities, severity)),
            count(*) filter (where due_on < $day), min(due_on)
        from playbooks.actions
        where account_id = $account and opened_on <= $day
            and (closed_on is null or closed_on > $day)
        group by playbook_id, owner_role
        order by min(list_position($severities, severity)), min(due_on), playbook_id, owner_role
        """,
        {"account": account_id, "day": day, "severities": list(_SEVERITIES)},
    ).fetchall()
    if not rows:
        return "No open action"
    lines = ["Open actions"]
    for playbook, role, count, severity, late, due in rows:
        overdue = f", {late} overdue" if late and count > 1 else ", overdue" if late else ""
        many = f"{count} open" if count > 1 else "open"
        worst = _SEVERITIES[severity - 1] if severity else ""
        lines.append(
            f"  {playbook:<40}{worst:<10}{role:<12}{many}{overdue}, "
            f"{'first ' if count > 1 else ''}due {day_text(due)}"
        )
    return "\n".join(lines)
