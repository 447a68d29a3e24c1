"""The raw tables as the contracts draw them: created empty, so that every model always has its
inputs, whichever sources a landing zone carries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import duckdb

from dagster_project.contracts.model import Contract, Kind
from dagster_project.contracts.notes import NOTE_TABLES, NOTES_REJECTS_TABLE
from dagster_project.contracts.registry import CONTRACTS

LINEAGE: dict[str, str] = {
    "_extracted_on": "date",
    "_source_file": "varchar",
    "_source_line": "bigint",
}
REJECTS: dict[str, str] = {
    "file": "varchar",
    "line": "bigint",
    "rule": "varchar",
    "column": "varchar",
    "value": "varchar",
    "message": "varchar",
    "extracted_on": "date",
}
FILES: dict[str, str] = {
    "source": "varchar",
    "table_name": "varchar",
    "file_name": "varchar",
    "extracted_on": "date",
    "sha256": "varchar",
    "size_bytes": "bigint",
    "row_count": "bigint",
    "accepted_count": "bigint",
    "rejected_count": "bigint",
    "unchanged_count": "bigint",
    "status": "varchar",
    "message": "varchar",
}
# What a file looked like on disk when it was last hashed: spares hashing it again. Not published.
FILE_TIMES: dict[str, str] = {
    "path": "varchar",
    "size_bytes": "bigint",
    "modified_ns": "bigint",
    "sha256": "varchar",
}
QUALITY_FLAGS: dict[str, str] = {
    "source": "varchar",
    "table_name": "varchar",
    "file_name": "varchar",
    "flag": "varchar",
    "row_count": "bigint",
    "message": "varchar",
    "extracted_on": "date",
}


def raw_columns(contract: Contract) -> dict[str, str]:
    """Columns of the contract's raw table with their DuckDB types, in stored order."""
    columns = {column.name: column.duckdb_type for column in contract.columns}
    if contract.kind is Kind.SNAPSHOT:
        columns["_is_deleted"] = "boolean"
    return columns | LINEAGE


def _expected(contracts: Iterable[Contract]) -> dict[str, dict[str, str]]:
    """Every table by qualified name with its columns and their types."""
    tables = {
        "pipeline.files": FILES,
        "pipeline.file_times": FILE_TIMES,
        "pipeline.quality_flags": QUALITY_FLAGS,
        NOTES_REJECTS_TABLE: REJECTS,
        **{name: columns | LINEAGE for name, columns in NOTE_TABLES.items()},
    }
    for contract in contracts:
        tables[contract.raw_table] = raw_columns(contract)
        if contract.kind is Kind.EVENT:
            tables[contract.superseded_table] = raw_columns(contract)
        tables[contract.rejects_table] = REJECTS
    return tables


def ensure_raw_tables(
    con: duckdb.DuckDBPyConnection, contracts: Iterable[Contract] = CONTRACTS.values()
) -> None:
    """Create every raw, rejects and bookkeeping table that is not there yet; change no row."""
    present: dict[str, set[str]] = defaultdict(set)
    for table, column in con.execute(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() "
        "where database_name = current_database()"
    ).fetchall():
        present[table].add(column)
    for table, columns in _expected(contracts).items():
        if table not in present:
            drawn = ", ".join(f'"{name}" {dtype}' for name, dtype in columns.items())
            con.execute(f"create schema if not exists {table.partition('.')[0]}")
            con.execute(f"create table if not exists {table} ({drawn})")
            continue
        for name, dtype in columns.items():
            # A contract may gain a nullable column between releases; what was loaded reads null.
            if name not in present[table]:
                con.execute(f'alter table {table} add column "{name}" {dtype}')
