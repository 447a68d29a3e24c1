"""Rows against a contract: what keeps it goes on, every fault of the others is said at once.

Pandera judges eager frames with `lazy=True`; what is added here is the translation of its
findings into rejects a person can act on.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandera.errors
import pandera.polars as pa
import polars as pl

from dagster_project.contracts import Column, Contract, RowRule, Vocabulary
from dagster_project.ingestion.casting import Target, cast, clean, lost
from dagster_project.ingestion.reading import LINE

FILE = "_file"
MAX_VALUE_LENGTH = 200

REJECTS: dict[str, pl.DataType] = {
    FILE: pl.Int64(),
    LINE: pl.Int64(),
    "rule": pl.String(),
    "column": pl.String(),
    "value": pl.String(),
    "message": pl.String(),
}

_TYPE_WORDS = {
    "varchar": "text",
    "date": "a date; write YYYY-MM-DD",
    "timestamp": "a time; write YYYY-MM-DD HH:MM:SS",
    "bigint": "a whole number",
    "double": "a number; write it with a point and without thousands marks",
    "boolean": "yes or no; write true or false",
}
# Pandera's check names to the rules of the rejects table.
_RULES = {
    "not_nullable": "required",
    "str_length": "required",
    "isin": "in_list",
    "in_range": "in_range",
    "greater_than_or_equal_to": "in_range",
    "less_than_or_equal_to": "in_range",
}


@dataclass(frozen=True)
class Judged:
    """Rows that keep the contract (its columns, `_file`, `_line`), and the faults of the others."""

    good: pl.DataFrame
    rejects: pl.DataFrame


class Validator:
    """One contract with its policy lists, ready to judge frames."""

    def __init__(self, contract: Contract, vocabulary: Vocabulary) -> None:
        self.contract = contract
        self.column_names = contract.column_names
        self._columns: dict[str, Column] = {column.name: column for column in contract.columns}
        self._targets = {name: Target(dtype) for name, dtype in contract.dtypes.items()}
        self._rules: dict[str, RowRule] = {rule.name: rule for rule in contract.row_rules}
        self._schema: pa.DataFrameSchema = contract.checked_schema(vocabulary)
        self._allowed = {
            name: self._allowed_text(column, vocabulary) for name, column in self._columns.items()
        }

    def judge(self, cells: pl.DataFrame) -> Judged:
        """Cast and check `cells`: contract columns as read, plus `_file` and `_line`.

        An absent nullable column reads null. Neither order nor content of good rows is changed.
        """
        cleaned = clean(self._shaped(cells))
        typed = cast(cleaned, self._targets)
        unread = self._unread(cleaned, typed)
        broken = self._broken(typed)
        if unread is None and broken is None:
            return Judged(typed, pl.DataFrame(schema=REJECTS))
        faults = pl.concat([part for part in (unread, broken) if part is not None])
        if unread is not None and broken is not None:
            # A cell that could not be read is null only since; saying so twice helps nobody.
            echo = pl.struct("_row", "column").is_in(
                unread.select(pl.struct("_row", "column")).to_series().implode()
            ) & (pl.col("rule") == "required")
            faults = faults.filter(~echo)
        rejected = faults["_row"].unique()
        is_bad = pl.int_range(pl.len()).is_in(rejected.implode())
        return Judged(typed.filter(~is_bad), self._rejects(cleaned, faults))

    def _shaped(self, cells: pl.DataFrame) -> pl.DataFrame:
        return cells.select(
            FILE,
            LINE,
            *(
                pl.col(name) if name in cells.columns else pl.lit(None, dtype=dtype).alias(name)
                for name, dtype in self.contract.dtypes.items()
            ),
        )

    def _unread(self, cleaned: pl.DataFrame, typed: pl.DataFrame) -> pl.DataFrame | None:
        """Cells that had a value and lost it in the cast."""
        parts = []
        for name, column in self._columns.items():
            is_lost = lost(cleaned, typed, name)
            if is_lost is not None:
                words = _TYPE_WORDS.get(column.duckdb_type, f"a {column.duckdb_type}")
                message = f"{name} is not {words}"
                parts.append(_faults(is_lost.arg_true(), "type", name, message))
        return pl.concat(parts) if parts else None

    def _broken(self, typed: pl.DataFrame) -> pl.DataFrame | None:
        try:
            self._schema.validate(typed.select(*self._columns), lazy=True)
        except pandera.errors.SchemaErrors as errors:
            cases = errors.failure_cases
        else:
            return None
        if not isinstance(cases, pl.DataFrame) or cases["index"].null_count():
            raise AssertionError(f"{self.contract.name}: a check without rows failed: {cases}")
        parts = []
        for (context, column, check), rows in cases.group_by(
            ["schema_context", "column", "check"], maintain_order=True
        ):
            index = rows["index"].cast(pl.UInt32)
            if context == "DataFrameSchema":
                rule = self._rules[str(check)]
                parts.append(_faults(index, rule.name, ", ".join(rule.columns), rule.message))
            else:
                kind = _RULES[str(check).partition("(")[0]]
                message = (
                    f"{column} has no value" if kind == "required" else self._allowed[str(column)]
                )
                parts.append(_faults(index, kind, str(column), message))
        return pl.concat(parts)

    def _rejects(self, cleaned: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
        """One row per (file, line, rule); columns that broke the same rule stand together."""
        values = [
            cleaned.select(
                FILE,
                LINE,
                pl.concat_str(
                    [pl.col(part).cast(pl.String).fill_null("") for part in names.split(", ")],
                    separator=", ",
                )
                .str.slice(0, MAX_VALUE_LENGTH)
                .alias("value"),
            )[rows["_row"]].hstack(rows.select("rule", "column", "message").get_columns())
            for (names,), rows in faults.group_by(["column"], maintain_order=True)
            if isinstance(names, str)
        ]
        return (
            pl.concat(values)
            .group_by([FILE, LINE, "rule"], maintain_order=True)
            .agg(pl.col("column", "value").str.join(", "), pl.col("message").str.join("; "))
            .select(list(REJECTS))
            .sort(FILE, LINE, "rule")
        )

    def _allowed_text(self, column: Column, vocabulary: Vocabulary) -> str:
        """What a value of the column must be, in words."""
        texts = []
        if column.vocabulary is not None:
            texts.append("one of " + ", ".join(vocabulary.allowed(column.vocabulary)))
        for check in self.contract.model.to_schema().columns[column.name].checks:
            known = check.statistics or {}
            if "allowed_values" in known:
                texts.append("one of " + ", ".join(map(str, known["allowed_values"])))
            elif "min_value" in known and known.get("max_value") is not None:
                texts.append(f"between {known['min_value']} and {known['max_value']}")
            elif "min_value" in known:
                texts.append(f"{known['min_value']} or more")
        return f"{column.name} must be " + " and ".join(texts)


def _faults(rows: pl.Series, rule: str, column: str, message: str) -> pl.DataFrame:
    return pl.DataFrame({"_row": rows.cast(pl.UInt32)}).with_columns(
        rule=pl.lit(rule), column=pl.lit(column), message=pl.lit(message)
    )
