"""A replay and a comparison of rules as plain text and as CSV; no numbers are made here."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from dagster_project.playbooks.replay import (
    Followed,
    HeldBack,
    Opening,
    Overlap,
    OwnerCount,
    Range,
    ReplayResult,
    RulesDiff,
    Unjudged,
    WeekCount,
)
from dagster_project.text_table import text_table

_BAR_WIDTH = 40
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_KINDS = {
    "same_work": "same work as",
    "cooldown": "cooling down after earlier work",
    "handled": "handled by earlier work",
    "superseded": "superseded by another playbook",
    "chain": "waits for",
    "held_out": "held out as a control group",
}
_TABLES: dict[str, type] = {
    "openings": Opening,
    "weeks": WeekCount,
    "owners": OwnerCount,
    "overlaps": Overlap,
    "held_back": HeldBack,
    "unjudged": Unjudged,
    "followed": Followed,
}


def render_replay(result: ReplayResult, limit: int = 12) -> str:
    """The whole replay on a page: per week, per owner, overlap, what is held back, what followed.

    Lists longer than `limit` are cut, and say so; the CSV files hold all of them.
    """
    days = result.range
    accounts = len({one.account_id for one in result.openings})
    weeks = ((days.to_date - days.from_date).days + 1) / 7
    count = len(result.openings)
    lines = [
        f"Replay of {result.name}, {days.from_date} to {days.to_date} "
        f"({len(result.rule_ids)} rule(s))",
        f"  judged from {days.history_from} on, so that what was open or cooling down is known",
        f"  {count:,} action(s) would have opened on {accounts:,} account(s), "
        f"{count / weeks:.1f} a week; {result.open_before:,} more were open when the range began",
        *(f"  note: {note}" for note in result.notes),
        *_week_lines(result),
        *_owner_lines(result, limit),
        *_overlap_lines(result, limit),
        *_held_lines(result, limit),
        *_unjudged_lines(result, limit),
        *_followed_lines(result),
    ]
    return "\n".join(lines) + "\n"


def render_rules_diff(diff: RulesDiff, limit: int = 10) -> str:
    """What the two rule sets open differently, with examples: account, day, evidence."""
    days = diff.range
    lines = [
        f"Rules of {diff.old_name} against {diff.new_name}, {days.from_date} to {days.to_date}",
        f"  judged from {days.history_from} on, each as if it had always been in force",
        f"  opened by both on the same day  {diff.same:>7,}",
        f"  by both, on other days          {len(diff.moved):>7,}",
        f"  only by {diff.old_name:<24.24}{len(diff.only_old):>7,}",
        f"  only by {diff.new_name:<24.24}{len(diff.only_new):>7,}",
        f"  open on the last day: {diff.standing_only_new:,} only by the new rules (about what the "
        f"first night would open), {diff.standing_only_old:,} only by the old",
        *(f"  note: {note}" for note in diff.notes),
        "",
        "What is different in the rules",
        *(f"  {rule}: {what}" for rule, what in diff.changes),
    ]
    if not diff.changes:
        lines.append("  nothing that decides what opens")
    changed = [row for row in diff.counts if _differs(diff, row[0])]
    if changed:
        lines += [
            "",
            *text_table(
                ("playbook", "old", "new", "change"),
                [(name, f"{a:,}", f"{b:,}", f"{b - a:+,}") for name, a, b in changed],
            ),
        ]
    for title, found in (
        (f"Opened only by {diff.new_name}", diff.only_new),
        (f"Opened only by {diff.old_name}", diff.only_old),
    ):
        if found:
            lines += ["", f"{title} ({min(limit, len(found))} of {len(found):,})"]
            for one in found[:limit]:
                lines += [*_example(one.opening), f"    the other side: {one.why_not}"]
    if diff.moved:
        lines += ["", f"On other days ({min(limit, len(diff.moved))} of {len(diff.moved):,})"]
        for old, new in diff.moved[:limit]:
            shift = (new.opened_on - old.opened_on).days
            how = f"{abs(shift)} day(s) {'earlier' if shift < 0 else 'later'}"
            lines.append(
                f"  {_who(new)} {new.playbook_id}: {old.opened_on} ({old.rule_id}) to "
                f"{new.opened_on} ({new.rule_id}), {how if shift else 'the same day'}"
            )
    return "\n".join(lines) + "\n"


def write_replay(result: ReplayResult, folder: Path) -> list[Path]:
    """Every list of the replay as a CSV file of `folder`, each there whole or not at all."""
    return [
        _write_csv(
            folder / f"{name}.csv",
            [field.name for field in fields(kind)],
            (list(astuple(row)) for row in getattr(result, name)),
        )
        for name, kind in _TABLES.items()
    ]


def write_rules_diff(diff: RulesDiff, path: Path) -> Path:
    """Every opening that is not on both sides on the same day, as one CSV file."""
    names = [field.name for field in fields(Opening)]
    rows: list[list[Any]] = []
    for only, found in (("old", diff.only_old), ("new", diff.only_new)):
        rows += [[f"only_{only}", one.why_not, "", *astuple(one.opening)] for one in found]
    for old, new in diff.moved:
        rows.append(["moved_old", "", new.action_id, *astuple(old)])
        rows.append(["moved_new", "", old.action_id, *astuple(new)])
    return _write_csv(path, ["side", "why_not_other", "pair_action_id", *names], rows)


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[list[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([_cell(value) for value in row] for row in rows)
    temporary.replace(path)
    return path


def _cell(value: object) -> object:
    """A text that a spreadsheet would run as a formula is led by an apostrophe."""
    if isinstance(value, str) and value.startswith(_FORMULA_START):
        return f"'{value}"
    if isinstance(value, float):
        return round(value, 6)
    return "" if value is None else value


def _differs(diff: RulesDiff, playbook_id: str) -> bool:
    found = (
        *(one.opening for one in (*diff.only_old, *diff.only_new)),
        *(one for pair in diff.moved for one in pair),
    )
    return any(one.playbook_id == playbook_id for one in found)


def _who(one: Opening) -> str:
    name = f" {one.account_name}" if one.account_name else ""
    scope = "" if one.scope == "account" else f" [{one.scope}]"
    return f"{one.account_id}{name}{scope}"


def _example(one: Opening) -> list[str]:
    ended = f"{one.close_reason} {one.closed_on}" if one.closed_on else "still open"
    return [
        f"  {one.opened_on} {_who(one)}: {one.rule_id} ({one.severity}), {ended}",
        f"    {one.why}",
        f"    {one.evidence}",
    ]


def _week_lines(result: ReplayResult) -> list[str]:
    counts: Counter[date] = Counter()
    for week in result.weeks:
        counts[week.week_on] += week.opened
    most = max(counts.values(), default=0)
    lines = ["", "Openings per week (from Monday on; * cut by the range)"]
    for week_on, count in sorted(counts.items()):
        mark = "*" if _is_cut(week_on, result.range) else " "
        bar = "█" * (round(count / most * _BAR_WIDTH) if most > _BAR_WIDTH else count)
        lines.append(f"  {week_on}{mark} {count:>6,} {bar}".rstrip())
    by_rule: Counter[str] = Counter(one.rule_id for one in result.openings)
    if len(result.rule_ids) > 1:
        lines += [
            "",
            *text_table(
                ("rule", "opened"),
                [
                    (rule_id, f"{by_rule[rule_id]:,}")
                    for rule_id in sorted(result.rule_ids, key=lambda one: (-by_rule[one], one))
                ],
            ),
        ]
    return lines


def _is_cut(week_on: date, days: Range) -> bool:
    return week_on < days.from_date or week_on + timedelta(days=6) > days.to_date


def _owner_lines(result: ReplayResult, limit: int) -> list[str]:
    if not result.owners:
        return []
    return [
        "",
        f"Per owner{_cut(result.owners, limit)}",
        *text_table(
            ("role", "owner", "opened", "accounts", "most in a week", "open at the end"),
            [
                (
                    one.owner_role,
                    one.owner or "(nobody)",
                    f"{one.opened:,}",
                    f"{one.accounts:,}",
                    f"{one.most_in_a_week:,}",
                    f"{one.open_at_end:,}",
                )
                for one in result.owners[:limit]
            ],
        ),
    ]


def _overlap_lines(result: ReplayResult, limit: int) -> list[str]:
    lines = ["", f"Work of other playbooks open on the account{_cut(result.overlaps, limit)}"]
    if not result.overlaps:
        return [*lines, "  none"]
    return lines + text_table(
        ("rule", "beside", "of", "openings", "share", "same day"),
        [
            (
                one.rule_id,
                one.other_rule_id,
                one.other_playbook_id,
                f"{one.openings:,}",
                f"{one.ratio:.0%}",
                f"{one.same_day:,}",
            )
            for one in result.overlaps[:limit]
        ],
    )


def _held_lines(result: ReplayResult, limit: int) -> list[str]:
    lines: list[str] = []
    for direction, title in (
        ("own", "Its matches that open nothing"),
        ("others", "Matches of other rules that its work holds back"),
    ):
        found = [one for one in result.held_back if one.direction == direction]
        lines += ["", f"{title}{_cut(found, limit)}"]
        if not found:
            lines.append("  none")
            continue
        lines += text_table(
            ("rule", "why" if direction == "own" else "what", "matches", "accounts", "days"),
            [
                (
                    one.rule_id,
                    (
                        f"{_KINDS.get(one.kind, one.kind)} {one.other}".strip()
                        if direction == "own"
                        else f"{one.other} ({one.kind.replace('_', ' ')})"
                    ),
                    f"{one.matches:,}",
                    f"{one.accounts:,}",
                    f"{one.days:,}",
                )
                for one in found[:limit]
            ],
        )
    return lines


def _unjudged_lines(result: ReplayResult, limit: int) -> list[str]:
    if not result.unjudged:
        return []
    return [
        "",
        f"Could not be judged{_cut(result.unjudged, limit)}",
        *text_table(
            ("rule", "missing", "accounts", "days"),
            [
                (one.rule_id, one.missing, f"{one.accounts:,}", f"{one.days:,}")
                for one in result.unjudged[:limit]
            ],
        ),
    ]


def _followed_lines(result: ReplayResult) -> list[str]:
    lines = [
        "",
        "What followed (openings whose horizon is over; base: every customer's every day)",
        f"  recovered: {result.confirm_days} days running in a better zone than on the opening day",
    ]
    by_rule: dict[str, list[Followed]] = defaultdict(list)
    for one in result.followed:
        by_rule[one.rule_id].append(one)
    rows = []
    for rule_id, found in by_rule.items():
        if not found[0].openings:
            continue
        for one in found:
            if not one.judged:
                rows.append((rule_id, f"{one.horizon_days} d", "0", *["-"] * 7))
                continue
            rows.append(
                (
                    rule_id,
                    f"{one.horizon_days} d",
                    f"{one.judged:,}",
                    _share(one.churned, one.judged),
                    _percent(one.base_churn_ratio),
                    "-" if one.churn_lift is None else f"{one.churn_lift:.1f}x",
                    _share(one.recovered, one.recovery_judged),
                    _percent(one.base_recovery_ratio),
                    _share(one.cleared, one.judged),
                    f"{one.left_after_opening:,} of {one.left:,}",
                )
            )
    if not rows:
        return [*lines, "  nothing opened"]
    return lines + text_table(
        (
            "rule",
            "within",
            "judged",
            "churned",
            "base",
            "lift",
            "recovered",
            "base",
            "closed itself",
            "leavers seen before",
        ),
        rows,
    )


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.0%})" if whole else "-"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _cut(rows: Sequence[object], limit: int) -> str:
    return f" ({limit} of {len(rows):,})" if len(rows) > limit else ""
