"""What changed in the actions since the last publication, as CloudEvents; kept until delivered.

The table `pipeline.action_changes` of the build file is log and outbox in one: a change is staged
before its publication is swapped in, counts once the swap is seen to have happened, and waits
there until the webhook (if there is one) has taken it. A crash at any point loses nothing.

Belongs here: finding, keeping and writing changes. Does not belong here: the network (`webhook`)
and when to publish (`defs`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from dagster_project.expressions import quote_identifier, quote_text
from dagster_project.playbooks.queues import action_records, json_line
from dagster_project.playbooks.spans import day

CHANGES_FILE = "changes.jsonl"
SOURCE = "urn:csp:playbooks"
TYPE_PREFIX = "csp.action."
# A published change that nothing waits for is kept this long, for repeated runs of its day.
KEPT_DAYS = 35
_TABLE = "pipeline.action_changes"
_LAST = "last_publication"

_CREATE = f"""
create schema if not exists pipeline;
create table if not exists {_TABLE} (
    change_id varchar, base_id varchar, publication_number bigint, as_of_date date,
    position integer, is_published boolean, delivery varchar, attempt_count integer,
    problem varchar, body varchar
);
"""


@dataclass(frozen=True)
class WaitingChange:
    """One published change that the webhook has not taken yet; `body` is the CloudEvent."""

    change_id: str
    body: str


def stage_changes(
    con: duckdb.DuckDBPyConnection,
    published: Path | None,
    as_of: date,
    publication_number: int,
    *,
    wants_delivery: bool,
) -> int:
    """Keep what the publication about to be made changes against the file `published`; how many.

    Without a file of an earlier publication only the work that is open is told: who begins to
    listen needs that, not the history. What an unfinished publication staged is dropped first, so
    staging twice is staging once.

    Args:
        con: the build file, writable.
        published: the file that readers have now; None when there is none.
        as_of: the day being published.
        publication_number: the number the publication will have.
        wants_delivery: whether a webhook is to be told.
    """
    con.execute(_CREATE)
    settle_changes(con, published)
    changes = _find_changes(con, published)
    records = _records(con, published, changes, as_of)
    if published is not None:
        con.execute(f"detach database if exists {_LAST}")
    known = dict(
        con.execute(
            f"select base_id, count(*) from {_TABLE} where as_of_date = ? group by base_id", [as_of]
        ).fetchall()
    )
    last = con.execute(
        f"select coalesce(max(position), 0) from {_TABLE} where as_of_date = ?", [as_of]
    ).fetchall()
    rows = []
    for position, change in enumerate(changes, start=int(last[0][0]) + 1):
        base_id = _base_id(change, as_of)
        # Taken back and made again on one day: a new change, or a listener would skip it.
        change_id = f"{base_id}-{known[base_id]}" if base_id in known else base_id
        body = _cloud_event(change_id, change, records.get(change.action_id), as_of)
        rows.append((change_id, base_id, position, json_line(body).rstrip("\n")))
    frame = pl.DataFrame(
        rows,
        schema={
            "change_id": pl.String,
            "base_id": pl.String,
            "position": pl.Int32,
            "body": pl.String,
        },
        orient="row",
    )
    con.register("staged_changes", frame)
    con.execute(
        f"insert into {_TABLE} select change_id, base_id, ?, ?, position, false, ?, 0, null, body"
        " from staged_changes order by position",
        [publication_number, as_of, "waiting" if wants_delivery else "off"],
    )
    con.unregister("staged_changes")
    con.execute(
        f"delete from {_TABLE} where is_published and delivery <> 'waiting'"
        f" and as_of_date < {day(as_of)} - {KEPT_DAYS}"
    )
    return len(rows)


def settle_changes(con: duckdb.DuckDBPyConnection, published: Path | None) -> None:
    """Make staged changes count where their publication is the one readers have; drop the others.

    Called after the swap, and before staging: a run may have died between the swap and this.
    """
    con.execute(_CREATE)
    con.execute(f"detach database if exists {_LAST}")
    number = 0
    if published is not None and published.exists():
        con.execute(f"attach {quote_text(str(published))} as {_LAST} (read_only)")
        if _has_table("publication", "pipeline", con):
            row = con.execute(
                f"select max(publication_number) from {_LAST}.pipeline.publication"
            ).fetchone()
            number = int(row[0]) if row and row[0] is not None else 0
        con.execute(f"detach {_LAST}")
    con.execute(
        f"update {_TABLE} set is_published = true where not is_published"
        " and publication_number <= ?",
        [number],
    )
    con.execute(f"delete from {_TABLE} where not is_published")


def write_changes(con: duckdb.DuckDBPyConnection, folder: Path, as_of: date) -> Path:
    """Write `<folder>/changes.jsonl`: the changes of the day's publications, one CloudEvent a line.

    A repeated run of the day adds to them, so that a reader who comes once a day misses none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CHANGES_FILE
    with path.open("w", encoding="utf-8") as handle:
        if _has_table("action_changes", "pipeline", con, catalog=None):
            cursor = con.execute(
                f"select body from {_TABLE} where as_of_date = ? order by position", [as_of]
            )
            while rows := cursor.fetchmany(10_000):
                handle.writelines(f"{body}\n" for (body,) in rows)
    return path


