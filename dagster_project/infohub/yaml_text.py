"""Plain data as YAML, fast and always the same bytes.

Every text that is not a harmless word is quoted as JSON does it, so that no value from the data can
become a key, a tag, an anchor or another type. PyYAML's own writer does the same job at a quarter
of the speed, and tens of thousands of files are written in a run; that it reads back exactly what
was written here is a law of the tests.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

# Words that no YAML reader takes for anything but themselves.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ -][A-Za-z0-9_]+)*\Z")
_NOT_TEXT = frozenset(
    {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "none"}
)
# Characters YAML does not allow as they are, even in quotes.
_UNPRINTABLE = re.compile(
    "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|[\U0001fffe\U0001ffff]"
)


def to_yaml(document: Mapping[str, object]) -> str:
    """A mapping of texts, numbers, booleans, dates, None, lists and mappings as a YAML document."""
    lines: list[str] = []
    _mapping(document, "", lines)
    lines.append("")
    return "\n".join(lines)


def _mapping(values: Mapping[str, object], indent: str, lines: list[str], first: str = "") -> None:
    """Write the items; the first one's line starts with `first` (a list's dash) when given."""
    lead = first or indent
    for key, value in values.items():
        head = f"{lead}{_text(key)}:"
        lead = indent
        write = _SCALARS.get(type(value))
        if write is not None:
            lines.append(f"{head} {write(value)}")
        elif isinstance(value, Mapping) and value:
            lines.append(head)
            _mapping(value, indent + "  ", lines)
        elif _is_list(value) and value:
            lines.append(head)
            _sequence(value, indent + "  ", lines)  # type: ignore[arg-type]
        else:
            lines.append(f"{head} {_scalar(value)}")


def _sequence(values: Sequence[object], indent: str, lines: list[str]) -> None:
    for value in values:
        if (type(value) is dict or isinstance(value, Mapping)) and value:
            _mapping(value, indent + "  ", lines, first=f"{indent}- ")
        elif _is_list(value) and value:
            lines.append(f"{indent}-")
            _sequence(value, indent + "  ", lines)  # type: ignore[arg-type]
        else:
            lines.append(f"{indent}- {_scalar(value)}")


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, Decimal)):
        return str(value)
    return "[]" if _is_list(value) else "{}"


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 reads 1e-07 as a text; the point makes it a number.
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text


@lru_cache(maxsize=65536)
def _text(value: str) -> str:
    if _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: _escaped(found.group()), quoted)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# By exact type, because most values are of one of these; others are asked for what they are.
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _text,
    float: _float,
    int: str,
    date: date.isoformat,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
