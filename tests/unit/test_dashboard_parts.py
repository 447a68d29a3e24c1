"""The dashboard's parts on tiny tables: the file and its swap, the list, words, and the server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dagster_project.errors import CspError
from dagster_project.reporting import charts, story, svg
from dagster_project.reporting.dashboard import html, portfolio, rules, timeline
from dagster_project.reporting.dashboard.publication import (
    NothingPublishedError,
    Publication,
    current_publication,
)
from dagster_project.settings import Settings
from dagster_project.ui import session
from dagster_project.ui.server import Guard, isolate

DAY = date(2026, 3, 31)


def written(path: Path, day: date, number: int, statements: str = "") -> Path:
    """A published file with next to nothing in it, put in place as a publication is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.publishing.duckdb")
    with duckdb.connect(str(aside)) as con:
        con.execute(
            "create schema pipeline; create schema marts; create schema playbooks;"
            "create table pipeline.publication "
            "(publication_number bigint, from_date date, as_of_date date);"
            "create table marts.fct_account_health_daily (account_id varchar, as_of_date date);"
            "create table marts.dim_account (account_id varchar, account_name varchar, "
            "owner_ca varchar);"
        )
        con.execute("insert into pipeline.publication values (?, ?, ?)", [number, day, day])
        con.execute("insert into marts.fct_account_health_daily values ('a', ?)", [day])
        con.execute(statements or "select 1")
    aside.replace(path)
    return path


# The file -------------------------------------------------------------------------------------


def test_nothing_published_is_said_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(NothingPublishedError, match="run `csp run` first"):
        current_publication(tmp_path / "analytics.duckdb")
    started = session.begin(Settings(data_dir=tmp_path), {})
    assert started.publication is None
    assert "csp run" in started.fault
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_publication_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "analytics.duckdb"
    path.write_bytes(b"not a database")
    with pytest.raises(CspError, match="cannot be read as a publication"):
        current_publication(path)


def test_a_swap_is_seen_and_the_old_reader_keeps_its_file(tmp_path: Path) -> None:
    path = written(tmp_path / "analytics.duckdb", date(2026, 3, 30), 1)
    first = current_publication(path)
    assert current_publication(path) is first
    assert first.is_current()
    written(path, DAY, 2)
    assert not first.is_current()
    second = current_publication(path)
    assert (first.as_of, first.number) == (date(2026, 3, 30), 1)
    assert (second.as_of, second.number) == (DAY, 2)
    days = [
        one.snapshot().frame("select as_of_date from marts.fct_account_health_daily").item()
        for one in (first, second)
    ]
    assert days == [date(2026, 3, 30), DAY]


def test_the_file_is_only_read_and_nothing_else_can_be(tmp_path: Path) -> None:
    path = written(tmp_path / "analytics.duckdb", DAY, 1)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    before = path.read_bytes()
    con = current_publication(path).snapshot().con
    for statement in (
        "insert into marts.dim_account values ('x', 'x', 'x')",
        f"copy (select 1) to '{tmp_path / 'out.csv'}'",
        f"from read_csv('{secret}')",
        f"attach '{tmp_path / 'other.duckdb'}'",
        "set enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(statement)
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["analytics.duckdb", "secret.csv"]


def test_a_page_is_computed_once_per_publication(tmp_path: Path) -> None:
    path = written(tmp_path / "analytics.duckdb", DAY, 1)
    calls: list[int] = []

    def page(publication: Publication) -> int:
        return publication.once("page", lambda: calls.append(1) or len(calls))

    first = current_publication(path)
    assert page(first) == page(first) == 1
    written(path, DAY, 2)
    assert page(current_publication(path)) == 2


# The list -------------------------------------------------------------------------------------

OVERVIEW = pl.DataFrame(
    {
        "account_id": ["a", "b", "c", "d"],
        "account_name": ["Acme 100%", "Beta", None, "Delta (x)"],
        "region": ["emea", "amer", None, "emea"],
        "segment": [None, None, None, None],
        "industry": [None, "retail", None, None],
        "tier": ["strategic", "commercial", "commercial", None],
        "health_zone": ["green", "red", "unscored", "red"],
        "mean_stage": ["advanced", None, "foundation", "advanced"],
        "health_score": [91.0, 12.0, None, 30.0],
        "score_change_30d": [1.0, -9.0, None, 2.0],
        "arr_usd": [10.0, None, 30.0, 20.0],
        "next_renewal_on": [DAY, None, None, DAY],
        "overdue_action_count": [0, 3, 0, 0],
        "coverage_ratio": [1.0, 0.6, 0.2, 0.9],
        "owner_ca": ["ann", "ben", None, "ben"],
        **{f"owner_{role}": [None, None, "ann", None] for role in ("sa", "ae", "ve", "governance")},
    }
)


def ids(**asked: Any) -> list[str]:
    return portfolio.chosen(OVERVIEW, portfolio.Choice(**asked))["account_id"].to_list()


def test_the_list_is_filtered_and_unknown_values_come_last() -> None:
    assert ids() == ["b", "d", "a", "c"]
    assert ids(order="Largest ARR") == ["c", "d", "a", "b"]
    assert ids(order="Fell most in 30 days") == ["b", "a", "d", "c"]
    assert ids(zones=["red"]) == ["b", "d"]
    assert ids(zones=["red"], tiers=["commercial"]) == ["b"]
    assert ids(owner="ann") == ["a", "c"]
    assert ids(stage="advanced", order="Name") == ["a", "d"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" ACME ", ["a"]),
        ("100%", ["a"]),
        ("(x", ["d"]),
        (".*", []),
        ("retail", ["b"]),
        ("c", ["a", "c"]),
    ],
)
def test_what_a_reader_types_is_text_and_no_pattern(text: str, found: list[str]) -> None:
    assert ids(text=text) == found


