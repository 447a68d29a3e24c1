"""The story of an account: everything dated that happened to it, for dashboard and notebooks.

Belongs here: what counts as an event, and its words. Does not belong here: how it is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, TypeAlias

from dagster_project.reporting import queries, words
from dagster_project.reporting.queries import Snapshot

Row: TypeAlias = dict[str, Any]
#: Kinds of events, as a reader picks them.
KINDS = {
    "zone": "Zones",
    "stage": "Stages",
    "call": "Calls",
    "support": "Support",
    "action": "Actions",
    "step": "Steps done",
    "blocker": "Blockers",
    "people": "People",
    "deal": "Deals and renewals",
    "signal": "Other signals",
    "person": "Set by a person",
    "life": "Start and end",
}
#: What is shown until a reader picks: steps and signals are many.
FIRST_SHOWN = tuple(kind for kind in KINDS if kind not in {"step", "signal"})
_REASON_LENGTH = 160
_SIGNALS = {
    "champion_left": ("people", "A champion left", "bad"),
    "sponsor_left": ("people", "An executive sponsor left", "bad"),
    "competitor_flagged": ("people", "A competitor was flagged", "bad"),
    "won": ("deal", "Deal won", "good"),
    "lost": ("deal", "Deal lost", "bad"),
    "renewal_window": ("deal", "Entered the renewal window", ""),
    "area_started": ("life", "Solution area bought", "good"),
    "area_went_live": ("life", "Solution area went live", "good"),
}
_EVENTS = {
    "opened": ("opened", ""),
    "started": ("started", ""),
    "completed": ("completed", "good"),
    "cancelled": ("cancelled", ""),
    "closed": ("closed", ""),
    "escalated": ("escalated", "bad"),
    "re_raised": ("raised again", "bad"),
    "severity_raised": ("became more severe", "bad"),
    "reassigned": ("has another owner", ""),
    "objective_met": ("reached its objective", "good"),
    "objective_missed": ("missed its objective", "bad"),
    "step_done": ("step done", ""),
}
# What a table of its own tells better.
_TOLD_ELSEWHERE = (
    "zone_changed",
    "stage_changed",
    "cadence_call_due",
    "cadence_call_missed",
    "SIG_PB_001",
    "SIG_PB_002",
    "SIG_GOV_001",
)


def account_story(snapshot: Snapshot, account_id: str) -> list[Row]:
    """What happened to the account up to the day, newest first.

    Rows have occurred_on, kind (of `KINDS`), text, more (a detail, may be empty) and tone (`good`,
    `bad` or empty).
    """
    ranks = {zone: rank for rank, zone in enumerate(queries.zone_lines(snapshot))}
    tellers: dict[str, Teller] = {**_TELLERS, "zone": partial(_zone, ranks)}
    found = snapshot.frame(_SQL, account=account_id, elsewhere=list(_TOLD_ELSEWHERE)).to_dicts()
    story = [said for row in found if (said := _said(row, tellers)) is not None]
    return sorted(
        story, key=lambda row: (-row["occurred_on"].toordinal(), row["kind"], row["text"])
    )


@dataclass(frozen=True)
class Said:
    """An event in words; `tone` is good, bad or neither, `kind` where it is not its source's."""

    text: str
    more: str = ""
    tone: str = ""
    kind: str = ""


#: Puts an event of its source into words: its name, title and detail.
Teller: TypeAlias = Callable[[str, str | None, Mapping[str, Any]], Said | None]


def _said(row: Mapping[str, Any], tellers: Mapping[str, Teller]) -> Row | None:
    """An event as a reader sees it; None for what is told elsewhere."""
    detail = json.loads(row["detail"]) if row["detail"] else {}
    said = tellers[row["source"]](str(row["name"] or ""), row["title"], detail)
    if said is None:
        return None
    return {
        "occurred_on": row["occurred_on"],
        "kind": said.kind or row["source"],
        "text": said.text,
        "more": said.more,
        "tone": said.tone,
    }


def _zone(ranks: Mapping[str, int], _: str, __: str | None, detail: Mapping[str, Any]) -> Said:
    old, new = detail["from"], detail["to"]
    tone = ""
    if old in ranks and new in ranks:
        tone = "bad" if ranks[new] > ranks[old] else "good"
    return Said(f"{words.sentence(old)} to {new}", tone=tone)


def _stage(area: str, _: str | None, detail: Mapping[str, Any]) -> Said:
    return Said(
        f"{words.sentence(area)}: {words.words(detail['from'])} to {words.words(detail['to'])}",
        f"after {words.plural(detail['days'], 'day')}" if detail["days"] else "",
        "good" if detail["kind"] == "promotion" else "bad",
    )


def _call(call_type: str, title: str | None, detail: Mapping[str, Any]) -> Said:
    call = title or words.sentence(call_type)
    if detail["status"] != "met":
        return Said(f"{call} missed", f"it was due {_day(detail['due_on'])}", "bad")
    attended, expected = detail["attended"], detail["expected"]
    more = [f"{attended} of {expected} people"] if None not in (attended, expected) else []
    if detail["executive"]:
        more.append("with an executive")
    return Said(f"{call} held", ", ".join(more), "good")


def _support(name: str, _: str | None, __: Mapping[str, Any]) -> Said:
    if name == "began":
        return Said("A ticket was escalated", tone="bad")
    return Said("No escalation is open any more", tone="good")


