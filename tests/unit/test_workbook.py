"""The workbook, re-read: its numbers are the warehouse's, its text is text, its bytes stable."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from dagster_project.reporting.dictionary import column_descriptions
from dagster_project.reporting.style import STATUS_WORDS
from dagster_project.reporting.workbook import write_workbook
from tests.unit.reporting_warehouse import ACCOUNT, DAY, OWNER, build

SHEETS = [
    "Summary",
    "Trend",
    "Playbooks",
    "Stages",
    "Engagement",
    "Matrix",
    "Missed reviews",
    "Definitions",
    "Zone trend data",
    "Trend data",
    "Stage data",
    "Columns",
]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        build(connection)
        yield connection


@pytest.fixture
def path(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    made = tmp_path / "metrics.xlsx"
    write_workbook(con, made, DAY)
    return made


@pytest.fixture
def book(path: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(path)


def table(sheet: Worksheet, top: int = 4) -> list[dict[str, object]]:
    """The rows under the headings in row `top` (1-based)."""
    rows = list(sheet.iter_rows(min_row=top, values_only=True))
    return [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]


def test_sheets_stand_in_reading_order(book: openpyxl.Workbook) -> None:
    assert book.sheetnames == SHEETS
    assert book.active is not None
    assert book.active.title == "Summary"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("Playbooks", "mtr_playbook_effectiveness"),
        ("Stages", "mtr_stage_adoption"),
        ("Engagement", "mtr_engagement"),
    ],
)
def test_metric_sheets_hold_the_numbers_of_the_day(
    con: duckdb.DuckDBPyConnection, book: openpyxl.Workbook, name: str, source: str
) -> None:
    wanted = con.execute(
        "select definitions.name, replace(m.dimension, '_', ' '), m.dimension_value, m.value, "
        "m.target, m.alert, m.status, m.numerator, m.denominator, m.sample_size, "
        f"m.at_risk_count, m.excluded_count, m.unit, m.reason from metrics.{source} as m "
        "inner join policy.metric_definitions as definitions using (metric_id) "
        "where m.as_of_date = ?",
        [DAY],
    ).fetchall()
    shown = [tuple(row.values()) for row in table(book[name])]
    words = [
        tuple(STATUS_WORDS[str(cell)] if index == 6 else cell for index, cell in enumerate(row))
        for row in wanted
    ]
    assert len(shown) == len(words) > 0
    assert sorted(map(str, (_plain(row) for row in shown))) == sorted(
        map(str, (_plain(row) for row in words))
    )


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(float(cell) if isinstance(cell, int | float) else cell for cell in row)


def test_numbers_carry_their_unit(book: openpyxl.Workbook) -> None:
    formats = {}
    for name in ("Playbooks", "Stages", "Engagement"):
        for row in book[name].iter_rows(min_row=5):
            formats[row[12].value] = row[4].number_format
    assert formats == {"ratio": "0.0%", "days": '0" d"', "points": "0.0"}


def test_summary_shows_every_metric_with_its_change(
    con: duckdb.DuckDBPyConnection, book: openpyxl.Workbook
) -> None:
    rows = table(book["Summary"], top=10)[:10]
    names = con.execute(
        "select name from policy.metric_definitions order by metric_order"
    ).fetchall()
    assert [row["Metric"] for row in rows] == [name for (name,) in names]
    ratios = [row for row in rows if row["Value"] is not None]
    assert {row["Value"] for row in ratios} == {0.75}
    assert {row["30 days"] for row in ratios} == {25}
    silent = [row for row in rows if row["Value"] is None]
    assert silent
    assert all(row["Why there is no value"] and row["30 days"] is None for row in silent)


def test_summary_tiles_count_accounts_and_change(book: openpyxl.Workbook) -> None:
    sheet = book["Summary"]
    tiles = {
        sheet.cell(4, column).value: [sheet.cell(row, column).value for row in (5, 6, 7)]
        for column in range(1, 10)
        if sheet.cell(4, column).value
    }
    assert tiles == {
        "Green": [0, "$0 ARR", "-1 in 30 days"],
        "Yellow": [0, "$0 ARR", "+0 in 30 days"],
        "Orange": [1, "$1.0M ARR", "+1 in 30 days"],
        "Red": [0, "$0 ARR", "+0 in 30 days"],
        "Unscored": [1, "$500 ARR", "+0 in 30 days"],
    }


def test_matrix_adds_up(con: duckdb.DuckDBPyConnection, book: openpyxl.Workbook) -> None:
    sheet = book["Matrix"]
    blocks = [
        (row[0].row, row[0].value)
        for row in sheet.iter_rows(min_row=4, max_col=1)
        if row[0].value in {"search", "security"}
    ]
    assert [name for _, name in blocks] == ["search", "security"]
    for top, _ in blocks:
        counts = [
            sheet.cell(top + 1 + 2 * stage, 2 + zone).value
            for stage in range(2)
            for zone in range(3)
        ]
        assert sum(int(str(count)) for count in counts) == 1
    stage_rows = table(book["Stage data"])
    assert {row["Solution area"]: row["foundation"] for row in stage_rows[:2]} == {
        "search": 1,
        "security": 0,
    }


def test_missed_reviews_are_those_of_the_last_year(book: openpyxl.Workbook) -> None:
    (row,) = table(book["Missed reviews"])
    assert row["Account"] == ACCOUNT
    assert row["Owner"] == OWNER
    assert str(row["Review was due"])[:10] == "2026-02-01"


def test_trend_has_a_row_per_day_and_a_chart_per_metric(book: openpyxl.Workbook) -> None:
    rows = table(book["Trend data"])
    assert len(rows) == 40
    assert str(rows[-1]["Date"])[:10] == str(DAY)
    assert rows[-1]["Execution rate"] == 0.75
    assert rows[-2]["Execution rate"] == 0.5
    assert rows[-1]["Time to green"] is None
    assert rows[-1]["Time to green target"] == 60
    zones = table(book["Zone trend data"])
    assert [(row["green"], row["orange"], row["unscored"]) for row in zones] == [
        *[(1, 0, 1)] * 30,
        *[(0, 1, 1)] * 10,
    ]


def test_charts_are_native_and_read_cells(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        charts = [
            archive.read(name).decode()
            for name in archive.namelist()
            if re.fullmatch(r"xl/charts/chart\d+\.xml", name)
        ]
    assert len(charts) == 13
    assert all("<c:f>'" in chart for chart in charts)


def test_no_cell_holds_a_formula_or_a_link(book: openpyxl.Workbook) -> None:
    seen: set[object] = set()
    for sheet in book.worksheets:
        assert not sheet._hyperlinks
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", f"{sheet.title}!{cell.coordinate}"
                seen.add(cell.value)
    assert {OWNER, ACCOUNT} <= seen


def test_heads_are_frozen_and_tables_filtered(book: openpyxl.Workbook) -> None:
    for name in SHEETS[2:]:
        sheet = book[name]
        assert sheet.freeze_panes, name
        if name != "Stage data":
            assert sheet.auto_filter.ref, name


def test_status_is_told_in_words_and_coloured(book: openpyxl.Workbook) -> None:
    sheet = book["Playbooks"]
    assert {row[6].value for row in sheet.iter_rows(min_row=5)} <= set(STATUS_WORDS.values())
    words = {
        rule.formula[0]
        for found in sheet.conditional_formatting
        for rule in found.rules
        if rule.dxf and rule.dxf.fill.bgColor.rgb
    }
    assert words == {f'"{word}"' for word in STATUS_WORDS.values()}


def test_every_column_is_explained(book: openpyxl.Workbook) -> None:
    rows = table(book["Columns"])
    assert {row["Sheet"] for row in rows} == set(SHEETS) - {"Columns", "Trend"}
    silent = [(row["Table"], row["Column"]) for row in rows if not row["Meaning"]]
    assert not silent
    assert column_descriptions()["mtr_engagement", "value"] in {row["Meaning"] for row in rows}


def test_same_input_makes_the_same_bytes(
    con: duckdb.DuckDBPyConnection, path: Path, tmp_path: Path
) -> None:
    again = tmp_path / "elsewhere" / "again.xlsx"
    write_workbook(con, again, DAY)
    assert again.read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert b"2026-03-20T00:00:00Z" in archive.read("docProps/core.xml")


def test_another_day_makes_another_workbook(
    con: duckdb.DuckDBPyConnection, path: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier.xlsx"
    write_workbook(con, earlier, DAY - timedelta(days=1))
    book = openpyxl.load_workbook(earlier)
    assert "19 March 2026" in str(book["Summary"]["A2"].value)
    assert table(book["Trend data"])[-1]["Execution rate"] == 0.5


def test_empty_warehouse_still_makes_a_workbook_that_says_so(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for schema, name in con.execute(
        "select schema_name, table_name from duckdb_tables() where schema_name <> 'policy'"
    ).fetchall():
        con.execute(f"delete from {schema}.{name}")
    path = tmp_path / "empty.xlsx"
    write_workbook(con, path, DAY)
    book = openpyxl.load_workbook(path)
    assert "0 accounts" in str(book["Summary"]["A2"].value)
    statuses = {row["Status"] for row in table(book["Summary"], top=10)[:10]}
    assert statuses == {STATUS_WORDS["no_data"]}
    assert book["Missed reviews"]["A5"].value == "no rows"
