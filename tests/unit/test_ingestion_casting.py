from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from dagster_project.ingestion.casting import Target, cast, clean

MONEY = pl.Decimal(18, 2)
MOMENT = pl.Datetime("us")


def _cast(values: pl.Series, target: pl.DataType, time_format: str = "") -> list[Any]:
    cleaned = clean(values.alias("x").to_frame())
    return cast(cleaned, {"x": Target(target, time_format)})["x"].to_list()


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        (" x ", pl.String(), "x"),
        ("  ", pl.String(), None),
        ("7", pl.Int64(), 7),
        ("7.0", pl.Int64(), 7),
        ("-7", pl.Int64(), -7),
        ("7.5", pl.Int64(), None),
        ("9223372036854775807", pl.Int64(), 9223372036854775807),
        ("9223372036854775808", pl.Int64(), None),
        ("1,000", pl.Int64(), None),
        ("1e3", pl.Float64(), 1000.0),
        ("nan", pl.Float64(), None),
        ("inf", pl.Float64(), None),
        ("12.345", MONEY, Decimal("12.34")),
        ("12.355", MONEY, Decimal("12.36")),
        ("33.299999999999997", MONEY, Decimal("33.30")),
        ("9999999999999999.99", MONEY, Decimal("9999999999999999.99")),
        ("99999999999999999.99", MONEY, None),
        ("$5", MONEY, None),
        ("TRUE", pl.Boolean(), True),
        ("n", pl.Boolean(), False),
        ("0", pl.Boolean(), False),
        ("2", pl.Boolean(), None),
        ("2026-02-28", pl.Date(), date(2026, 2, 28)),
        ("2026-02-30", pl.Date(), None),
        ("2026-2-3", pl.Date(), None),
        ("20260203", pl.Date(), None),
        ("03.02.2026", pl.Date(), None),
        ("2026-02-03 23:59:59", pl.Date(), date(2026, 2, 3)),
        ("2026-02-03T23:30:00-02:00", pl.Date(), date(2026, 2, 4)),
        ("2026-02-03", MOMENT, _at("2026-02-03 00:00")),
        ("2026-02-03 04:05", MOMENT, _at("2026-02-03 04:05")),
        ("2026-02-03T04:05:06.789", MOMENT, _at("2026-02-03 04:05:06.789")),
        ("2026-02-03T04:05:06Z", MOMENT, _at("2026-02-03 04:05:06")),
        ("2026-02-03T04:05:06 +0530", MOMENT, _at("2026-02-02 22:35:06")),
        ("2026-02-03T04:05:06+02", MOMENT, _at("2026-02-03 02:05:06")),
        ("2026-02-03 25:00", MOMENT, None),
        ("2026-02-03 04:05 noon", MOMENT, None),
    ],
)
def test_text_is_read_or_is_nothing(text: str, target: pl.DataType, expected: object) -> None:
    assert _cast(pl.Series([text]), target) == [expected]
    # Beside values in the usual forms the odd ones read the same.
    usual = ["5", "true", "2026-01-01", "2026-01-01 10:00:00"]
    assert _cast(pl.Series([*usual, text]), target)[-1] == expected


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        (pl.Series([1, 2], dtype=pl.Int32), pl.String(), ["1", "2"]),
        (pl.Series([1.0, 2.5, None]), pl.String(), ["1", "2.5", None]),
        (pl.Series(["a"], dtype=pl.Categorical), pl.String(), ["a"]),
        (pl.Series([1.0, 2.5, float("nan"), float("inf")]), pl.Int64(), [1, None, None, None]),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), pl.Int64(), [None]),
        (pl.Series([1.5, float("inf")]), pl.Float64(), [1.5, None]),
        (pl.Series([1, 0, 2]), pl.Boolean(), [True, False, None]),
        (pl.Series([True]), pl.Boolean(), [True]),
        (pl.Series([True]), pl.Int64(), [None]),
        (pl.Series([5]), MONEY, [Decimal("5.00")]),
        (pl.Series([5]), pl.Date(), [None]),
        (pl.Series([date(2026, 1, 1)]), MOMENT, [_at("2026-01-01 00:00")]),
        (pl.Series([date(2026, 1, 1)]), pl.Int64(), [None]),
        (pl.Series([_at("2026-01-01 23:00")]), pl.Date(), [date(2026, 1, 1)]),
        (
            pl.Series([_at("2026-01-01 23:00")]).dt.replace_time_zone("America/New_York"),
            MOMENT,
            [_at("2026-01-02 04:00")],
        ),
        (
            pl.Series([_at("2026-01-01 23:00")], dtype=pl.Datetime("ns")),
            MOMENT,
            [_at("2026-01-01 23:00")],
        ),
        (pl.Series([None, None], dtype=pl.Null), MONEY, [None, None]),
    ],
)
def test_typed_cells_become_the_contract_s_type(
    values: pl.Series, target: pl.DataType, expected: list[object]
) -> None:
    assert _cast(values, target) == expected


def test_a_mapping_may_name_another_form_of_dates() -> None:
    assert _cast(pl.Series(["03.02.2026", "2026-02-03"]), pl.Date(), "%d.%m.%Y") == [
        date(2026, 2, 3),
        None,
    ]
    assert _cast(pl.Series(["02/03/2026 04:05"]), MOMENT, "%m/%d/%Y %H:%M") == [
        _at("2026-02-03 04:05")
    ]
    assert _cast(pl.Series(["02/03/2026 04:05"]), pl.Date(), "%m/%d/%Y %H:%M") == [date(2026, 2, 3)]
