"""One account read from top to bottom: score, what moved it, stages, calls, work, its story."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, TypeAlias

import polars as pl

from dagster_project.errors import ConfigError
from dagster_project.reporting import charts, queries, style, svg, words
from dagster_project.reporting.dashboard.html import message, render
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.reporting.explain import explain_move
from dagster_project.reporting.plain_words import STATES, value_text
from dagster_project.reporting.queries import Snapshot
from dagster_project.sentences import MEETING_WHY, write_why

Row: TypeAlias = dict[str, Any]
HISTORY_DAYS = 365
_SLOTS_SHOWN = 16
_CLOSED_SHOWN = 20
_MARKS = {"met": "✓", "missed": "✕", "open": "○", "not_applicable": "–"}


def account_names(publication: Publication) -> dict[str, str]:
    """What a reader picks from: every account ever known, by name and id, to its id."""

    def read() -> dict[str, str]:
        found = publication.snapshot().frame(
            "select account_id, account_name, churned_on is not null and churned_on <= $as_of "
            "as is_gone from marts.dim_account order by lower(account_name) nulls last, account_id"
        )
        return {
            f"{row['account_name'] or row['account_id']} ({row['account_id']})"
            + (", left" if row["is_gone"] else ""): row["account_id"]
            for row in found.iter_rows(named=True)
        }

    return publication.once("account names", read)


def account_days(publication: Publication, account_id: str) -> tuple[date, date] | None:
    """The first and the last day on which the account has a health row; None for none."""
    rows = publication.snapshot().frame(
        "select min(as_of_date) as first_on, max(as_of_date) as last_on "
        "from marts.fct_account_health_daily where account_id = $account",
        account=account_id,
    )
    first, last = rows.row(0)
    return None if first is None else (first, last)


def account_page(publication: Publication, account_id: str, day: date) -> str:
    """Who the account is, its score with components and measures, and its history of a year."""
    return publication.once(
        ("account", account_id, day), lambda: _account(publication.snapshot(day), account_id)
    )


def _account(snapshot: Snapshot, account_id: str) -> str:
    health = _first(
        snapshot.frame(
            """
            select health.*, accounts.account_name, accounts.industry, accounts.customer_since_on,
                accounts.owner_sa, accounts.owner_ae, accounts.owner_ve, accounts.owner_governance,
                health.as_of_date + health.days_to_renewal as renews_on
            from marts.fct_account_health_daily as health
            left join marts.dim_account as accounts on accounts.account_id = health.account_id
            where health.account_id = $account and health.as_of_date = $as_of
            """,
            account=account_id,
        )
    )
    if health is None:
        return message(
            account_id, f"It has no health on {words.long_day(snapshot.as_of)}.", tone="yellow"
        )
    lines = queries.zone_lines(snapshot)
    history = snapshot.frame(
        """
        select as_of_date, health_score, coalesce(health_zone, 'unscored') as health_zone
        from marts.fct_account_health_daily
        where account_id = $account
            and as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of
        order by as_of_date
        """,
        account=account_id,
        days=HISTORY_DAYS,
    )
    is_drawn = history["health_score"].count() > 1
    return render(
        "account.html.jinja",
        label="The account and its score",
        health=health,
        as_of=snapshot.as_of,
        zone=health["health_zone"] or "unscored",
        owners=[
            (role, health[f"owner_{role}"])
            for role in ("ca", "sa", "ae", "ve", "governance")
            if health[f"owner_{role}"]
        ],
        components=_components(snapshot, account_id, health, lines),
        states=STATES,
        history_days=HISTORY_DAYS,
        wide=svg.chart_svg(charts.score_history(history, lines), "score-wide")
        if is_drawn
        else None,
        narrow=svg.chart_svg(
            charts.score_history(history, lines, width=240, height=150), "score-narrow"
        )
        if is_drawn
        else None,
        history_said=_history_said(history),
    )


def _history_said(history: pl.DataFrame) -> str:
    known = history.filter(pl.col("health_score").is_not_null())
    if known.is_empty():
        return "No score in this time."
    first, last = known.row(0, named=True), known.row(-1, named=True)
    lowest = known.sort("health_score", "as_of_date").row(0, named=True)
    return (
        f"Score from {first['health_score']:.1f} on {words.day(first['as_of_date'])} to "
        f"{last['health_score']:.1f} on {words.day(last['as_of_date'])}; lowest "
        f"{lowest['health_score']:.1f} on {words.day(lowest['as_of_date'])}."
    )


def _components(
    snapshot: Snapshot, account_id: str, health: Mapping[str, Any], lines: Mapping[str, float]
) -> list[Row]:
    """The components in order, each with its measures in the words of `csp explain`."""
    measures = snapshot.frame(
        """
        select facts.component, facts.measure, facts.value, facts.measure_score, facts.status,
            facts.effective_weight, facts.contribution,
            coalesce(names.label, facts.measure) as label, coalesce(names.unit, '') as unit,
            names.description
        from marts.fct_health_measure_daily as facts
        left join policy.health_measures as names on names.measure = facts.measure
        where facts.account_id = $account and facts.as_of_date = $as_of
        order by names.measure_order nulls last, facts.measure
        """,
        account=account_id,
    )
    own: dict[str, list[Row]] = {}
    for row in measures.iter_rows(named=True):
        row["said"] = None if row["value"] is None else value_text(row["value"], row["unit"])
        own.setdefault(str(row["component"]), []).append(row)
    parts = []
    for name in snapshot.components():
        score, weight = health[f"{name}_score"], health[f"{name}_weight"]
        zone = style.zone_of(score, lines)
        parts.append(
            {
                "name": name,
                "score": score,
                "weight": weight,
                "status": health[f"{name}_status"],
                "points": None if score is None else weight * score,
                "lost": None if score is None else weight * (100 - score),
                "zone": zone,
                "bar": svg.bar(
                    None if score is None else score / 100, style.ZONE_COLOURS[zone], width=300
                ),
                "measures": own.get(name, []),
            }
        )
    return parts


# What moved it --------------------------------------------------------------------------------


def ledger_page(publication: Publication, account_id: str, before: date, day: date) -> str:
    """The change between two days: read aloud, and cause by cause.

    Points of the causes add up to the move; a move from or to no score has no size.
    """
    return publication.once(
        ("ledger", account_id, before, day),
        lambda: _ledger(publication.snapshot(day), account_id, before),
    )


def _ledger(snapshot: Snapshot, account_id: str, before: date) -> str:
    if before >= snapshot.as_of:
        return message(
            "Choose two days", "The first day must lie before the second.", tone="yellow"
        )
    try:
        told = explain_move(snapshot.con, account_id, before=before, day=snapshot.as_of)
    except ConfigError as error:
        return message("There is nothing to compare", str(error), tone="yellow")
    names = {
        row["measure"]: row
        for row in snapshot.frame(
            "select measure, coalesce(label, measure) as label, component, "
            "coalesce(unit, '') as unit from policy.health_measures order by measure"
        ).iter_rows(named=True)
    }
    largest = max([abs(points) for *_, points in told.causes if points is not None] or [1.0])
    causes = []
    for kind, cause, points in told.causes:
        known = names.get(cause, {"label": words.words(cause), "component": None, "unit": ""})
        _, old, old_state, new, new_state = told.values.get(cause, (None,) * 5)
        causes.append(
            {
                "cause_kind": kind,
                "label": known["label"],
                "component": known["component"],
                "points": points,
                "swing": svg.swing(points, largest or 1.0),
                "said_before": _value_said(old, old_state, known["unit"]),
                "said_now": _value_said(new, new_state, known["unit"]),
            }
        )
    sized = [row["points"] for row in causes if row["points"] is not None]
    return render(
        "ledger.html.jinja",
        label="What moved the score",
        told=told,
        causes=causes,
        total=sum(sized) if sized else None,
        before=before,
        day=snapshot.as_of,
    )


def _value_said(value: float | None, state: str | None, unit: str) -> str:
    """A measure's value on a day, or why it had none."""
    if value is None or state != "scored":
        return STATES.get(str(state), "")
    return value_text(value, unit)


