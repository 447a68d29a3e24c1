"""`csp explain`: an account's score read aloud: what makes it, what moved it, what is open."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import duckdb

from dagster_project.errors import ConfigError

_DEFAULT_LOOK_BACK = timedelta(days=30)
_CAUSES_SHOWN = 8


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
    parts = [
        _headline(account_id, name, day, health),
        _override(health),
        _measures(con, account_id, day, health),
        _moves(con, account_id, before, day, health),
        _actions(con, account_id, day),
    ]
    return "\n\n".join(part for part in parts if part)


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


def _headline(account_id: str, name: str, day: date, health: Mapping[str, Any]) -> str:
    facts = [
        str(health["tier"] or "no tier"),
        f"ARR {health['arr_usd']:,.0f} USD" if health["arr_usd"] is not None else "ARR unknown",
    ]
    if health["days_to_renewal"] is not None:
        facts.append(f"renews in {health['days_to_renewal']} days")
    coverage = f"coverage {100 * health['coverage_ratio']:.0f} %"
    if health["health_score"] is None:
        reason = health.get("unscored_reason")
        score = f"unscored, {coverage}" + (f", most of the rest is {reason}" if reason else "")
    else:
        score = f"{health['health_score']:.1f} {health['health_zone']}, {coverage}"
    return f"{name} ({account_id}) on {day}: {score}\n{', '.join(facts)}"


def _override(health: Mapping[str, Any]) -> str:
    if not health.get("override_reason"):
        return ""
    computed = health["computed_score"]
    text = f"{computed:.1f}" if computed is not None else "unscored"
    return (
        f"Overridden by {health['override_author']} until {health['override_expires_on']}: "
        f"{health['override_reason']} (computed: {text})"
    )


def _measures(
    con: duckdb.DuckDBPyConnection, account_id: str, day: date, health: Mapping[str, Any]
) -> str:
    rows = con.execute(
        """
        select component, measure, value, measure_score, status, effective_weight, contribution
        from marts.fct_health_measure_daily where account_id = ? and as_of_date = ?
        """,
        [account_id, day],
    ).fetchall()
    components = [
        column.removesuffix("_weight")
        for column in health
        if column.endswith("_weight") and f"{column.removesuffix('_weight')}_status" in health
    ]
    lines = [f"{'':34}{'value':>10}{'score':>8}{'weight':>9}{'points':>9}  state"]
    for component in components:
        weight = health[f"{component}_weight"]
        score = health[f"{component}_score"]
        points = weight * score if score is not None else None
        lines.append(
            f"{component:<34}{'':>10}{_number(score):>8}{_percent(weight):>9}"
            f"{_number(points):>9}  {health[f'{component}_status']}"
        )
        own = sorted(
            (row for row in rows if row[0] == component), key=lambda row: (-(row[5] or 0), row[1])
        )
        for _, measure, value, measure_score, status, share, contribution in own:
            scored = status == "scored"
            lines.append(
                f"  {measure:<32}{_number(value, 2):>10}{_number(measure_score):>8}"
                f"{_percent(share) if scored else '':>9}"
                f"{_number(contribution) if scored else '':>9}  {status}"
            )
    return "\n".join(lines)


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _moves(
    con: duckdb.DuckDBPyConnection,
    account_id: str,
    before: date,
    day: date,
    health: Mapping[str, Any],
) -> str:
    old = _row(
        con,
        "select health_score from marts.fct_account_health_daily "
        "where account_id = ? and as_of_date = ?",
        [account_id, before],
    )
    since = f"Since {before}"
    if old is None:
        return f"{since}: no row on that day, so nothing to compare with"
    if old["health_score"] is None or health["health_score"] is None:
        return f"{since}: unscored on {before if old['health_score'] is None else day}, so no move"
    rows = con.execute(
        """
        with ledger as (
            select cause_kind, cause, points from marts.health_change(?::date, ?::date)
            where account_id = ?
        ),
        measures as (
            select distinct measure, component from marts.fct_health_measure_daily
            where account_id = ? and as_of_date = ?
        )
        select ledger.cause_kind, ledger.cause, measures.component, ledger.points
        from ledger left join measures on measures.measure = ledger.cause
        order by abs(ledger.points) desc, ledger.cause_kind, ledger.cause
        """,
        [before, day, account_id, account_id, day],
    ).fetchall()
    move = health["health_score"] - old["health_score"]
    head = f"{since}: {move:+.1f} (from {old['health_score']:.1f} to {health['health_score']:.1f})"
    if not rows:
        return f"{head}, nothing moved"
    values = _values(con, account_id, before, day)
    lines = [head]
    for kind, cause, component, points in rows[:_CAUSES_SHOWN]:
        where = f"{component}: " if component else ""
        lines.append(f"  {points:+6.1f}  {where}{cause}, {_why(kind, values.get(cause))}")
    rest = sum(points for *_, points in rows[_CAUSES_SHOWN:])
    if len(rows) > _CAUSES_SHOWN:
        lines.append(f"  {rest:+6.1f}  {len(rows) - _CAUSES_SHOWN} smaller causes")
    return "\n".join(lines)


def _values(
    con: duckdb.DuckDBPyConnection, account_id: str, before: date, day: date
) -> dict[str, tuple[Any, ...]]:
    """(value, status) of each measure on both days."""
    rows = con.execute(
        """
        select
            measure,
            max(value) filter (where as_of_date = $before),
            max(status) filter (where as_of_date = $before),
            max(value) filter (where as_of_date = $day),
            max(status) filter (where as_of_date = $day)
        from marts.fct_health_measure_daily
        where account_id = $account and (as_of_date = $before or as_of_date = $day)
        group by measure
        """,
        {"before": before, "day": day, "account": account_id},
    ).fetchall()
    return {str(row[0]): tuple(row[1:]) for row in rows}


def _why(kind: str, values: tuple[Any, ...] | None) -> str:
    if values is None:
        return kind
    old, old_status, new, new_status = values
    if kind == "coverage":
        return f"{old_status or 'absent'} became {new_status or 'absent'}"
    if kind == "behaviour" and old is not None and new is not None:
        return f"{old:,.2f} became {new:,.2f}"
    return kind


def _actions(con: duckdb.DuckDBPyConnection, account_id: str, day: date) -> str:
    rows = con.execute(
        """
        select coalesce(playbook_id, 'promised in a call'), severity, opened_on, due_on, status,
            owner_role
        from playbooks.actions
        where account_id = $account and opened_on <= $day
            and (closed_on is null or closed_on > $day)
        order by due_on, playbook_id, opened_on
        """,
        {"account": account_id, "day": day},
    ).fetchall()
    if not rows:
        return "No open action"
    lines = ["Open actions"]
    for playbook, severity, opened, due, status, role in rows:
        late = " (overdue)" if due < day else ""
        lines.append(
            f"  {playbook:<40}{severity:<9}{role:<11}{status:<12}opened {opened}, due {due}{late}"
        )
    return "\n".join(lines)
