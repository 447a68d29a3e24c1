"""What a life leaves behind in the customer's systems: the rows of the drawn tables.

One function per table. No file, no extract: a row carries all its dates, also those an early
extract cannot know yet; `extracts` hides them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Final

from dagster_project.sampling import names
from dagster_project.sampling.world import Area, Life, Renewal, clamp

Rows = dict[str, list[tuple[object, ...]]]
#: kind, area, term number, path of (day, stage, probability), (cents, expected close, is won)
AddOpportunity = Callable[
    [str, str | None, int | None, list[tuple[int, str, float]], tuple[int, int, bool | None]], None
]

_MONTH: Final = 30.4375
_INTERVALS: Final = {
    "strategic": (7.0, _MONTH, 3 * _MONTH),
    "enterprise": (14.0, _MONTH, 3 * _MONTH),
    "commercial": (_MONTH, 3 * _MONTH, 6 * _MONTH),
}
_CALLS: Final = ("technical_checkin", "business_review", "executive_review")
_LETTERS: Final = {"technical_checkin": "t", "business_review": "b", "executive_review": "e"}

#: Criteria a person confirms: (criterion, maturity at which they can, days they take to).
_CRITERIA: Final = {
    "security": (
        ("sec_alerting_tuned", 1.55, 6),
        ("sec_soc_workflow_integrated", 1.75, 8),
        ("sec_soar_integrated", 2.6, 8),
        ("sec_threat_hunting", 3.5, 8),
        ("sec_business_metrics_tied", 3.7, 10),
        ("sec_reference_or_expansion", 3.8, 14),
    ),
    "observability": (
        ("obs_basic_metrics", 0.6, 3),
        ("obs_oncall_integrated", 2.6, 8),
        ("obs_platform_standard", 3.5, 10),
        ("obs_business_metrics_tied", 3.7, 10),
    ),
    "search": (
        ("srch_basic_search", 0.6, 3),
        ("srch_growing_users", 1.6, 8),
        ("srch_strategic_capability", 3.6, 12),
    ),
}
_OBJECTIVES: Final = {
    "security": (
        ("Mean time to detect, minutes", 240.0, 45.0),
        ("Manual triage effort, hours a week", 60.0, 35.0),
        ("Log sources covered, percent", 20.0, 85.0),
    ),
    "observability": (
        ("Mean time to resolve, minutes", 180.0, 60.0),
        ("Services with objectives, count", 2.0, 20.0),
        ("Unplanned downtime, hours a month", 9.0, 2.0),
    ),
    "search": (
        ("Searches that find nothing, percent", 28.0, 8.0),
        ("Conversion from search, percent", 2.1, 3.4),
        ("Median answer time, milliseconds", 900.0, 250.0),
    ),
}
_SEVERITY_HOURS: Final = {"critical": 7.0, "high": 30.0, "medium": 80.0, "low": 170.0}
_BLOCKER_NOTES: Final = {
    "technical": "Network policy keeps the collectors out",
    "resource": "No engineer free on the customer's side",
    "skill": "The team needs training first",
    "organisational": "Ownership between two departments is open",
}


def record(life: Life, seed: int, until: int, into: Rows) -> None:
    """Append everything one life leaves behind to the rows of each table."""
    rng = Random(f"{seed}/facts/{life.number}")  # noqa: S311 - a seeded world, not a secret
    last = min(until, life.churned - 1 if life.churned is not None else until)
    owners = _accounts(life, rng, into)
    contacts = _contacts(life, rng, last, into)
    _subscriptions(life, into)
    _opportunities(life, rng, until, into)
    _touchpoints(life, rng, last, into)
    _outreach(life, rng, last, contacts, into)
    _objectives(life, rng, last, into)
    for area in life.areas:
        into["stage_evidence"] += _evidence(life, area, rng, last, owners[0])
        _blockers(life, area, last, into)
        _weeks(life, area, last, into)
    _invoices(life, rng, last, into)
    _risk_flags(life, rng, last, into)
    _overrides(life, until, last, owners, into)
    _tickets(life, rng, last, into)


def _key(life: Life, letters: str, number: int) -> str:
    return f"{letters}-{life.number:05d}-{number:04d}"


def _arr_on(life: Life, day: int) -> int:
    """ARR in cents of the terms active on a day."""
    return sum(
        term.arr_cents
        for area in life.areas
        for term in area.terms
        if term.start <= day and (term.ended is None or day < term.ended)
    )


def _seats_on(life: Life, day: int) -> int:
    return sum(
        term.seats
        for area in life.areas
        for term in area.terms
        if term.start <= day and (term.ended is None or day < term.ended)
    )


def _accounts(life: Life, rng: Random, into: Rows) -> tuple[str | None, ...]:
    region = names.REGIONS.index(life.region)
    # Owners come by blocks of account numbers, so that a bigger sample leaves them as they are.
    number = life.number
    ca = 100 + (number // 48) * 4 + region
    owners = [
        names.person(ca)[1],
        names.person(20_000 + (number // 96) * 4 + region)[1] if rng.random() < 0.93 else None,
        names.person(40_000 + (number // 60) * 4 + region)[1],
        names.person(60_000 + number // 120)[1] if rng.random() < 0.85 else None,
        names.person(80_000 + region)[1],
    ]
    paused = life.paused or (None, None)
    into["accounts"].append(
        (
            life.account_id, life.name, life.tier, life.segment, life.region, life.industry,
            life.start, life.churned, f"realm-{life.region}",
            f"{names.slug(life.name)}-{number:05d}", *paused,
        )
    )  # fmt: skip
    handover = (
        life.start + 90 + int(rng.random() * 400) if rng.random() < 0.12 else None
    )  # a new CSM takes over
    days = {life.start}
    for area in life.areas:
        for term in area.terms:
            days.add(term.start)
            if term.ended is not None:
                days.add(term.ended)
    for raised, cleared in life.at_risk:
        days.add(raised)
        if cleared is not None:
            days.add(cleared)
    if handover is not None:
        days.add(handover)
    for day in sorted(days):
        at_risk = any(a <= day and (b is None or day < b) for a, b in life.at_risk)
        now = list(owners)
        if handover is not None and day >= handover:
            now[0] = names.person(ca + 50_000)[1]
        into["account_states"].append((life.account_id, day, _arr_on(life, day), *now, at_risk))
    return tuple(owners)


def _contacts(life: Life, rng: Random, last: int, into: Rows) -> list[str]:
    rows = into["contacts"]
    keys: list[str] = []

    def add(role: str, created: int, departed: int | None) -> None:
        number = len(keys) + 1
        name, _ = names.person(life.number * 13 + number * 31)
        mail = f"{names.slug(name).replace('-', '.')}@{names.slug(life.name)}.example.com"
        keys.append(_key(life, "con", number))
        gone = departed if departed is not None and departed <= last else None
        rows.append((keys[-1], life.account_id, name, mail, role, created, gone))

    # A weak team brings its champion late, or never.
    begin = life.start if life.team > 0.55 else life.start + int(rng.random() * 900)
    for left, successor in life.champion_gaps:
        if begin < left:
            add("champion", begin, left)
        if successor is None or successor > last:
            break
        begin = successor
    else:
        if begin <= last:
            add("champion", begin, None)
    for role, chance in (
        ("executive_sponsor", 0.20 + 0.75 * life.team),
        ("business_sponsor", 0.45 + 0.5 * life.team),
        ("technical_champion", 0.40 + 0.55 * life.team),
        ("economic_buyer", 0.25 + 0.6 * life.team),
    ):
        if rng.random() < chance:
            leaves = life.start + int(rng.expovariate(1 / 1800))
            add(role, life.start + int(rng.random() * 15), leaves)
            successor = leaves + 20 + int(rng.random() * 90)
            if successor <= last and rng.random() < 0.8:
                add(role, successor, None)
    for _ in range(1 + int(rng.random() * 3)):
        add("user", life.start + int(rng.random() * 60), None)
    return keys


def _subscriptions(life: Life, into: Rows) -> None:
    for area in life.areas:
        for term in area.terms:
            previous = None if term.previous is None else _key(life, "sub", term.previous)
            into["subscriptions"].append(
                (
                    _key(life, "sub", term.number), life.account_id, area.name, term.start,
                    term.renews, term.ended, term.arr_cents, term.seats,
                    area.go_live if term.previous is None else None, previous,
                    term.is_displacement, max(term.known, life.start),
                )
            )  # fmt: skip


def _opportunities(life: Life, rng: Random, until: int, into: Rows) -> None:
    number = 0

    def add(
        kind: str,
        area: str | None,
        term: int | None,
        path: list[tuple[int, str, float]],
        deal: tuple[int, int, bool | None],
    ) -> None:
        nonlocal number
        amount, expected, is_won = deal
        number += 1
        key = _key(life, "opp", number)
        closed = path[-1][0] if is_won is not None else None
        created = path[0][0]
        subscription = None if term is None else _key(life, "sub", term)
        into["opportunities"].append(
            (key, life.account_id, kind, area, subscription, created, closed, is_won,
             max(created, life.start))
        )  # fmt: skip
        for day, stage, probability in path:
            into["opportunity_states"].append(
                (key, day, stage, round(clamp(probability, 0.0, 1.0), 2), amount, expected)
            )

    first = life.areas[0]
    closed = life.start - 1 - int(rng.random() * 9)
    born = closed - 50 - int(rng.random() * 70)
    add(
        "new", first.name, first.terms[0].number,
        [(born, "discovery", 0.2), (born + 20, "proof", 0.5), (closed - 20, "negotiation", 0.8),
         (closed, "closed_won", 1.0)],
        (sum(a.terms[0].arr_cents for a in life.areas if a.start == life.start), closed, True),
    )  # fmt: skip
    for renewal in life.renewals:
        _renewal_opportunity(life, rng, renewal, until, add)
    for name, start in life.expansions:
        area = next(a for a in life.areas if a.name == name)
        begin = max(start - 60 - int(rng.random() * 50), life.start + 30)
        won = start - 1 - int(rng.random() * 7)
        kind = "evaluation" if rng.random() < 0.6 else "expansion"
        path = [(begin, "discovery", 0.25), (begin + 12, "proof", 0.4)]
        path += [(won - 12, "negotiation", 0.75), (won, "closed_won", 1.0)]
        add(kind, name, None, path, (area.terms[0].arr_cents, start, True))
    _hopes(life, rng, until, add)


def _renewal_opportunity(
    life: Life, rng: Random, renewal: Renewal, until: int, add: AddOpportunity
) -> None:
    begin = max(renewal.day - 150 + int(rng.random() * 30) - 15, life.start + 30)
    propose = max(renewal.day - 95 + int(rng.random() * 25), begin + 5)
    negotiate = max(renewal.day - 50 + int(rng.random() * 25), propose + 5)
    decide = renewal.day - int(rng.random() * 10)
    if begin > until or (life.churned is not None and begin >= life.churned):
        return

    def chance(day: int, base: float) -> float:
        strain = life.strain[life.week_of(day)]
        return clamp(base + 0.12 - 0.9 * strain + rng.gauss(0, 0.05), 0.05, 0.97)

    path = [(begin, "discovery", chance(begin, 0.55)), (propose, "proposal", chance(propose, 0.72))]
    path.append((negotiate, "negotiation", chance(negotiate, 0.9)))
    if renewal.is_kept is None:
        path = [step for step in path if step[0] <= until]
        is_won = None
    else:
        is_won = renewal.is_kept
        path.append((max(decide, negotiate + 1), "closed_won" if is_won else "closed_lost",
                     float(is_won)))  # fmt: skip
    area = life.areas[0]
    term = next((t for t in area.terms if t.renews == renewal.day), area.terms[-1])
    amount = renewal.arr_cents
    add("renewal", area.name, term.number, path, (amount, renewal.day, is_won))
    if is_won and renewal.growth > 1.05:
        more = int(amount * (renewal.growth - 1.0))
        begin = max(renewal.day - 100 + int(rng.random() * 40), life.start + 30)
        steps = [(begin, "discovery", 0.3), (begin + 20, "proposal", 0.6)]
        steps.append((max(decide, begin + 25), "closed_won", 1.0))
        add("expansion", area.name, term.number, steps, (more, renewal.day, True))


def _hopes(life: Life, rng: Random, until: int, add: AddOpportunity) -> None:
    """Expansions and evaluations that are still open or came to nothing."""
    for week in range(8, len(life.adoption), 4):
        if life.adoption[week] < 0.55 or rng.random() > 0.07:
            continue
        begin = (life.first_week + week) * 7 + 4
        ends = begin + 60 + int(rng.random() * 90)
        kind = "expansion" if rng.random() < 0.7 else "evaluation"
        path = [(begin, "discovery", 0.2), (begin + 25, "proof", 0.35)]
        path.append((begin + 45, "proposal", 0.5))
        path = [step for step in path if step[0] <= until]
        is_won = None
        if ends <= until:
            path.append((ends, "closed_lost", 0.0))
            is_won = False
        begun = [a for a in life.areas if a.start <= begin]
        area = begun[int(rng.random() * len(begun))]
        amount = int(area.terms[0].arr_cents * (0.1 + 0.3 * rng.random()))
        add(kind, area.name, None, path, (amount, ends, is_won))


def _workday(day: int) -> int:
    """The day itself, or the Friday before a weekend."""
    weekday = (day + 3) % 7
    return day - (weekday - 4) if weekday > 4 else day


class _Diary:
    """Writes planned calls down, with what became of them."""

    def __init__(self, life: Life, rng: Random, last: int, rows: list[tuple[object, ...]]) -> None:
        self.life, self.rng, self.last, self.rows = life, rng, last, rows
        self.count = 0

    def plan(
        self, kind: str, day: int, created: int, hold: float, people: tuple[float, int]
    ) -> None:
        """Add one call; `hold` is the chance that it takes place, `people` the chance that an
        executive comes and the number of people expected.
        """
        life, rng = self.life, self.rng
        executive, size = people
        if not life.start <= created <= self.last:
            created = life.start
        week = life.week_of(day)
        engagement, strain = life.engagement[week], life.strain[week]
        held = cancelled = attended = is_executive = sentiment = None
        draw = rng.random()
        if draw < hold:
            held = day if rng.random() < 0.9 else _workday(day + 1 + int(rng.random() * 4))
            attended = sum(rng.random() < 0.20 + 0.76 * engagement for _ in range(size))
            attended = max(attended, 1)
            is_executive = rng.random() < executive * (0.3 + 0.75 * engagement)
            mood = 0.95 - 2.6 * strain - 0.5 * life.pain[week] + rng.gauss(0, 0.2)
            sentiment = round(clamp(mood, -1.0, 1.0), 2)
        elif draw > hold + (1.0 - hold) * 0.6:
            cancelled = max(day - int(rng.random() * 4), created)
        if life.churned is not None:
            if held is not None and held >= life.churned:
                held = attended = is_executive = sentiment = None
                cancelled = max(life.churned, created)
            elif held is None and cancelled is None and day >= life.churned:
                cancelled = max(life.churned, created)
        self.count += 1
        self.rows.append(
            (_key(life, "tp", self.count), life.account_id, kind, created, day, held, cancelled,
             size if held is not None else None, attended, is_executive, sentiment)
        )  # fmt: skip


def _touchpoints(life: Life, rng: Random, last: int, into: Rows) -> None:
    diary = _Diary(life, rng, last, into["touchpoints"])
    kickoff = _workday(life.start + 3 + int(rng.random() * 7))
    diary.plan("other", kickoff, life.start, 0.97, (0.3, 5))
    for kind, interval in zip(_CALLS, _INTERVALS[life.tier], strict=True):
        _regular_calls(diary, kind, interval)
    # A worked-on recovery brings extra weekly calls.
    for begin, end in life.recoveries:
        for day in range(begin + 5, min(end, last), 7):
            diary.plan("technical_checkin", _workday(day), day - 5, 0.92, (0.05, 3))
    for renewal in life.renewals:
        for ahead in (90, 60, 30):
            day = _workday(renewal.day - ahead - int(rng.random() * 8))
            if life.start + 20 < day and day - 20 <= last:
                engagement = life.engagement[life.week_of(day)]
                hold = clamp(0.4 + 0.6 * engagement, 0.3, 0.96)
                diary.plan("renewal_planning", day, day - 20, hold, (0.4, 4))


def _regular_calls(diary: _Diary, kind: str, interval: float) -> None:
    """Calls of one type at the tier's interval, each planned somewhat before its slot ends."""
    life, rng, last = diary.life, diary.rng, diary.last
    lead = {"technical_checkin": 10, "business_review": 21, "executive_review": 45}[kind]
    size = {"technical_checkin": 3, "business_review": 5, "executive_review": 6}[kind]
    executive = {"technical_checkin": 0.02, "business_review": 0.15}.get(kind, 0.92)
    slot = 0
    while True:
        slot += 1
        due = life.start + interval * slot
        day = _workday(int(due - interval * (0.06 + 0.24 * rng.random())))
        created = day - lead - int(rng.random() * 3)
        if created > last:
            break
        if life.paused is not None and life.paused[0] <= day < life.paused[1]:
            continue
        engagement = life.engagement[life.week_of(day)]
        hold = clamp(0.16 + 0.98 * engagement, 0.15, 0.985)
        if kind == "executive_review":
            hold -= 0.04
        if kind == "technical_checkin" and rng.random() > 0.25 + engagement * 1.1:
            continue  # nobody even planned it
        diary.plan(kind, day, created, hold, (executive, size))