# Stages, calls and work -----------------------------------------------------------------------


def stages_page(publication: Publication, account_id: str) -> str:
    """Stages per solution area with criteria, blockers and what would help; the published day."""
    return publication.once(
        ("stages", account_id), lambda: _stages(publication.snapshot(), account_id)
    )


def _stages(snapshot: Snapshot, account_id: str) -> str:
    areas = snapshot.frame(
        """
        select solution_area, stage, stage_rank, next_stage, arr_usd, readiness_ratio,
            criteria_met_count, criteria_pending_count, stage_age_days, is_stalled, is_regressed,
            stage_entered_on, go_live_on
        from marts.fct_stage_daily
        where account_id = $account and as_of_date = $as_of order by solution_area
        """,
        account=account_id,
    ).to_dicts()
    criteria = _by(
        snapshot.frame(
            """
            select solution_area, criterion_name, status, kind, threshold, observed_value,
                is_mandatory, status_age_days
            from marts.fct_stage_criterion
            where account_id = $account and as_of_date = $as_of and is_for_next_stage
            order by solution_area, status, is_mandatory desc, criterion_id
            """,
            account=account_id,
        ),
        "solution_area",
    )
    blockers = _by(
        snapshot.frame(
            """
            select solution_area, category, description, age_days, is_aged, opened_on
            from marts.fct_stage_blocker
            where account_id = $account and as_of_date = $as_of and is_open
            order by solution_area, opened_on, blocker_id
            """,
            account=account_id,
        ),
        "solution_area",
    )
    helps = _by(
        snapshot.frame(
            """
            select solution_area, activity_name, owner_role, effort_hours
            from marts.fct_enablement_activity
            where account_id = $account and as_of_date = $as_of and status = 'proposed'
                and is_for_next_stage
            order by solution_area, is_mandatory desc, activity_id
            """,
            account=account_id,
        ),
        "solution_area",
    )
    for row in areas:
        row["criteria"] = criteria.get(row["solution_area"], [])
        row["blockers"] = blockers.get(row["solution_area"], [])
        row["helps"] = helps.get(row["solution_area"], [])
    names = queries.stage_names(snapshot).filter(pl.col("stage_rank") > 0).to_dicts()
    return render(
        "stages.html.jinja",
        label="Stages by solution area",
        areas=areas,
        stages=names,
        marks={**style.ZONE_MARKS, "met": "✓", "unmet": "✕", "no_data": "○"},
    )


