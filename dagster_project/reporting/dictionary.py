"""The dictionary: every published table and column with meaning, unit, source and lineage.

The meanings are written once, beside the dbt models (`column_descriptions`); publication puts them
on the tables as comments, and what is read here is the published file alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.yaml_lines import load_yaml

DBT = Path(__file__).resolve().parents[2] / "dbt"
# The order in which a reader meets the schemas; others follow by name.
_SCHEMAS = ("marts", "metrics", "playbooks", "proof", "policy", "pipeline")
# What the end of a column's name says about its unit: the law of names of this project.
_UNITS = {
    "_usd": "USD",
    "_days": "days",
    "_hours": "hours",
    "_minutes": "minutes",
    "_bytes": "bytes",
    "_ratio": "ratio, 0-1",
    "_weight": "ratio, 0-1",
    "_pct": "percent, 0-100",
    "_score": "points, 0-100",
    "_count": "count",
    "_number": "number",
    "_on": "date",
    "_at": "time stamp, UTC",
    "_date": "date",
}


@dataclass(frozen=True)
class DictionaryColumn:
    """A column: its type in DuckDB, its unit as far as name and type tell, its meaning."""

    name: str
    data_type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class DictionaryTable:
    """A published table or view with its columns and its lineage.

    `reads` are the tables it is made of, `read_by` the tables, views and exposures made of it.
    """

    schema: str
    name: str
    kind: str
    meaning: str
    defined_in: str
    columns: tuple[DictionaryColumn, ...]
    reads: tuple[str, ...]
    read_by: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.name}"


def read_dictionary(con: duckdb.DuckDBPyConnection) -> list[DictionaryTable]:
    """The dictionary of an open published file, in reading order."""
    columns: dict[tuple[str, str], list[DictionaryColumn]] = {}
    for schema, table, name, data_type, text in con.execute(
        "select schema_name, table_name, column_name, data_type, comment from duckdb_columns() "
        "where database_name = current_catalog() and not internal "
        "order by schema_name, table_name, column_index"
    ).fetchall():
        columns.setdefault((schema, table), []).append(
            DictionaryColumn(name, data_type, unit_of(name, data_type), text or "")
        )
    reads: dict[str, list[str]] = {}
    read_by: dict[str, list[str]] = {}
    defined: dict[str, str] = {}
    for name, source, read in con.execute(
        "select table_name, defined_in, reads from pipeline.lineage order by all"
    ).fetchall():
        defined[name] = source
        if read is not None:
            reads.setdefault(name, []).append(read)
            read_by.setdefault(read, []).append(name)
    tables = [
        DictionaryTable(
            schema,
            name,
            kind,
            text or "",
            defined.get(f"{schema}.{name}", ""),
            tuple(columns.get((schema, name), ())),
            tuple(reads.get(f"{schema}.{name}", ())),
            tuple(read_by.get(f"{schema}.{name}", ())),
        )
        for schema, name, kind, text in con.execute(
            "select schema_name, table_name, 'table', comment from duckdb_tables() "
            "where database_name = current_catalog() "
            "union all select schema_name, view_name, 'view', comment from duckdb_views() "
            "where database_name = current_catalog() and not internal"
        ).fetchall()
    ]
    return sorted(tables, key=lambda table: (_rank(table.schema), table.schema, table.name))


def unit_of(name: str, data_type: str) -> str:
    """The unit of a column, from the law of names: the unit stands last in the name."""
    if data_type == "BOOLEAN":
        return "yes or no"
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return unit
    if data_type.startswith("DATE"):
        return "date"
    if data_type.startswith("TIMESTAMP"):
        return "time stamp, UTC"
    if data_type == "VARCHAR":
        return "text"
    return "number"


def column_descriptions(project: Path = DBT) -> dict[tuple[str, str], str]:
    """Descriptions by (table name, column name), from the YAML of models, sources and seeds.

    Table names are without their schema: dbt keeps them unique.
    """
    texts: dict[tuple[str, str], str] = {}
    paths = [path for folder in ("models", "seeds") for path in (project / folder).rglob("*.yml")]
    for path in sorted(paths):
        parsed = load_yaml(path.read_text(encoding="utf-8")) or {}
        for table in _tables(parsed):
            for column in table.get("columns") or []:
                if text := column.get("description"):
                    texts[str(table["name"]), str(column["name"])] = " ".join(str(text).split())
    return texts


def published_descriptions(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Descriptions by (table name, column name) as the open file's comments give them."""
    return {
        (str(table), str(column)): str(text)
        for table, column, text in con.execute(
            "select table_name, column_name, comment from duckdb_columns() "
            "where database_name = current_catalog() and comment is not null "
            "order by schema_name, table_name, column_index"
        ).fetchall()
    }


def _tables(parsed: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from parsed.get("models") or []
    yield from parsed.get("seeds") or []
    for source in parsed.get("sources") or []:
        yield from source.get("tables") or []


def _rank(schema: str) -> int:
    return _SCHEMAS.index(schema) if schema in _SCHEMAS else len(_SCHEMAS)


def row_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of every published table by `schema.table`; views are left out, counting them costs."""
    names = con.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = current_catalog() and not internal and not temporary order by all"
    ).fetchall()
    if not names:
        return {}

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    parts = " union all ".join(
        f"select {place}, count(*) from {quoted(schema)}.{quoted(table)}"
        for place, (schema, table) in enumerate(names)
    )
    counts = dict(con.execute(parts).fetchall())
    return {f"{schema}.{table}": counts[place] for place, (schema, table) in enumerate(names)}
