"""What a contract is: a pandera model with its place, key and row rules, and what follows from it.

The models stand in one module per source; reading and judging files stands in `ingestion`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pandera.polars as pa
import polars as pl

from dagster_project.contracts.fields import Dating


@dataclass(frozen=True)
class Vocabulary:
    """Allowed values of the columns whose list is policy, not contract. None may be empty.

    `call_types` are the calls that the cadence plans and, beside them, `other`.
    """

    tiers: tuple[str, ...]
    solution_areas: tuple[str, ...]
    call_types: tuple[str, ...]

    def allowed(self, name: str) -> tuple[str, ...]:
        """The list a contract column names; an unknown name is a KeyError."""
        return {
            "tiers": self.tiers,
            "solution_areas": self.solution_areas,
            "call_types": self.call_types,
        }[name]


class Kind(StrEnum):
    """What a file of a table says: all rows there are (snapshot), or rows that happened (event)."""

    SNAPSHOT = "snapshot"
    EVENT = "event"


@dataclass(frozen=True)
class Column:
    """One column of a contract. `dated_by` is filled for `Dating.DATED_BY` only."""

    name: str
    dtype: pl.DataType
    nullable: bool
    dating: Dating
    dated_by: tuple[str, ...]
    vocabulary: str | None
    description: str

    @property
    def duckdb_type(self) -> str:
        """The column's type in raw tables."""
        return duckdb_type(self.dtype)


@dataclass(frozen=True)
class RowRule:
    """A check over several columns of one row. `holds` is true, false, or null where not judged."""

    name: str
    columns: tuple[str, ...]
    holds: pl.Expr
    message: str


def duckdb_type(dtype: pl.DataType) -> str:
    """The DuckDB spelling of a contract type; a type outside the closed list is a KeyError."""
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    return {
        pl.String(): "varchar",
        pl.Date(): "date",
        pl.Datetime("us"): "timestamp",
        pl.Int64(): "bigint",
        pl.Float64(): "double",
        pl.Boolean(): "boolean",
    }[dtype]


def not_before(later: str, earlier: str) -> RowRule:
    """`later`, where known, is on or after `earlier`."""
    return RowRule(
        name=f"{later}_not_before_{earlier}",
        columns=(later, earlier),
        holds=pl.col(later) >= pl.col(earlier),
        message=f"{later} is before {earlier}",
    )


def any_of(*columns: str) -> RowRule:
    """At least one of the columns has a value."""
    return RowRule(
        name="any_of_" + "_".join(columns),
        columns=columns,
        holds=pl.any_horizontal(pl.col(name).is_not_null() for name in columns),
        message="one of " + ", ".join(columns) + " must have a value",
    )


@dataclass(frozen=True)
class Reference:
    """A column whose value must be a row of another table, known by the extract's own date.

    `target` is a snapshot table of the same source, earlier in order of name, so that it is stored
    first; `target_column` is its key.
    """

    column: str
    target: str
    target_column: str


@dataclass(frozen=True)
class Contract:
    """One canonical table: where its rows land, what makes a row one row, what a row must be.

    Most tables take rows of accounts that are not known yet, since extracts of one day are not cut
    at one moment; `references` (snapshots only) are for decisions that must not wait unseen.
    `unique_columns` are columns beside the key that may not repeat inside one file (nulls may).
    `date_columns[0]` of an event table is the date its rows happened on.
    """

    source: str
    table: str
    kind: Kind
    key: tuple[str, ...]
    model: type[pa.DataFrameModel]
    row_rules: tuple[RowRule, ...] = ()
    unique_columns: tuple[str, ...] = ()
    stored_order: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()

    @property
    def schema_name(self) -> str:
        """DuckDB schema of the raw table."""
        return f"raw_{self.source}"

    @property
    def raw_table(self) -> str:
        """Qualified name of the raw table."""
        return f"{self.schema_name}.{self.table}"

    @property
    def rejects_table(self) -> str:
        """Qualified name of the table of rejected rows."""
        return f"{self.schema_name}.{self.table}__rejects"

    @property
    def superseded_table(self) -> str:
        """Qualified name of an event table's rows that a newer file replaced.

        They return when that file is corrected and no longer carries the key.
        """
        return f"{self.schema_name}.{self.table}__superseded"

    @property
    def name(self) -> str:
        """`source/table`, the contract's key in the registry and its folder in the landing zone."""
        return f"{self.source}/{self.table}"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The contract's columns in declared order."""
        found = []
        for name, column in self.model.to_schema().columns.items():
            metadata = column.metadata or {}
            dtype = column.dtype.type
            found.append(
                Column(
                    name=name,
                    # Pandera keeps types without parameters as classes.
                    dtype=dtype if isinstance(dtype, pl.DataType) else dtype(),
                    nullable=column.nullable,
                    dating=metadata["dating"],
                    dated_by=metadata["dated_by"],
                    vocabulary=metadata["vocabulary"],
                    description=column.description or "",
                )
            )
        return tuple(found)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in declared order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def date_columns(self) -> tuple[str, ...]:
        """Names of the business dates and timestamps."""
        return tuple(c.name for c in self.columns if c.dating is Dating.DATE)

    @cached_property
    def required_columns(self) -> tuple[str, ...]:
        """Columns a file must carry; a nullable column may be absent and then reads null."""
        return tuple(c.name for c in self.columns if not c.nullable)

    @cached_property
    def dtypes(self) -> dict[str, pl.DataType]:
        """Polars type of each column."""
        return {column.name: column.dtype for column in self.columns}

    def checked_schema(self, vocabulary: Vocabulary) -> pa.DataFrameSchema:
        """The pandera schema with the policy lists and the row rules put in.

        A row rule's name is the name of its check, and so the rule a reject carries.
        """
        # Pandera hands out one cached schema per model; what is added here must not stick to it.
        schema = copy.deepcopy(self.model.to_schema())
        for column in self.columns:
            if column.vocabulary is not None:
                schema.columns[column.name].checks.append(
                    pa.Check.isin(list(vocabulary.allowed(column.vocabulary)))
                )
        schema.checks = [
            pa.Check(_row_check(rule), name=rule.name, error=rule.name, ignore_na=False)
            for rule in self.row_rules
        ]
        return schema

    def allowed_values(self, column: str, vocabulary: Vocabulary) -> tuple[str, ...]:
        """The closed list of a column's values; empty where any value goes."""
        for check in self.checked_schema(vocabulary).columns[column].checks:
            allowed = (check.statistics or {}).get("allowed_values")
            if allowed is not None:
                return tuple(map(str, allowed))
        return ()


def _row_check(rule: RowRule) -> Callable[[pa.PolarsData], pl.LazyFrame]:
    def check(data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(rule.holds.fill_null(True))

    return check
