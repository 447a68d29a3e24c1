"""Native charts and the sheets that hold their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from xlsxwriter.chart import Chart  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_rowcol_to_cell  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from dagster_project.reporting import style
from dagster_project.reporting.words import words
from dagster_project.reporting.workbook.book import (
    COUNT,
    FONT,
    TREND_DAYS,
    VALUE_FORMATS,
    Book,
    Column,
    Row,
)
from dagster_project.reporting.workbook.tables import stage_names


def zone_trend_sheet(book: Book) -> tuple[int, list[str]]:
    """Accounts per zone and day, the chart's data; the number of days and the zones' order."""
    rows = book.rows(
        "select as_of_date, coalesce(health_zone, 'unscored') as zone, count(*) as accounts "
        "from marts.fct_account_health_daily "
        "where as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of "
        "group by all order by as_of_date",
        days=TREND_DAYS,
    )
    counts: dict[date, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row["as_of_date"], {})[str(row["zone"])] = int(row["accounts"])
    found_zones = {zone for day in counts.values() for zone in day}
    zones = style.zone_order(found_zones or set(style.ZONES))
    sheet = book.sheet(
        "Zone trend data",
        "Accounts by zone",
        f"Accounts per health zone, the {TREND_DAYS} days up to {book.as_of.isoformat()}.",
        tab=style.MUTED,
    )
    columns = [
        Column("Date", "as_of_date", "date", 13),
        *(Column(zone, zone, "count", 12) for zone in zones),
    ]
    data = [
        {"as_of_date": day, **dict.fromkeys(zones, 0), **found} for day, found in counts.items()
    ]
    before = len(book.explained)
    book.table(sheet, 3, columns, data, source="fct_account_health_daily")
    # The zone columns are values of one column.
    book.explained[before:] = [
        ("Zone trend data", "Date", "fct_account_health_daily", "as_of_date"),
        ("Zone trend data", "one per zone", "fct_account_health_daily", "health_zone"),
    ]
    return len(data), zones


def zone_chart(book: Book, days: int, zones: Sequence[str]) -> Chart:
    """Accounts by zone over time, stacked, drawn from the sheet Zone trend data."""
    chart = book.book.add_chart({"type": "area", "subtype": "stacked"})
    for index, zone in reversed(list(enumerate(zones, start=1))):
        chart.add_series(
            {
                "name": ["Zone trend data", 3, index],
                "categories": ["Zone trend data", 4, 0, 3 + max(days, 1), 0],
                "values": ["Zone trend data", 4, index, 3 + max(days, 1), index],
                "fill": {"color": style.ZONE_COLOURS.get(zone, style.MUTED)},
                "border": {"none": True},
            }
        )
    _dress(book, chart, f"Accounts by zone, last {TREND_DAYS} days", is_dated=True)
    chart.set_y_axis({**_axis(), "name": "", "num_format": COUNT, "min": 0})
    chart.set_legend({"position": "top", "font": _chart_font()})
    return chart


def stage_data_sheet(book: Book) -> tuple[Chart, Chart] | None:
    """Stages per area and zones per stage, the data of two charts; None without any area."""
    rows = book.rows("select * from metrics.mtr_maturity_health_matrix where as_of_date = $as_of")
    if not rows:
        return None
    stages = stage_names(book)
    zones = style.zone_order({str(row["health_zone"]) for row in rows})
    # A bar chart draws its first row at the bottom.
    areas = sorted({str(row["solution_area"]) for row in rows}, reverse=True)
    name = "Stage data"
    sheet = book.sheet(
        name,
        "Accounts by stage",
        f"On {book.as_of.isoformat()}; an account counts in each of its solution areas.",
        tab=style.MUTED,
    )
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, max(len(stages), len(zones)), 14)
    sheet.freeze_panes(3, 1)
    first = _crosstab(
        book,
        sheet,
        3,
        "Solution area",
        names=areas,
        heads=stages,
        counts=_count(rows, "solution_area", "stage"),
    )
    second = _crosstab(
        book,
        sheet,
        first + len(areas) + 2,
        "Stage",
        names=stages,
        heads=zones,
        counts=_count(rows, "stage", "health_zone"),
    )
    book.explained += [
        (name, "Solution area", "mtr_maturity_health_matrix", "solution_area"),
        (name, "Stage", "mtr_maturity_health_matrix", "stage"),
        (name, "one per stage or zone", "mtr_maturity_health_matrix", "account_count"),
    ]
    colours = [
        style.STAGE_COLOURS[index % len(style.STAGE_COLOURS)] for index in range(len(stages))
    ]
    by_area = _shares(book, "bar", (name, first, len(areas)), colours)
    _dress(book, by_area, "Stage per solution area", is_dated=False)
    by_area.set_x_axis({**_axis(), "num_format": "0%"})
    by_area.set_y_axis({**_axis(), "major_gridlines": {"visible": False}})
    zone_colours = [style.ZONE_COLOURS.get(zone, style.MUTED) for zone in zones]
    by_stage = _shares(book, "column", (name, second, len(stages)), zone_colours)
    _dress(book, by_stage, "Health zone per stage, all areas", is_dated=False)
    by_stage.set_x_axis({**_axis(), "major_gridlines": {"visible": False}})
    by_stage.set_y_axis({**_axis(), "num_format": "0%"})
    return by_area, by_stage


def _crosstab(
    book: Book,
    sheet: Worksheet,
    top: int,
    corner: str,
    *,
    names: Sequence[str],
    heads: Sequence[str],
    counts: Mapping[tuple[str, str], int],
) -> int:
    """Counts by two attributes under a head at `top`; the row of the first name."""
    sheet.write_string(top, 0, corner, book.header(is_number=False))
    for index, head in enumerate(heads, start=1):
        sheet.write_string(top, index, words(head), book.header(is_number=True))
    for row, name in enumerate(names, start=top + 1):
        book.put(sheet, row, 0, words(name), "text")
        for index, head in enumerate(heads, start=1):
            book.put(sheet, row, index, counts.get((name, head), 0), "count")
    return top + 1


def _shares(book: Book, kind: str, place: tuple[str, int, int], colours: Sequence[str]) -> Chart:
    """A chart of shares over a crosstab at `place`: sheet, first row of numbers, rows."""
    sheet_name, first, count = place
    chart = book.book.add_chart({"type": kind, "subtype": "percent_stacked"})
    last = first + count - 1
    for index, colour in enumerate(colours, start=1):
        chart.add_series(
            {
                "name": [sheet_name, first - 1, index],
                "categories": [sheet_name, first, 0, last, 0],
                "values": [sheet_name, first, index, last, index],
                "fill": {"color": colour},
                "border": {"color": "#FFFFFF", "width": 0.75},
                "gap": 45,
            }
        )
    chart.set_legend({"position": "top", "font": _chart_font()})
    return chart


def trend_data_sheet(book: Book) -> int:
    """Value and target of every metric per day; the number of days."""
    rows = book.metric_rows(
        "dimension = 'all' and as_of_date > $as_of::date - $days::integer and as_of_date <= $as_of",
        days=TREND_DAYS,
    )
    values: dict[date, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["as_of_date"], row["metric_id"])):
        day = values.setdefault(row["as_of_date"], {})
        day[str(row["metric_id"])] = row["value"]
        day[f"{row['metric_id']} target"] = row["target"]
    sheet = book.sheet(
        "Trend data",
        "Metrics per day",
        f"All accounts, the {TREND_DAYS} days up to {book.as_of.isoformat()}; empty: no value.",
        tab=style.MUTED,
    )
    sheet.set_row(3, 34)
    sheet.set_column(0, 0, 13)
    sheet.set_column(1, 2 * len(book.definitions), 14)
    sheet.write_string(3, 0, "Date", book.header(is_number=False))
    for index, definition in enumerate(book.definitions):
        metric_id, unit = str(definition["metric_id"]), str(definition["unit"])
        for offset, key in enumerate((metric_id, f"{metric_id} target")):
            column = 1 + 2 * index + offset
            word = " target" if offset else ""
            sheet.write_string(
                3, column, f"{definition['metric_name']}{word}", book.header(is_number=True)
            )
            for line, found in enumerate(values.values(), start=4):
                book.put(sheet, line, column, found.get(key), "value", unit=unit)
    for line, on_day in enumerate(values, start=4):
        book.put(sheet, line, 0, on_day, "date")
    sheet.freeze_panes(4, 1)
    sheet.autofilter(3, 0, 3 + max(len(values), 1), 2 * len(book.definitions))
    book.explained += [
        ("Trend data", "Date", "mtr_engagement", "as_of_date"),
        ("Trend data", "one per metric", "mtr_engagement", "value"),
        ("Trend data", "one per metric, target", "mtr_engagement", "target"),
    ]
    return len(values)


def trend_sheet(book: Book, sheet: Worksheet, days: int) -> None:
    """A chart per metric with its target, drawn from the sheet Trend data."""
    sheet.set_column(0, 20, 9)
    sheet.fit_to_pages(1, 1)
    last = 3 + max(days, 1)
    for index, definition in enumerate(book.definitions):
        column = 1 + 2 * index
        chart = book.book.add_chart({"type": "line"})
        for offset, line in enumerate(
            (
                {"color": style.NAVY, "width": 2.0},
                {"color": style.MUTED, "width": 1.25, "dash_type": "dash"},
            )
        ):
            chart.add_series(
                {
                    "name": ["Trend data", 3, column + offset],
                    "categories": ["Trend data", 4, 0, last, 0],
                    "values": ["Trend data", 4, column + offset, last, column + offset],
                    "line": line,
                    "marker": {"type": "none"},
                }
            )
        _dress(book, chart, str(definition["metric_name"]), is_dated=True)
        number = VALUE_FORMATS.get(str(definition["unit"]), "0.00").replace("0.0", "0")
        limits = {"ratio": {"max": 1}, "points": {"max": 100}}.get(str(definition["unit"]), {})
        chart.set_y_axis({**_axis(), "num_format": number, "min": 0, **limits})
        chart.set_legend({"none": True})
        chart.show_blanks_as("gap")
        chart.set_size({"width": 560, "height": 230})
        place = xl_rowcol_to_cell(3 + 12 * (index // 2), 9 * (index % 2))
        sheet.insert_chart(place, chart, {"object_position": 2})


def _dress(book: Book, chart: Chart, title: str, *, is_dated: bool) -> None:
    """The looks every chart shares; the title is a plain text, never a cell formula."""
    chart.set_title(
        {
            "name": title.lstrip("="),
            "name_font": {"name": FONT, "size": 12, "bold": True, "color": style.INK},
            "overlay": False,
            "layout": {"x": 0.02, "y": 0.03},
        }
    )
    chart.set_chartarea({"border": {"color": style.LINE}, "fill": {"color": "#FFFFFF"}})
    chart.set_plotarea({"fill": {"none": True}})
    if is_dated:
        chart.set_x_axis(
            {
                **_axis(),
                "date_axis": True,
                "num_format": "mmm yyyy",
                "major_unit": 1,
                "major_unit_type": "months",
                "major_tick_mark": "outside",
            }
        )


def _count(rows: Sequence[Row], first: str, second: str) -> dict[tuple[str, str], int]:
    """Accounts by two columns of the matrix."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (str(row[first]), str(row[second]))
        counts[key] = counts.get(key, 0) + int(row["account_count"])
    return counts


def _chart_font() -> dict[str, Any]:
    return {"name": FONT, "size": 9, "color": style.MUTED}


def _gridlines() -> dict[str, Any]:
    return {"visible": True, "line": {"color": "#E6EAF0", "width": 0.75}}


def _axis() -> dict[str, Any]:
    return {
        "num_font": _chart_font(),
        "line": {"color": style.LINE},
        "major_gridlines": _gridlines(),
        "minor_tick_mark": "none",
    }
