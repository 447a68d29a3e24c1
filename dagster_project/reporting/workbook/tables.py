"""The sheets that are tables: metrics, matrix, missed reviews, definitions, columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from dagster_project.reporting import style
from dagster_project.reporting.words import words
from dagster_project.reporting.workbook.book import COUNT, REVIEW_DAYS, USD, Book, Column, Row

_CHART_COLUMNS = 12
_DIMENSION_WORDS = {
    "all": "all",
    "tier": "tier",
    "region": "region",
    "owner": "owner",
    "solution_area": "solution area",
    "playbook": "playbook",
}
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
_STAGE_ORDER = {
    stage: rank
    for rank, stage in enumerate(
        ("not_started", "foundation", "operational", "advanced", "optimized")
    )
}


def metric_sheet(book: Book, name: str, table: str, title: str) -> None:
    """The rows of a metric table on the day, by every cut."""
    rows = book.rows(
        f"select * from metrics.{table} where as_of_date = $as_of "
        "order by metric_id, list_position($order, dimension), dimension_value",
        order=list(_DIMENSION_WORDS),
    )
    order = [str(row["metric_id"]) for row in book.definitions]
    named = [
        {
            **row,
            "metric_name": book.names.get(str(row["metric_id"]), row["metric_id"]),
            "dimension": _DIMENSION_WORDS.get(str(row["dimension"]), row["dimension"]),
        }
        for row in sorted(rows, key=lambda row: order.index(str(row["metric_id"])))
    ]
    sheet = book.sheet(
        name,
        title,
        f"{book.as_of.isoformat()}; by tier, region, owner and more: filter the column Cut by. "
        "Every date is in the exported tables.",
        tab=style.ZONE_COLOURS["green"],
    )
    book.table(sheet, 3, _METRIC_COLUMNS, named, source=table, frozen=3)


def matrix_sheet(book: Book) -> tuple[Worksheet, int]:
    """The matrix in blocks and as rows; the sheet and the column where its chart goes."""
    rows = book.rows("select * from metrics.mtr_maturity_health_matrix where as_of_date = $as_of")
    sheet = book.sheet(
        "Matrix",
        "Maturity by health",
        f"Accounts by adoption stage and health zone on {book.as_of.isoformat()}, per solution "
        "area, with the area's ARR below. The rows as data stand to the right.",
        tab=style.ZONE_COLOURS["green"],
    )
    stages = stage_names(book)
    zones = style.zone_order({str(row["health_zone"]) for row in rows})
    cells = {
        (str(row["solution_area"]), str(row["stage"]), str(row["health_zone"])): row for row in rows
    }
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, max(len(zones), 1), 13)
    areas = sorted({area for area, _, _ in cells})
    top = 3
    for area in areas:
        _matrix_block(book, sheet, top, area, stages=stages, zones=zones, cells=cells)
        top += 2 * len(stages) + 3
    if not rows:
        sheet.write_string(3, 0, "no rows", book.format(font_color=style.MUTED))
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
        sheet.write_string(3, left + index, column.heading, book.header(is_number=is_number))
        book.explained.append(
            ("Matrix", column.heading, "mtr_maturity_health_matrix", column.source)
        )
        for offset, row in enumerate(ordered, start=4):
            book.put(sheet, offset, left + index, row[column.source], column.kind)
    sheet.autofilter(3, left, 3 + max(len(rows), 1), left + len(_MATRIX_COLUMNS) - 1)
    sheet.freeze_panes(3, 1)
    sheet.fit_to_pages(1, 1)
    return sheet, len(zones) + 2


def _matrix_block(
    book: Book,
    sheet: Worksheet,
    top: int,
    area: str,
    *,
    stages: Sequence[str],
    zones: Sequence[str],
    cells: Mapping[tuple[str, str, str], Row],
) -> None:
    sheet.write_string(top, 0, area, book.header(is_number=False))
    for index, zone in enumerate(zones, start=1):
        sheet.write_string(
            top,
            index,
            zone,
            book.format(
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
        sheet.write_string(row, 0, words(stage), book.format(bold=True))
        sheet.write_string(
            row + 1,
            0,
            "ARR",
            book.format(font_color=style.MUTED, bottom=1, bottom_color=style.LINE),
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
                book.format(bold=True, font_size=12, num_format=COUNT, **shared),
            )
            sheet.write_number(
                row + 1,
                index,
                arr,
                book.format(
                    font_size=9,
                    num_format=USD,
                    bottom=1,
                    bottom_color=style.LINE,
                    **shared,
                ),
            )


def stage_names(book: Book) -> list[str]:
    """The stages from lowest to highest."""
    rows = book.rows(
        "select stage, min(stage_rank) as stage_rank from marts.fct_stage_daily "
        "where as_of_date = $as_of group by stage"
    )
    ranks = {str(row["stage"]): int(row["stage_rank"]) for row in rows}
    for row in book.rows("select distinct stage from metrics.mtr_maturity_health_matrix"):
        ranks.setdefault(str(row["stage"]), _STAGE_ORDER.get(str(row["stage"]), 99))
    return sorted(ranks, key=lambda stage: (ranks[stage], stage))


def review_sheet(book: Book) -> None:
    """The executive reviews that were missed in a year."""
    rows = book.rows(
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
    sheet = book.sheet(
        "Missed reviews",
        "Executive reviews missed",
        f"Reviews whose grace ended in the {REVIEW_DAYS} days before {book.as_of.isoformat()}; "
        "the largest accounts first.",
        tab=style.ZONE_COLOURS["red"],
    )
    book.table(sheet, 3, _REVIEW_COLUMNS, rows, source="fct_cadence_slot")


def definition_sheet(book: Book) -> None:
    """What each metric counts: the policy as it stands."""
    sheet = book.sheet(
        "Definitions",
        "What each metric counts",
        "From the seed metric_definitions: change a target there, never here.",
        tab=style.MUTED,
    )
    book.table(
        sheet,
        3,
        _DEFINITION_COLUMNS,
        book.definitions,
        source="metric_definitions",
        wrap=frozenset({"formula"}),
    )


def column_sheet(book: Book) -> None:
    """What each column of the workbook means."""
    sheet = book.sheet(
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
    for sheet_name, heading, table, column in book.explained:
        where = _RENAMED.get(column, (table, column))
        if where not in book.texts and ("dim_account", column) in book.texts:
            where = ("dim_account", column)
        shown.append(
            {
                "sheet": sheet_name,
                "heading": heading,
                "table": where[0],
                "column": where[1],
                "meaning": book.texts.get(where, ""),
            }
        )
    book.table(sheet, 3, columns, shown, source="", frozen=2, wrap=frozenset({"meaning"}))
