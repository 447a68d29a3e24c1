"""The workbook under construction: reading, formats, cells, and a table with its heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

import duckdb
import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from dagster_project.reporting import style

TREND_DAYS = 180
CHANGE_DAYS = 30
REVIEW_DAYS = 365

FONT = "Calibri"
VALUE_FORMATS = {"ratio": "0.0%", "days": '0" d"', "points": "0.0"}
_CHANGE_FORMATS = {
    "ratio": '+0.0" pp";-0.0" pp";0.0" pp"',
    "days": '+0" d";-0" d";0" d"',
    "points": "+0.0;-0.0;0.0",
}
USD = "[$$-409]#,##0"
COUNT = "#,##0"
METRIC_SHEETS = (
    ("Playbooks", "mtr_playbook_effectiveness", "Playbook effectiveness"),
    ("Stages", "mtr_stage_adoption", "Stage adoption"),
    ("Engagement", "mtr_engagement", "Engagement"),
)

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its heading, the table's column, width in characters, number format.

    `kind` is text, count, usd, date, value (format by the row's unit) or status.
    """

    heading: str
    source: str
    kind: str
    width: float


class Book:
    """The sheets of one workbook, and how a cell of each kind looks."""

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
            for _, table, _ in METRIC_SHEETS
        )
        return self.rows(parts, **values)

    def format(self, **properties: Any) -> Format:
        """One format object per set of properties, made when first used."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            base = {"font_name": FONT, "font_size": 10, "font_color": style.INK, "valign": "top"}
            self._formats[key] = self.book.add_format({**base, **properties})
        return self._formats[key]

    def body(self, kind: str, unit: str | None = None, **more: Any) -> Format:
        """The format of a table cell."""
        line: dict[str, Any] = {"bottom": 1, "bottom_color": style.LINE, **more}
        if kind == "value":
            return self.format(
                num_format=VALUE_FORMATS.get(unit or "", "0.00"), align="right", **line
            )
        if kind == "change":
            return self.format(
                num_format=_CHANGE_FORMATS.get(unit or "", "+0.00;-0.00;0.00"),
                align="right",
                **line,
            )
        if kind == "count":
            return self.format(num_format=COUNT, align="right", **line)
        if kind == "usd":
            return self.format(num_format=USD, align="right", **line)
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
