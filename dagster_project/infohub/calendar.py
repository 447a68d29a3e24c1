"""The owners' calendars: calls due in the next days, one `.ics` file per owner.

The call whose slot is in progress is confirmed; the ones after it are projected at the rate in
force and marked tentative. An event keeps its identity (account, call type, slot) when its day
moves, so that a calendar that takes the file in again moves it instead of showing it twice. The
time stamp is the run's day, never the clock.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
from icalendar import Calendar, Event, vText

from dagster_project.infohub.paths import folder_name

PRODUCT = "-//customer-success-pipeline//calls//EN"
_DOMAIN = "calls.customer-success-pipeline.invalid"

_CALLS = """
with

policy as (
    select max(value) filter (where parameter = 'calendar_days')::integer as calendar_days
    from policy.infohub_policy
),

cadence as (
    select
        daily.account_id, daily.call_type, daily.next_due_on, daily.calls_per_day,
        slot.slot_number, slot.status
    from marts.fct_cadence_daily as daily
    inner join marts.fct_cadence_slot as slot
        on
            daily.account_id = slot.account_id and daily.call_type = slot.call_type
            and daily.next_due_on = slot.due_on
    where daily.as_of_date = $as_of and daily.next_due_on is not null
    qualify row_number() over (
        partition by daily.account_id, daily.call_type order by slot.slot_number desc
    ) = 1
),

-- The slot in progress, unless a call has met it already.
in_progress as (
    select account_id, call_type, slot_number, next_due_on as due_on, false as is_projected,
        false as is_overdue
    from cadence
    where status = 'open'
),

overdue as (
    select account_id, call_type, slot_number, grace_ends_on as due_on, false as is_projected,
        true as is_overdue
    from marts.fct_cadence_slot
    where status = 'open' and due_on < $as_of and grace_ends_on >= $as_of
),

projected as (
    select
        cadence.account_id, cadence.call_type, cadence.slot_number + step.number as slot_number,
        cadence.next_due_on + ceil(step.number / cadence.calls_per_day)::integer as due_on,
        true as is_projected, false as is_overdue
    from cadence
    cross join policy
    cross join lateral (
        select unnest(
            range(1, 2 + floor(policy.calendar_days * cadence.calls_per_day)::bigint)
        ) as number
    ) as step
    where cadence.calls_per_day > 0
),

calls as (
    select * from in_progress
    union all
    select * from overdue
    union all
    select * from projected
)

select
    calls.account_id, account.account_name, calls.call_type, type.call_name, calls.slot_number,
    calls.due_on, calls.is_projected, calls.is_overdue, type.max_minutes, setting.owner_role,
    case setting.owner_role
        when 'ca' then account.owner_ca when 'sa' then account.owner_sa
        when 'ae' then account.owner_ae when 've' then account.owner_ve
        when 'governance' then account.owner_governance
    end as owner
from calls
inner join intermediate.int_core__account_days as account
    on calls.account_id = account.account_id and account.as_of_date = $as_of
inner join policy.infohub_calls as setting on calls.call_type = setting.call_type
inner join policy.call_types as type on calls.call_type = type.call_type
cross join policy
where
    calls.due_on between $as_of and $as_of + policy.calendar_days
    and not account.is_paused
order by owner nulls last, setting.owner_role, calls.due_on, calls.account_id, calls.call_type,
    calls.slot_number
"""


def write_calendars(con: duckdb.DuckDBPyConnection, folder: Path, as_of: date) -> list[Path]:
    """Write `<folder>/<owner>.ics` for every owner with a call to come; the paths, in order.

    Calls whose role nobody holds stand in `unassigned-<role>.ics`.

    Args:
        con: the build file of a run whose marts are done.
        folder: where the calendars go; it is made.
        as_of: the run's day.
    """
    cursor = con.execute(_CALLS, {"as_of": as_of})
    names = [column[0] for column in cursor.description or ()]
    by_owner: defaultdict[tuple[str | None, str], list[dict[str, Any]]] = defaultdict(list)
    for row in cursor.fetchall():
        call = dict(zip(names, row, strict=True))
        # A person may own calls in two roles: one calendar; without a person, one per role.
        role = "" if call["owner"] else call["owner_role"]
        by_owner[call["owner"], role].append(call)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.combine(as_of, time(), UTC)
    file_names = _file_names(owner for owner, _ in by_owner)
    paths = []
    for (owner, role), calls in by_owner.items():
        stem = file_names[owner] if owner else f"unassigned-{role}"
        path = folder / f"{stem}.ics"
        path.write_bytes(_calendar(owner or f"nobody ({role})", calls, stamp))
        paths.append(path)
    return sorted(paths)


def _file_names(owners: Iterable[str | None]) -> dict[str, str]:
    """A file name per owner; owners whose names come to one get a digest each."""
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for owner in owners:
        if owner:
            wanted[folder_name(owner) or "owner"].append(owner)
    names: dict[str, str] = {}
    for name, people in wanted.items():
        is_alone = len(people) == 1 and not name.startswith("unassigned-")
        for person in people:
            digest = hashlib.sha256(person.encode()).hexdigest()[:8]
            names[person] = name if is_alone else f"{name}-{digest}"
    return names


def _calendar(owner: str, calls: Iterable[dict[str, Any]], stamp: datetime) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    # A property that the library does not know it writes as it is, line ends and all.
    calendar.add("x-wr-calname", vText(f"Customer calls: {owner}"))
    for call in calls:
        calendar.add_component(_event(call, stamp))
    content: bytes = calendar.to_ical()
    return content


def _event(call: dict[str, Any], stamp: datetime) -> Event:
    event = Event()
    identity = f"{call['account_id']}\0{call['call_type']}\0{call['slot_number']}"
    event.add("uid", f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}@{_DOMAIN}")
    event.add("dtstamp", stamp)
    event.add("dtstart", call["due_on"])
    event.add("dtend", call["due_on"] + timedelta(days=1))
    name = call["account_name"] or call["account_id"]
    late = " (overdue: last day that counts)" if call["is_overdue"] else ""
    event.add("summary", f"{call['call_name']}: {name}{late}")
    lines = [f"Account {call['account_id']}, call {call['slot_number']} of its kind."]
    if call["max_minutes"] is not None:
        lines.append(f"Plan {call['max_minutes']} minutes.")
    if call["is_projected"]:
        lines.append("Projected at the rate of calls in force; the day may move.")
    event.add("description", "\n".join(lines))
    event.add("categories", [call["call_type"]])
    event.add("status", "TENTATIVE" if call["is_projected"] else "CONFIRMED")
    # Due on a day, at no hour: nobody is busy because of it.
    event.add("transp", "TRANSPARENT")
    return event
