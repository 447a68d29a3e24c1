"""The metrics workbook: a summary, a sheet per metric table, their trend, what a column means.

Every cell that holds text from data is written as a string, so it can never start a formula, and
nothing in the file depends on when or where it was written: equal tables make equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.chart import Chart  # type: ignore[import-untyped]
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_rowcol_to_cell  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from dagster_project.reporting import style
from dagster_project.reporting.dictionary import column_descriptions

TREND_DAYS = 180
CHANGE_DAYS = 30
REVIEW_DAYS = 365
# Columns that the matrix sheet leaves between its blocks and its rows, for a chart.
_CHART_COLUMNS = 12

_FONT = "Calibri"
_VALUE_FORMATS = {"ratio": "0.0%", "days": '0" d"', "points": "0.0"}
_CHANGE_FORMATS = {
    "ratio": '+0.0" pp";-0.0" pp";0.0" pp"',
    "days": '+0" d";-0" d";0" d"',
    "points": "+0.0;-0.0;0.0",
}
_USD = "[$$-409]#,##0"
_COUNT = "#,##0"
_METRIC_SHEETS = (
    ("Playbooks", "mtr_playbook_effectiveness", "Playbook effectiveness"),
    ("Stages", "mtr_stage_adoption", "Stage adoption"),
    ("Engagement", "mtr_engagement", "Engagement"),
)
_DIMENSION_WORDS = {
    "all": "all",
    "tier": "tier",
    "region": "region",
    "owner": "owner",
    "solution_area": "solution area",
    "playbook": "playbook",
}


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its heading, the table's column, width in characters, number format.

    `kind` is text, count, usd, date, value (format by the row's unit) or status.
    """

    heading: str
    source: str
    kind: str
    width: float


_METRIC_COLUMNS = (
    Column("Metric", "metric_name", "text", 24),
    Column("Cut by", "dimension", "text", 14),
    Column("Of", "dimension_value", "text", 30),
    Column("Value", "value", "value", 11),
    Column("Target", "target", "value", 10),
    Column("Alert", "alert", "value", 10),
    Column("Status", "status", "status", 16),
    Column("Numerator", "numerator", "count", 13),
    Column("Denominator", "denominator", "count", 14),
    Column("Sample", "sample_size", "count", 10),
    Column("At risk", "at_risk_count", "count", 10),
    Column("Left out", "excluded_count", "count", 10),
    Column("Unit", "unit", "text", 9),
    Column("Why there is no value", "reason", "text", 60),
)
_MATRIX_COLUMNS = (
    Column("Solution area", "solution_area", "text", 18),
    Column("Stage", "stage", "text", 16),
    Column("Zone", "health_zone", "text", 12),
    Column("Accounts", "account_count", "count", 11),
    Column("ARR", "arr_usd", "usd", 15),
)
_REVIEW_COLUMNS = (
    Column("Account", "account_name", "text", 34),
    Column("Tier", "tier", "text", 14),
    Column("Region", "region", "text", 14),
    Column("Owner", "owner_ca", "text", 28),
    Column("ARR", "arr_usd", "usd", 15),
    Column("Review was due", "due_on", "date", 16),
    Column("Grace ended", "grace_ends_on", "date", 16),
)
_DEFINITION_COLUMNS = (
    Column("Metric", "metric_name", "text", 22),
    Column("Definition", "formula", "text", 78),
    Column("Unit", "unit", "text", 9),
    Column("Counts", "grain", "text", 14),
    Column("Window (days)", "window_days", "count", 14),
    Column("Better is", "direction", "text", 11),
    Column("Target", "target", "value", 10),
    Column("Alert", "alert", "value", 10),
    Column("Owner", "owner_role", "text", 14),
)

# Columns that the workbook shows under another name than their table's own.
_RENAMED = {
    "metric_name": ("metric_definitions", "name"),
    "owner_role": ("metric_definitions", "owner"),
}

Row: TypeAlias = Mapping[str, Any]


