"""The parts of the report: pictures without clashes, data that travels, pages that escape."""

from __future__ import annotations

import base64
import builtins
import hashlib
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.reporting import charts, style, svg, words
from dagster_project.reporting.dictionary import unit_of
from dagster_project.reporting.report import pdf
from dagster_project.reporting.report.owners import owner_file, with_row
from dagster_project.reporting.report.packing import packed, unpacked
from dagster_project.reporting.report.page import environment, paper_page, screen_page

DAY = date(2026, 3, 20)


def zone_days(days: int = 40) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "as_of_date": DAY - timedelta(days=back),
                "health_zone": zone,
                "account_count": 3 + index,
                "arr_usd": 1000.0 * (index + 1),
            }
            for back in range(days)
            for index, zone in enumerate(("green", "red", "unscored"))
        ]
    )


def test_a_chart_carries_nothing_that_a_strict_policy_refuses() -> None:
    drawn = str(svg.chart_svg(charts.zone_trend(zone_days()), "zones"))
    assert drawn.startswith("<svg")
    assert "style=" not in drawn
    assert " role=" not in drawn
    assert "aria-label" not in drawn
    assert not re.search(r"\d\.\d\d", re.sub(r'viewBox="[^"]*"|stroke-width="[^"]*"', "", drawn))


def test_two_charts_share_no_id() -> None:
    months = pl.DataFrame(
        {
            "renewal_month": [date(2026, 4, 1), date(2026, 5, 1)],
            "health_zone": ["green", "red"],
            "account_count": [1, 2],
            "arr_usd": [10.0, 20.0],
        }
    )
    drawn = [
        str(svg.chart_svg(chart, prefix))
        for chart, prefix in (
            (charts.zone_trend(zone_days()), "a"),
            (charts.zone_trend(zone_days(), value="arr_usd"), "b"),
            (charts.renewals(months), "c"),
        )
    ]
    ids = [found for text in drawn for found in re.findall(r' id="([^"]*)"', text)]
    used = [found for text in drawn for found in re.findall(r"url\(#([^)]*)\)", text)]
    assert len(ids) == len(set(ids))
    assert set(used) <= set(ids)


def test_ids_in_a_picture_are_renamed_with_what_refers_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        svg.vl_convert,
        "vegalite_to_svg",
        lambda _: (
            '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><defs>'
            '<clipPath id="clip0"><path d="M0.123,-0.01h1"/></clipPath></defs>'
            '<g clip-path="url(#clip0)"><path d="M1,1" fill="#000" style="color:red"/></g></svg>'
        ),
    )
    drawn = str(svg.chart_svg(charts.zone_trend(zone_days()), "p"))
    assert 'id="p-1"' in drawn
    assert 'clip-path="url(#p-1)"' in drawn
    assert 'd="M0.1,0h1"' in drawn
    assert "style" not in drawn


def test_the_same_frame_draws_the_same_picture() -> None:
    first = svg.chart_svg(charts.zone_trend(zone_days()), "a")
    assert first == svg.chart_svg(charts.zone_trend(zone_days()), "a")


def test_zones_are_named_in_the_chart_and_not_told_by_colour_alone() -> None:
    drawn = str(svg.chart_svg(charts.zone_trend(zone_days()), "a"))
    for zone in ("green", "red", "unscored"):
        assert f"{style.ZONE_MARKS[zone]} {zone}" in drawn


def test_a_sparkline_leaves_gaps_and_stays_in_its_box() -> None:
    drawn = str(svg.sparkline([0, None, 200, 50], low=0, high=100, lines=(50, 500), width=90))
    path = re.search(r'class="line"[^>]* d="([^"]*)"', drawn)
    assert path is not None
    assert path.group(1).count("M") == 2
    heights = [float(y) for y in re.findall(r",(\d+\.\d)", path.group(1))]
    assert all(0 <= height <= 28 for height in heights)
    assert drawn.count('class="level"') == 1


@pytest.mark.parametrize(("share", "width"), [(None, None), (0.25, 30), (-1, 0), (7, 120)])
def test_a_bar_fills_its_share_of_the_track(share: float | None, width: float | None) -> None:
    drawn = str(svg.bar(share, "#000000", width=120))
    filled = re.search(r'<rect width="([\d.]+)" height="8" rx="2" fill="#000000"', drawn)
    assert (float(filled.group(1)) if filled else None) == width


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_data_that_travels_comes_back_and_cannot_end_its_element(value: Any) -> None:
    text = packed(value)
    assert unpacked(str(text)) == value
    assert re.fullmatch(r"[A-Za-z0-9+/=]*", str(text))
    assert packed(value) == text


@given(st.text(max_size=60))
def test_an_owners_file_stays_in_its_folder(owner: str) -> None:
    name = owner_file(owner)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{8}\.html", name)
    assert len(name) < 60


def test_owners_with_like_names_have_files_of_their_own() -> None:
    names = ["a.b@x.com", "a-b@x.com", "A.B@x.com", "a.b@y.com", "../../etc/passwd", "", "…"]
    assert len({owner_file(name) for name in names}) == len(names)


