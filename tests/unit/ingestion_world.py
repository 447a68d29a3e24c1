"""A landing folder and a warehouse in memory, for the tests of ingestion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts import Vocabulary
from dagster_project.ingestion import IngestResult, SourceMapping, TableSummary, ingest

WORDS = Vocabulary(
    tiers=("strategic", "enterprise", "commercial"),
    solution_areas=("security", "observability", "search"),
    call_types=(
        "technical_checkin",
        "business_review",
        "executive_review",
        "renewal_planning",
        "other",
    ),
)


@dataclass(frozen=True)
class Limits:
    min_snapshot_ratio: float = 0.5


@dataclass
class World:
    """`put` writes a file, `run` ingests, `rows` reads a table back."""

    landing: Path
    mapping: SourceMapping | None = None
    con: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    limits: Limits = field(default_factory=Limits)

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, as_of: date | None = None) -> IngestResult:
        return ingest(self.con, self.landing, self.mapping, as_of, WORDS, self.limits)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.con.execute(query).fetchall()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All raw, rejects and bookkeeping rows, in an order of their own."""
        tables = self.rows(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where schema_name like 'raw%' or schema_name = 'pipeline' order by all"
        )
        return {table: self.rows(f"from {table} order by all") for (table,) in tables}


def summary(result: IngestResult, table: str) -> TableSummary:
    (found,) = [entry for entry in result.tables if entry.name == table]
    return found


def lines(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


ACCOUNT = "account_id,account_name,tier,customer_since_on,arr_usd"
USAGE = "account_id,solution_area,user_id,feature,used_on,usage_count,event_id"
SURVEY = "survey_id,account_id,kind,responded_on,score"
INVOICE = "invoice_id,account_id,issued_on,due_on,paid_on,amount_usd"
TICKET = "ticket_id,account_id,severity,opened_at,resolved_at,status"
