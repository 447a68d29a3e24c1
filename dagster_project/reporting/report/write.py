"""Files of the report: the page, the owners' pages, the print edition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from dagster_project.reporting.queries import Snapshot
from dagster_project.reporting.report.accounts import account_data
from dagster_project.reporting.report.owners import owner_file, owner_pages
from dagster_project.reporting.report.packing import packed
from dagster_project.reporting.report.page import paper_page, screen_page
from dagster_project.reporting.report.pdf import write_pdf
from dagster_project.reporting.report.sections import report_sections

# Rows of the list of accounts that stand in the page itself; the rest the script shows on demand.
ROWS_SHOWN = 100


@dataclass(frozen=True)
class ReportFiles:
    """What was written; `pdf` is None where the machine lacks what draws it, `note` says why."""

    html: Path
    owner_pages: int
    pdf: Path | None
    note: str | None


def write_report(con: duckdb.DuckDBPyConnection, folder: Path, as_of: date) -> ReportFiles:
    """Write `report.html`, `owners/*.html` and `report.pdf` of a day into a folder.

    Args:
        con: the published file, or one about to be published.
        folder: where to; files of an earlier report there are replaced.
        as_of: a published day.
    """
    snapshot = Snapshot(con, as_of)
    sections = report_sections(snapshot)
    accounts = account_data(snapshot)
    owners_folder = folder / "owners"
    owners_folder.mkdir(parents=True, exist_ok=True)
    owners = []
    for page in owner_pages(snapshot):
        text = screen_page("owner.html.jinja", page.values)
        (owners_folder / page.file_name).write_text(text, encoding="utf-8")
        owners.append(
            {
                "owner": page.owner,
                "file": page.file_name,
                "account_count": page.values["account_count"],
                "arr_usd": page.values["arr_usd"],
                "late_count": page.values["late_count"],
                "due_count": page.values["due_count"],
            }
        )
    values = {
        **sections,
        "owners": owners,
        "owner_file": owner_file,
        "owner_names": {owner["owner"] for owner in owners},
        "legend": accounts.legend,
        "rows": accounts.rows,
        "rows_shown": ROWS_SHOWN,
        "packed_legend": packed({**accounts.legend, "rows": accounts.rows}),
        "packed_chunks": [packed(chunk) for chunk in accounts.chunks],
    }
    html = folder / "report.html"
    html.write_text(screen_page("report.html.jinja", values, "script.js"), encoding="utf-8")
    pdf = folder / "report.pdf"
    note = write_pdf(paper_page("report.html.jinja", values), pdf)
    return ReportFiles(html, len(owners), None if note else pdf, note)
