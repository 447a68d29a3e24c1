"""The agents' queues: one self-contained record per open action, one file per agent.

Belongs here: what an agent reads. Does not belong here: deciding what is open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

import duckdb

from dagster_project.playbooks.model import Role
from dagster_project.playbooks.tables import ACTIONS, PLAYBOOKS, RULES
from dagster_project.sentences import MEETING_WHY, write_why

AGENTS: tuple[str, ...] = get_args(Role)
# Read by the meeting-notes agent: it supports calls, whoever owns them.
_NOTES_AGENT = "meeting_notes"
SCHEMA_VERSION = 1
# What there is still to do: of no use once an action is closed.
_PLAN = frozenset(
    {"steps", "checklist", "agenda", "intervention", "escalation_path", "days_past_due"}
)


def write_queues(con: duckdb.DuckDBPyConnection, out_dir: Path, as_of: date) -> list[Path]:
    """Write `<out_dir>/<agent>.jsonl` for every agent; an agent without work gets an empty file.

    A record stands in the queue of its owner's role; calls stand in the queue of the meeting-notes
    agent as well, with `queue_role` support. The order is stable: severity, due date, action.
    """
    files = _infohub_files(con)
    definitions = _definitions(con)
    actions = _action_rows(
        con,
        "actions.closed_on is null",
        "case actions.severity when 'critical' then 0 when 'high' then 1 when 'medium' then 2"
        " else 3 end, actions.due_on, actions.action_id",
    )
    lines: dict[str, list[str]] = {agent: [] for agent in AGENTS}
    plans: dict[tuple[Any, ...], dict[str, str]] = {}
    for action in actions:
        definition = definitions.get(action["playbook_id"], {})
        evidence: dict[str, Any] = json.loads(action["evidence"])
        links = _links(files.get(action["account_id"], []), action, evidence, definition, as_of)
        # What the playbook gives an action is the same for many and most of the text: put into
        # words once.
        given = (action["playbook_id"], *_plan_inputs(action, evidence))
        plan = plans.get(given)
        if plan is None:
            plan = plans[given] = _json_texts(_plan_part(definition, *given[1:]))
        own = _own_part(action, evidence, as_of) | {"infohub": links, "queue_role": "owner"}
        record = _json_texts(own) | plan
        lines[action["owner_role"]].append(_line_of(record))
        helps = _NOTES_AGENT in definition.get("supporting_roles", [])
        if helps and action["owner_role"] != _NOTES_AGENT and own["call_type"]:
            lines[_NOTES_AGENT].append(_line_of(record | {"queue_role": '"support"'}))
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for agent in AGENTS:
        path = out_dir / f"{agent}.jsonl"
        path.write_text("".join(lines[agent]), encoding="utf-8")
        paths.append(path)
    return paths


def action_records(
    con: duckdb.DuckDBPyConnection, as_of: date, action_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Records of single actions, by id: open ones as in their queue, closed ones without the plan.

    Both say how they ended: `closed_on`, `close_reason`, `outcome`, `objective_status`.
    """
    files = _infohub_files(con)
    definitions = _definitions(con)
    records: dict[str, dict[str, Any]] = {}
    for action in _action_rows(
        con, "actions.action_id in (select unnest(?))", "actions.action_id", [list(action_ids)]
    ):
        definition = definitions.get(action["playbook_id"], {})
        evidence: dict[str, Any] = json.loads(action["evidence"])
        links = _links(files.get(action["account_id"], []), action, evidence, definition, as_of)
        record = {
            **_own_part(action, evidence, as_of),
            **_plan_part(definition, *_plan_inputs(action, evidence)),
            "infohub": links,
        }
        if action["closed_on"] is not None:
            record = {key: value for key, value in record.items() if key not in _PLAN}
        ending = ("closed_on", "close_reason", "cancel_reason", "outcome", "objective_status")
        records[action["action_id"]] = {**record, **{key: action[key] for key in ending}}
    return records


