"""Published names: what an expression may refer to, with type, unit and meaning.

Belongs here: the catalogue types and the "did you mean" help. Which names exist is said by the
packages that publish them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

ValueType = Literal["number", "text", "date", "timestamp", "boolean"]
VALUE_TYPES: tuple[str, ...] = get_args(ValueType)


@dataclass(frozen=True)
class Name:
    """One published name.

    `column` is the SQL column it reads (the name itself unless given). `unit` is words such as
    `days`, `points 0-100`, `usd`. `values` closes a text name to a list, so that a misspelt
    literal is refused when the expression loads; empty means any text.
    """

    name: str
    type: ValueType
    unit: str = ""
    meaning: str = ""
    column: str = ""
    values: tuple[str, ...] = ()

    @property
    def sql_column(self) -> str:
        """The SQL column this name reads, unquoted."""
        return self.column or self.name


class Names(Mapping[str, Name]):
    """An ordered, immutable set of published names. A name given twice raises ValueError."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._names: dict[str, Name] = {}
        for name in names:
            if name.name in self._names:
                raise ValueError(f"the name {name.name!r} is published twice")
            if name.type not in VALUE_TYPES:
                raise ValueError(f"{name.name!r} has the unknown type {name.type!r}")
            self._names[name.name] = name

    @classmethod
    def of(cls, types: Mapping[str, ValueType]) -> Names:
        """Names from a plain mapping of name to type, each reading the column of its own name."""
        return cls(Name(name, type_) for name, type_ in types.items())

    def __getitem__(self, key: str) -> Name:
        return self._names[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Names({', '.join(self._names)})"

    def nearest(self, wanted: str) -> str | None:
        """The published name most like `wanted`, or None when nothing is close."""
        return nearest(wanted, self._names)


def nearest(wanted: str, known: Iterable[str]) -> str | None:
    """The entry of `known` most like `wanted` (case ignored), or None when nothing is close."""
    by_lower: dict[str, str] = {}
    for entry in known:
        by_lower.setdefault(entry.lower(), entry)
    close = get_close_matches(wanted.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None