def test_the_policy_names_exactly_the_style_and_script_inside() -> None:
    page = screen_page("owner.html.jinja", owner_values("Ann"))
    style_text = re.search(r"<style>(.*?)</style>", page, re.S)
    assert style_text is not None
    digest = base64.b64encode(hashlib.sha256(style_text.group(1).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.replace("&#39;", "'")
    assert "script-src 'none'" in page.replace("&#39;", "'")
    assert "unsafe" not in page
    assert " style=" not in page
    assert not re.search(r"\son[a-z]+=", page)


def owner_values(owner: str, **account: Any) -> dict[str, Any]:
    return {
        "as_of": DAY,
        "owner": owner,
        "arr_usd": 5.0,
        "zones": [{"zone": "red", "account_count": 1, "arr_usd": 5.0}],
        "account_count": 1,
        "late": [],
        "late_count": 0,
        "due": [],
        "due_count": 0,
        "components": ("adoption",),
        "zone_marks": {},
        "accounts": [
            with_row(
                {
                    "account_id": "a&1",
                    "account_name": "x",
                    "tier": "t",
                    "roles": ["ca"],
                    "health_zone": "red",
                    "health_score": 9.5,
                    "score_change_30d": None,
                    "components": [{"component": "adoption", "score": 9.5}],
                    "picture": "",
                    "costliest_component": None,
                    "costliest_component_points": None,
                    "unscored_reason": None,
                    "arr_usd": None,
                    "next_renewal_on": None,
                    "next_call_due_on": None,
                    "next_call_type": None,
                    "open_action_count": 0,
                    "overdue_action_count": 0,
                    **account,
                }
            )
        ],
    }


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{ 7*7 }}"]
)
def test_names_from_data_are_text(evil: str) -> None:
    page = screen_page("owner.html.jinja", owner_values(evil, account_name=evil, tier=evil))
    assert evil not in page.replace("{{ 7*7 }}", "") or evil.startswith("{{")
    assert "<img" not in page
    assert "<script" not in page
    assert "49" not in re.sub(r"<style>.*?</style>", "", page, flags=re.S) or "{{ 7*7 }}" in page


def test_a_name_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(Exception, match="nobody_knows"):
        environment().from_string("{{ nobody_knows }}").render()


def test_without_libpango_the_pdf_is_left_out_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"an old one")
    imported = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    note = pdf.write_pdf("<p>x", path)
    assert note is not None
    assert "apt install libpango-1.0-0" in note
    assert not path.exists()


def test_the_print_edition_loads_nothing(tmp_path: Path) -> None:
    pytest.importorskip("weasyprint", reason="no libpango here", exc_type=OSError)
    sheet = tmp_path / "sheet.css"
    sheet.write_text("@page { size: 100mm 100mm }")
    drawn = []
    for link in ("", f'<link rel="stylesheet" href="{sheet.as_uri()}">'):
        path = tmp_path / f"{len(drawn)}.pdf"
        assert pdf.write_pdf(f"{link}<p>text", path) is None
        (page,) = pypdf.PdfReader(path).pages
        drawn.append((page.mediabox.width, page.mediabox.height))
    assert drawn[0] == drawn[1]


def test_paper_has_no_script_and_no_list() -> None:
    page = paper_page("owner.html.jinja", owner_values("Ann"))
    assert "<script" not in page
    assert "@page" in page


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (words.money(None), "–"),
        (words.money(57_700_000), "$57.7M"),
        (words.money(999_950), "$1.0M"),
        (words.money(752_400), "$752k"),
        (words.money(12), "$12"),
        (words.signed(-0.04, 1), "+0.0"),
        (words.signed(-2.25, 1), "−2.2"),
        (words.change(0.057, "ratio"), "+5.7 pp"),
        (words.change(-3, "days"), "−3 d"),
        (words.measured(0.495, "ratio"), "50%"),
        (words.measured(28, "days"), "28 d"),
        (words.person("ann.lee@example.com"), "ann.lee"),
        (words.person("Ann Lee"), "Ann Lee"),
        (words.person(None), "nobody"),
        (words.plural(1, "account"), "1 account"),
        (words.plural(2_000, "account"), "2,000 accounts"),
        (words.day(date(2027, 10, 4)), "4 Oct 2027"),
    ],
)
def test_numbers_and_names_read_well(text: str, wanted: str) -> None:
    assert text == wanted


@pytest.mark.parametrize(
    ("name", "data_type", "unit"),
    [
        ("arr_usd", "DECIMAL(18,2)", "USD"),
        ("coverage_ratio", "DOUBLE", "ratio, 0-1"),
        ("as_of_date", "DATE", "date"),
        ("is_stalled", "BOOLEAN", "yes or no"),
        ("tier", "VARCHAR", "text"),
        ("floor_value", "DOUBLE", "number"),
        ("opened_at", "TIMESTAMP", "time stamp, UTC"),
    ],
)
def test_the_unit_stands_last_in_a_columns_name(name: str, data_type: str, unit: str) -> None:
    assert unit_of(name, data_type) == unit


@given(st.floats(0, 100))
def test_a_colour_follows_the_zone_lines(score: float) -> None:
    lines = {"green": 80.0, "yellow": 60.0, "orange": 40.0, "red": 0.0}
    zone = style.zone_of(score, lines)
    assert score >= lines[zone]
    better = [name for name, line in lines.items() if line > lines[zone]]
    assert all(score < lines[name] for name in better)


def test_without_a_score_there_is_no_zone() -> None:
    assert style.zone_of(None, {"green": 0.0}) == "unscored"
    assert style.zone_of(50, {"platinum": 0.0}) == "unscored"