def _definitions(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    rows = con.execute(f"select playbook_id, definition from {PLAYBOOKS.name}").fetchall()
    return {str(playbook_id): json.loads(definition) for playbook_id, definition in rows}


def _action_rows(
    con: duckdb.DuckDBPyConnection, where: str, order: str, parameters: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """Actions with what the account and the rule add to them."""
    cursor = con.execute(
        f"""
        select actions.*, rules.why, account.account_name, account.tier, account.region,
            cast(account.arr_usd as double) as arr_usd, account.next_renewal_on, account.realm,
            account.node
        from {ACTIONS.name} as actions
        left join {RULES.name} as rules on actions.rule_id = rules.rule_id
        left join marts.dim_account as account on actions.account_id = account.account_id
        where {where}
        order by {order}
        """,
        list(parameters),
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def json_line(record: Mapping[str, Any]) -> str:
    """A record as one line of JSON, names in order.

    Marks that some readers take for the end of a line are escaped: a name may hold them.
    """
    return _line_of(_json_texts(record))


def _line_of(texts: Mapping[str, str]) -> str:
    """A line of JSON from the texts of its values, names in order."""
    line = ", ".join([f'"{name}": {texts[name]}' for name in sorted(texts)])
    if not line.isascii():
        for mark in ("\u0085", "\u2028", "\u2029"):
            line = line.replace(mark, f"\\u{ord(mark):04x}")
    return f"{{{line}}}\n"


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)


def _json_texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _json_text(value) for name, value in values.items()}


def _json_text(value: Any) -> str:
    # Most values are one of these; the encoder would be set up anew for each.
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    if type(value) is date:
        return f'"{value}"'
    return _ENCODER.encode(value)


def _plan_inputs(
    action: Mapping[str, Any], evidence: Mapping[str, Any]
) -> tuple[date, str | None, str | None]:
    """What of an action decides what its playbook says about it."""
    return action["opened_on"], evidence.get("call_type"), evidence.get("weakest_component")


def _plan_part(
    definition: Mapping[str, Any],
    opened_on: date,
    call_type: str | None,
    weakest_component: str | None,
) -> dict[str, Any]:
    """What the playbook says: the same for every action of one day, call type and weakness."""
    interventions = [
        {key: one[key] for key in ("name", "component", "weeks_min", "weeks_max", "do")}
        for one in definition.get("interventions", [])
        if one["component"] == weakest_component
    ]
    agendas = [one for one in definition.get("agendas", []) if one["call_type"] == call_type]
    return {
        "playbook_name": definition.get("name"),
        "supporting_roles": definition.get("supporting_roles", []),
        "escalation_path": definition.get("escalation", []),
        "steps": [
            {
                "step_id": step["id"],
                "owner_role": step["owner"],
                "due_on": opened_on + timedelta(days=step["day"]),
                "do": step["do"],
                "done_when": step["done_when"],
            }
            for step in definition.get("steps", [])
        ],
        "checklist": definition.get("checklist", []),
        "agenda": agendas[0] if agendas else None,
        "intervention": interventions[0] if interventions else None,
        "objective": definition.get("objective"),
        "follow_ups": definition.get("follow_ups", []),
    }


def _own_part(
    action: Mapping[str, Any], evidence: Mapping[str, Any], as_of: date
) -> dict[str, Any]:
    """What is the action's own: whose it is, why, since when and until when."""
    return {
        "schema_version": SCHEMA_VERSION,
        "idempotency_key": f"{action['action_id']}:{action['status']}:"
        f"{action['severity']}:{action['escalation_level']}:{action['reraised_count']}",
        "as_of_date": as_of,
        "action_id": action["action_id"],
        "source": action["source"],
        "title": action["title"],
        "playbook_id": action["playbook_id"],
        "playbook_version": action["playbook_version"],
        "rule_id": action["rule_id"],
        "rule_version": action["rule_version"],
        "account": {
            "account_id": action["account_id"],
            "account_name": action["account_name"],
            "tier": action["tier"],
            "region": action["region"],
            "arr_usd": action["arr_usd"],
            "next_renewal_on": action["next_renewal_on"],
        },
        "scope": action["scope"],
        "solution_area": action["solution_area"],
        "call_type": evidence.get("call_type"),
        "severity": action["severity"],
        "status": action["status"],
        "owner_role": action["owner_role"],
        "owner": action["owner"],
        "is_unassigned": action["is_unassigned"],
        "why": write_why(
            action["why"] or (MEETING_WHY if action["source"] == "meeting" else ""), evidence
        ),
        "evidence": evidence,
        "opened_on": action["opened_on"],
        "due_on": action["due_on"],
        "plan_due_on": action["plan_due_on"],
        "days_past_due": max((as_of - action["due_on"]).days, 0),
        "escalation_level": action["escalation_level"],
    }


@dataclass(frozen=True)
class _File:
    """A file of an account's InfoHub folder."""

    path: str
    dated_on: date | None
    call_type: str | None
    slot_number: int | None

    @cached_property
    def within(self) -> str:
        """The path within the account's folder."""
        return self.path.split("/", 2)[-1]

    def follows(self, pattern: str) -> bool:
        """Whether the file is what a playbook calls `pattern`, whatever its date."""
        if "{" in pattern:
            return _dated(pattern).fullmatch(self.within) is not None
        if pattern.endswith("/"):
            return self.within.startswith(pattern)
        return self.within == pattern


@cache
def _dated(pattern: str) -> re.Pattern[str]:
    """Paths that a pattern with a date or a year stands for."""
    where = re.escape(pattern).replace(r"\{date\}", r"[0-9-]+").replace(r"\{year\}", r"[0-9]+")
    return re.compile(where + (".*" if pattern.endswith("/") else ""))


def _infohub_files(con: duckdb.DuckDBPyConnection) -> dict[str, list[_File]]:
    """The files the InfoHub has for each account; none where it was not written."""
    found = con.execute(
        "select count(*) from duckdb_tables() "
        "where schema_name = 'pipeline' and table_name = 'infohub_files'"
    ).fetchone()
    files: dict[str, list[_File]] = {}
    if found and found[0]:
        for account_id, *file in con.execute(
            "select account_id, path, dated_on, call_type, slot_number from pipeline.infohub_files "
            "order by account_id, path"
        ).fetchall():
            files.setdefault(account_id, []).append(_File(*file))
    return files


def _links(
    files: Sequence[_File],
    action: Mapping[str, Any],
    evidence: Mapping[str, Any],
    definition: Mapping[str, Any],
    as_of: date,
) -> list[str]:
    """The files of the account that the playbook names; only such as there are.

    Of dated reports it is the one of the action's own day, else the newest before it; of the packs
    for calls, those of the action's call.
    """
    links: list[str] = []
    for pattern in definition.get("infohub", []):
        fits = [file for file in files if file.follows(pattern)]
        if "{date}" in pattern:
            before = [
                file for file in fits if file.dated_on and file.dated_on <= action["opened_on"]
            ]
            fits = sorted(before, key=lambda file: str(file.dated_on))[-1:]
        elif "{year}" in pattern:
            # A plan of a year gone by is no longer worked on.
            fits = [file for file in fits if file.dated_on and file.dated_on.year >= as_of.year]
        elif pattern.endswith("/"):
            fits = [
                file
                for file in fits
                if file.call_type == evidence.get("call_type")
                and file.slot_number == evidence.get("slot_number", file.slot_number)
            ]
        links += [file.path for file in fits]
    return links
