"""What one sample is asked for, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

FileFormat = Literal["csv", "parquet", "jsonl"]

#: The last day of a sample when nobody names one. A constant: samples never read the clock.
DEFAULT_UNTIL = date(2026, 6, 30)


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """The sample wanted. Equal options give equal bytes.

    Customers older than the first of the `days` bring their whole history in the first extract.
    """

    accounts: int = 60
    days: int = 270
    seed: int = 17
    until: date = DEFAULT_UNTIL
    dirt: bool = False
    file_format: FileFormat = "csv"
    extract_every_days: int = 30

    @property
    def first(self) -> date:
        """The first day of the sample."""
        return self.until - timedelta(days=self.days - 1)

    def __post_init__(self) -> None:
        """Refuse a sample that cannot be drawn."""
        for name in ("accounts", "days", "extract_every_days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.file_format not in ("csv", "parquet", "jsonl"):
            raise ValueError(f"file_format must be csv, parquet or jsonl, not {self.file_format}")


@dataclass(slots=True)
class SampleSummary:
    """What was written: rows by `source/table` over all files, and the number of files."""

    files: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    dirt: dict[str, int] = field(default_factory=dict)
