"""Data as notebooks show it: text that stays text, small tables, numbers with fitting digits.

Belongs here: form. Does not belong here: which numbers, and anything of the notebook's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from dagster_project.reporting.words import MISSING

# What HTML, Markdown, its tables, mathematics and icons give a meaning to. A backslash would not
# do: it makes some of them special instead.
_MARKS = re.compile(r"[\\`*_{}\[\]()#+.!|~$:^=<>&/@-]")
# Digits behind the point by what the end of a column's name says: the law of names of this project.
_DIGITS = {"_usd": 0, "_days": 0, "_count": 0, "_ratio": 3, "_weight": 3, "_score": 1, "points": 1}


def literal(value: object) -> str:
    """A value as Markdown that shows exactly its text on one line; a dash for none.

    Markup in it is inert: an account's name can neither add HTML nor break a table or a link.
    """
    text = MISSING if value is None else str(value)
    return _MARKS.sub(lambda mark: f"&#{ord(mark.group())};", " ".join(text.split()))


def small_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> str:
    """A Markdown table of a few rows; `right` has a letter per column, `r` aligns to the right."""
    aligned = ["--:" if right[at : at + 1] == "r" else ":--" for at in range(len(head))]
    lines = [[literal(name) for name in head], aligned]
    lines += [[literal(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def column_formats(
    frame: pl.DataFrame, **own: Callable[[object], str]
) -> dict[str, Callable[[object], str]]:
    """How a table shows a frame: floats by the unit that their name tells, gaps as a dash.

    `own` are formats by column that come first.
    """
    found: dict[str, Callable[[object], str]] = {}
    for name, kind in frame.schema.items():
        if name in own:
            found[name] = own[name]
        elif kind.is_float():
            found[name] = _number_format(name)
        else:
            found[name] = _shown
    return found


def _shown(value: object) -> str:
    return MISSING if value is None else str(value)


def _number_format(name: str) -> Callable[[object], str]:
    digits = next((count for ending, count in _DIGITS.items() if name.endswith(ending)), None)

    def form(value: object) -> str:
        if value is None:
            return MISSING
        number = float(str(value))
        if digits is not None:
            return f"{number:,.{digits}f}".replace("-", "−")
        text = f"{number:,.2f}" if abs(number) < 1000 else f"{number:,.0f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")

    return form


def by_name(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Choices of a list by what they are called; names that occur twice carry their id."""
    counts: dict[str, int] = {}
    for _, name in pairs:
        counts[name] = counts.get(name, 0) + 1
    return {name if counts[name] == 1 else f"{name} ({key})": key for key, name in pairs}