def test_pages_and_choices() -> None:
    assert [portfolio.page_count(count) for count in (0, 1, 50, 51)] == [1, 1, 1, 2]
    assert list(portfolio.zones(OVERVIEW).values()) == ["green", "red", "unscored"]
    assert portfolio.owners(OVERVIEW) == ["ann", "ben"]
    assert portfolio.values(OVERVIEW, "tier") == {
        "commercial": "commercial",
        "strategic": "strategic",
    }


# Words and pictures ---------------------------------------------------------------------------


def test_text_of_the_data_is_escaped_everywhere() -> None:
    bad = "<script>alert(1)</script>"
    assert bad not in html.message(bad, bad)
    assert bad not in html.render("masthead.html.jinja", label="The day shown", as_of=DAY, number=1)
    address = html.address("account", account='a"b&c')
    assert address == "?page=account&account=a%22b%26c"


def test_the_style_stays_inside_its_class() -> None:
    style = html.style_element()
    assert style.count("{") == style.count("}")
    assert ":root" not in style
    assert "http" not in style
    assert "@import" not in style


def test_events_are_told_in_words() -> None:
    def said(
        source: str, name: str | None, detail: dict[str, Any], title: str | None = None
    ) -> Any:
        row = {"occurred_on": DAY, "source": source, "name": name, "title": title}
        zones = {"green": 0, "red": 1}
        tellers = {**story._TELLERS, "zone": partial(story._zone, zones)}
        return story._said({**row, "detail": json.dumps(detail)}, tellers)

    worse = said("zone", None, {"from": "green", "to": "red"})
    assert (worse["text"], worse["tone"]) == ("Green to red", "bad")
    assert said("zone", None, {"from": "unscored", "to": "red"})["tone"] == ""
    # Zones and their order are policy's; one that it does not have is neither good nor bad.
    assert said("zone", None, {"from": "purple", "to": "red"})["tone"] == ""
    other = said("signal", "a_new_cause", {"solution_area": "an_area"})
    assert (other["kind"], other["text"], other["more"]) == ("signal", "A new cause", "an area")
    call = {"due_on": "2026-03-01", "attended": 2, "expected": 3, "executive": True}
    held = said("call", "business_review", {**call, "status": "met"}, "Business review")
    assert (held["text"], held["more"]) == (
        "Business review held",
        "2 of 3 people, with an executive",
    )
    missed = said("call", "business_review", {**call, "status": "missed"})
    assert (missed["text"], missed["more"]) == ("Business review missed", "it was due 1 Mar 2026")
    step = said("action", "step_done", {"step_id": "find_cause"}, "Health triage")
    assert (step["kind"], step["more"]) == ("step", "find cause")
    assert said("action", "an_event_of_tomorrow", {}) is None
    override = said(
        "override",
        "o",
        {
            "score": None,
            "zone": "red",
            "author": "a@b.c",
            "until": "2026-04-01",
            "reason": "r" * 999,
        },
    )
    assert override["text"] == "Set to red by a"
    assert len(override["more"]) < 200
    assert set(timeline.FIRST_SHOWN) < set(timeline.KINDS)
    assert timeline.since(DAY, 30) == date(2026, 3, 2)
    assert timeline.since(DAY, None) is None


def test_charts_are_drawn_with_gaps_and_without_accounts() -> None:
    days = pl.DataFrame(
        {
            "as_of_date": [date(2026, 3, day) for day in (1, 2, 3)],
            "health_score": [80.0, None, 20.0],
        }
    )
    drawn = svg.chart_svg(charts.score_history(days, {"green": 80.0, "red": 0.0}), "x")
    assert "green" in drawn
    assert 'fill="#3F9A68"' in drawn
    weeks = pl.DataFrame(
        {"week_on": [date(2026, 3, 2)], "kind": ["opened"], "count": [3]},
        schema={"week_on": pl.Date, "kind": pl.String, "count": pl.Int64},
    )
    assert "opened" in svg.chart_svg(charts.weekly_bars(weeks, rules.KINDS), "w")
    assert svg.swing(None, 1.0).count("<rect") == 0
    assert 'x="60.0"' in svg.swing(2.0, 4.0)
    assert 'x="31.0"' in svg.swing(-2.0, 4.0)


