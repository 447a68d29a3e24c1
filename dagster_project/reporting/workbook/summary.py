"""The first sheet: a tile per zone, the metrics against target, two charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from xlsxwriter.chart import Chart  # type: ignore[import-untyped]
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from dagster_project.reporting import style
from dagster_project.reporting.words import money
from dagster_project.reporting.workbook.book import CHANGE_DAYS, COUNT, METRIC_SHEETS, Book, Row
from dagster_project.reporting.workbook.native_charts import zone_chart


def headline(book: Book) -> str:
    """Day, accounts, ARR and mean score in a line."""
    row = book.rows(
        "select count(*) as accounts, sum(arr_usd) as arr, avg(health_score) as mean, "
        "count(health_score) as scored "
        "from marts.fct_account_health_daily where as_of_date = $as_of"
    )[0]
    parts = [
        f"As of {book.as_of.day} {book.as_of:%B %Y}",
        f"{row['accounts']:,} accounts",
        f"{money(row['arr'])} ARR",
        f"{row['scored']:,} scored",
    ]
    if row["mean"] is not None:
        parts.append(f"mean score {row['mean']:.1f}")
    return " · ".join(parts)


def summary_sheet(
    book: Book,
    sheet: Worksheet,
    zone_rows: int,
    zones: Sequence[str],
    stage_chart: Chart | None,
) -> None:
    """Lay the first sheet out: tiles, metrics against target, charts."""
    widths = (26, 13, 13, 12, 17, 13, 13, 13, 15, 62)
    for index, width in enumerate(widths):
        sheet.set_column(index, index, width)
    _zone_tiles(book, sheet, 3)
    top = 9
    sheet.write_string(top - 1, 0, "Against target", book.format(bold=True, font_size=12))
    headings = (
        "Metric",
        "Value",
        "Target",
        "Alert",
        "Status",
        f"{CHANGE_DAYS} days",
        "Sample",
        "At risk",
        "Owner",
        "Why there is no value",
    )
    sources = (
        "metric_id",
        "value",
        "target",
        "alert",
        "status",
        "value",
        "sample_size",
        "at_risk_count",
        "owner_role",
        "reason",
    )
    sheet.set_row(top, 20)
    for index, heading in enumerate(headings):
        is_number = index in {1, 2, 3, 5, 6, 7}
        sheet.write_string(top, index, heading, book.header(is_number=is_number))
        table = METRIC_SHEETS[0][1]
        book.explained.append(("Summary", heading, table, sources[index]))
    before = {
        row["metric_id"]: row["value"]
        for row in book.metric_rows(
            "as_of_date = $day and dimension = 'all'",
            day=book.as_of - timedelta(days=CHANGE_DAYS),
        )
    }
    now = {
        row["metric_id"]: row
        for row in book.metric_rows("as_of_date = $as_of and dimension = 'all'")
    }
    for offset, definition in enumerate(book.definitions, start=top + 1):
        _summary_row(book, sheet, offset, definition, now=now, before=before)
    last = top + len(book.definitions)
    book.status_colours(sheet, top + 1, 4, last)
    sheet.freeze_panes(2, 0)
    sheet.set_print_scale(60)
    sheet.fit_to_pages(1, 1)
    chart = zone_chart(book, zone_rows, zones)
    chart.set_size({"width": 690, "height": 340})
    sheet.insert_chart(last + 2, 0, chart, {"object_position": 2})
    if stage_chart is not None:
        stage_chart.set_size({"width": 690, "height": 340})
        sheet.insert_chart(last + 2, 7, stage_chart, {"x_offset": 20, "object_position": 2})


def _summary_row(
    book: Book,
    sheet: Worksheet,
    offset: int,
    definition: Row,
    *,
    now: Mapping[str, Row],
    before: Mapping[str, float | None],
) -> None:
    metric_id = str(definition["metric_id"])
    unit = str(definition["unit"])
    row = now.get(metric_id, {})
    value, earlier = row.get("value"), before.get(metric_id)
    change = None if value is None or earlier is None else value - earlier
    if change is not None and unit == "ratio":
        change *= 100
    cells: tuple[tuple[object, str], ...] = (
        (definition["metric_name"], "text"),
        (value, "value"),
        (definition["target"], "value"),
        (definition["alert"], "value"),
        (row.get("status", "no_data"), "status"),
        (change, "change"),
        (row.get("sample_size"), "count"),
        (row.get("at_risk_count"), "count"),
        (definition["owner_role"], "text"),
        (row.get("reason"), "text"),
    )
    sheet.set_row(offset, 18)
    for index, (cell, kind) in enumerate(cells):
        more: dict[str, Any] = {"bold": True} if index in {0, 1} else {}
        book.put(sheet, offset, index, cell, kind, unit=unit, valign="vcenter", **more)


def _zone_counts(book: Book, day: date) -> dict[str, tuple[int, float]]:
    rows = book.rows(
        "select coalesce(health_zone, 'unscored') as zone, count(*) as accounts, "
        "coalesce(sum(arr_usd), 0) as arr from marts.fct_account_health_daily "
        "where as_of_date = $day group by all",
        day=day,
    )
    return {str(row["zone"]): (int(row["accounts"]), float(row["arr"])) for row in rows}


def _zone_tiles(book: Book, sheet: Worksheet, top: int) -> None:
    """A tile per zone: accounts, ARR and the change; two columns wide."""
    now = _zone_counts(book, book.as_of)
    earlier = _zone_counts(book, book.as_of - timedelta(days=CHANGE_DAYS))
    places = ((0, 0), (1, 2), (3, 4), (5, 6), (7, 8))
    names = style.zone_order(set(style.ZONES) | set(now))[: len(places)]
    for row, height in ((top, 18), (top + 1, 28), (top + 2, 16), (top + 3, 16)):
        sheet.set_row(row, height)
    for (first, last), zone in zip(places, names, strict=True):
        colour = style.ZONE_COLOURS.get(zone, style.MUTED)
        accounts, arr = now.get(zone, (0, 0.0))
        change = (
            f"{accounts - earlier.get(zone, (0, 0.0))[0]:+,} in {CHANGE_DAYS} days"
            if earlier
            else f"no day to compare, {CHANGE_DAYS} days ago"
        )
        lines: tuple[tuple[object, dict[str, Any]], ...] = (
            (zone.capitalize(), {"font_color": style.MUTED, "top": 5, "top_color": colour}),
            (accounts, {"bold": True, "font_size": 20, "num_format": COUNT}),
            (f"{money(arr)} ARR", {"font_color": style.MUTED, "font_size": 9}),
            (change, {"font_color": style.MUTED, "font_size": 9}),
        )
        for offset, (value, properties) in enumerate(lines):
            cell_format = book.format(
                bg_color=style.PAPER,
                align="left",
                indent=1,
                right=5,
                right_color="#FFFFFF",
                **{"valign": "vcenter", **properties},
            )
            row = top + offset
            if first == last:
                _raw(sheet, row, first, value, cell_format)
            else:
                sheet.merge_range(row, first, row, last, "", cell_format)
                _raw(sheet, row, first, value, cell_format)


def _raw(sheet: Worksheet, row: int, column: int, value: object, cell_format: Format) -> None:
    if isinstance(value, int):
        sheet.write_number(row, column, value, cell_format)
    else:
        sheet.write_string(row, column, str(value), cell_format)