def waiting_changes(con: duckdb.DuckDBPyConnection) -> list[WaitingChange]:
    """The published changes the webhook has not taken, oldest first."""
    con.execute(_CREATE)
    rows = con.execute(
        f"select change_id, body from {_TABLE} where is_published and delivery = 'waiting'"
        " order by as_of_date, position"
    ).fetchall()
    return [WaitingChange(*row) for row in rows]


def note_deliveries(
    con: duckdb.DuckDBPyConnection, delivered: Sequence[str], refused: Mapping[str, str]
) -> None:
    """Keep in the ledger what the webhook took, and what it refused with which problem."""
    for change_ids, settings in (
        (list(delivered), "delivery = 'delivered', problem = null"),
        (list(refused), "problem = problems.problem"),
    ):
        if not change_ids:
            continue
        frame = pl.DataFrame(
            {
                "change_id": change_ids,
                "problem": [refused.get(change_id) for change_id in change_ids],
            },
            schema={"change_id": pl.String, "problem": pl.String},
        )
        con.register("problems", frame)
        con.execute(
            f"update {_TABLE} as change set attempt_count = attempt_count + 1, {settings}"
            " from problems where change.change_id = problems.change_id"
        )
        con.unregister("problems")


@dataclass(frozen=True)
class _Change:
    action_id: str
    event: str
    occurred_on: date
    detail: str
    #: added, corrected (the same event with another detail) or withdrawn
    kind: str


def _has_table(
    table: str, schema: str, con: duckdb.DuckDBPyConnection, catalog: str | None = _LAST
) -> bool:
    rows = con.execute(
        "select count(*) from duckdb_tables() where schema_name = ? and table_name = ?"
        " and database_name = coalesce(?, current_catalog())",
        [schema, table, catalog],
    ).fetchall()
    return bool(rows[0][0])


def _find_changes(con: duckdb.DuckDBPyConnection, published: Path | None) -> list[_Change]:
    """Events that only one side has, in order of day, action and story. Leaves `_LAST` attached."""
    has_past = False
    if published is not None and published.exists():
        con.execute(f"attach {quote_text(str(published))} as {_LAST} (read_only)")
        has_past = _has_table("action_events", "playbooks", con) and _has_table(
            "actions", "playbooks", con
        )
    if not has_past:
        rows = con.execute(
            "select action_id, event, occurred_on, detail, 'added' from playbooks.action_events"
            " semi join (select action_id from playbooks.actions where closed_on is null)"
            " using (action_id) where event = 'opened' order by occurred_on, action_id"
        ).fetchall()
        return [_Change(*row) for row in rows]
    rows = con.execute(
        f"""
        with added as (
            select action_id, event, occurred_on, detail, event_number
            from playbooks.action_events
            anti join {_LAST}.playbooks.action_events using (action_id, event, occurred_on, detail)
        ),
        gone as (
            select action_id, event, occurred_on, detail, event_number
            from {_LAST}.playbooks.action_events
            anti join playbooks.action_events using (action_id, event, occurred_on, detail)
        ),
        -- Where an event has another detail now it is one change, not two.
        corrected as (
            select distinct action_id, event, occurred_on from added
            semi join gone using (action_id, event, occurred_on)
        )
        select action_id, event, occurred_on, detail,
            case when corrected.action_id is null then 'added' else 'corrected' end as kind,
            added.event_number
        from added left join corrected using (action_id, event, occurred_on)
        union all
        select action_id, event, occurred_on, detail, 'withdrawn', event_number
        from gone anti join corrected using (action_id, event, occurred_on)
        order by occurred_on, action_id, event_number, event, kind, detail
        """
    ).fetchall()
    return [_Change(*row[:5]) for row in rows]


def _records(
    con: duckdb.DuckDBPyConnection, published: Path | None, changes: Iterable[_Change], as_of: date
) -> dict[str, dict[str, Any]]:
    """The record of every action that changed: as it is now, or as it last was."""
    wanted = sorted({change.action_id for change in changes})
    found = action_records(con, as_of, wanted)
    missing = [action_id for action_id in wanted if action_id not in found]
    if missing and published is not None:
        catalog = con.execute("select current_catalog()").fetchall()[0][0]
        con.execute(f"use {_LAST}")
        try:
            found |= action_records(con, as_of, missing)
        finally:
            con.execute(f"use {quote_identifier(str(catalog))}")
    return found


def _base_id(change: _Change, as_of: date) -> str:
    parts = (
        as_of.isoformat(),
        change.kind,
        change.action_id,
        change.event,
        change.occurred_on.isoformat(),
        change.detail,
    )
    return "chg_" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def _cloud_event(
    change_id: str, change: _Change, record: dict[str, Any] | None, as_of: date
) -> dict[str, Any]:
    """A change as a CloudEvent 1.0. Its time is the day of the fact, not of the telling."""
    suffix = "" if change.kind == "added" else f".{change.kind}"
    return {
        "specversion": "1.0",
        "id": change_id,
        "source": SOURCE,
        "type": f"{TYPE_PREFIX}{change.event}{suffix}",
        "subject": change.action_id,
        "time": f"{change.occurred_on.isoformat()}T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "event": change.event,
            "kind": change.kind,
            "occurred_on": change.occurred_on,
            "published_for": as_of,
            "detail": json.loads(change.detail),
            "queue": record["owner_role"] if record else None,
            "action": record,
        },
    }
