"""A page per person: their accounts, and their work this week; nothing about anybody else's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from dagster_project.reporting import queries, style, svg
from dagster_project.reporting.queries import Snapshot
from dagster_project.reporting.report.page import macro

# More than a week's reading; the longest overdue and the worst scores come first.
ROWS_SHOWN = 100
_ROW, _MACROS = "owner_row.html.jinja", "macros.html.jinja"
_NO_COMPONENTS: dict[str, Any] = {"components": [], "picture": ""}


@dataclass(frozen=True)
class OwnerPage:
    """A person's page: its file name (safe whatever the name holds) and what it shows."""

    owner: str
    file_name: str
    values: dict[str, Any]


def owner_file(owner: str) -> str:
    """A file name for a person: letters of the name to know it by, a digest to tell it apart.

    Nothing of the name but a-z and 0-9 is kept, so it cannot leave the folder.
    """
    known = re.sub(r"[^a-z0-9]+", "-", owner.lower().split("@", 1)[0]).strip("-")[:40]
    digest = hashlib.sha256(owner.encode()).hexdigest()[:8]
    return f"{known or 'owner'}-{digest}.html"


def owner_pages(snapshot: Snapshot) -> Iterator[OwnerPage]:
    """The pages, ordered by person; whoever holds a current account, open action or due call."""
    components = _component_bars(snapshot)
    overview: dict[str, dict[str, Any]] = {}
    for row in queries.accounts(snapshot).iter_rows(named=True):
        account = {**row, **components.get(str(row["account_id"]), _NO_COMPONENTS)}
        overview[str(row["account_id"])] = with_row(account)
    held: dict[str, dict[str, list[str]]] = {}
    for row in queries.people(snapshot).iter_rows(named=True):
        roles = held.setdefault(str(row["owner"]), {}).setdefault(str(row["account_id"]), [])
        roles.append(str(row["role"]))
    week = queries.work_of_the_week(snapshot)
    work = _by_owner(week)
    zone = macro(_MACROS, "zone")
    zone_marks = {name: zone(name) for name in sorted(week["health_zone"].unique())}
    for owner in sorted({*held, *work}):
        accounts = [
            {**overview[account], "roles": roles} for account, roles in held.get(owner, {}).items()
        ]
        accounts.sort(key=_worst_first)
        values = _values(snapshot, owner, accounts, work.get(owner, []))
        yield OwnerPage(owner, owner_file(owner), values | {"zone_marks": zone_marks})


def with_row(account: dict[str, Any]) -> dict[str, Any]:
    """An account with the two parts of its row in a list: several people may hold it, and the row
    is made once for all of them.
    """
    return account | {"head": macro(_ROW, "head")(account), "tail": macro(_ROW, "tail")(account)}


def _values(
    snapshot: Snapshot, owner: str, accounts: list[dict[str, Any]], work: list[dict[str, Any]]
) -> dict[str, Any]:
    zones: dict[str, list[dict[str, Any]]] = {}
    for account in accounts:
        zones.setdefault(account["health_zone"], []).append(account)
    late = [row for row in work if row["is_overdue"]]
    due = [row for row in work if not row["is_overdue"]]
    return {
        "as_of": snapshot.as_of,
        "owner": owner,
        "accounts": accounts[:ROWS_SHOWN],
        "account_count": len(accounts),
        "arr_usd": sum(account["arr_usd"] or 0 for account in accounts),
        "zones": [
            {
                "zone": zone,
                "account_count": len(zones[zone]),
                "arr_usd": sum(account["arr_usd"] or 0 for account in zones[zone]),
            }
            for zone in style.zone_order(set(zones))
        ],
        "components": snapshot.components(),
        "late": late[:ROWS_SHOWN],
        "late_count": len(late),
        "due": due[:ROWS_SHOWN],
        "due_count": len(due),
    }


def _worst_first(account: dict[str, Any]) -> tuple[bool, float, float, str]:
    score = account["health_score"]
    return (score is None, score or 0.0, -(account["arr_usd"] or 0.0), account["account_id"])


def _by_owner(work: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in work.iter_rows(named=True):
        if row["owner"] is not None:
            groups.setdefault(str(row["owner"]), []).append(row)
    return groups


def _component_bars(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Per account its components, and a picture of their scores."""
    lines = queries.zone_lines(snapshot)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in queries.component_states(snapshot).iter_rows(named=True):
        found.setdefault(str(row["account_id"]), []).append(row)
    return {
        account: {
            "components": parts,
            "picture": svg.columns(
                [
                    (part["score"], style.ZONE_COLOURS[style.zone_of(part["score"], lines)])
                    for part in parts
                ]
            ),
        }
        for account, parts in found.items()
    }
