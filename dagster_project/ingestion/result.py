"""What an ingestion did, for the run's summary and the asset checks: counts, dates and mends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class TableSummary:
    """One table in this run. Rows of files that were already in are not counted again.

    `refusals` say `file: why — mend`; `mend` is empty when there is nothing to do.
    """

    name: str
    file_count: int
    read_rows: int
    accepted_rows: int
    rejected_rows: int
    stored_rows: int
    refusals: tuple[str, ...]
    mend: str


@dataclass(frozen=True)
class IngestResult:
    """All tables in order of name, changed or not.

    `affected_from_on` is the earliest day whose facts this run's files changed, None when nothing
    changed. `newest_extract_on` is the newest extract in the raw tables up to the day asked for,
    `earliest_business_on` the first business date in them. `warnings` name files that were not
    understood.
    """

    tables: tuple[TableSummary, ...]
    affected_from_on: date | None
    newest_extract_on: date | None
    earliest_business_on: date | None
    warnings: tuple[str, ...] = ()

    @property
    def refused_sources(self) -> tuple[str, ...]:
        """Tables (`source/table`) of which a file was refused; they keep what they had."""
        return tuple(table.name for table in self.tables if table.refusals)

    @property
    def file_count(self) -> int:
        """Files read in this run."""
        return sum(table.file_count for table in self.tables)

    @property
    def read_rows(self) -> int:
        """Rows read in this run, bad ones included."""
        return sum(table.read_rows for table in self.tables)

    @property
    def accepted_rows(self) -> int:
        """Rows that kept their contract."""
        return sum(table.accepted_rows for table in self.tables)

    @property
    def rejected_rows(self) -> int:
        """Rows in the rejects tables from this run's files."""
        return sum(table.rejected_rows for table in self.tables)
