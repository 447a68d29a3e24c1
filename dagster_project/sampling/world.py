"""The hidden life of one customer, week by week: what the extracts will only show the traces of.

Five hidden states move together (adoption, engagement, support pain, price pressure and whether a
champion is there); their sum is distress, distress that lasts is strain, and strain makes
customers leave at their renewal, with luck that no observer could know. Nothing here knows about
tables: `facts` turns a life into rows. Each account draws from a stream of its own, so that
account 17 lives the same life whatever the number of accounts.

Days are integers: days since 1970-01-01. Week w holds the days [7 w + 4, 7 w + 11), Monday first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import Final

from dagster_project.sampling import names

AREAS: Final = ("security", "observability", "search")
TIERS: Final = ("strategic", "enterprise", "commercial")

#: How long before the first day of the sample a customer may have started.
HISTORY_DAYS: Final = 360
_YEAR: Final = 365


@dataclass(slots=True)
class Term:
    """One subscription term of one solution area."""

    number: int
    start: int
    renews: int
    ended: int | None
    seats: int
    arr_cents: int
    previous: int | None
    known: int
    is_displacement: bool


@dataclass(slots=True)
class Area:
    """One solution area of one account; the weekly lists start at `first_week`."""

    name: str
    start: int
    go_live: int
    ceiling: float
    speed: float
    first_week: int
    terms: list[Term] = field(default_factory=list)
    ended: int | None = None
    maturity: list[float] = field(default_factory=list)
    seats: list[int] = field(default_factory=list)
    #: (opened, resolved or None, category)
    blockers: list[tuple[int, int | None, str]] = field(default_factory=list)


@dataclass(slots=True)
class Renewal:
    """One renewal date of an account and how it went; None while it is still ahead."""

    day: int
    is_kept: bool | None
    #: Seats after over seats before; 1 when nothing changed.
    growth: float
    arr_cents: int


@dataclass(slots=True)
class Life:
    """One account's whole life; the weekly lists start at `first_week`."""

    number: int
    account_id: str
    name: str
    tier: str
    segment: str
    region: str
    industry: str
    start: int
    first_week: int
    fit: float
    team: float
    churned: int | None = None
    paused: tuple[int, int] | None = None
    areas: list[Area] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)
    adoption: list[float] = field(default_factory=list)
    engagement: list[float] = field(default_factory=list)
    pain: list[float] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    strain: list[float] = field(default_factory=list)
    is_declining: list[bool] = field(default_factory=list)
    #: (champion left, successor arrived or None)
    champion_gaps: list[tuple[int, int | None]] = field(default_factory=list)
    #: (flagged, cleared or None) by the CSM in the CRM
    at_risk: list[tuple[int, int | None]] = field(default_factory=list)
    #: (raised, cleared or None, kind)
    pressures: list[tuple[int, int | None, str]] = field(default_factory=list)
    #: (first day, day after the last) of a recovery somebody worked on
    recoveries: list[tuple[int, int]] = field(default_factory=list)
    crises: list[tuple[int, int]] = field(default_factory=list)
    #: (area, start) of a further solution area bought later
    expansions: list[tuple[str, int]] = field(default_factory=list)

    def week_of(self, day: int) -> int:
        """Position of a day's week in the weekly lists, held inside them."""
        return min(max((day - 4) // 7 - self.first_week, 0), len(self.strain) - 1)


def clamp(value: float, low: float, high: float) -> float:
    """The value, or the nearer bound when it lies outside."""
    return low if value < low else high if value > high else value


def live(number: int, seed: int, first_day: int, until: int) -> Life:
    """Live one account's life up to `until`."""
    rng = Random(f"{seed}/life/{number}")  # noqa: S311 - a seeded world, not a secret
    life = _be_born(number, rng, first_day, until)
    _Years(life, rng, until).run()
    return life


def _be_born(number: int, rng: Random, first_day: int, until: int) -> Life:
    name, industry = names.company(number)
    draw = rng.random()
    tier = TIERS[0] if draw < 0.10 else TIERS[1] if draw < 0.40 else TIERS[2]
    if rng.random() < 0.62:
        start = first_day - 1 - int(rng.random() * HISTORY_DAYS)
    else:
        start = first_day + int(rng.random() * max(until - first_day - 2, 1))
    # Good customers tend to be good at everything, but not always; and there are three kinds.
    kind = rng.random()
    luck = rng.gauss(0.7 if kind < 0.51 else -0.3 if kind < 0.78 else -2.2, 0.4)
    life = Life(
        number=number,
        account_id=f"acc-{number:05d}",
        name=name,
        tier=tier,
        segment={"strategic": "global", "enterprise": "large"}.get(
            tier, "mid_market" if rng.random() < 0.6 else "small"
        ),
        region=names.REGIONS[min(int(rng.random() ** 1.3 * 4), 3)],
        industry=industry,
        start=start,
        first_week=(start - 4) // 7,
        fit=clamp(0.66 + 0.25 * luck + rng.gauss(0.0, 0.10), 0.06, 1.0),
        team=clamp(0.75 + 0.22 * luck + rng.gauss(0.0, 0.09), 0.12, 1.0),
    )
    if rng.random() < 0.02:
        paused_from = start + 120 + int(rng.random() * 300)
        life.paused = (paused_from, paused_from + 28 + int(rng.random() * 40))
    return life


class _Years:
    """The weeks of one life. Holds what only the living need to know."""

    def __init__(self, life: Life, rng: Random, until: int) -> None:
        self.life = life
        self.rng = rng
        self.until = until
        self.term_days = 2 * _YEAR if life.tier == "strategic" and rng.random() < 0.3 else _YEAR
        self.renewal = life.start + self.term_days
        self.next_term = 1
        self.potential = 0.07 + 0.89 * life.fit
        self.adoption = 0.03
        self.engagement = life.team
        self.pain = 0.05
        self.price = 0.0
        self.strain = 0.12
        self.crisis_until = self.decline_until = self.recovery_until = self.press_until = 0
        self.gap_until: int | None = None
        self.strained_weeks = 0
        self.has_tried = 0
        self._open_areas()

    def _open_areas(self) -> None:
        rng, life = self.rng, self.life
        order = list(AREAS)
        rng.shuffle(order)
        wanted = {"strategic": 0.75, "enterprise": 0.35, "commercial": 0.10}[life.tier]
        count = 1 + (rng.random() < wanted) + (rng.random() < wanted * 0.4)
        self.unused = order[count:]
        for area in order[:count]:
            self._add_area(area, life.start)

    def _add_area(self, name: str, start: int) -> None:
        rng, life = self.rng, self.life
        low, high = {"strategic": (26, 70), "enterprise": (11, 28), "commercial": (4, 11)}[
            life.tier
        ]
        seats = low + int(rng.random() * (high - low))
        per_seat = {"strategic": 14_000, "enterprise": 9_500, "commercial": 5_200}[life.tier]
        arr = int(seats * per_seat * (0.7 + 0.6 * rng.random()) // 100) * 100 * 100
        first_week = (start - 4) // 7
        area = Area(
            name=name,
            start=start,
            go_live=start + 4 + int(30 * rng.random() * (1.5 - 0.7 * life.fit)),
            ceiling=clamp(rng.gauss(1.2 + 3.1 * life.fit, 0.75), 0.4, 4.3),
            speed=clamp(rng.lognormvariate(0.0, 0.4) * (0.35 + 0.85 * life.fit), 0.15, 2.2),
            first_week=first_week,
        )
        area.terms.append(
            Term(
                number=self._term_number(),
                start=start,
                renews=self.renewal,
                ended=None,
                seats=seats,
                arr_cents=arr,
                previous=None,
                known=start,
                is_displacement=rng.random() < 0.15,
            )
        )
        life.areas.append(area)

    def _term_number(self) -> int:
        self.next_term += 1
        return self.next_term - 1

    def run(self) -> None:
        """Live week after week until the sample ends or the customer leaves."""
        life = self.life
        week = life.first_week
        while 7 * week + 4 <= self.until and life.churned is None:
            self._live_week(7 * week + 4)
            week += 1
        # Renewals still ahead: known dates with an open end.
        if life.churned is None:
            arr = sum(a.terms[-1].arr_cents for a in life.areas if a.ended is None)
            life.renewals.append(Renewal(self.renewal, None, 1.0, arr))

    def _live_week(self, day: int) -> None:
        life, rng = self.life, self.rng
        self._meet_events(day)
        gap = self.gap_until is not None and day < self.gap_until
        crisis = day < self.crisis_until
        decline = day < self.decline_until
        recovery = day < self.recovery_until
        paused = life.paused is not None and life.paused[0] <= day < life.paused[1]
        noise = rng.gauss(0.0, 1.0)

        pain_goal = 0.9 if crisis else 0.06 + 0.25 * (1.0 - life.fit)
        self.pain += (pain_goal - self.pain) * (0.45 if crisis else 0.22)
        price_goal = 0.8 if day < self.press_until else 0.05
        self.price += (price_goal - self.price) * 0.3

        goal = self.potential * (1.0 - 0.18 * gap - 0.25 * self.pain - 0.62 * decline)
        goal = goal + (0.97 - goal) * 0.5 * recovery
        is_live = day >= life.areas[0].go_live - 6
        pace = (0.16 if self.adoption < goal else 0.10) if is_live else 0.0
        self.adoption = clamp(self.adoption + (goal - self.adoption) * pace + 0.008 * noise, 0, 1)

        mood = life.team - 0.22 * gap - 0.22 * decline - 0.10 * self.price + 0.30 * recovery
        self.engagement += (mood - self.engagement) * 0.15 + 0.02 * rng.gauss(0.0, 1.0)
        self.engagement = clamp(self.engagement, 0.05, 1.0)

        # What a customer of this age should have adopted by now; the young are not distressed.
        ripe = clamp((day - life.areas[0].go_live) / 90.0, 0.0, 1.0)
        distress = (
            0.42 * ripe * (1.0 - min(self.adoption / 0.8, 1.0))
            + 0.22 * (1.0 - self.engagement)
            + 0.20 * self.pain
            + 0.12 * gap
            + 0.18 * self.price
        )
        self.strain += (distress - self.strain) / 7.0
        self._flag_risk(day)

        life.adoption.append(0.0 if paused else self.adoption)
        life.engagement.append(self.engagement)
        life.pain.append(self.pain)
        life.price.append(self.price)
        life.strain.append(self.strain)
        life.is_declining.append(decline)
        for area in life.areas:
            self._mature(area, day, decline or paused)
        if self.renewal < day + 7 and self.renewal <= self.until:
            self._renew()
        elif rng.random() < 0.0006 * math.exp(min(9.0 * (self.strain - 0.40), 3.0)):
            self._leave(day + 3)

    def _meet_events(self, day: int) -> None:
        life, rng = self.life, self.rng
        age = day - life.start
        if self.gap_until is not None and day >= self.gap_until:
            self.gap_until = None
        if self.gap_until is None and age > 60 and rng.random() < 0.004 + 0.013 * (1.0 - life.team):
            weeks = 2 + int(rng.expovariate(1.0) * 16.0 * (1.25 - life.team))
            arrives = day + 7 * weeks
            life.champion_gaps.append((day + 2, arrives if arrives <= self.until else None))
            self.gap_until = arrives
        if (
            day >= self.crisis_until
            and age > 30
            and rng.random() < 0.006 + 0.014 * (1.0 - life.fit)
        ):
            self.crisis_until = day + 7 * (4 + int(rng.random() * 9))
            life.crises.append((day, self.crisis_until))
        if day >= self.press_until and age > 90:
            near = 0 < self.renewal - day < 210
            if rng.random() < (0.011 if near else 0.002):
                self.press_until = day + 7 * (8 + int(rng.random() * 20))
                cleared = self.press_until + int(rng.random() * 21)
                kind = "competitor" if rng.random() < 0.55 else "budget"
                life.pressures.append((day + 1, cleared if cleared <= self.until else None, kind))
        hazard = 0.0040 + 0.012 * (1.0 - life.fit) + 0.010 * (day < self.press_until)
        if day >= self.decline_until and age > 75 and rng.random() < hazard:
            self.decline_until = day + 7 * (10 + int(rng.random() * 24))
        if self.unused and age > 120 and self.adoption > 0.68 and rng.random() < 0.005:
            self._expand(day + 40 + int(rng.random() * 60))
        self.strained_weeks = self.strained_weeks + 1 if self.strain > 0.34 else 0
        # Somebody notices a strained customer and works on it, not always, twice at most.
        if self.strained_weeks >= 4 and self.has_tried < 2 and rng.random() < 0.07:
            self.has_tried += 1
            self.strained_weeks = 0
            self.recovery_until = day + 7 * (8 + int(rng.random() * 6))
            life.recoveries.append((day, self.recovery_until))
            if rng.random() < 0.6:
                self.decline_until = min(self.decline_until, day + 14)
                self.crisis_until = min(self.crisis_until, day + 14)
                self.potential = min(self.potential + 0.12, 0.95)

    def _flag_risk(self, day: int) -> None:
        flags = self.life.at_risk
        is_open = bool(flags) and flags[-1][1] is None
        if not is_open and self.strain > 0.42 and self.rng.random() < 0.3:
            flags.append((day + 3, None))
        elif is_open and self.strain < 0.30 and day > flags[-1][0] + 14:
            flags[-1] = (flags[-1][0], day + 3)

    def _mature(self, area: Area, day: int, is_halted: bool) -> None:
        rng = self.rng
        if area.ended is not None or day + 6 < area.start:
            return
        maturity = area.maturity[-1] if area.maturity else 0.0
        is_blocked = any(b[1] is None or b[1] > day for b in area.blockers if b[0] <= day)
        if not is_blocked and maturity > 0.2 and rng.random() < 0.010 + 0.012 * (area.speed < 0.6):
            opened = day + int(rng.random() * 5)
            resolved = opened + 6 + int(rng.expovariate(1.0) * 38)
            area.blockers.append(
                (
                    opened,
                    resolved if resolved <= self.until else None,
                    ("technical", "resource", "skill", "organisational")[int(rng.random() * 4)],
                )
            )
        if day + 6 >= area.go_live:
            push = area.speed * (0.25 + 0.75 * self.adoption) * (0.4 + 0.6 * self.engagement)
            # The first steps are quick; each stage takes longer than the one before.
            step = push * (0.42 if maturity < 1.0 else 0.20 if maturity < 2.0 else 0.12)
            if is_blocked:
                step *= 0.15
            if is_halted or maturity >= area.ceiling:
                step = -0.012 if is_halted and maturity > 0.8 else 0.0
            maturity = clamp(maturity + step * (0.6 + 0.8 * rng.random()), 0.0, 4.4)
        area.maturity.append(maturity)
        area.seats.append(area.terms[-1].seats)

    def _renew(self) -> None:
        life, rng = self.life, self.rng
        day = self.renewal
        arr = sum(a.terms[-1].arr_cents for a in life.areas if a.ended is None)
        # Half of it is what the strain did, half is luck that no measure could show.
        odds = -3.9 + 13.0 * (self.strain - 0.18) + rng.gauss(0.0, 1.1)
        if rng.random() < 1.0 / (1.0 + math.exp(-odds)):
            life.renewals.append(Renewal(day, False, 0.0, arr))
            self._leave(day)
            return
        if self.strain > 0.33:
            growth = 1.0 - 0.35 * rng.random() if rng.random() < 0.6 else 1.0
        elif self.adoption > 0.72:
            growth = 1.0 + 0.3 * rng.random() if rng.random() < 0.65 else 1.0
        else:
            growth = 1.0 + 0.1 * rng.random() if rng.random() < 0.3 else 1.0
        self.renewal = day + self.term_days
        for area in life.areas:
            if area.ended is not None:
                continue
            old = area.terms[-1]
            old.ended = day
            # A weak second area is dropped while the customer stays.
            if len(life.areas) > 1 and area is not life.areas[0] and rng.random() < self.strain / 3:
                area.ended = day
                continue
            seats = max(round(old.seats * growth), 2)
            price = 1.0 + (0.04 * rng.random() if self.price < 0.3 else -0.08 * rng.random())
            area.terms.append(
                Term(
                    number=self._term_number(),
                    start=day,
                    renews=self.renewal,
                    ended=None,
                    seats=seats,
                    arr_cents=int(old.arr_cents * seats / old.seats * price / 10_000) * 10_000,
                    previous=old.number,
                    known=day - 1 - int(rng.random() * 12),
                    is_displacement=False,
                )
            )
        life.renewals.append(Renewal(day, True, growth, arr))

    def _expand(self, start: int) -> None:
        """Buy one more solution area, if there is time left to see it."""
        if start + 7 < self.until and start + 30 < self.renewal:
            name = self.unused.pop(0)
            self.life.expansions.append((name, start))
            self._add_area(name, start)

    def _leave(self, day: int) -> None:
        self.life.churned = day
        # What was bought but had not begun is never begun.
        self.life.areas = [area for area in self.life.areas if area.start < day]
        self.life.expansions = [e for e in self.life.expansions if e[1] < day]
        for area in self.life.areas:
            if area.ended is None:
                area.ended = day
                if area.terms[-1].start < day:
                    area.terms[-1].ended = day