def calls_page(publication: Publication, account_id: str) -> str:
    """The rhythm of calls: adherence, next due day and the newest slots of each type."""
    return publication.once(
        ("calls", account_id), lambda: _calls(publication.snapshot(), account_id)
    )


def _calls(snapshot: Snapshot, account_id: str) -> str:
    types = snapshot.frame(
        """
        select calls.call_type, coalesce(types.call_name, calls.call_type) as call_name,
            calls.adherence_ratio, calls.attendance_ratio, calls.consecutive_missed_count,
            calls.next_due_on, calls.calls_per_day, calls.is_at_risk, calls.account_state
        from marts.fct_cadence_daily as calls
        left join policy.call_types as types on types.call_type = calls.call_type
        where calls.account_id = $account and calls.as_of_date = $as_of
        order by types.call_order nulls last, calls.call_type
        """,
        account=account_id,
    ).to_dicts()
    slots = _by(
        snapshot.frame(
            """
            select * from (
                select call_type, slot_number, status, opened_on, due_on, grace_ends_on, met_on
                from marts.fct_cadence_slot
                where account_id = $account and opened_on <= $as_of
                qualify row_number() over (partition by call_type order by slot_number desc)
                    <= $shown
            )
            order by call_type, slot_number
            """,
            account=account_id,
            shown=_SLOTS_SHOWN,
        ),
        "call_type",
    )
    for row in types:
        row["slots"] = [
            {
                **slot,
                "mark": _MARKS.get(slot["status"], "?"),
                "said": _slot_said(slot),
            }
            for slot in slots.get(row["call_type"], [])
        ]
    return render(
        "calls.html.jinja", label="The rhythm of calls", types=types, as_of=snapshot.as_of
    )


