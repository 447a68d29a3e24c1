"""Cells to typed values. What cannot be read becomes null here and a reject in `validation`.

Text is stripped; an empty cell is a missing value. Numbers are written with a point and without
thousands marks; a whole number may carry `.0`; money is rounded half to even at its second place.
Dates are `YYYY-MM-DD`, timestamps the same with a time after a space or T, with or without an
offset; without one they are UTC. Yes and no are true/false, t/f, yes/no, y/n, 1/0 in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

_TRUE = ["true", "t", "yes", "y", "1"]
_FALSE = ["false", "f", "no", "n", "0"]
_OFFSET = r"(?:Z|z|[+-]\d{2}:?\d{2}|[+-]\d{2})$"
_MOMENT = (
    r"^\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?\s*(?:Z|z|[+-]\d{2}(?::?\d{2})?)?)?$"
)


@dataclass(frozen=True)
class Target:
    """What a column is to become. `time_format` is strftime-like and replaces the ISO form."""

    dtype: pl.DataType
    time_format: str = ""


def clean(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells with missing values as null: blank text, and NaN in columns of numbers."""
    return cells.select(_cleaned(name, dtype) for name, dtype in cells.schema.items())


def cast(cleaned: pl.DataFrame, targets: Mapping[str, Target]) -> pl.DataFrame:
    """Cleaned columns as their target types, null where they cannot be read.

    Columns without a target stay as they are.
    """
    usual = cleaned.with_columns(
        _usual(name, cleaned.schema[name], target).cast(target.dtype).alias(name)
        for name, target in targets.items()
    )
    # The forms of a value that most files use are tried first, the others only where that failed.
    odd = {
        name: target
        for name, target in targets.items()
        if cleaned.schema[name] == pl.String
        and usual[name].null_count() > cleaned[name].null_count()
    }
    return usual.with_columns(
        cleaned.select(
            _from_text(pl.col(name), target.dtype, target.time_format)
            .cast(target.dtype)
            .alias(name)
            for name, target in odd.items()
        ).get_columns()
    )


def lost(cleaned: pl.DataFrame, typed: pl.DataFrame, name: str) -> pl.Series | None:
    """True where a cell had a value and lost it in the cast; None when none did."""
    if typed[name].null_count() == cleaned[name].null_count():
        return None
    return typed[name].is_null() & cleaned[name].is_not_null()


def _cleaned(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        stripped = column.str.strip_chars()
        return pl.when(stripped != "").then(stripped).alias(name)
    return column.fill_nan(None) if dtype.is_float() else column


def _usual(name: str, source: pl.DataType, target: Target) -> pl.Expr:
    """The column in the target type by its most usual form; text in other forms is null here."""
    column, dtype = pl.col(name), target.dtype
    if source == pl.Null:
        return column
    if isinstance(dtype, pl.String):
        return _to_text(column, source)
    if not isinstance(source, pl.String):
        return _from_typed(column, source, dtype)
    return _from_usual_text(column, target)


def _from_usual_text(column: pl.Expr, target: Target) -> pl.Expr:
    length = column.str.len_bytes()
    match target.dtype:
        case pl.Int64():
            return column.cast(pl.Int64, strict=False)
        case pl.Date() if not target.time_format:
            return pl.when(length == 10).then(column).str.to_date("%Y-%m-%d", strict=False)
        case pl.Datetime() if not target.time_format:
            plain = pl.when(length == 19).then(column)
            return plain.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
        case _:
            return _from_text(column, target.dtype, target.time_format)


def _to_text(column: pl.Expr, source: pl.DataType) -> pl.Expr:
    if isinstance(source, pl.String):
        return column
    if source.is_float():
        # Ids that passed through a float column come back without the point.
        whole = column.cast(pl.Int64, strict=False)
        return (
            pl.when(whole.cast(source) == column)
            .then(whole.cast(pl.String))
            .otherwise(column.cast(pl.String))
        )
    if isinstance(source, pl.Binary):
        return pl.lit(None, dtype=pl.String)
    return column.cast(pl.String)


def _from_text(column: pl.Expr, target: pl.DataType, time_format: str) -> pl.Expr:
    match target:
        case pl.Boolean():
            lower = column.str.to_lowercase()
            value = pl.when(lower.is_in(_TRUE)).then(True).when(lower.is_in(_FALSE)).then(False)
            return value.otherwise(None)
        case pl.Int64():
            number = _whole(column.cast(pl.Float64, strict=False))
            return pl.coalesce(column.cast(pl.Int64, strict=False), number)
        case pl.Float64():
            return _finite(column.cast(pl.Float64, strict=False))
        case pl.Decimal():
            return column.cast(target, strict=False)
        case _:
            return _time_from_text(column, target, time_format)


def _time_from_text(column: pl.Expr, target: pl.DataType, time_format: str) -> pl.Expr:
    if time_format:
        moment = column.str.to_datetime(time_format, strict=False, time_unit="us")
        day = column.str.to_date(time_format, strict=False)
    else:
        moment = _moment(column)
        day = (
            pl.when(column.str.len_bytes() == 10).then(column).str.to_date("%Y-%m-%d", strict=False)
        )
    if isinstance(target, pl.Date):
        return pl.coalesce(day, moment.dt.date())
    return pl.coalesce(moment, day.cast(pl.Datetime("us")))


def _moment(column: pl.Expr) -> pl.Expr:
    """ISO text as UTC timestamp without zone."""
    text = pl.when(column.str.contains(_MOMENT)).then(column)
    has_time = text.str.len_bytes() > 10
    offset = pl.when(has_time).then(text.str.slice(10).str.extract(f"({_OFFSET})"))
    local = pl.when(has_time).then(text.str.replace(r"\s*" + _OFFSET, "")).otherwise(text)
    local = local.str.replace("T", " ", literal=True)
    length = local.str.len_bytes()
    local = (
        pl.when(length == 10)
        .then(local + " 00:00:00")
        .when(length == 16)
        .then(local + ":00")
        .otherwise(local)
    )
    base = local.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    hours = offset.str.extract(r"[+-](\d{2})").cast(pl.Int64).fill_null(0)
    minutes = offset.str.extract(r"[+-]\d{2}:?(\d{2})").cast(pl.Int64).fill_null(0)
    return base - pl.duration(minutes=sign * (hours * 60 + minutes), time_unit="us")


def _whole(number: pl.Expr) -> pl.Expr:
    is_whole = (number.abs() < 2**53) & (number.floor() == number)
    return pl.when(is_whole).then(number).cast(pl.Int64, strict=False)


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)


def _from_typed(column: pl.Expr, source: pl.DataType, target: pl.DataType) -> pl.Expr:
    value: pl.Expr = pl.lit(None, dtype=target)
    if isinstance(source, pl.Datetime) and target.is_temporal():
        if source.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        value = column.dt.date() if isinstance(target, pl.Date) else column.cast(target)
    elif source.is_numeric() and not target.is_temporal():
        value = _from_number(column, source, target)
    elif (isinstance(source, pl.Date) and target.is_temporal()) or source == target:
        value = column.cast(target)
    return value


def _from_number(column: pl.Expr, source: pl.DataType, target: pl.DataType) -> pl.Expr:
    if isinstance(target, pl.Boolean):
        yes_no = pl.when(column == 1).then(True).when(column == 0).then(False)
        return yes_no.otherwise(None)
    if isinstance(target, pl.Float64):
        return _finite(column.cast(pl.Float64, strict=False))
    if isinstance(target, pl.Int64) and not source.is_integer():
        return _whole(column.cast(pl.Float64, strict=False))
    return column.cast(target, strict=False)
