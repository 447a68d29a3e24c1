"""Two policies on one day: which accounts change zone, by how much, and which measures do it."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

UNSCORED = "unscored"
_CAUSES_SHOWN = 3
# Scores are rounded to ten decimals; what is smaller than this is the adding up.
_NOISE = 1e-9


@dataclass(frozen=True)
class AccountHealth:
    """One account's health on the day under one policy."""

    account_id: str
    account_name: str | None
    #: USD per year
    arr_usd: Decimal | None
    #: as published, overrides included; None: unscored
    zone: str | None
    #: 0 to 100, as published; None: unscored
    score: float | None
    #: share of the original weight that was scored, 0 to 1
    coverage: float
    is_overridden: bool = False
    #: points that each measure adds to the score; a measure that is not scored adds none
    contributions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cause:
    """What one measure adds under the new policy more than under the old, in points."""

    measure: str
    points: float


@dataclass(frozen=True)
class AccountMove:
    """One account under both policies."""

    old: AccountHealth
    new: AccountHealth
    #: largest first; they sum to the move of the computed score where both sides are scored
    causes: tuple[Cause, ...]

    @property
    def zones(self) -> tuple[str, str]:
        """Zone under the old policy and under the new one; `unscored` where there is none."""
        return self.old.zone or UNSCORED, self.new.zone or UNSCORED

    @property
    def changes_zone(self) -> bool:
        """Whether the zone, or being scored at all, would change."""
        return self.old.zone != self.new.zone

    @property
    def score_change(self) -> float | None:
        """New score less old, in points; None when one side is unscored."""
        if self.old.score is None or self.new.score is None:
            return None
        return self.new.score - self.old.score

    def why(self, limit: int = _CAUSES_SHOWN) -> str:
        """The largest causes in words."""
        parts: list[str] = []
        if self.old.is_overridden:
            parts.append("an override holds")
        if self.old.score is not None and self.new.score is not None:
            parts += [f"{cause.measure} {cause.points:+.1f}" for cause in self.causes[:limit]]
        if abs(self.new.coverage - self.old.coverage) >= 0.005:
            parts.append(f"coverage {self.old.coverage:.0%} to {self.new.coverage:.0%}")
        if not parts and self.changes_zone:
            known = self.old.score is not None and self.new.score is not None
            parts.append("the zone's edges moved" if known else "the coverage floor moved")
        return ", ".join(parts)


@dataclass(frozen=True)
class ZoneMove:
    """Accounts that go from one zone to another."""

    old_zone: str
    new_zone: str
    account_count: int
    arr_usd: Decimal


@dataclass(frozen=True)
class PolicyDiff:
    """Every account of the day under both policies."""

    accounts: tuple[AccountMove, ...]

    @property
    def moves(self) -> tuple[AccountMove, ...]:
        """Accounts whose zone would change; those that lose or gain a score first, then the
        largest moves of the score."""
        return tuple(
            sorted(
                (account for account in self.accounts if account.changes_zone),
                key=lambda account: (
                    account.score_change is not None,
                    -abs(account.score_change or 0.0),
                    account.old.account_id,
                ),
            )
        )

    def zone_moves(self) -> tuple[ZoneMove, ...]:
        """The moves counted by zone, most accounts first. Unknown ARR counts as nothing."""
        found: dict[tuple[str, str], list[AccountMove]] = {}
        for move in self.moves:
            found.setdefault(move.zones, []).append(move)
        return tuple(
            ZoneMove(old, new, len(moves), _arr(moves))
            for (old, new), moves in sorted(
                found.items(), key=lambda item: (-len(item[1]), item[0])
            )
        )


def compare_policies(
    old: Mapping[str, AccountHealth], new: Mapping[str, AccountHealth]
) -> PolicyDiff:
    """Put the accounts of both sides beside each other, in order of account.

    A policy decides no account's existence, so both sides hold the same accounts.

    Raises:
        ValueError: they do not.
    """
    if old.keys() != new.keys():
        raise ValueError(f"accounts of one side only: {sorted(old.keys() ^ new.keys())[:5]}")
    return PolicyDiff(
        tuple(AccountMove(old[key], new[key], _causes(old[key], new[key])) for key in sorted(old))
    )


