"""The lines at the end of `csp run`: what came in, what was scored, opened, written."""

from __future__ import annotations

import duckdb

from dagster_project.progress import stage_seconds

_SHOWN_FAULTS = 10
_WHY_UNSCORED = {
    "too_early": "in their first days",
    "no_data": "no input at all",
    "stale": "inputs out of date",
    "unscored": "coverage under the floor",
}


def run_summary(con: duckdb.DuckDBPyConnection) -> str:
    """Read the build file of a finished run and say what happened, in one short paragraph each.

    Args:
        con: the build file; its schemas `pipeline`, `marts` and `playbooks` are read.
    """
    window = con.execute("select from_date, as_of_date from pipeline.run_window").fetchone()
    assert window is not None
    first, last = window
    counts = {
        (stage, name): value
        for stage, name, value in con.execute(
            "select stage, name, value from pipeline.run_counts order by stage, position"
        ).fetchall()
    }
    lines = [f"Published {last}" + ("" if first == last else f", computed from {first}")]
    for stage in ("ingest", "playbooks", "infohub", "publish"):
        texts = [f"{value:,} {name}" for (of, name), value in counts.items() if of == stage]
        lines.append(f"  {stage:<10} {', '.join(texts)}")
        if stage == "infohub":
            lines += [f"    {message}" for message in _infohub_faults(con)]
    lines.append(f"  {'accounts':<10} {_scored(con)}")
    lines.append(f"  {'zones':<10} {_zones(con)}")
    if stage_seconds:
        times = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stage_seconds.items())
        lines.append(f"  {'seconds':<10} {times}")
    return "\n".join(lines)


def _infohub_faults(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The first accounts or files the InfoHub left as they are, and why."""
    known = con.execute(
        "select count(*) from duckdb_tables() "
        "where schema_name = 'pipeline' and table_name = 'infohub_faults'"
    ).fetchone()
    if not known or not known[0]:
        return []
    rows = con.execute("select message from pipeline.infohub_faults order by position").fetchall()
    messages = [str(message) for (message,) in rows[:_SHOWN_FAULTS]]
    more = len(rows) - len(messages)
    return [*messages, f"and {more:,} more in pipeline.infohub_faults"] if more > 0 else messages


def _scored(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(
        """
        select coalesce(unscored_reason, score_status), count(*)
        from marts.fct_account_health_daily
        where as_of_date = (select as_of_date from pipeline.run_window)
        group by all order by all
        """
    ).fetchall()
    counts = {str(status): int(count) for status, count in rows}
    scored = counts.pop("scored", 0)
    eligible = scored + sum(counts.values())
    text = f"{scored:,} of {eligible:,} scored"
    if counts:
        why = (f"{count:,} {_WHY_UNSCORED.get(name, name)}" for name, count in counts.items())
        text += f"; not scored: {', '.join(why)}"
        text += _missing_components(con, eligible)
    return text


def _missing_components(con: duckdb.DuckDBPyConnection, eligible: int) -> str:
    """Name the components that no account has: the reason behind a low coverage."""
    columns = [
        name
        for (name,) in con.execute(
            "select column_name from duckdb_columns() where schema_name = 'marts' "
            "and table_name = 'fct_account_health_daily' and column_name like '%_status' "
            "and column_name != 'score_status' order by column_index"
        ).fetchall()
    ]
    if not columns or not eligible:
        return ""
    parts = ", ".join(f"count(*) filter (where {name} = 'scored')" for name in columns)
    row = con.execute(
        f"select {parts} from marts.fct_account_health_daily "
        "where as_of_date = (select as_of_date from pipeline.run_window)"
    ).fetchone()
    assert row is not None
    empty = [
        name.removesuffix("_status") for name, count in zip(columns, row, strict=True) if not count
    ]
    return f" (no account has {', '.join(empty)})" if empty else ""


def _zones(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(
        """
        select health_zone, count(*) from marts.fct_account_health_daily
        where
            as_of_date = (select as_of_date from pipeline.run_window) and health_zone is not null
        group by all
        order by min(health_score) desc nulls last
        """
    ).fetchall()
    return ", ".join(f"{count:,} {zone}" for zone, count in rows) or "none"
