"""An invented account with one of everything: what templates are tried on before a run.

`csp check` renders every template with it, and once with an account of which nothing is known, so
that a wrong name or a missing value is found with file and line before the night.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from dagster_project.errors import Fault
from dagster_project.infohub import compose
from dagster_project.infohub.facts import CallPolicy, Facts, HubPolicy, Row
from dagster_project.infohub.templates import PLAN, PREP, TRIAGE, Templates

DAY = date(2026, 6, 30)
_EARLIER = date(2026, 5, 31)
_ID = "A-1"
_CALL = "technical_checkin"

ACCOUNT: Row = {
    "account_id": _ID, "account_name": "Specimen Ltd", "tier": "enterprise", "segment": "large",
    "region": "emea", "industry": "optics", "owner_ca": "ann@example.com", "owner_sa": None,
    "owner_ae": "bob@example.com", "owner_ve": "eve@example.com", "owner_governance": None,
    "arr_usd": 120000.0, "seats_licensed": 40, "is_paused": False,
    "next_renewal_on": date(2026, 12, 1), "customer_since_on": date(2025, 1, 1),
    "health_zone": "orange", "has_health": True,
}  # fmt: skip
CALL: Row = {
    "account_id": _ID, "call_type": _CALL, "slot_number": 7, "opened_on": date(2026, 6, 20),
    "due_on": date(2026, 6, 29), "grace_ends_on": date(2026, 7, 2),
}  # fmt: skip
_COMPONENTS = {
    f"{component}_{column}": value
    for component, score in (("engagement", 80.0), ("adoption", 30.0), ("outcomes", None))
    for column, value in (
        ("score", score),
        ("status", "no_data" if score is None else "scored"),
        ("weight", 0.0 if score is None else 0.5),
    )
}
_ACTION: Row = {
    "account_id": _ID, "action_id": "act_1", "source": "playbook", "playbook_id": "PB",
    "playbook_name": "Health triage",
    "why": "The score is 55.", "solution_area": None, "owner_role": "ca",
    "owner": "ann@example.com", "severity": "high", "status": "open",
    "opened_on": date(2026, 6, 1), "due_on": date(2026, 6, 4), "plan_due_on": date(2026, 7, 16),
    "escalation_level": 1, "evidence": {"weakest_component": "adoption"},
}  # fmt: skip
TRIAGE_ROW: Row = {
    name: value
    for name, value in _ACTION.items()
    if name not in {"source", "playbook_name", "solution_area", "escalation_level"}
} | {
    "close_reason": None, "outcome": None, "intervention": "adoption_acceleration",
    "started_on": None, "closed_on": None, "objective_due_on": None, "objective_met_on": None,
    "objective_status": None,
    "events": [
        {"event_number": number, "event": event, "occurred_on": DAY, "detail": detail}
        for number, (event, detail) in enumerate(
            (
                ("opened", "{}"),
                ("escalated", '{"to_role": "manager"}'),
                ("severity_raised", '{"severity": "high"}'),
                ("step_done", '{"step_id": "assess"}'),
                ("closed", '{"close_reason": "recovered"}'),
            ),
            1,
        )
    ],
}  # fmt: skip
OPENING: Row = {
    "health_score": 55.0, "health_zone": "orange", "coverage_ratio": 0.9,
    "earlier_on": date(2026, 5, 2), "earlier_score": 62.0,
    "components": [
        {
            "component": "adoption", "score": 30.0, "status": "scored", "weight": 1.0,
            "earlier_score": 40.0,
            "measures": [
                {"measure": "active_days", "status": "scored", "value": 3.0, "score": 10.0}
            ],
        },
        {
            "component": "outcomes", "score": None, "status": "no_data", "weight": 0.0,
            "earlier_score": None, "measures": [],
        },
    ],
}  # fmt: skip
_PLAYBOOK: Row = {
    "id": "PB", "name": "Health triage", "owner_role": "ca",
    "steps": [
        {"id": "assess", "owner": "ca", "day": 1, "do": "Look.", "done_when": "Seen."},
        {"id": "inform", "owner": "governance", "day": 3, "do": "Tell.", "done_when": "Told."},
    ],
    "checklist": ["Looked at"],
    "agendas": [{"call_type": _CALL}],
    "interventions": [
        {
            "component": "adoption", "name": "adoption_acceleration", "weeks_min": 4,
            "weeks_max": 6, "do": ["Win back users"],
        }
    ],
    "objective": {"meaning": "The score rose.", "horizon_days": 60},
    "escalation": [{"to": "manager", "days_past_due": 2}],
}  # fmt: skip
ROWS: dict[str, list[Row]] = {
    "areas": [
        {
            "account_id": _ID, "solution_area": "security", "area_name": "Security",
            "stage": "foundation", "stage_rank": 1, "next_stage": "operational",
            "stage_entered_on": date(2025, 3, 1), "readiness_ratio": 0.5, "criteria_met_count": 1,
            "criteria_pending_count": 1, "is_stalled": True, "is_regressed": True,
            "go_live_on": date(2025, 2, 1), "arr_usd": 120000.0,
            "renews_on": date(2026, 12, 1), "seats": 40,
        }
    ],
    "criteria": [
        {
            "account_id": _ID, "solution_area": "security", "criterion_id": "sec_rules",
            "criterion_name": "20 or more rules", "stage": "operational", "stage_rank": 2,
            "kind": "measure", "measure": "detection_rules_active", "status": "unmet",
            "threshold": 20.0, "observed_value": 4.0, "is_mandatory": True, "is_met": False,
            "is_for_next_stage": True, "met_since_on": None, "activity_name": "Rollout",
            "format": "workshop", "owner_role": "SA", "effort_hours": 8.0,
        }
    ],
    "transitions": [
        {
            "account_id": _ID, "solution_area": "security", "occurred_on": date(2025, 3, 1),
            "from_stage": "not_started", "to_stage": "foundation", "kind": "promotion",
        }
    ],
    "blockers": [
        {
            "account_id": _ID, "solution_area": "security", "blocker_id": "B-1",
            "category": "technical", "description": "A firewall", "status": "open",
            "is_open": True, "is_aged": True, "opened_on": date(2026, 4, 1), "resolved_on": None,
        }
    ],
    "objectives": [
        {
            "account_id": _ID, "objective_id": f"O-{number}", "objective_name": "Detect faster",
            "solution_area": "security", "created_on": date(2025, 2, 1), "due_on": _EARLIER,
            "met_on": _EARLIER if status == "met" else None, "status": status,
            "baseline_value": 100.0, "target_value": 20.0, "current_value": current,
            "planned_value_usd": 50000.0, "realised_value_usd": realised,
        }
        for number, (status, current, realised) in enumerate(
            (("met", 20.0, 50000.0), ("past_due", 80.0, 1000.0), ("open", None, None))
        )
    ],
    "measurements": [
        {
            "account_id": _ID, "objective_id": "O-0", "measured_on": _EARLIER, "value": 20.0,
            "realised_value_usd": 50000.0,
        }
    ],
    "health": [
        {
            "account_id": _ID, "as_of_date": DAY, "health_zone": "orange", "health_score": 55.0,
            "score_status": "scored", "unscored_reason": None, "coverage_ratio": 0.9,
            "computed_score": 52.0, "override_id": "V-1", "override_score": 55.0,
            "override_zone": None, "override_reason": "A merger", "override_author": "ann",
            "override_expires_on": date(2026, 7, 31), **_COMPONENTS,
        }
    ],
    "measures": [
        {
            "account_id": _ID, "component": "adoption", "measure": "active_days",
            "status": "scored", "value": 3.0, "score": 10.0, "weight": 0.5, "contribution": 5.0,
        }
    ],
    "moves": [
        {
            "account_id": _ID, "since_on": _EARLIER, "cause_kind": "behaviour",
            "cause": "active_days", "points": -4.5,
        }
    ],
    "history": [
        {"account_id": _ID, "as_of_date": day, "health_score": score, "health_zone": zone}
        for day, score, zone in ((_EARLIER, 60.0, "yellow"), (DAY, 55.0, "orange"))
    ],
    "zone_moves": [
        {"account_id": _ID, "occurred_on": DAY, "from_zone": "yellow", "to_zone": "orange"}
    ],
    "cadence": [
        {
            "account_id": _ID, "call_type": _CALL, "call_name": "Technical check-in",
            "tier": "enterprise", "calls_per_day": 0.142857, "adherence_ratio": 0.5,
            "attendance_ratio": 0.75, "met_count": 3, "missed_count": 3,
            "consecutive_missed_count": 1, "is_at_risk": True, "is_held_early": False,
            "account_state": "active", "next_due_on": date(2026, 7, 6),
        }
    ],
    "slots": [
        {
            "account_id": _ID, "call_type": _CALL, "slot_number": 7, "due_on": CALL["due_on"],
            "grace_ends_on": CALL["grace_ends_on"], "status": "open", "met_on": None,
            "attended_count": None, "expected_attendee_count": None,
        }
    ],
    "contacts": [
        {
            "account_id": _ID, "contact_id": "C-1", "contact_name": "Kim", "role": "champion",
            "created_on": date(2025, 2, 1),
        }
    ],
    "risks": [
        {
            "account_id": _ID, "risk_id": "R-1", "kind": "budget", "severity": "high",
            "raised_on": date(2026, 6, 1), "note": "Frozen",
        }
    ],
    "opportunities": [
        {
            "account_id": _ID, "opportunity_id": "D-1", "kind": "renewal",
            "solution_area": "security", "stage": "proposal", "probability_ratio": 0.5,
            "amount_usd": 120000.0, "expected_close_on": date(2026, 12, 1),
        }
    ],
    "actions": [_ACTION],
    "signals": [
        {
            "account_id": _ID, "signal": "zone_changed", "cause": "zone_changed",
            "solution_area": "security", "occurred_on": DAY,
        }
    ],
    "tickets": [
        {
            "account_id": _ID, "ticket_id": "T-1", "severity": "high", "opened_on": _EARLIER,
            "is_escalated": True,
        }
    ],
    "usage": [
        {"account_id": _ID, "measure": "active_days", "as_of_date": day, "value": value}
        for day, value in ((date(2026, 6, 2), 8.0), (DAY, 3.0))
    ],
    "usage_areas": [
        {
            "account_id": _ID, "solution_area": "security", "area_name": "Security",
            "active_users_28d": 4, "active_days_28d": 3, "features_used_28d": 2,
            "usage_count_28d": 30, "usage_count_prev_28d": 60, "last_used_on": _EARLIER,
        }
    ],
    "last_calls": [
        {
            "account_id": _ID, "call_type": _CALL, "held_on": date(2026, 6, 8),
            "attended_count": 2, "expected_attendee_count": 3, "is_executive_present": False,
            "sentiment": 0.2,
        }
    ],
    "triages": [TRIAGE_ROW],
}  # fmt: skip
"""One row of every subject, with the columns that its query gives."""

POLICY = HubPolicy(
    calendar_days=30,
    ledger_days=30,
    trend_weeks=13,
    recent_slot_count=12,
    recent_signal_days=30,
    next_plan_month=10,
    prep_keep_days=60,
    calls={_CALL: CallPolicy(_CALL, "Technical check-in", 3, "ca", "", 30, 45)},
)


def full() -> Facts:
    """The invented account with one of everything."""
    return Facts(
        as_of=DAY,
        policy=POLICY,
        playbooks={"PB": _PLAYBOOK},
        agendas={_CALL: [{"call_type": _CALL, "block_name": "Actions", "minutes": 10}]},
        required_roles={
            _CALL: [
                {"call_type": _CALL, "role": "champion"},
                {"call_type": _CALL, "role": "economic_buyer"},
            ]
        },
        **{subject: {_ID: rows} for subject, rows in ROWS.items()},
    )


def bare() -> Facts:
    """The invented account with nothing known of it."""
    return Facts(as_of=DAY, policy=POLICY)


def bare_account() -> Row:
    """An account of which CRM says nothing but that it is one."""
    return {
        name: value
        if name in {"account_id", "customer_since_on", "is_paused", "has_health"}
        else None
        for name, value in ACCOUNT.items()
    }


def check_templates(folder: Path, call_templates: list[str]) -> list[Fault]:
    """Every fault of the templates, tried on a full and on a bare account.

    Args:
        folder: the templates.
        call_templates: files under `prep/` that policy names.
    """
    if not folder.is_dir():
        return [Fault(str(folder), 0, "", "there is no folder of templates", "restore it")]
    templates = Templates(folder)
    bare_triage = TRIAGE_ROW | {"intervention": None, "evidence": {}, "events": None}
    closed = TRIAGE_ROW | {
        "status": "completed", "closed_on": DAY, "close_reason": "completed", "started_on": DAY,
        "outcome": "Better", "objective_due_on": DAY, "objective_status": "met",
        "objective_met_on": DAY,
    }  # fmt: skip
    facts, nothing, nobody = full(), bare(), bare_account()
    trials: list[tuple[str, Row]] = [
        (TRIAGE, compose.triage_report(facts, ACCOUNT, TRIAGE_ROW, OPENING)),
        (TRIAGE, compose.triage_report(facts, ACCOUNT, closed, OPENING)),
        (TRIAGE, compose.triage_report(nothing, nobody, bare_triage, None)),
        (PLAN, compose.account_plan(facts, ACCOUNT, 2026)),
        (PLAN, compose.account_plan(nothing, nobody, 2026)),
    ]
    for name in sorted(set(call_templates)):
        trials += [
            (f"{PREP}/{name}", compose.prep_pack(facts, ACCOUNT, CALL)),
            (f"{PREP}/{name}", compose.prep_pack(nothing, nobody, CALL)),
        ]
    return sorted({fault for name, context in trials for fault in templates.check(name, context)})