def _outreach(life: Life, rng: Random, last: int, contacts: list[str], into: Rows) -> None:
    count = 0
    for week, engagement in enumerate(life.engagement):
        if rng.random() > 0.42:
            continue
        day = (life.first_week + week) * 7 + 4 + int(rng.random() * 5)
        if not life.start <= day <= last:
            continue
        sent = day * 86_400 + 28_800 + int(rng.random() * 36_000)
        responded = None
        if rng.random() < clamp(1.25 * engagement - 0.12, 0.1, 0.97):
            responded = sent + 1_800 + int(rng.lognormvariate(0.1, 0.9) * 86_400)
            if responded >= (last + 1) * 86_400:
                responded = None
        count += 1
        channel = ("email", "email", "chat", "phone")[int(rng.random() * 4)]
        contact = contacts[int(rng.random() * len(contacts))] if rng.random() < 0.9 else None
        into["outreach"].append(
            (_key(life, "out", count), life.account_id, contact, channel, sent, responded)
        )


def _objectives(life: Life, rng: Random, last: int, into: Rows) -> None:
    count = 0
    for area in life.areas:
        day = area.start + 15 + int(rng.random() * 30)
        goals = _OBJECTIVES[area.name]
        turn = 0
        while day <= last and (area.ended is None or day < area.ended):
            name, baseline, target = goals[(turn + life.number) % len(goals)]
            due = day + 110 + int(rng.random() * 60)
            week = life.week_of(min(due, last))
            drive = (
                -0.05
                + 1.65 * life.adoption[week] * life.engagement[week] ** 0.5
                + rng.gauss(0, 0.15)
            )
            count += 1
            key = _key(life, "obj", count)
            planned = int(area.terms[0].arr_cents * (0.3 + 0.5 * rng.random()) / 10_000) * 10_000
            met = None
            # Measured each month until met, at the latest 30 days after it was due.
            measured = day + 28 + int(rng.random() * 6)
            while measured <= min(last, due + 30) and met is None:
                share = clamp((measured - day) / (due - day), 0.0, 1.1)
                progress = clamp(drive * share**0.8 + rng.gauss(0, 0.03), 0.0, 1.3)
                if progress >= 1.0:
                    met = measured
                value = round(baseline + (target - baseline) * progress, 1)
                realised = int(planned * min(progress, 1.2) * (0.85 + 0.25 * rng.random()))
                into["objective_measures"].append((key, measured, value, realised))
                measured += 28 + int(rng.random() * 6)
            into["success_objectives"].append(
                (key, life.account_id, area.name, name, day, due, baseline, target, met, planned)
            )
            turn += 1
            day = due - 20 + int(rng.random() * 60)


