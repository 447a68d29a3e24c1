"""Dirt on extracts: what real files do wrong, put in at seeded places and counted to the row.

A dirtied row has one fault, so the counts can be compared with what an ingestion rejects. Faults of
kind `duplicate`, `bad_enum`, `bad_number`, `bad_date`, `negative` and `missing` are for rejection;
`late`, `unknown_account` and `latin_1` rows are good rows that need care.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Final

import polars as pl

from dagster_project.sampling.extracts import encode
from dagster_project.sampling.options import FileFormat
from dagster_project.sampling.tables import EVENT_TABLES

#: kind -> table -> (column, wrong value). A kind that typed columns cannot hold is left out of
#: Parquet.
_FAULTS: Final[dict[str, dict[str, tuple[str, str | int | None]]]] = {
    "bad_enum": {
        "crm/accounts": ("tier", "platinum"),
        "crm/contacts": ("role", "boss"),
        "crm/subscriptions": ("solution_area", "storage"),
        "crm/opportunities": ("stage", "maybe"),
        "crm/touchpoints": ("call_type", "coffee"),
        "crm/success_objectives": ("solution_area", "storage"),
        "crm/stage_evidence": ("solution_area", "storage"),
        "crm/adoption_blockers": ("category", "weather"),
        "crm/risk_flags": ("kind", "hunch"),
        "usage/feature_usage": ("solution_area", "storage"),
        "usage/solution_measures": ("solution_area", "storage"),
        "support/tickets": ("severity", "sev1"),
        "support/surveys": ("kind", "ces"),
    },
    "bad_number": {
        "crm/accounts": ("arr_usd", "1.2 million"),
        "crm/subscriptions": ("seats", "twelve"),
        "crm/opportunities": ("amount_usd", "tbd"),
        "crm/touchpoints": ("expected_attendee_count", "a few"),
        "crm/success_objectives": ("target_value", "half"),
        "crm/invoices": ("amount_usd", "12.000,50 EUR"),
        "usage/feature_usage": ("usage_count", "many"),
        "usage/solution_measures": ("value", "#DIV/0!"),
        "support/surveys": ("score", "good"),
    },
    "bad_date": {
        "crm/accounts": ("customer_since_on", "2025-02-30"),
        "crm/contacts": ("created_on", "31.01.2025"),
        "crm/subscriptions": ("started_on", "2025-13-01"),
        "crm/touchpoints": ("created_on", "next week"),
        "crm/outreach": ("sent_at", "2025-01-31 25:00:00"),
        "crm/invoices": ("issued_on", "31/01/2025"),
        "crm/risk_flags": ("raised_on", "2025-02-30"),
        "usage/feature_usage": ("used_on", "2025-02-30"),
        "usage/solution_measures": ("measured_on", "Q1 2025"),
        "support/tickets": ("opened_at", "yesterday"),
    },
    "negative": {
        "crm/accounts": ("arr_usd", -100),
        "crm/subscriptions": ("seats", -5),
        "crm/touchpoints": ("attended_count", -1),
        "usage/feature_usage": ("usage_count", -3),
    },
    "missing": {
        "crm/accounts": ("account_name", None),
        "crm/contacts": ("account_id", None),
        "crm/subscriptions": ("started_on", None),
        "crm/opportunities": ("created_on", None),
        "crm/touchpoints": ("account_id", None),
        "crm/outreach": ("sent_at", None),
        "crm/success_objectives": ("objective_name", None),
        "crm/stage_evidence": ("criterion_id", None),
        "crm/invoices": ("due_on", None),
        "crm/risk_flags": ("account_id", None),
        "usage/feature_usage": ("account_id", None),
        "usage/solution_measures": ("value", None),
        "support/tickets": ("account_id", None),
        "support/surveys": ("responded_on", None),
    },
}
#: Free text that may carry letters outside ASCII, written as Latin-1 in a UTF-8 file.
_TEXT: Final = {"crm/accounts": "account_name", "crm/contacts": "contact_name"}
_TEXT_VALUE: Final = "Zoë Brücke"
_UNKNOWN_ACCOUNT: Final = "acc-unknown"
_ONLY_AS_TEXT: Final = frozenset({"bad_number", "bad_date"})
_ROWS_PER_FAULT: Final = 2_000
_FEWEST_ROWS: Final = 12


@dataclass(slots=True)
class Dirt:
    """Puts dirt on one extract after the other, and counts it."""

    seed: int
    file_format: FileFormat
    #: one entry per file and kind: file, table, kind, rows
    entries: list[dict[str, str | int]] = field(default_factory=list)
    _held_back: dict[str, pl.DataFrame] = field(default_factory=dict)

    def soil(
        self, table: str, day: date, frame: pl.DataFrame, file: str, *, is_last: bool
    ) -> tuple[bytes, int]:
        """The extract's bytes with dirt on it, and its number of rows."""
        rng = Random(f"{self.seed}/dirt/{table}/{day}")  # noqa: S311 - a seeded world
        late = self._held_back.pop(table, frame.clear())
        kinds = self._kinds(table)
        count = frame.height // _ROWS_PER_FAULT + 1
        if frame.height < _FEWEST_ROWS * (len(kinds) + 1) or not kinds:
            count = 0
        hold = count if table in EVENT_TABLES and not is_last else 0
        picked = rng.sample(range(frame.height), count * len(kinds) + hold)
        if hold:
            rows = sorted(picked[-hold:])
            self._held_back[table] = frame[rows]
            picked = picked[:-hold]
        edits: dict[int, str] = {}
        for place, kind in enumerate(kinds):
            for row in picked[place * count : (place + 1) * count]:
                edits[row] = kind
        for kind in kinds:
            self._note(file, table, kind, count)
        self._note(file, table, "late", late.height)
        gone = set(rows) if hold else set()
        whole = pl.concat([frame, late])
        kept = [row for row in range(whole.height) if row not in gone]
        data, extra = self._write(table, whole, kept, edits)
        return data, len(kept) + extra

    def report(self) -> str:
        """The counts as JSON: per file and kind, and totals per table and kind."""
        totals: dict[str, dict[str, int]] = {}
        for entry in self.entries:
            kinds = totals.setdefault(str(entry["table"]), {})
            kind = str(entry["kind"])
            kinds[kind] = kinds.get(kind, 0) + int(entry["rows"])
        return json.dumps({"totals": totals, "files": self.entries}, indent=1) + "\n"

    def _note(self, file: str, table: str, kind: str, rows: int) -> None:
        if rows:
            self.entries.append({"file": file, "table": table, "kind": kind, "rows": rows})

    def _kinds(self, table: str) -> list[str]:
        if table in ("crm/playbook_runs", "crm/health_overrides"):
            return []
        kinds = ["duplicate"] if table == "crm/accounts" else ["duplicate", "unknown_account"]
        kinds += [kind for kind, tables in _FAULTS.items() if table in tables]
        if self.file_format == "parquet":
            return [kind for kind in kinds if kind not in _ONLY_AS_TEXT]
        if self.file_format == "csv" and table in _TEXT:
            kinds.append("latin_1")
        return kinds

    def _write(
        self, table: str, frame: pl.DataFrame, kept: list[int], edits: dict[int, str]
    ) -> tuple[bytes, int]:
        """Bytes of the kept rows, some edited, some twice; and how many were added."""
        if self.file_format == "parquet":
            return self._write_typed(table, frame, kept, edits)
        lines = encode(frame, self.file_format).split(b"\n")[:-1]
        written = [lines.pop(0)] if self.file_format == "csv" else []
        added: list[bytes] = []
        columns = frame.columns
        for row in kept:
            line, kind = lines[row], edits.get(row)
            if kind == "duplicate":
                added.append(line)
            elif kind == "unknown_account":
                added.append(self._edited_line(line, columns, _stranger(table, columns)))
            elif kind == "latin_1":
                text = self._edited_line(line, columns, {_TEXT[table]: _TEXT_VALUE})
                line = text.decode().encode("latin-1")
            elif kind is not None:
                column, value = _FAULTS[kind][table]
                line = self._edited_line(line, columns, {column: value})
            written.append(line)
        return b"\n".join([*written, *added, b""]), len(added)

    def _edited_line(
        self, line: bytes, columns: list[str], changes: dict[str, str | int | None]
    ) -> bytes:
        if self.file_format == "jsonl":
            record = json.loads(line)
            for column, value in changes.items():
                record[column] = _prefixed(value, record[column])
            return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        cells = next(csv.reader([line.decode()]))
        for column, value in changes.items():
            place = columns.index(column)
            changed = _prefixed(value, cells[place])
            cells[place] = "" if changed is None else str(changed)
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow(cells)
        return buffer.getvalue().encode()

    def _write_typed(
        self, table: str, frame: pl.DataFrame, kept: list[int], edits: dict[int, str]
    ) -> tuple[bytes, int]:
        places = [row for row in kept if row in edits]
        records = dict(zip(places, frame[places].to_dicts(), strict=True))
        added = []
        for row, kind in edits.items():
            record = records[row]
            if kind == "duplicate":
                added.append(dict(record))
            elif kind == "unknown_account":
                stranger = {
                    column: _prefixed(value, record[column])
                    for column, value in _stranger(table, frame.columns).items()
                }
                added.append(record | stranger)
            else:
                column, value = _FAULTS[kind][table]
                record[column] = value
        numbered = frame.with_row_index("_row").filter(
            pl.col("_row").is_in(kept) & ~pl.col("_row").is_in(places)
        )
        changed = pl.DataFrame(list(records.values()), schema=frame.schema).with_columns(
            pl.Series("_row", list(records), dtype=numbered.schema["_row"])
        )
        rows = pl.concat([numbered, changed.select(numbered.columns)]).sort("_row").drop("_row")
        rows = pl.concat([rows, pl.DataFrame(added, schema=frame.schema)])
        return encode(rows, self.file_format), len(added)


def _stranger(table: str, columns: list[str]) -> dict[str, str | int | None]:
    """What makes a copied row one of an account that nobody knows, under a key of its own."""
    changes: dict[str, str | int | None] = {"account_id": _UNKNOWN_ACCOUNT}
    if columns[0] != "account_id":
        changes[columns[0]] = "+x"
    return changes


def _prefixed(value: str | int | None, old: object) -> str | int | None:
    """The new value; one that begins with a plus is put behind the old one."""
    if isinstance(value, str) and value.startswith("+"):
        return f"{old}-{value[1:]}"
    return value
