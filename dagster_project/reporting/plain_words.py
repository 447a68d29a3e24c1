"""Numbers and states as a person would say them; no numbers are made here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

#: States of a measure, after its name: "tickets reopened: does not apply".
STATES = {
    "no_data": "no data",
    "stale": "out of date",
    "too_early": "too early to count",
    "not_applicable": "does not apply",
}
_WENT = {
    "no_data": "fell silent",
    "stale": "went out of date",
    "too_early": "is too early to count",
    "not_applicable": "no longer applies",
    None: "is no longer counted",
}
_CAME = {
    "no_data": "arrived",
    "stale": "is up to date again",
    "too_early": "counts from now on",
    "not_applicable": "applies now",
    None: "is counted now",
}
_FORMS = {"ratio": "{:,.0f} %", "%": "{:,.0f} %", "0 to 1": "{:.0f} %", "-1 to 1": "{:+.2f}"}
_SCALES = {"ratio": 100, "0 to 1": 100}
_SAID = {"days", "stages"}
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def day_text(day: date) -> str:
    """`30 June 2026`, the same in every locale."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def value_text(value: float, unit: str) -> str:
    """A measure's value with its unit: `43 %`, `13 days`, `3.5 of 5`, `yes`."""
    if unit in _FORMS:
        return _FORMS[unit].format(_SCALES.get(unit, 1) * value)
    if unit == "0 or 1":
        return "yes" if value >= 0.5 else "no"
    if unit.startswith("points ") and " to " in unit:
        return f"{value:.1f} of {unit.rpartition(' ')[2]}"
    number = f"{value:,.2f}".rstrip("0").rstrip(".")
    if unit not in _SAID:
        # "features used: 5" says it; days and stages are no count of what the label names.
        return number
    sign = "+" if unit == "stages" and value > 0 else ""
    return f"{sign}{number} {unit if number.lstrip('-') != '1' else unit.removesuffix('s')}"


def moved(label: str, old: float | None, new: float | None, unit: str) -> str:
    """A measure that had a value on both days: `calls missed in a row: 4 (was 0)`."""
    if old is None or new is None:
        return label
    before, after = value_text(old, unit), value_text(new, unit)
    return f"{label}: {after}" + ("" if before == after else f" (was {before})")


def fell_silent(label: str, state: str | None) -> str:
    """A measure that was scored and is not any more."""
    return f"{label}: {_WENT.get(state, 'is no longer scored')}"


def spoke_up(label: str, state_before: str | None, value: float | None, unit: str) -> str:
    """A measure that is scored and was not before."""
    text = f"{label}: {_CAME.get(state_before, 'is scored now')}"
    return text if value is None else f"{text}, {value_text(value, unit)}"


def points_text(tenths: int) -> str:
    """Signed points from tenths: `-6.1`, `+0.3`, `0.0`."""
    return f"{tenths / 10:+.1f}" if tenths else "0.0"


def in_tenths(parts: Sequence[float], total: int) -> list[int]:
    """The parts rounded to tenths so that they add up to `total` tenths, the least moved first.

    Rounded one by one, printed parts would not add up to the printed sum.
    """
    tenths = [round(10 * part) for part in parts]
    missing = total - sum(tenths)
    step = 1 if missing > 0 else -1
    by_need = sorted(range(len(parts)), key=lambda at: (-step * (10 * parts[at] - tenths[at]), at))
    for at in by_need[: abs(missing)]:
        tenths[at] += step
    return tenths