def _action(event: str, title: str | None, detail: Mapping[str, Any]) -> Said | None:
    if event not in _EVENTS:
        return None
    what, tone = _EVENTS[event]
    more = {
        "opened": f"{detail.get('severity')}, {words.person(detail.get('owner'))}",
        "escalated": f"to {words.words(detail.get('to_role'))}",
        "severity_raised": str(detail.get("severity")),
        "step_done": words.words(detail.get("step_id")),
        "reassigned": f"now {words.person(detail.get('owner'))}",
    }
    if event in {"closed", "cancelled", "completed"}:
        reason = detail.get("reason") or words.words(detail.get("close_reason"))
        more[event] = _shortened(str(reason))
    return Said(
        f"{title or 'Promised in a call'} {what}",
        more.get(event, ""),
        tone,
        "step" if event == "step_done" else "action",
    )


def _blocker(name: str, _: str | None, detail: Mapping[str, Any]) -> Said:
    return Said(
        f"{words.sentence(detail['category'])} blocker {name}",
        _shortened(detail["text"] or ""),
        "bad" if name == "opened" else "good",
    )


def _override(_: str, __: str | None, detail: Mapping[str, Any]) -> Said:
    score = words.number(detail["score"], 1) if detail["score"] is not None else ""
    state = ", ".join(part for part in (score, detail["zone"] or "") if part)
    return Said(
        f"Set to {state} by {words.person(detail['author'])}",
        f"until {_day(detail['until'])}: {_shortened(detail['reason'] or '')}",
        kind="person",
    )


def _signal(cause: str, _: str | None, detail: Mapping[str, Any]) -> Said:
    kind, text, tone = _SIGNALS.get(cause, ("signal", words.sentence(cause), ""))
    about = (detail.get("opportunity_kind"), detail.get("solution_area"))
    return Said(text, ", ".join(words.words(str(part)) for part in about if part), tone, kind)


def _life(name: str, _: str | None, __: Mapping[str, Any]) -> Said:
    return Said("Became a customer", tone="good") if name == "start" else Said("Left", tone="bad")


def _shortened(text: str) -> str:
    return text if len(text) <= _REASON_LENGTH else f"{text[: _REASON_LENGTH - 1].rstrip()}…"


def _day(text: str) -> str:
    return words.day(date.fromisoformat(text))


_TELLERS: dict[str, Teller] = {
    "stage": _stage,
    "call": _call,
    "support": _support,
    "action": _action,
    "blocker": _blocker,
    "override": _override,
    "signal": _signal,
    "life": _life,
}


_SQL = """
with
own_actions as (
    select actions.action_id, coalesce(playbooks.playbook_name, actions.title) as title
    from playbooks.actions as actions
    left join playbooks.playbooks as playbooks on playbooks.playbook_id = actions.playbook_id
    where actions.account_id = $account
),
escalations as (
    select as_of_date, value > 0 as is_open,
        lag(value > 0, 1, false) over (order by as_of_date) as was_open
    from marts.fct_health_measure_daily
    where account_id = $account and measure = 'open_escalation_age_days' and value is not null
),
story as (
    select occurred_on, 'zone' as source, null as name, null as title,
        to_json({'from': coalesce(from_zone, 'unscored'), 'to': coalesce(to_zone, 'unscored')})
            as detail
    from marts.fct_zone_transition where account_id = $account
    union all
    select occurred_on, 'stage', solution_area, null,
        to_json({'from': from_stage, 'to': to_stage, 'kind': kind, 'days': days_in_from_stage})
    from marts.fct_stage_transition where account_id = $account
    union all
    select coalesce(slots.met_on, slots.decided_on), 'call', slots.call_type, types.call_name,
        to_json({
            'status': slots.status, 'attended': slots.attended_count,
            'expected': slots.expected_attendee_count, 'executive': slots.is_executive_present,
            'due_on': slots.due_on
        })
    from marts.fct_cadence_slot as slots
    left join policy.call_types as types on types.call_type = slots.call_type
    where slots.account_id = $account and slots.status in ('met', 'missed')
    union all
    select as_of_date, 'support', case when is_open then 'began' else 'ended' end, null, null
    from escalations where is_open <> was_open
    union all
    select events.occurred_on, 'action', events.event, own_actions.title, events.detail
    from playbooks.action_events as events
    inner join own_actions on own_actions.action_id = events.action_id
    union all
    select moments.day, 'blocker', moments.what, null,
        to_json({'category': blockers.category, 'text': blockers.description})
    from marts.fct_stage_blocker as blockers, lateral (
        select blockers.opened_on as day, 'opened' as what
        union all select blockers.resolved_on, 'resolved'
    ) as moments
    where blockers.account_id = $account
    union all
    select starts_on, 'override', override_id, null,
        to_json({
            'score': health_score, 'zone': health_zone, 'author': author, 'reason': reason,
            'until': expires_on
        })
    from marts.dim_health_override where account_id = $account
    union all
    select occurred_on, 'signal', cause, null, evidence
    from playbooks.signals
    where account_id = $account and not list_contains($elsewhere::varchar[], signal)
    union all
    select moments.day, 'life', moments.what, null, null
    from marts.dim_account as accounts, lateral (
        select accounts.customer_since_on as day, 'start' as what
        union all select accounts.churned_on, 'end'
    ) as moments
    where accounts.account_id = $account
)
select occurred_on::date as occurred_on, source, name, title, detail::varchar as detail
from story
where occurred_on <= $as_of
order by all
"""