def render_diff(
    diff: PolicyDiff,
    *,
    as_of: date,
    old_name: str,
    new_name: str,
    limit: int = 20,
    notes: Sequence[str] = (),
) -> str:
    """The comparison as plain text: counts, ARR per zone move, the largest moves with causes."""
    moves = diff.moves
    count = len(diff.accounts)
    lines = [
        f"{as_of}: {old_name} against {new_name}, {count:,} account(s)",
        f"  zone would change  {len(moves):>8,} account(s), ARR {_arr(moves):,.0f} USD",
        f"  zone would stay    {count - len(moves):>8,} account(s)",
        f"  mean score         {_mean(diff, is_new=False)} to {_mean(diff, is_new=True)}",
        f"  unscored           {_unscored(diff, is_new=False):,} to "
        f"{_unscored(diff, is_new=True):,}",
    ]
    lines += [f"  note: {note}" for note in notes]
    if not moves:
        return "\n".join([*lines, "no account would change its zone"])
    lines += ["", f"{'from':<12}{'to':<12}{'accounts':>10}{'ARR USD':>18}"]
    lines += [
        f"{zone.old_zone:<12}{zone.new_zone:<12}{zone.account_count:>10,}{zone.arr_usd:>18,.0f}"
        for zone in diff.zone_moves()
    ]
    lines += ["", f"largest moves ({min(limit, len(moves))} of {len(moves):,})"]
    for move in moves[:limit]:
        name = f" {move.old.account_name}" if move.old.account_name else ""
        change = "" if move.score_change is None else f" ({move.score_change:+.1f})"
        arr = "unknown" if move.old.arr_usd is None else f"{move.old.arr_usd:,.0f} USD"
        lines.append(
            f"  {move.old.account_id}{name}: {_side(move.old)} to {_side(move.new)}{change}, "
            f"ARR {arr}"
        )
        if why := move.why():
            lines.append(f"    {why}")
    return "\n".join(lines)


def write_diff(diff: PolicyDiff, path: Path) -> None:
    """Every account as one CSV row; the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(
            [
                "account_id",
                "account_name",
                "arr_usd",
                "changes_zone",
                "old_zone",
                "new_zone",
                "old_score",
                "new_score",
                "score_change",
                "old_coverage_ratio",
                "new_coverage_ratio",
                "why",
            ]
        )
        for move in diff.accounts:
            numbers = (move.old.score, move.new.score, move.score_change)
            writer.writerow(
                [
                    move.old.account_id,
                    move.old.account_name or "",
                    "" if move.old.arr_usd is None else move.old.arr_usd,
                    "true" if move.changes_zone else "false",
                    *move.zones,
                    *("" if number is None else round(number, 6) for number in numbers),
                    round(move.old.coverage, 6),
                    round(move.new.coverage, 6),
                    move.why(),
                ]
            )
    temporary.replace(path)


def _causes(old: AccountHealth, new: AccountHealth) -> tuple[Cause, ...]:
    points = {
        measure: new.contributions.get(measure, 0.0) - old.contributions.get(measure, 0.0)
        for measure in {*old.contributions, *new.contributions}
    }
    return tuple(
        Cause(measure, value)
        for measure, value in sorted(points.items(), key=lambda item: (-abs(item[1]), item[0]))
        if abs(value) > _NOISE
    )


def _arr(moves: Sequence[AccountMove]) -> Decimal:
    return sum((move.old.arr_usd or Decimal(0) for move in moves), Decimal(0))


def _side(health: AccountHealth) -> str:
    zone = health.zone or UNSCORED
    return zone if health.score is None else f"{zone} {health.score:.1f}"


def _scores(diff: PolicyDiff, *, is_new: bool) -> list[float]:
    sides = [move.new if is_new else move.old for move in diff.accounts]
    return [side.score for side in sides if side.score is not None]


def _mean(diff: PolicyDiff, *, is_new: bool) -> str:
    scores = _scores(diff, is_new=is_new)
    return f"{sum(scores) / len(scores):.1f}" if scores else "none"


def _unscored(diff: PolicyDiff, *, is_new: bool) -> int:
    return len(diff.accounts) - len(_scores(diff, is_new=is_new))
