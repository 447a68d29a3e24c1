"""An InfoHub folder, a few accounts and a warehouse in memory, for the tests of meeting notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts import ensure_raw_tables
from dagster_project.infohub.notes import NotesResult, ingest_notes
from dagster_project.infohub.notes_words import load_note_words
from dagster_project.settings import PROJECT_ROOT

WORDS = load_note_words(PROJECT_ROOT / "dbt" / "seeds")
AS_OF = date(2026, 3, 31)
NOTE = """---
date: 2026-03-10
call_type: technical
sentiment: positive
attendees:
  - Ann Lee (executive_sponsor)
  - {name: Bo, attended: no}
  - {name: Our Own, side: us}
next_call: 2026-03-24
---

What was said.

## Action items
- [ ] Send the list (owner: Bo, due: 2026-03-20)
- [x] Book the room
"""


def account(
    con: duckdb.DuckDBPyConnection,
    account_id: str,
    realm: str | None,
    node: str | None,
    **more: Any,
) -> None:
    """One version of an account in the raw table."""
    row = {
        "account_id": account_id,
        "account_name": account_id,
        "tier": "enterprise",
        "customer_since_on": date(2025, 1, 1),
        "realm": realm,
        "node": node,
        "_is_deleted": False,
        "_extracted_on": date(2026, 1, 1),
    } | more
    names = ", ".join(row)
    marks = ", ".join("?" * len(row))
    con.execute(f"insert into raw_crm.accounts ({names}) values ({marks})", list(row.values()))


@dataclass
class NotesWorld:
    """`put` writes a note, `run` reads them, `rows` reads a table back."""

    root: Path
    con: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        ensure_raw_tables(self.con)
        account(self.con, "A", "emea", "acme")
        account(self.con, "B", "emea", "beta")

    def put(
        self, text: str, name: str = "technical_2026_03_10.md", folder: str = "emea/acme"
    ) -> Path:
        path = self.root / folder / "meetings" / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, as_of: date = AS_OF) -> NotesResult:
        return ingest_notes(self.con, self.root, as_of, WORDS)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.con.execute(query).fetchall()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All notes with their lists, rejects and files; tombstones left out."""
        tables = [
            name
            for (name,) in self.rows(
                "select schema_name || '.' || table_name from duckdb_tables() "
                "where schema_name = 'raw_infohub' or table_name in ('files', 'quality_flags')"
            )
        ]
        return {
            name: self.rows(
                f"from {name} order by all"
                if name != "raw_infohub.notes"
                else f"from {name} where not _is_deleted order by all"
            )
            for name in sorted(tables)
        }
