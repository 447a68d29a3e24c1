"""From facts to what each file says: YAML documents, and what the Markdown templates are given.

Belongs here: choosing and naming. Does not belong here: reading data, laying out Markdown, files.

Files change when their facts change, not because a day went by: they hold dates, not ages. Only
the health score and the packs of due calls speak of the day itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from dagster_project.infohub import documents as doc
from dagster_project.infohub.facts import Facts, Grouped, Row

# Who may be named to the customer; governance watches from inside.
EXTERNAL_ROLES = {
    "ca": "customer_architect",
    "sa": "solution_architect",
    "ae": "account_executive",
    "ve": "value_engineer",
}
_SCORE_DIGITS = 2
_RATIO_DIGITS = 4
_VALUE_DIGITS = 4


def rounded(value: float | None, digits: int = _VALUE_DIGITS) -> float | None:
    """A number short enough to read; what is beyond the digits is noise of the computation."""
    return None if value is None else round(float(value), digits) + 0.0


def account_name(account: Row) -> Row:
    """The head of every file."""
    return {"account_id": account["account_id"], "account_name": account["account_name"]}


def rows_of(groups: Grouped, account: Row) -> list[Row]:
    """The account's rows of one subject."""
    return groups.get(account["account_id"], [])


def _by(rows: Iterable[Row], column: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


# --- external ---------------------------------------------------------------------------------


def success_plan(facts: Facts, account: Row) -> doc.SuccessPlan:
    """csp.yaml: goals, our people, where each area stands and what comes next."""
    criteria = _by(rows_of(facts.criteria, account), "solution_area")
    return doc.SuccessPlan(
        account=doc.AccountName(**account_name(account)),
        customer_since_on=account["customer_since_on"],
        next_renewal_on=account["next_renewal_on"],
        team=[
            doc.TeamMember(role=role, person=account[f"owner_{owner}"])
            for owner, role in EXTERNAL_ROLES.items()
            if account[f"owner_{owner}"]
        ],
        objectives=[
            doc.PlannedObjective(**_objective(row), agreed_on=row["created_on"])
            for row in rows_of(facts.objectives, account)
        ],
        solution_areas=[
            doc.AreaPlan(
                solution_area=area["solution_area"],
                live_since_on=area["go_live_on"],
                renews_on=area["renews_on"],
                seats=area["seats"],
                stage=area["stage"],
                next_stage=area["next_stage"],
                next_steps=[
                    doc.NextStep(
                        criterion=row["criterion_name"],
                        activity=row["activity_name"],
                        format=row["format"],
                        effort_hours=rounded(row["effort_hours"]),
                    )
                    for row in criteria.get(area["solution_area"], [])
                    if row["is_for_next_stage"] and not row["is_met"]
                ],
            )
            for area in rows_of(facts.areas, account)
        ],
    )


def progress_ratio(row: Row) -> float | None:
    """Way made from baseline to target; unknown without all three values or without a way."""
    baseline, target, current = row["baseline_value"], row["target_value"], row["current_value"]
    if baseline is None or target is None or current is None or target == baseline:
        return None
    return rounded((current - baseline) / (target - baseline), _RATIO_DIGITS)


def value_totals(rows: Sequence[Row]) -> Row:
    """Objectives counted and their values added up; a sum of nothing known is unknown."""

    def total(column: str) -> float | None:
        known = [row[column] for row in rows if row[column] is not None]
        return rounded(sum(known), 2) if known else None

    return {
        "objective_count": len(rows),
        "met_count": sum(row["status"] == "met" for row in rows),
        "planned_value_usd": total("planned_value_usd"),
        "realised_value_usd": total("realised_value_usd"),
    }


def _objective(row: Row) -> dict[str, Any]:
    """What every file says of an objective: its name, its days, where it starts and is to end."""
    return {
        "objective_id": row["objective_id"],
        "objective": row["objective_name"],
        "solution_area": row["solution_area"],
        "status": row["status"],
        "due_on": row["due_on"],
        "met_on": row["met_on"],
        "baseline_value": rounded(row["baseline_value"]),
        "target_value": rounded(row["target_value"]),
        "planned_value_usd": rounded(row["planned_value_usd"], 2),
    }


def value_tracking(facts: Facts, account: Row) -> doc.ValueTracking:
    """value_tracking.yaml: what was planned and what became of it."""
    rows = rows_of(facts.objectives, account)
    measured = _by(rows_of(facts.measurements, account), "objective_id")
    return doc.ValueTracking(
        account=doc.AccountName(**account_name(account)),
        totals=doc.ValueTotals(**value_totals(rows)),
        objectives=[
            doc.TrackedObjective(
                **_objective(row),
                current_value=rounded(row["current_value"]),
                progress_ratio=progress_ratio(row),
                realised_value_usd=rounded(row["realised_value_usd"], 2),
                measurements=[
                    doc.Measurement(
                        measured_on=one["measured_on"],
                        value=rounded(one["value"]),
                        realised_value_usd=rounded(one["realised_value_usd"], 2),
                    )
                    for one in measured.get(row["objective_id"], [])
                ],
            )
            for row in rows
        ],
    )


def adoption_journey(facts: Facts, account: Row) -> doc.AdoptionJourney:
    """adoption_journey.yaml: stages with criteria and activities, blockers, every move."""
    criteria = _by(rows_of(facts.criteria, account), "solution_area")
    blockers = _by(rows_of(facts.blockers, account), "solution_area")
    moves = _by(rows_of(facts.transitions, account), "solution_area")
    return doc.AdoptionJourney(
        account=doc.AccountName(**account_name(account)),
        solution_areas=[
            doc.AreaJourney(
                solution_area=area["solution_area"],
                live_since_on=area["go_live_on"],
                stage=area["stage"],
                stage_entered_on=area["stage_entered_on"],
                next_stage=area["next_stage"],
                readiness_ratio=rounded(area["readiness_ratio"], _RATIO_DIGITS),
                is_regressed=area["is_regressed"],
                stages=[
                    doc.JourneyStage(
                        stage=stage,
                        is_reached=rows[0]["stage_rank"] <= area["stage_rank"],
                        criteria=[_journey_criterion(row) for row in rows],
                    )
                    for stage, rows in _by(criteria.get(area["solution_area"], []), "stage").items()
                ],
                blockers=[
                    doc.JourneyBlocker(
                        blocker_id=row["blocker_id"],
                        category=row["category"],
                        status="open" if row["is_open"] else "resolved",
                        opened_on=row["opened_on"],
                        resolved_on=row["resolved_on"],
                    )
                    for row in blockers.get(area["solution_area"], [])
                ],
                history=[
                    doc.StageMove(
                        occurred_on=row["occurred_on"],
                        from_stage=row["from_stage"],
                        to_stage=row["to_stage"],
                        kind=row["kind"],
                    )
                    for row in moves.get(area["solution_area"], [])
                ],
            )
            for area in rows_of(facts.areas, account)
        ],
    )


def _journey_criterion(row: Row) -> doc.JourneyCriterion:
    if row["activity_name"] is None:
        activity_status = None
    elif row["is_met"]:
        activity_status = "done"
    else:
        activity_status = "proposed" if row["is_for_next_stage"] else "later"
    return doc.JourneyCriterion(
        criterion_id=row["criterion_id"],
        criterion=row["criterion_name"],
        is_mandatory=row["is_mandatory"],
        status=row["status"],
        observed_value=rounded(row["observed_value"]),
        threshold=rounded(row["threshold"]),
        met_since_on=row["met_since_on"],
        activity=row["activity_name"],
        activity_status=activity_status,
    )


# --- internal ---------------------------------------------------------------------------------


def component_names(day: Row) -> list[str]:
    """The components a health row has, in its order."""
    return [
        name.removesuffix("_status")
        for name in day
        if name.endswith("_status") and name != "score_status"
    ]


def health_score(facts: Facts, account: Row) -> doc.HealthScore | None:
    """health_score.yaml; None for an account without a row of health."""
    days = rows_of(facts.health, account)
    if not days:
        return None
    day = days[0]
    measures = _by(rows_of(facts.measures, account), "component")
    override = None
    if day["override_id"] is not None:
        override = doc.Override(
            score=rounded(day["override_score"], _SCORE_DIGITS),
            zone=day["override_zone"],
            reason=day["override_reason"],
            author=day["override_author"],
            expires_on=day["override_expires_on"],
        )
    return doc.HealthScore(
        account=doc.AccountName(**account_name(account)),
        as_of_date=facts.as_of,
        score=rounded(day["health_score"], _SCORE_DIGITS),
        zone=day["health_zone"],
        status=day["score_status"],
        unscored_reason=day["unscored_reason"],
        coverage_ratio=rounded(day["coverage_ratio"], _RATIO_DIGITS),
        computed_score=rounded(day["computed_score"], _SCORE_DIGITS),
        override=override,
        components=[
            doc.ComponentState(
                component=name,
                status=day[f"{name}_status"],
                score=rounded(day[f"{name}_score"], _SCORE_DIGITS),
                weight=rounded(day[f"{name}_weight"], _RATIO_DIGITS),
                measures=[
                    doc.MeasureState(
                        measure=row["measure"],
                        status=row["status"],
                        value=rounded(row["value"]),
                        score=rounded(row["score"], _SCORE_DIGITS),
                        weight=rounded(row["weight"], _RATIO_DIGITS),
                        contribution=rounded(row["contribution"], _SCORE_DIGITS),
                    )
                    for row in measures.get(name, [])
                ],
            )
            for name in component_names(day)
        ],
        cap_points=rounded(
            next((row["contribution"] for row in measures.get(None, [])), None), _SCORE_DIGITS
        ),
        change=_score_change(rows_of(facts.moves, account)),
        history=[
            doc.ScorePoint(
                as_of_date=row["as_of_date"],
                score=rounded(row["health_score"], _SCORE_DIGITS),
                zone=row["health_zone"],
            )
            for row in rows_of(facts.history, account)
        ],
        zone_moves=[
            doc.ZoneMove(
                occurred_on=row["occurred_on"], from_zone=row["from_zone"], to_zone=row["to_zone"]
            )
            for row in rows_of(facts.zone_moves, account)
        ],
    )


def _score_change(moves: Sequence[Row]) -> doc.ScoreChange | None:
    if not moves:
        return None
    return doc.ScoreChange(
        since_on=moves[0]["since_on"],
        points=rounded(sum(row["points"] for row in moves), _SCORE_DIGITS) or 0.0,
        moves=[
            doc.ScoreMove(
                cause_kind=row["cause_kind"],
                cause=row["cause"],
                points=rounded(row["points"], _SCORE_DIGITS) or 0.0,
            )
            for row in moves
        ],
    )


def cadence_tracker(facts: Facts, account: Row) -> doc.CadenceTracker:
    """cadence_tracker.yaml: every type of call, its rhythm and its newest slots."""
    calls = rows_of(facts.cadence, account)
    slots = _by(rows_of(facts.slots, account), "call_type")
    return doc.CadenceTracker(
        account=doc.AccountName(**account_name(account)),
        tier=account["tier"],
        is_paused=bool(account["is_paused"]),
        is_at_risk_rhythm=any(row["is_at_risk"] for row in calls),
        calls=[
            doc.CallRhythm(
                call_type=row["call_type"],
                name=row["call_name"],
                interval_days=rounded(1 / row["calls_per_day"], 1)
                if row["calls_per_day"]
                else None,
                next_due_on=row["next_due_on"],
                is_held_early=bool(row["is_held_early"]),
                adherence_ratio=rounded(row["adherence_ratio"], _RATIO_DIGITS),
                met_count=row["met_count"],
                missed_count=row["missed_count"],
                consecutive_missed_count=row["consecutive_missed_count"],
                attendance_ratio=rounded(row["attendance_ratio"], _RATIO_DIGITS),
                slots=[
                    doc.TrackedSlot(
                        slot_number=slot["slot_number"],
                        due_on=slot["due_on"],
                        grace_ends_on=slot["grace_ends_on"],
                        status=slot["status"],
                        met_on=slot["met_on"],
                        attended_count=slot["attended_count"],
                        expected_count=slot["expected_attendee_count"],
                    )
                    for slot in slots.get(row["call_type"], [])
                ],
            )
            for row in calls
        ],
    )


# --- Markdown ---------------------------------------------------------------------------------


def people_of(account: Row) -> Row:
    """Person by role of ours; a role without a person is None."""
    return {
        name.removeprefix("owner_"): account[name] for name in account if name.startswith("owner_")
    }


def triage_report(facts: Facts, account: Row, triage: Row, opening: Row | None) -> Row:
    """What the template of a triage report is given.

    A closed report is history: it names the owner it had, not who holds the roles today.
    """
    playbook = facts.playbooks.get(triage["playbook_id"], {})
    opened_on: date = triage["opened_on"]
    people = people_of(account) if triage["closed_on"] is None else {}
    people = people | {triage["owner_role"]: triage["owner"]}
    events = [{**event, "detail": json.loads(event["detail"])} for event in triage["events"] or []]
    done = {
        event["detail"].get("step_id"): event["occurred_on"]
        for event in events
        if event["event"] == "step_done"
    }
    weakest = triage["evidence"].get("weakest_component")
    interventions = [
        one
        for one in playbook.get("interventions", [])
        if one["component"] == weakest and one["name"] == (triage["intervention"] or one["name"])
    ]
    intervention = interventions[0] if interventions else None
    return {
        "account": account_name(account) | {"tier": account["tier"], "region": account["region"]},
        "triage": {
            name: triage[name]
            for name in (
                "action_id", "why", "severity", "status", "owner_role", "owner", "opened_on",
                "due_on", "plan_due_on", "started_on", "closed_on", "close_reason", "outcome",
                "objective_status", "objective_due_on", "objective_met_on",
            )
        },
        "playbook": {"id": triage["playbook_id"], "name": playbook.get("name")},
        "weakest_component": weakest,
        "opening": opening,
        "intervention": intervention
        and {
            "name": intervention["name"],
            "do": intervention["do"],
            "weeks_min": intervention["weeks_min"],
            "weeks_max": intervention["weeks_max"],
            "from_on": opened_on + timedelta(weeks=intervention["weeks_min"]),
            "until_on": opened_on + timedelta(weeks=intervention["weeks_max"]),
        },
        "steps": [
            {
                "do": step["do"],
                "done_when": step["done_when"],
                "role": step["owner"],
                "person": people.get(step["owner"]),
                "due_on": opened_on + timedelta(days=step["day"]),
                "done_on": done.get(step["id"]),
            }
            for step in playbook.get("steps", [])
        ],
        "checklist": playbook.get("checklist", []),
        "objective": playbook.get("objective"),
        "escalation": playbook.get("escalation", []),
        "events": events,
    }  # fmt: skip


def _open_work(facts: Facts, account: Row) -> Row:
    return {
        "actions": rows_of(facts.actions, account),
        "blockers": [row for row in rows_of(facts.blockers, account) if row["is_open"]],
        "risks": rows_of(facts.risks, account),
        "opportunities": rows_of(facts.opportunities, account),
        "contacts": rows_of(facts.contacts, account),
        "objectives": [
            {**row, "progress_ratio": progress_ratio(row)}
            for row in rows_of(facts.objectives, account)
        ],
        "value": value_totals(rows_of(facts.objectives, account)),
    }


def _areas(facts: Facts, account: Row) -> list[Row]:
    criteria = _by(rows_of(facts.criteria, account), "solution_area")
    return [
        {
            **area,
            "pending": [
                row
                for row in criteria.get(area["solution_area"], [])
                if row["is_for_next_stage"] and not row["is_met"]
            ],
        }
        for area in rows_of(facts.areas, account)
    ]


def account_plan(facts: Facts, account: Row, year: int) -> Row:
    """What the template of an account plan is given: goals, people, risks, growth."""
    return {
        "account": account,
        "year": year,
        "health_zone": account["health_zone"],
        "team": people_of(account),
        "areas": _areas(facts, account),
        **_open_work(facts, account),
    }


def prep_pack(facts: Facts, account: Row, call: Row) -> Row:
    """What the template of a call's pack is given."""
    call_type = call["call_type"]
    settings = facts.policy.calls[call_type]
    people = people_of(account)
    work = _open_work(facts, account)
    by_role = _by(work["contacts"], "role")
    checklists = [
        playbook.get("checklist", [])
        for playbook in facts.playbooks.values()
        if any(agenda["call_type"] == call_type for agenda in playbook.get("agendas", []))
    ]
    last_calls = rows_of(facts.last_calls, account)
    health = rows_of(facts.health, account)
    moves = rows_of(facts.moves, account)
    cadence = [row for row in rows_of(facts.cadence, account) if row["call_type"] == call_type]
    return {
        "as_of": facts.as_of,
        "account": account,
        "team": people,
        "call": {
            **call,
            "name": settings.name,
            "owner_role": settings.owner_role,
            "owner": people.get(settings.owner_role),
            "min_minutes": settings.min_minutes,
            "max_minutes": settings.max_minutes,
            "is_overdue": call["due_on"] < facts.as_of,
        },
        "cadence": cadence[0] if cadence else None,
        "agenda": facts.agendas.get(call_type, []),
        "checklist": list(dict.fromkeys(item for items in checklists for item in items)),
        "to_confirm": [
            {"role": row["role"], "contacts": by_role.get(row["role"], [])}
            for row in facts.required_roles.get(call_type, [])
        ],
        "health": {
            **health[0],
            "components": [
                {
                    "component": name,
                    "score": health[0][f"{name}_score"],
                    "status": health[0][f"{name}_status"],
                }
                for name in component_names(health[0])
            ],
            "scores": [row["health_score"] for row in rows_of(facts.history, account)],
        }
        if health
        else None,
        "moves": moves,
        "moved_points": sum(row["points"] for row in moves) if moves else None,
        "since_on": moves[0]["since_on"] if moves else None,
        "usage": _usage(facts, account),
        "usage_areas": rows_of(facts.usage_areas, account),
        "areas": _areas(facts, account),
        "signals": rows_of(facts.signals, account),
        "tickets": rows_of(facts.tickets, account),
        "last_call": next((row for row in last_calls if row["call_type"] == call_type), None),
        "last_any_call": last_calls[0] if last_calls else None,
        **work,
    }


def _usage(facts: Facts, account: Row) -> list[Row]:
    """Each measure of adoption: now, four weeks ago, and one value a week."""
    weeks = [
        facts.as_of - timedelta(weeks=week) for week in reversed(range(facts.policy.trend_weeks))
    ]
    trends = []
    for measure, rows in _by(rows_of(facts.usage, account), "measure").items():
        values = {row["as_of_date"]: row["value"] for row in rows}
        trends.append(
            {
                "measure": measure,
                "now": values.get(facts.as_of),
                "before": values.get(facts.as_of - timedelta(weeks=4)),
                "values": [values.get(week) for week in weeks],
            }
        )
    return trends