def _evidence(
    life: Life, area: Area, rng: Random, last: int, owner: str | None
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []

    def add(criterion: str, confirmed: int, revoked: int | None) -> None:
        if confirmed <= end:
            key = f"ev-{life.number:05d}-{criterion}-{confirmed}"
            gone = revoked if revoked is not None and revoked <= end else None
            rows.append((key, life.account_id, area.name, criterion, confirmed, owner, gone))

    end = min(last, area.ended - 1) if area.ended is not None else last
    for criterion, level, takes in _CRITERIA[area.name]:
        is_known = rng.random() < 0.96
        confirmed: int | None = None
        for week, maturity in enumerate(area.maturity):
            day = (area.first_week + week) * 7 + 4
            if confirmed is None and is_known and maturity >= level:
                confirmed = day + 2 + int(rng.random() * takes)
            elif confirmed is not None and maturity < level - 0.3 and day > confirmed + 28:
                add(criterion, confirmed, day)
                confirmed = None
        if confirmed is not None:
            add(criterion, confirmed, None)
    return rows


def _blockers(life: Life, area: Area, last: int, into: Rows) -> None:
    for number, (opened, resolved, category) in enumerate(area.blockers, 1):
        if opened <= last:
            into["adoption_blockers"].append(
                (f"blk-{life.number:05d}-{area.name[:3]}-{number:02d}", life.account_id, area.name,
                 category, opened, resolved if resolved is not None and resolved <= last else None,
                 _BLOCKER_NOTES[category])
            )  # fmt: skip


def _weeks(life: Life, area: Area, last: int, into: Rows) -> None:
    """What one area is used like, week by week: the parameters that `usage` spreads into rows."""
    base = {"strategic": 200, "enterprise": 250, "commercial": 330}[life.tier]
    end = min(last, area.ended - 1) if area.ended is not None else last
    rows = into["area_weeks"]
    for week, maturity in enumerate(area.maturity):
        monday = (area.first_week + week) * 7 + 4
        first, final = max(monday, area.go_live), min(monday + 6, end)
        if first > final:
            continue
        place = life.week_of(monday)
        since = (monday - area.go_live) // 7 + 1
        ramp = min(1.0, (since + 1) / 9.0)
        engagement = life.engagement[place]
        users = math.floor(life.adoption[place] * ramp * area.seats[week] + 0.5)
        pace = (0.55 + 0.55 * engagement) * (0.8 if life.is_declining[place] else 1.0)
        rows.append(
            (life.number, life.account_id, area.name, monday, first, final, since, users,
             int(base * pace), min(8, 1 + int(2.1 * maturity)), 3 + int(3 * engagement * pace),
             int(maturity * 1000))
        )  # fmt: skip


def _invoices(life: Life, rng: Random, last: int, into: Rows) -> None:
    number = 0
    issued = life.start + 2
    while issued <= last:
        amount = _arr_on(life, issued) // 4
        due = issued + 30
        price = life.price[life.week_of(due)]
        strain = life.strain[life.week_of(due)]
        if rng.random() < 0.02 + 0.45 * price + 1.6 * max(strain - 0.28, 0.0):
            paid = due + 10 + int(rng.random() * 90)
        else:
            paid = due - 12 + int(rng.random() * 14)
        number += 1
        into["invoices"].append(
            (_key(life, "inv", number), life.account_id, issued, due, paid, amount)
        )
        issued += 91


def _risk_flags(life: Life, rng: Random, last: int, into: Rows) -> None:
    rows = into["risk_flags"]
    day = life.start + 25 + int(rng.random() * 10)
    number = 0
    while day <= last:
        number += 1
        strain = life.strain[life.week_of(day)]
        pulse = int(clamp(round(5.5 - 7.4 * strain + rng.gauss(0, 0.45)), 1, 5))
        rows.append(
            (_key(life, "pul", number), life.account_id, "csm_pulse", None, day, None, pulse, None)
        )
        day += 28 + int(rng.random() * 6)
    for number, (raised, cleared, kind) in enumerate(life.pressures, 1):
        if raised <= last:
            severity = "high" if rng.random() < 0.55 else "medium"
            note = "A rival product is being tried" if kind == "competitor" else "Budget is frozen"
            gone = cleared if cleared is not None and cleared <= last else None
            rows.append(
                (_key(life, "rsk", number), life.account_id, kind, severity, raised, gone, None,
                 note)
            )  # fmt: skip


def _overrides(
    life: Life, until: int, last: int, owners: tuple[str | None, ...], into: Rows
) -> None:
    """A few accounts carry a person's judgement instead of the computed score."""
    place = life.number % 250
    starts = until - 40 + place
    if place not in (12, 33) or last < until or starts <= life.start + 30:
        return
    zone, reason = ("orange", "Merger announced, users about to move") if place == 12 else (
        "green", "Data centre move explains the dip; executive confirmed the plan"
    )  # fmt: skip
    into["health_overrides"].append(
        (_key(life, "ovr", 1), life.account_id, None if place == 12 else 82.0,
         zone if place == 12 else None, reason, owners[4], starts, starts + 60)
    )  # fmt: skip


def _tickets(life: Life, rng: Random, last: int, into: Rows) -> None:
    tickets, surveys = into["tickets"], into["surveys"]
    count = survey = 0
    for week, pain in enumerate(life.pain):
        monday = (life.first_week + week) * 7 + 4
        rate = 0.007 * (2 + _seats_on(life, max(monday, life.start))) * (0.4 + 4.5 * pain)
        for _ in range(_poisson(rng, rate)):
            day = monday + int(rng.random() * 5.6)
            if not life.start <= day <= last:
                continue
            opened = day * 86_400 + 21_600 + int(rng.random() * 50_400)
            draw = rng.random()
            severity = "low"
            if draw < 0.02 + 0.10 * pain:
                severity = "critical"
            elif draw < 0.16 + 0.26 * pain:
                severity = "high"
            elif draw < 0.70 + 0.1 * pain:
                severity = "medium"
            hours = _SEVERITY_HOURS[severity] * rng.lognormvariate(-0.75 + 2.1 * pain, 0.6)
            responded = opened + int(hours * 3600 * (0.04 + 0.08 * rng.random())) + 300
            resolved = opened + int(hours * 3600) + 900
            escalated = reopened = None
            if severity in ("critical", "high") and rng.random() < 0.04 + 0.40 * pain:
                escalated = opened + int((resolved - opened) * (0.3 + 0.3 * rng.random()))
                resolved += int(rng.random() * 24 * 86_400 * pain)
            if rng.random() < 0.03 + 0.12 * pain:
                reopened = resolved
                resolved += int(hours * 3600 * (0.3 + 0.5 * rng.random())) + 3_600
            count += 1
            key = _key(life, "tic", count)
            tickets.append(
                (key, life.account_id, severity, opened, responded, resolved, escalated, reopened)
            )
            answered = resolved // 86_400 + int(rng.random() * 4)
            if rng.random() < 0.38 and answered <= last:
                survey += 1
                score = clamp(round(4.85 - 3.3 * pain + rng.gauss(0, 0.6)), 1, 5)
                surveys.append(
                    (_key(life, "sv", survey), life.account_id, "csat", answered, score, key)
                )
    day = life.start + 80 + int(rng.random() * 40)
    while day <= last:
        if rng.random() < 0.75:
            survey += 1
            strain = life.strain[life.week_of(day)]
            score = clamp(round(9.6 - 9.5 * strain + rng.gauss(0, 1.2)), 0, 10)
            surveys.append((_key(life, "sv", survey), life.account_id, "nps", day, score, None))
        day += 170 + int(rng.random() * 30)


def _poisson(rng: Random, rate: float) -> int:
    limit, product, count = math.exp(-rate), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