def _slot_said(slot: Mapping[str, Any]) -> str:
    due = f"slot {slot['slot_number']}, due {words.day(slot['due_on'])}"
    if slot["met_on"]:
        return f"{due}: held {words.day(slot['met_on'])}"
    if slot["status"] == "open" and slot["grace_ends_on"]:
        return f"{due}: open, grace until {words.day(slot['grace_ends_on'])}"
    return f"{due}: {words.words(slot['status'])}"


def actions_page(publication: Publication, account_id: str) -> str:
    """Open work with its steps, and what was closed last."""
    return publication.once(
        ("actions", account_id), lambda: _actions(publication.snapshot(), account_id)
    )


def _actions(snapshot: Snapshot, account_id: str) -> str:
    found = snapshot.frame(
        """
        select actions.*, playbooks.playbook_name, playbooks.definition, rules.why
        from playbooks.actions as actions
        left join playbooks.playbooks as playbooks
            on playbooks.playbook_id = actions.playbook_id
        left join playbooks.rules as rules on rules.rule_id = actions.rule_id
        where actions.account_id = $account
        qualify actions.closed_on is null
            or row_number() over (
                partition by actions.closed_on is null
                order by actions.closed_on desc, actions.action_id
            ) <= $shown
        order by actions.closed_on desc nulls first, actions.due_on, actions.action_id
        """,
        account=account_id,
        shown=_CLOSED_SHOWN,
    ).to_dicts()
    ids = [row["action_id"] for row in found]
    done: dict[str, dict[str, date]] = {}
    for row in snapshot.frame(
        "select action_id, detail, occurred_on from playbooks.action_events "
        "where event = 'step_done' and list_contains($ids, action_id) order by all",
        ids=ids,
    ).iter_rows(named=True):
        step = _object(row["detail"]).get("step_id")
        if step:
            done.setdefault(row["action_id"], {})[str(step)] = row["occurred_on"]
    for row in found:
        _dress_action(row, done.get(row["action_id"], {}), snapshot.as_of)
    return render(
        "actions.html.jinja",
        label="Work on the account",
        open=[row for row in found if row["closed_on"] is None],
        closed=[row for row in found if row["closed_on"] is not None],
    )


def _dress_action(row: Row, done: Mapping[str, date], day: date) -> None:
    """Put the sentence, the steps and the lateness of an action beside it."""
    evidence = _object(row["evidence"])
    row["name"] = row["playbook_name"] or row["title"] or row["playbook_id"] or "Promised in a call"
    template = row["why"] or (MEETING_WHY if row["source"] == "meeting" else "")
    row["said"] = write_why(template, evidence) if template else ""
    until = row["due_on"] if row["started_on"] is None else row["plan_due_on"]
    row["until"] = until
    row["is_late"] = row["closed_on"] is None and until is not None and until < day
    definition = _object(row["definition"])
    row["steps"] = [
        {
            "do": step.get("do"),
            "owner": step.get("owner"),
            "due_on": row["opened_on"] + timedelta(days=int(step.get("day") or 0)),
            "done_on": done.get(str(step.get("id"))),
            "done_when": step.get("done_when"),
        }
        for step in definition.get("steps", [])
    ]
    row["done_count"] = sum(step["done_on"] is not None for step in row["steps"])


# Shared ---------------------------------------------------------------------------------------


def _first(frame: pl.DataFrame) -> Row | None:
    return frame.row(0, named=True) if frame.height else None


def _by(frame: pl.DataFrame, column: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in frame.iter_rows(named=True):
        groups.setdefault(str(row[column]), []).append(row)
    return groups


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object of the file, empty when there is none."""
    if not text:
        return {}
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
