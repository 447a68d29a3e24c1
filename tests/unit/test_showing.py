"""Data shown in a notebook stays data: no name becomes markup, no gap becomes a number."""

from __future__ import annotations

import html
import re
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marimo import md

from dagster_project.errors import ConfigError, CspError
from dagster_project.reporting.published import open_published
from dagster_project.reporting.showing import by_name, column_formats, literal, small_table
from dagster_project.settings import Settings, load_settings

_TAG = re.compile(r"<[^>]*>")
_MARKUP = "<>&*_`[]()#+-.!|~$:^=\\/@{}\"' \n\tax1"


def shown(markdown: str) -> str:
    """The text a reader sees of Markdown, by the converter of the notebooks."""
    return html.unescape(_TAG.sub("", md(markdown).text))


@given(st.text(alphabet=_MARKUP, max_size=40))
def test_a_text_is_shown_as_it_is(text: str) -> None:
    assert shown(f"Name {literal(text)}!").strip() == f"Name {' '.join(text.split())}!"


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "[here](javascript:alert(1))",
        "![x](http://evil.example/a.png)",
        "a | b",
        "$1 and $2",
        "\\(x\\)",
        "```\ncode\n```",
        "{{ x }}",
        "http://evil.example",
    ],
)
def test_no_name_becomes_markup(name: str) -> None:
    plain = md("Name x").text
    made = md(f"Name {literal(name)}").text
    assert _TAG.findall(made) == _TAG.findall(plain)


def test_a_table_holds_what_it_is_given() -> None:
    made = md(small_table(("name", "ARR"), [("a|b", "$5"), (None, "<i>6</i>")], right="lr")).text
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", made)]
    assert cells == ["a|b", "$5", "–", "<i>6</i>"]
    assert [html.unescape(cell) for cell in re.findall(r"<th[^>]*>(.*?)</th>", made)] == [
        "name",
        "ARR",
    ]
    assert "right" in made


def test_columns_are_shown_by_their_names_and_gaps_as_a_dash() -> None:
    frame = pl.DataFrame(
        {
            "arr_usd": [1234567.8, None],
            "coverage_ratio": [0.5, None],
            "health_score": [-1.04, None],
            "value": [2.5, None],
            "many": [12345.678, None],
            "opened_on": [date(2026, 1, 2), None],
            "account_count": [3, None],
            "move": [1.0, None],
        }
    )
    formats = column_formats(frame, move=lambda value: f"<{value}>")
    first = {name: formats[name](frame[name][0]) for name in frame.columns}
    assert first == {
        "arr_usd": "1,234,568",
        "coverage_ratio": "0.500",
        "health_score": "−1.0",
        "value": "2.5",
        "many": "12,346",
        "opened_on": "2026-01-02",
        "account_count": "3",
        "move": "<1.0>",
    }
    assert {formats[name](None) for name in frame.columns if name != "move"} == {"–"}


def test_two_accounts_of_one_name_can_be_told_apart() -> None:
    assert by_name([("a", "One"), ("b", "Two"), ("c", "One")]) == {
        "One (a)": "a",
        "Two": "b",
        "One (c)": "c",
    }


def test_a_file_that_is_no_publication_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(CspError, match="make run"):
        open_published(settings)
    settings.published.parent.mkdir(parents=True)
    settings.published.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(CspError, match="cannot be opened"):
        open_published(settings)


def test_a_database_without_a_publication_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.published.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.published)) as con:
        con.execute("create table t (a int)")
    with pytest.raises(CspError, match="no published file"):
        open_published(settings)


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSP_MEMORY_LIMIT", "secret-looking")
    with pytest.raises(ConfigError, match="CSP_MEMORY_LIMIT") as caught:
        load_settings()
    assert "secret-looking" not in str(caught.value)
