"""The agents' queues: one self-contained record per open action, one file per agent.

Belongs here: what an agent reads. Does not belong here: deciding what is open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import duckdb

from dagster_project.playbooks.model import Role
from dagster_project.playbooks.tables import ACTIONS, PLAYBOOKS, RULES

AGENTS: tuple[str, ...] = get_args(Role)
# Read by the meeting-notes agent: it supports calls, whoever owns them.
_NOTES_AGENT = "meeting_notes"
# An action of a meeting has no rule whose sentence could say why.
_MEETING_WHY = {"meeting": "Promised in the call of {held_on} ({call_type})."}
SCHEMA_VERSION = 1


def write_queues(con: duckdb.DuckDBPyConnection, out_dir: Path, as_of: date) -> list[Path]:
    """Write `<out_dir>/<agent>.jsonl` for every agent; an agent without work gets an empty file.

    A record stands in the queue of its owner's role; calls stand in the queue of the meeting-notes
    agent as well, with `queue_role` support. The order is stable: severity, due date, action.
    """
    definitions = {
        str(playbook_id): json.loads(definition)
        for playbook_id, definition in con.execute(
            f"select playbook_id, definition from {PLAYBOOKS.name}"
        ).fetchall()
    }
    cursor = con.execute(
        f"""
        select actions.*, rules.why, account.account_name, account.tier, account.region,
            cast(account.arr_usd as double) as arr_usd, account.next_renewal_on, account.realm,
            account.node
        from {ACTIONS.name} as actions
        left join {RULES.name} as rules on actions.rule_id = rules.rule_id
        left join marts.dim_account as account on actions.account_id = account.account_id
        where actions.closed_on is null
        order by case actions.severity when 'critical' then 0 when 'high' then 1
            when 'medium' then 2 else 3 end, actions.due_on, actions.action_id
        """
    )
    names = [column[0] for column in cursor.description or ()]
    lines: dict[str, list[str]] = {agent: [] for agent in AGENTS}
    for row in cursor.fetchall():
        action = dict(zip(names, row, strict=True))
        definition = definitions.get(action["playbook_id"], {})
        record = _record(action, definition, as_of)
        lines[action["owner_role"]].append(_line({**record, "queue_role": "owner"}))
        helps = _NOTES_AGENT in definition.get("supporting_roles", [])
        if helps and action["owner_role"] != _NOTES_AGENT and record["call_type"]:
            lines[_NOTES_AGENT].append(_line({**record, "queue_role": "support"}))
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for agent in AGENTS:
        path = out_dir / f"{agent}.jsonl"
        path.write_text("".join(lines[agent]), encoding="utf-8")
        paths.append(path)
    return paths


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True, default=str) + "\n"


def _record(
    action: Mapping[str, Any], definition: Mapping[str, Any], as_of: date
) -> dict[str, Any]:
    evidence: dict[str, Any] = json.loads(action["evidence"])
    call_type = evidence.get("call_type")
    opened_on: date = action["opened_on"]
    steps = [
        {
            "step_id": step["id"],
            "owner_role": step["owner"],
            "due_on": opened_on + timedelta(days=step["day"]),
            "do": step["do"],
            "done_when": step["done_when"],
        }
        for step in definition.get("steps", [])
    ]
    interventions = [
        {key: one[key] for key in ("name", "component", "weeks_min", "weeks_max", "do")}
        for one in definition.get("interventions", [])
        if one["component"] == evidence.get("weakest_component")
    ]
    agendas = [one for one in definition.get("agendas", []) if one["call_type"] == call_type]
    folder = "/".join(part for part in (action["realm"], action["node"]) if part)
    return {
        "schema_version": SCHEMA_VERSION,
        "idempotency_key": f"{action['action_id']}:{action['status']}:"
        f"{action['severity']}:{action['escalation_level']}:{action['reraised_count']}",
        "as_of_date": as_of,
        "action_id": action["action_id"],
        "source": action["source"],
        "title": action["title"],
        "playbook_id": action["playbook_id"],
        "playbook_name": definition.get("name"),
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
        "call_type": call_type,
        "severity": action["severity"],
        "status": action["status"],
        "owner_role": action["owner_role"],
        "owner": action["owner"],
        "is_unassigned": action["is_unassigned"],
        "supporting_roles": definition.get("supporting_roles", []),
        "why": write_why(action["why"] or _MEETING_WHY.get(action["source"], ""), evidence),
        "evidence": evidence,
        "opened_on": opened_on,
        "due_on": action["due_on"],
        "plan_due_on": action["plan_due_on"],
        "days_past_due": max((as_of - action["due_on"]).days, 0),
        "escalation_level": action["escalation_level"],
        "escalation_path": definition.get("escalation", []),
        "steps": steps,
        "checklist": definition.get("checklist", []),
        "agenda": agendas[0] if agendas else None,
        "intervention": interventions[0] if interventions else None,
        "objective": definition.get("objective"),
        "follow_ups": definition.get("follow_ups", []),
        "infohub": [f"{folder}/{path}" if folder else path
                    for path in definition.get("infohub", [])],
    }  # fmt: skip


def write_why(template: str, evidence: Mapping[str, Any]) -> str:
    """The rule's sentence with the evidence in it; what is missing reads `unknown`."""
    text = ""
    for before, name, _, _ in Formatter().parse(template):
        text += before
        if name:
            text += _shown(evidence.get(name))
    return text


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
