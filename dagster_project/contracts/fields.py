"""Column helpers of the contracts: what a column means in time, said where it is declared.

Five dating classes, and no other:

- `key`: part of the natural key;
- `date`: a business date or timestamp itself; a date after day D reads null on D;
- `dated_by`: the value belongs to that date (several names: the first one present); the latest
  version of the row is used for every day on or after it;
- `versioned`: undated state; day D uses the newest version extracted on or before D;
- `identity`: as versioned, but the first known version reaches back to the row's start.

Checks stand here too, so that a model reads as one line per column.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pandera.polars as pa


class Dating(StrEnum):
    """How a column's value is placed in time."""

    KEY = "key"
    DATE = "date"
    DATED_BY = "dated_by"
    VERSIONED = "versioned"
    IDENTITY = "identity"


def _field(dating: Dating, description: str, dated_by: tuple[str, ...] = (), **checks: Any) -> Any:
    vocabulary = checks.pop("vocabulary", None)
    metadata = {"dating": dating, "dated_by": dated_by, "vocabulary": vocabulary}
    if dating is Dating.KEY and not checks.get("nullable", False):
        checks.setdefault("str_length", {"min_value": 1})
    return pa.Field(description=description, metadata=metadata, **checks)


def key(description: str, **checks: Any) -> Any:
    """Part of the natural key; text, never empty."""
    return _field(Dating.KEY, description, **checks)


def date_key(description: str, **checks: Any) -> Any:
    """Part of the natural key that is also a business date."""
    return _field(Dating.DATE, description, **checks)


def business_date(description: str, **checks: Any) -> Any:
    """A business date or timestamp."""
    return _field(Dating.DATE, description, **checks)


def dated_by(columns: str | tuple[str, ...], description: str, **checks: Any) -> Any:
    """A value that belongs to the first non-null of the given business dates."""
    names = (columns,) if isinstance(columns, str) else columns
    return _field(Dating.DATED_BY, description, names, **checks)


def versioned(description: str, **checks: Any) -> Any:
    """State without a date of its own, known from the extract that carried it on."""
    return _field(Dating.VERSIONED, description, **checks)


def identity(description: str, **checks: Any) -> Any:
    """A slow attribute whose first known value reaches back to the row's start."""
    return _field(Dating.IDENTITY, description, **checks)
