"""How numbers, days and names are written for people, the same wherever they are shown."""

from __future__ import annotations

from datetime import date

MISSING = "–"


def money(amount: object) -> str:
    """USD in the words a leader uses: $57.7M, $752k, $0; a dash when unknown."""
    if amount is None:
        return MISSING
    value = float(str(amount))
    size = abs(value)
    sign = "−" if value < 0 else ""
    if size >= 999_950:
        return f"{sign}${size / 1e6:,.1f}M"
    if size >= 1_000:
        return f"{sign}${size / 1e3:,.0f}k"
    return f"{sign}${size:,.0f}"


def number(value: float | None, digits: int = 0) -> str:
    """A plain number with thousands marks; a dash when unknown."""
    return MISSING if value is None else f"{value:,.{digits}f}".replace("-", "−")


def percent(ratio: float | None, digits: int = 0) -> str:
    """A ratio (0-1) as percent; a dash when unknown."""
    return MISSING if ratio is None else f"{100 * ratio:.{digits}f}%".replace("-", "−")


def signed(value: float | None, digits: int = 0) -> str:
    """A change with its sign, +0 for none; a dash when unknown."""
    if value is None:
        return MISSING
    rounded = round(value, digits) + 0.0
    return f"{rounded:+,.{digits}f}".replace("-", "−")


def measured(value: float | None, unit: str | None) -> str:
    """A value of a metric in its unit: ratio as percent, days, points."""
    if value is None:
        return MISSING
    if unit == "ratio":
        return percent(value)
    if unit == "days":
        return f"{value:,.0f} d"
    return number(value, 1)


def change(value: float | None, unit: str | None) -> str:
    """A change of a metric: percentage points for a ratio, days, points."""
    if value is None:
        return MISSING
    if unit == "ratio":
        return f"{signed(100 * value, 1)} pp"
    if unit == "days":
        return f"{signed(value)} d"
    return signed(value, 1)


def day(value: date | None) -> str:
    """A day as 4 Oct 2027; a dash when unknown."""
    return MISSING if value is None else f"{value.day} {value:%b %Y}"


def long_day(value: date) -> str:
    """A day as 20 November 2026."""
    return f"{value.day} {value:%B %Y}"


def words(name: str | None) -> str:
    """A name of the data (`technical_checkin`) as words; a dash when there is none."""
    return MISSING if not name else name.replace("_", " ")


def sentence(name: str | None) -> str:
    """A name of the data as the beginning of a line."""
    text = words(name)
    return text[:1].upper() + text[1:]


def person(name: str | None) -> str:
    """A person as short as stays clear: of an e-mail address what stands before the @."""
    if not name:
        return "nobody"
    return name.split("@", 1)[0] or name


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 account`, `2 accounts`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