# Rules ----------------------------------------------------------------------------------------

STATES = """
create table playbooks.rule_states (rule_id varchar, account_id varchar, scope varchar,
    valid_from_on date, valid_to_on date, verdict varchar, reason varchar);
create table playbooks.actions (rule_id varchar, account_id varchar, scope varchar, owner varchar,
    opened_on date, closed_on date);
insert into playbooks.actions values ('r', 'a', 'account', 'ann', '2026-03-04', null);
insert into playbooks.rule_states values
    ('r', 'a', 'account', '2026-03-04', '2026-03-17', 'matched', 'act_1'),
    ('r', 'b', 'account', '2026-03-03', '2026-03-09', 'suppressed', 'cooldown until 2026-03-09'),
    ('r', 'b', 'account', '2026-03-09', null, 'suppressed', 'same work as act_2 opened by s'),
    ('r', 'c', 'account', '2026-02-01', '2026-03-03', 'unknown', 'missing: health_score'),
    ('other', 'b', 'account', '2026-03-01', null, 'matched', 'act_9');
insert into marts.dim_account values ('a', 'A', 'ann'), ('b', 'B', 'ben'), ('c', 'C', null);
"""
RULE = rules.Rule("r", "PB_1_x", "X", "account", None, "true", "ca")


def test_episodes_are_counted_once_a_week_and_kind(tmp_path: Path) -> None:
    path = written(tmp_path / "analytics.duckdb", DAY, 1, STATES)
    snapshot = current_publication(path).snapshot()
    since, until = date(2026, 3, 2), date(2026, 3, 22)
    found = rules.weekly(snapshot, RULE, since, until).rows()
    assert found == [
        (date(2026, 3, 2), "cooling down", 1),
        (date(2026, 3, 2), "not judged", 1),
        (date(2026, 3, 2), "opened", 1),
        # A match ends the day before its valid_to_on; the 17th is no match any more.
        (date(2026, 3, 9), "continuing", 1),
        (date(2026, 3, 9), "same work stands", 1),
        (date(2026, 3, 16), "continuing", 1),
        (date(2026, 3, 16), "same work stands", 1),
    ]
    owners = rules._owners(snapshot, RULE, since, until)
    assert [
        (row["owner"], row["opened_count"], row["suppressed_count"], row["unknown_count"])
        for row in owners
    ] == [
        ("ann", 1, 0, 0),
        ("ben", 0, 2, 0),
        (None, 0, 0, 1),
    ]
    assert dict(rules._episodes(snapshot, RULE, since, until)) == {
        "opened": 1,
        "cooling down": 1,
        "same work stands": 1,
        "not judged": 1,
    }


# The server -----------------------------------------------------------------------------------


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def answered(kind: str = "http", **headers: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(part: Any) -> None:
        sent.append(part)

    scope = {
        "type": kind,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Guard(_inner, 3001)(scope, None, send))  # type: ignore[arg-type]
    return sent


def test_only_this_machine_s_own_page_is_answered() -> None:
    for host in ("127.0.0.1:3001", "localhost:3001"):
        assert answered(host=host)[0]["status"] == 200
    assert answered(host="127.0.0.1:3001", origin="http://127.0.0.1:3001")[0]["status"] == 200
    for headers in (
        {},
        {"host": "evil.example:3001"},
        {"host": "127.0.0.1:80"},
        {"host": "127.0.0.1:3001", "origin": "http://evil.example"},
        {"host": "127.0.0.1:3001", "origin": "null"},
    ):
        assert answered(**headers)[0]["status"] == 403
        assert answered("websocket", **headers) == [{"type": "websocket.close", "code": 1008}]


def test_the_browser_may_ask_this_address_only() -> None:
    headers = dict(answered(host="127.0.0.1:3001")[0]["headers"])
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self';")
    sources = [part.strip() for part in policy.split(";")]
    assert "connect-src 'self' ws://127.0.0.1:3001 ws://localhost:3001" in sources
    assert "https:" not in policy
    assert "*" not in policy


def test_marimo_reads_and_writes_its_settings_in_a_folder_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path.cwd()
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", "/nowhere")
    monkeypatch.setenv("MARIMO_SKIP_UPDATE_CHECK", "")
    try:
        isolate(tmp_path)
        for name in ("config", "state", "cache"):
            assert os.environ[f"XDG_{name.upper()}_HOME"] == str(tmp_path / name)
        assert (tmp_path / "config" / "marimo" / "marimo.toml").exists()
    finally:
        os.chdir(before)
    shutil.rmtree(tmp_path / "config")