def write_workbook(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    as_of: date,
    descriptions: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """Write `metrics.xlsx` of the day from an open warehouse (the build or the published file).

    `descriptions` explains columns by (table, column); by default the text beside the dbt models.
    """
    texts = column_descriptions() if descriptions is None else descriptions
    path.parent.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(
        str(path),
        {
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": False,
        },
    )
    try:
        book.set_properties(
            {
                "title": "Customer success metrics",
                "subject": f"As of {as_of.isoformat()}",
                "author": "customer-success-pipeline",
                "created": datetime.combine(as_of, time()),
            }
        )
        _Writer(con, book, as_of, texts).write()
    finally:
        book.close()


class _Writer:
    """Lays the sheets out, in the order in which a reader meets them."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        book: xlsxwriter.Workbook,
        as_of: date,
        texts: Mapping[tuple[str, str], str],
    ) -> None:
        self.con = con
        self.book = book
        self.as_of = as_of
        self.texts = texts
        self.explained: list[tuple[str, str, str, str]] = []
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}
        self.definitions = self.rows(
            "select *, name as metric_name, owner as owner_role from policy.metric_definitions "
            "order by metric_order, metric_id"
        )
        self.names = {str(row["metric_id"]): str(row["metric_name"]) for row in self.definitions}

    # Reading -------------------------------------------------------------------------------

    def rows(self, query: str, **values: object) -> list[Row]:
        """The rows of a query as mappings; `$as_of` is always there."""
        used = {key: value for key, value in values.items() if f"${key}" in query}
        if "$as_of" in query:
            used["as_of"] = self.as_of
        cursor = self.con.execute(query, used or None)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def metric_rows(self, condition: str, **values: object) -> list[Row]:
        """Rows of the three metric tables together, with the metric's name."""
        parts = " union all by name ".join(
            f"select *, '{table}' as table_name from metrics.{table} where {condition}"
            for _, table, _ in _METRIC_SHEETS
        )
        return self.rows(parts, **values)

    # Formats -------------------------------------------------------------------------------

    def format(self, **properties: Any) -> Format:
        """One format object per set of properties, made when first used."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            base = {"font_name": _FONT, "font_size": 10, "font_color": style.INK, "valign": "top"}
            self._formats[key] = self.book.add_format({**base, **properties})
        return self._formats[key]

    def body(self, kind: str, unit: str | None = None, **more: Any) -> Format:
        """The format of a table cell."""
        line: dict[str, Any] = {"bottom": 1, "bottom_color": style.LINE, **more}
        if kind == "value":
            return self.format(
                num_format=_VALUE_FORMATS.get(unit or "", "0.00"), align="right", **line
            )
        if kind == "change":
            return self.format(
                num_format=_CHANGE_FORMATS.get(unit or "", "+0.00;-0.00;0.00"),
                align="right",
                **line,
            )
        if kind == "count":
            return self.format(num_format=_COUNT, align="right", **line)
        if kind == "usd":
            return self.format(num_format=_USD, align="right", **line)
        if kind == "date":
            return self.format(num_format="yyyy-mm-dd", align="left", indent=1, **line)
        return self.format(align="left", indent=1, **line)

    def header(self, *, is_number: bool) -> Format:
        """The format of a table's heading."""
        return self.format(
            bold=True,
            font_color="#FFFFFF",
            bg_color=style.NAVY,
            align="right" if is_number else "left",
            indent=0 if is_number else 1,
            valign="vcenter",
            text_wrap=True,
        )

    # Cells ---------------------------------------------------------------------------------

    def put(
        self,
        sheet: Worksheet,
        row: int,
        column: int,
        value: object,
        kind: str,
        *,
        unit: str | None = None,
        **more: Any,
    ) -> None:
        """Write one table cell; text is always a string, missing is always empty."""
        cell_format = self.body(kind, unit, **more)
        if value is None:
            sheet.write_blank(row, column, None, cell_format)
        elif kind == "status":
            sheet.write_string(
                row, column, style.STATUS_WORDS.get(str(value), str(value)), cell_format
            )
        elif kind == "date" and isinstance(value, date):
            sheet.write_datetime(row, column, value, cell_format)
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            sheet.write_number(row, column, float(value), cell_format)
        else:
            sheet.write_string(row, column, str(value), cell_format)

    def status_colours(self, sheet: Worksheet, first: int, column: int, last: int) -> None:
        """Colour the status words; the words stay, so colour alone never tells."""
        for status, word in style.STATUS_WORDS.items():
            zone = style.STATUS_ZONES[status]
            sheet.conditional_format(
                first,
                column,
                max(first, last),
                column,
                {
                    "type": "cell",
                    "criteria": "==",
                    "value": f'"{word}"',
                    "format": self.book.add_format(
                        {
                            "bg_color": style.ZONE_TINTS[zone],
                            "font_color": style.ZONE_INKS[zone],
                            "bold": status != "no_data",
                        }
                    ),
                },
            )

    def sheet(self, name: str, title: str, note: str, *, tab: str = style.NAVY) -> Worksheet:
        """A new sheet with its title and one line that says what is on it."""
        sheet = self.book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_tab_color(tab)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.set_footer(f"&L&8{title} · {self.as_of.isoformat()}&R&8&P / &N")
        sheet.set_row(0, 26)
        sheet.write_string(0, 0, title, self.format(bold=True, font_size=16, valign="vcenter"))
        sheet.write_string(1, 0, note, self.format(font_color=style.MUTED))
        return sheet

    def table(
        self,
        sheet: Worksheet,
        top: int,
        columns: Sequence[Column],
        rows: Sequence[Row],
        *,
        source: str,
        frozen: int = 1,
        wrap: frozenset[str] = frozenset(),
    ) -> None:
        """A filtered table under frozen heads; notes its columns for the sheet Columns."""
        sheet.set_row(top, 20)
        for index, column in enumerate(columns):
            sheet.set_column(index, index, column.width)
            is_number = column.kind in {"value", "count", "usd"}
            sheet.write_string(top, index, column.heading, self.header(is_number=is_number))
            self.explained.append((sheet.get_name(), column.heading, source, column.source))
        for offset, row in enumerate(rows, start=top + 1):
            unit = row.get("unit")
            lines = max(
                (
                    math.ceil(len(str(row[column.source] or "")) / column.width)
                    for column in columns
                    if column.source in wrap
                ),
                default=1,
            )
            if lines > 1:
                sheet.set_row(offset, 13.5 * lines + 2)
            for index, column in enumerate(columns):
                more = {"text_wrap": True} if column.source in wrap else {}
                self.put(sheet, offset, index, row[column.source], column.kind, unit=unit, **more)
        last = top + max(len(rows), 1)
        sheet.autofilter(top, 0, last, len(columns) - 1)
        sheet.freeze_panes(top + 1, frozen)
        sheet.repeat_rows(top)
        if not rows:
            sheet.write_string(top + 1, 0, "no rows", self.format(font_color=style.MUTED))
        for index, column in enumerate(columns):
            if column.kind == "status":
                self.status_colours(sheet, top + 1, index, last)

    # Sheets --------------------------------------------------------------------------------

    def write(self) -> None:
        """All sheets; the data sheets of the charts come last."""
        summary = self.sheet("Summary", "Customer success metrics", self._headline())
        trend = self.sheet(
            "Trend",
            "Metrics over time",
            f"All accounts, the {TREND_DAYS} days up to {self.as_of.isoformat()}; "
            "the dashed line is the target. The numbers are on the sheet Trend data.",
        )
        for name, table, title in _METRIC_SHEETS:
            self._metric_sheet(name, table, title)
        matrix, chart_column = self._matrix_sheet()
        self._review_sheet()
        self._definition_sheet()
        zone_rows, zones = self._zone_trend_sheet()
        trend_rows = self._trend_data_sheet()
        by_area, by_stage = self._stage_data_sheet() or (None, None)
        if by_stage is not None:
            by_stage.set_size({"width": 560, "height": 380})
            matrix.insert_chart(3, chart_column, by_stage, {"object_position": 2})
        self._summary_sheet(summary, zone_rows, zones, by_area)
        self._trend_sheet(trend, trend_rows)
        self._column_sheet()
        summary.activate()

    def _headline(self) -> str:
        row = self.rows(
            "select count(*) as accounts, sum(arr_usd) as arr, avg(health_score) as mean, "
            "count(health_score) as scored "
            "from marts.fct_account_health_daily where as_of_date = $as_of"
        )[0]
        parts = [
            f"As of {self.as_of.day} {self.as_of:%B %Y}",
            f"{row['accounts']:,} accounts",
            f"{_usd_words(row['arr'])} ARR",
            f"{row['scored']:,} scored",
        ]
        if row["mean"] is not None:
            parts.append(f"mean score {row['mean']:.1f}")
        return " · ".join(parts)

    def _zone_counts(self, day: date) -> dict[str, tuple[int, float]]:
        rows = self.rows(
            "select coalesce(health_zone, 'unscored') as zone, count(*) as accounts, "
            "coalesce(sum(arr_usd), 0) as arr from marts.fct_account_health_daily "
            "where as_of_date = $day group by all",
            day=day,
        )
        return {str(row["zone"]): (int(row["accounts"]), float(row["arr"])) for row in rows}

    def _summary_sheet(
        self,
        sheet: Worksheet,
        zone_rows: int,
        zones: Sequence[str],
        stage_chart: Chart | None,
    ) -> None:
        widths = (26, 13, 13, 12, 17, 13, 13, 13, 15, 62)
        for index, width in enumerate(widths):
            sheet.set_column(index, index, width)
        self._zone_tiles(sheet, 3)
        top = 9
        sheet.write_string(top - 1, 0, "Against target", self.format(bold=True, font_size=12))
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
            sheet.write_string(top, index, heading, self.header(is_number=is_number))
            table = _METRIC_SHEETS[0][1]
            self.explained.append(("Summary", heading, table, sources[index]))
        before = {
            row["metric_id"]: row["value"]
            for row in self.metric_rows(
                "as_of_date = $day and dimension = 'all'",
                day=self.as_of - timedelta(days=CHANGE_DAYS),
            )
        }
        now = {
            row["metric_id"]: row
            for row in self.metric_rows("as_of_date = $as_of and dimension = 'all'")
        }
        for offset, definition in enumerate(self.definitions, start=top + 1):
            self._summary_row(sheet, offset, definition, now, before)
        last = top + len(self.definitions)
        self.status_colours(sheet, top + 1, 4, last)
        sheet.freeze_panes(2, 0)
        sheet.set_print_scale(60)
        sheet.fit_to_pages(1, 1)
        chart = self._zone_chart(zone_rows, zones)
        chart.set_size({"width": 690, "height": 340})
        sheet.insert_chart(last + 2, 0, chart, {"object_position": 2})
        if stage_chart is not None:
            stage_chart.set_size({"width": 690, "height": 340})
            sheet.insert_chart(last + 2, 7, stage_chart, {"x_offset": 20, "object_position": 2})

    def _summary_row(
        self,
        sheet: Worksheet,
        offset: int,
        definition: Row,
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
            self.put(sheet, offset, index, cell, kind, unit=unit, valign="vcenter", **more)

    def _zone_tiles(self, sheet: Worksheet, top: int) -> None:
        """A tile per zone: accounts, ARR and the change; two columns wide."""
        now = self._zone_counts(self.as_of)
        earlier = self._zone_counts(self.as_of - timedelta(days=CHANGE_DAYS))
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
                (accounts, {"bold": True, "font_size": 20, "num_format": _COUNT}),
                (f"{_usd_words(arr)} ARR", {"font_color": style.MUTED, "font_size": 9}),
                (change, {"font_color": style.MUTED, "font_size": 9}),
            )
            for offset, (value, properties) in enumerate(lines):
                cell_format = self.format(
                    bg_color=style.PAPER,
                    align="left",
                    indent=1,
                    right=5,
                    right_color="#FFFFFF",
                    **{"valign": "vcenter", **properties},
                )
                row = top + offset
                if first == last:
                    self._raw(sheet, row, first, value, cell_format)
                else:
                    sheet.merge_range(row, first, row, last, "", cell_format)
                    self._raw(sheet, row, first, value, cell_format)

    @staticmethod
    def _raw(sheet: Worksheet, row: int, column: int, value: object, cell_format: Format) -> None:
        if isinstance(value, int):
            sheet.write_number(row, column, value, cell_format)
        else:
            sheet.write_string(row, column, str(value), cell_format)

    def _metric_sheet(self, name: str, table: str, title: str) -> None:
        rows = self.rows(
            f"select * from metrics.{table} where as_of_date = $as_of "
            "order by metric_id, list_position($order, dimension), dimension_value",
            order=list(_DIMENSION_WORDS),
        )
        order = [str(row["metric_id"]) for row in self.definitions]
        named = [
            {
                **row,
                "metric_name": self.names.get(str(row["metric_id"]), row["metric_id"]),
                "dimension": _DIMENSION_WORDS.get(str(row["dimension"]), row["dimension"]),
            }
            for row in sorted(rows, key=lambda row: order.index(str(row["metric_id"])))
        ]
        sheet = self.sheet(
            name,
            title,
            f"{self.as_of.isoformat()}; by tier, region, owner and more: filter the column Cut by. "
            "Every date is in the exported tables.",
            tab=style.ZONE_COLOURS["green"],
        )
        self.table(sheet, 3, _METRIC_COLUMNS, named, source=table, frozen=3)

    def _matrix_sheet(self) -> tuple[Worksheet, int]:
        """The matrix in blocks and as rows; the sheet and the column where its chart goes."""
        rows = self.rows(
            "select * from metrics.mtr_maturity_health_matrix where as_of_date = $as_of"
        )
        sheet = self.sheet(
            "Matrix",
            "Maturity by health",
            f"Accounts by adoption stage and health zone on {self.as_of.isoformat()}, per solution "
            "area, with the area's ARR below. The rows as data stand to the right.",
            tab=style.ZONE_COLOURS["green"],
        )
        stages = self._stages()
        zones = style.zone_order({str(row["health_zone"]) for row in rows})
        cells = {
            (str(row["solution_area"]), str(row["stage"]), str(row["health_zone"])): row
            for row in rows
        }
        sheet.set_column(0, 0, 18)
        sheet.set_column(1, max(len(zones), 1), 13)
        areas = sorted({area for area, _, _ in cells})
        top = 3
        for area in areas:
            self._matrix_block(sheet, top, area, stages=stages, zones=zones, cells=cells)
            top += 2 * len(stages) + 3
        if not rows:
            sheet.write_string(3, 0, "no rows", self.format(font_color=style.MUTED))
        ordered = sorted(
            rows,
            key=lambda row: (
                str(row["solution_area"]),
                stages.index(str(row["stage"])),
                zones.index(str(row["health_zone"])),
            ),
        )
        left = len(zones) + _CHART_COLUMNS
        for index, column in enumerate(_MATRIX_COLUMNS):
            sheet.set_column(left + index, left + index, column.width)
            is_number = column.kind in {"count", "usd"}
            sheet.write_string(3, left + index, column.heading, self.header(is_number=is_number))
            self.explained.append(
                ("Matrix", column.heading, "mtr_maturity_health_matrix", column.source)
            )
            for offset, row in enumerate(ordered, start=4):
                self.put(sheet, offset, left + index, row[column.source], column.kind)
        sheet.autofilter(3, left, 3 + max(len(rows), 1), left + len(_MATRIX_COLUMNS) - 1)
        sheet.freeze_panes(3, 1)
        sheet.fit_to_pages(1, 1)
        return sheet, len(zones) + 2

    def _matrix_block(
        self,
        sheet: Worksheet,
        top: int,
        area: str,
        *,
        stages: Sequence[str],
        zones: Sequence[str],
        cells: Mapping[tuple[str, str, str], Row],
    ) -> None:
        sheet.write_string(top, 0, area, self.header(is_number=False))
        for index, zone in enumerate(zones, start=1):
            sheet.write_string(
                top,
                index,
                zone,
                self.format(
                    bold=True,
                    align="center",
                    font_color=style.ZONE_INKS.get(zone, style.INK),
                    bg_color=style.ZONE_TINTS.get(zone, style.PAPER),
                    bottom=2,
                    bottom_color=style.ZONE_COLOURS.get(zone, style.MUTED),
                ),
            )
        for offset, stage in enumerate(reversed(stages)):
            row = top + 1 + 2 * offset
            sheet.write_string(row, 0, _words(stage), self.format(bold=True))
            sheet.write_string(
                row + 1,
                0,
                "ARR",
                self.format(font_color=style.MUTED, bottom=1, bottom_color=style.LINE),
            )
            for index, zone in enumerate(zones, start=1):
                cell = cells.get((area, stage, zone))
                count = int(cell["account_count"]) if cell else 0
                arr = float(cell["arr_usd"]) if cell else 0.0
                tint = style.ZONE_TINTS.get(zone, style.PAPER) if count else "#FFFFFF"
                ink = style.ZONE_INKS.get(zone, style.INK) if count else "#9AA4B1"
                shared = {"align": "center", "bg_color": tint, "font_color": ink}
                sheet.write_number(
                    row,
                    index,
                    count,
                    self.format(bold=True, font_size=12, num_format=_COUNT, **shared),
                )
                sheet.write_number(
                    row + 1,
                    index,
                    arr,
                    self.format(
                        font_size=9,
                        num_format=_USD,
                        bottom=1,
                        bottom_color=style.LINE,
                        **shared,
                    ),
                )

    def _stages(self) -> list[str]:
        """The stages from lowest to highest."""
        rows = self.rows(
            "select stage, min(stage_rank) as stage_rank from marts.fct_stage_daily "
            "where as_of_date = $as_of group by stage"
        )
        ranks = {str(row["stage"]): int(row["stage_rank"]) for row in rows}
        for row in self.rows("select distinct stage from metrics.mtr_maturity_health_matrix"):
            ranks.setdefault(str(row["stage"]), _STAGE_ORDER.get(str(row["stage"]), 99))
        return sorted(ranks, key=lambda stage: (ranks[stage], stage))

    def _review_sheet(self) -> None:
        rows = self.rows(
            "select coalesce(accounts.account_name, slots.account_id) as account_name, "
            "accounts.tier, accounts.region, accounts.owner_ca, accounts.arr_usd, "
            "slots.due_on, slots.grace_ends_on "
            "from marts.fct_cadence_slot as slots "
            "left join marts.dim_account as accounts on slots.account_id = accounts.account_id "
            "where slots.call_type = 'executive_review' and slots.status = 'missed' "
            "and slots.grace_ends_on > $as_of::date - $days::integer "
            "and slots.grace_ends_on < $as_of::date "
            "order by accounts.arr_usd desc nulls last, slots.account_id, slots.due_on desc",
            days=REVIEW_DAYS,
        )
        sheet = self.sheet(
            "Missed reviews",
            "Executive reviews missed",
            f"Reviews whose grace ended in the {REVIEW_DAYS} days before {self.as_of.isoformat()}; "
            "the largest accounts first.",
            tab=style.ZONE_COLOURS["red"],
        )
        self.table(sheet, 3, _REVIEW_COLUMNS, rows, source="fct_cadence_slot")

    def _definition_sheet(self) -> None:
        sheet = self.sheet(
            "Definitions",
            "What each metric counts",
            "From the seed metric_definitions: change a target there, never here.",
            tab=style.MUTED,
        )
        self.table(
            sheet,
            3,
            _DEFINITION_COLUMNS,
            self.definitions,
            source="metric_definitions",
            wrap=frozenset({"formula"}),
        )

    def _column_sheet(self) -> None:
        sheet = self.sheet(
            "Columns",
            "What each column means",
            "Every column of this workbook and of the exported metric tables.",
            tab=style.MUTED,
        )
        columns = (
            Column("Sheet", "sheet", "text", 16),
            Column("Heading", "heading", "text", 24),
            Column("Table", "table", "text", 30),
            Column("Column", "column", "text", 22),
            Column("Meaning", "meaning", "text", 100),
        )
        shown: list[Row] = []
        for sheet_name, heading, table, column in self.explained:
            where = _RENAMED.get(column, (table, column))
            if where not in self.texts and ("dim_account", column) in self.texts:
                where = ("dim_account", column)
            shown.append(
                {
                    "sheet": sheet_name,
                    "heading": heading,
                    "table": where[0],
                    "column": where[1],
                    "meaning": self.texts.get(where, ""),
                }
            )
        self.table(sheet, 3, columns, shown, source="", frozen=2, wrap=frozenset({"meaning"}))

    # Charts --------------------------------------------------------------------------------

    def _zone_trend_sheet(self) -> tuple[int, list[str]]:
        """Accounts per zone and day, the chart's data; the number of days and the zones' order."""
        rows = self.rows(
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
        sheet = self.sheet(
            "Zone trend data",
            "Accounts by zone",
            f"Accounts per health zone, the {TREND_DAYS} days up to {self.as_of.isoformat()}.",
            tab=style.MUTED,
        )
        columns = [
            Column("Date", "as_of_date", "date", 13),
            *(Column(zone, zone, "count", 12) for zone in zones),
        ]
        data = [
            {"as_of_date": day, **dict.fromkeys(zones, 0), **found} for day, found in counts.items()
        ]
        before = len(self.explained)
        self.table(sheet, 3, columns, data, source="fct_account_health_daily")
        # The zone columns are values of one column.
        self.explained[before:] = [
            ("Zone trend data", "Date", "fct_account_health_daily", "as_of_date"),
            ("Zone trend data", "one per zone", "fct_account_health_daily", "health_zone"),
        ]
        return len(data), zones

    def _zone_chart(self, days: int, zones: Sequence[str]) -> Chart:
        chart = self.book.add_chart({"type": "area", "subtype": "stacked"})
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
        self._dress(chart, f"Accounts by zone, last {TREND_DAYS} days", is_dated=True)
        chart.set_y_axis({**_axis(), "name": "", "num_format": _COUNT, "min": 0})
        chart.set_legend({"position": "top", "font": _chart_font()})
        return chart

    def _stage_data_sheet(self) -> tuple[Chart, Chart] | None:
        """Stages per area and zones per stage, the data of two charts; None without any area."""
        rows = self.rows(
            "select * from metrics.mtr_maturity_health_matrix where as_of_date = $as_of"
        )
        if not rows:
            return None
        stages = self._stages()
        zones = style.zone_order({str(row["health_zone"]) for row in rows})
        # A bar chart draws its first row at the bottom.
        areas = sorted({str(row["solution_area"]) for row in rows}, reverse=True)
        name = "Stage data"
        sheet = self.sheet(
            name,
            "Accounts by stage",
            f"On {self.as_of.isoformat()}; an account counts in each of its solution areas.",
            tab=style.MUTED,
        )
        sheet.set_column(0, 0, 18)
        sheet.set_column(1, max(len(stages), len(zones)), 14)
        sheet.freeze_panes(3, 1)
        first = self._crosstab(
            sheet,
            3,
            "Solution area",
            names=areas,
            heads=stages,
            counts=_count(rows, "solution_area", "stage"),
        )
        second = self._crosstab(
            sheet,
            first + len(areas) + 2,
            "Stage",
            names=stages,
            heads=zones,
            counts=_count(rows, "stage", "health_zone"),
        )
        self.explained += [
            (name, "Solution area", "mtr_maturity_health_matrix", "solution_area"),
            (name, "Stage", "mtr_maturity_health_matrix", "stage"),
            (name, "one per stage or zone", "mtr_maturity_health_matrix", "account_count"),
        ]
        colours = [
            style.STAGE_COLOURS[index % len(style.STAGE_COLOURS)] for index in range(len(stages))
        ]
        by_area = self._shares("bar", name, first, len(areas), colours)
        self._dress(by_area, "Stage per solution area", is_dated=False)
        by_area.set_x_axis({**_axis(), "num_format": "0%"})
        by_area.set_y_axis({**_axis(), "major_gridlines": {"visible": False}})
        zone_colours = [style.ZONE_COLOURS.get(zone, style.MUTED) for zone in zones]
        by_stage = self._shares("column", name, second, len(stages), zone_colours)
        self._dress(by_stage, "Health zone per stage, all areas", is_dated=False)
        by_stage.set_x_axis({**_axis(), "major_gridlines": {"visible": False}})
        by_stage.set_y_axis({**_axis(), "num_format": "0%"})
        return by_area, by_stage

    def _crosstab(
        self,
        sheet: Worksheet,
        top: int,
        corner: str,
        *,
        names: Sequence[str],
        heads: Sequence[str],
        counts: Mapping[tuple[str, str], int],
    ) -> int:
        """Counts by two attributes under a head at `top`; the row of the first name."""
        sheet.write_string(top, 0, corner, self.header(is_number=False))
        for index, head in enumerate(heads, start=1):
            sheet.write_string(top, index, _words(head), self.header(is_number=True))
        for row, name in enumerate(names, start=top + 1):
            self.put(sheet, row, 0, _words(name), "text")
            for index, head in enumerate(heads, start=1):
                self.put(sheet, row, index, counts.get((name, head), 0), "count")
        return top + 1

    def _shares(
        self, kind: str, sheet_name: str, first: int, count: int, colours: Sequence[str]
    ) -> Chart:
        """A chart of shares over a crosstab whose first row of numbers is `first`."""
        chart = self.book.add_chart({"type": kind, "subtype": "percent_stacked"})
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

    def _trend_data_sheet(self) -> int:
        """Value and target of every metric per day; the number of days."""
        rows = self.metric_rows(
            "dimension = 'all' and as_of_date > $as_of::date - $days::integer "
            "and as_of_date <= $as_of",
            days=TREND_DAYS,
        )
        values: dict[date, dict[str, Any]] = {}
        for row in sorted(rows, key=lambda row: (row["as_of_date"], row["metric_id"])):
            day = values.setdefault(row["as_of_date"], {})
            day[str(row["metric_id"])] = row["value"]
            day[f"{row['metric_id']} target"] = row["target"]
        sheet = self.sheet(
            "Trend data",
            "Metrics per day",
            f"All accounts, the {TREND_DAYS} days up to {self.as_of.isoformat()}; empty: no value.",
            tab=style.MUTED,
        )
        sheet.set_row(3, 34)
        sheet.set_column(0, 0, 13)
        sheet.set_column(1, 2 * len(self.definitions), 14)
        sheet.write_string(3, 0, "Date", self.header(is_number=False))
        for index, definition in enumerate(self.definitions):
            metric_id, unit = str(definition["metric_id"]), str(definition["unit"])
            for offset, key in enumerate((metric_id, f"{metric_id} target")):
                column = 1 + 2 * index + offset
                word = " target" if offset else ""
                sheet.write_string(
                    3, column, f"{definition['metric_name']}{word}", self.header(is_number=True)
                )
                for line, found in enumerate(values.values(), start=4):
                    self.put(sheet, line, column, found.get(key), "value", unit=unit)
        for line, on_day in enumerate(values, start=4):
            self.put(sheet, line, 0, on_day, "date")
        sheet.freeze_panes(4, 1)
        sheet.autofilter(3, 0, 3 + max(len(values), 1), 2 * len(self.definitions))
        self.explained += [
            ("Trend data", "Date", "mtr_engagement", "as_of_date"),
            ("Trend data", "one per metric", "mtr_engagement", "value"),
            ("Trend data", "one per metric, target", "mtr_engagement", "target"),
        ]
        return len(values)

    def _trend_sheet(self, sheet: Worksheet, days: int) -> None:
        sheet.set_column(0, 20, 9)
        sheet.fit_to_pages(1, 1)
        last = 3 + max(days, 1)
        for index, definition in enumerate(self.definitions):
            column = 1 + 2 * index
            chart = self.book.add_chart({"type": "line"})
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
            self._dress(chart, str(definition["metric_name"]), is_dated=True)
            number = _VALUE_FORMATS.get(str(definition["unit"]), "0.00").replace("0.0", "0")
            limits = {"ratio": {"max": 1}, "points": {"max": 100}}.get(str(definition["unit"]), {})
            chart.set_y_axis({**_axis(), "num_format": number, "min": 0, **limits})
            chart.set_legend({"none": True})
            chart.show_blanks_as("gap")
            chart.set_size({"width": 560, "height": 230})
            place = xl_rowcol_to_cell(3 + 12 * (index // 2), 9 * (index % 2))
            sheet.insert_chart(place, chart, {"object_position": 2})

    def _dress(self, chart: Chart, title: str, *, is_dated: bool) -> None:
        """The looks every chart shares; the title is a plain text, never a cell formula."""
        chart.set_title(
            {
                "name": title.lstrip("="),
                "name_font": {"name": _FONT, "size": 12, "bold": True, "color": style.INK},
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


_STAGE_ORDER = {
    stage: rank
    for rank, stage in enumerate(
        ("not_started", "foundation", "operational", "advanced", "optimized")
    )
}


def _count(rows: Sequence[Row], first: str, second: str) -> dict[tuple[str, str], int]:
    """Accounts by two columns of the matrix."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (str(row[first]), str(row[second]))
        counts[key] = counts.get(key, 0) + int(row["account_count"])
    return counts


def _chart_font() -> dict[str, Any]:
    return {"name": _FONT, "size": 9, "color": style.MUTED}


def _gridlines() -> dict[str, Any]:
    return {"visible": True, "line": {"color": "#E6EAF0", "width": 0.75}}


def _axis() -> dict[str, Any]:
    return {
        "num_font": _chart_font(),
        "line": {"color": style.LINE},
        "major_gridlines": _gridlines(),
        "minor_tick_mark": "none",
    }


def _words(name: str) -> str:
    return name.replace("_", " ")


def _usd_words(amount: object) -> str:
    """Money in words a leader reads: $57.7M, $752k, $0."""
    value = float(str(amount)) if amount is not None else 0.0
    if value >= 999_950:
        return f"${value / 1e6:,.1f}M"
    if value >= 1_000:
        return f"${value / 1e3:,.0f}k"
    return f"${value:,.0f}"
