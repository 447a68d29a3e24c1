"""Reading the written report: its keyed numbers, and data directories to write it from."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from dagster_project.reporting.day import write_day
from dagster_project.reporting.report import write as write_module
from tests.integration.conftest import LAST_DAY


class Numbers(HTMLParser):
    """The exact values of a page by key, as the `data` elements carry them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "data" and (key := given.get("data-key")):
            value = given.get("value") or ""
            assert self.values.setdefault(key, value) == value, f"{key} has two values"


def numbers(path: Path) -> dict[str, float | None]:
    """The keyed numbers of a page; None where it says there is none."""
    values = Numbers(path.read_text(encoding="utf-8")).values
    return {key: float(value) if value else None for key, value in values.items()}


def copy_published(published: Path, folder: Path) -> Path:
    """A published file of one's own, to change."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(published, folder / "analytics.duckdb"))


def emptied(published: Path, folder: Path) -> Path:
    """A published file in which no row of marts, metrics, playbooks and files is left."""
    path = copy_published(published, folder)
    with duckdb.connect(str(path)) as con:
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where schema_name in ('marts', 'metrics', 'playbooks') or table_name = 'files'"
        ).fetchall():
            con.execute(f'delete from "{schema}"."{table}"')
    return path


def write_pages(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The day's files without the print edition, which takes the longest to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_module, "write_pdf", lambda *_: None)
        write_day(con, folder, LAST_DAY)
