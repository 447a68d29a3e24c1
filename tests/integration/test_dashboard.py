"""The dashboard's pages over a published sample, and over one in which next to nothing is known."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.errors import ConfigError, CspError
from dagster_project.reporting.dashboard import account, portfolio, quality, rules, timeline
from dagster_project.reporting.dashboard.html import PAGES
from dagster_project.reporting.dashboard.publication import Publication, current_publication
from dagster_project.settings import Settings
from dagster_project.ui import session, trial
from dagster_project.ui.app import app
from tests.integration.conftest import LAST_DAY, Installation
from tests.integration.report_pages import Numbers, copy_published, emptied

pytestmark = pytest.mark.slow
RULE = "triage_score_under_line"


@pytest.fixture(scope="module")
def publication(backfilled: Installation) -> Publication:
    return current_publication(backfilled.settings.published)


@pytest.fixture(scope="module")
def con(backfilled: Installation) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as own:
        own.execute(f"attach '{backfilled.settings.published}' as file (read_only); use file")
        yield own


@pytest.fixture(scope="module")
def silent_dir(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose accounts have no data for any component, and no name or owner."""
    out = tmp_path_factory.mktemp("silent")
    path = copy_published(backfilled.settings.published, out / "published")
    with duckdb.connect(str(path)) as own:
        columns = own.execute(
            "select column_name from duckdb_columns() where schema_name = 'marts' "
            "and table_name = 'fct_account_health_daily'"
        ).fetchall()
        names = [name for (name,) in columns]
        changes = [f"{name} = 'no_data'" for name in names if name.endswith("_status")]
        changes += [
            f"{name} = null"
            for name in names
            if name.endswith(("_score", "_weight", "_zone"))
            or name in ("owner_ca", "arr_usd", "tier", "score_change_30d", "days_to_renewal")
        ]
        own.execute(f"update marts.fct_account_health_daily set {', '.join(changes)}")
        own.execute(
            "update marts.dim_account set account_name = null, owner_ca = null, tier = null"
        )
        for table in ("fct_stage_daily", "fct_cadence_slot", "fct_stage_criterion"):
            own.execute(f"delete from marts.{table}")
    return out


@pytest.fixture(scope="module")
def empty_dir(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("empty")
    emptied(backfilled.settings.published, out / "published")
    return out


def one(con: duckdb.DuckDBPyConnection, query: str, *values: object) -> Any:
    return con.execute(query, list(values)).fetchall()[0][0]


def rows_of(page: str) -> int:
    """Rows of the bodies of all tables of a page."""
    return sum(part.count("<tr") for part in re.findall(r"<tbody>.*?</tbody>", page, re.S))


# Pages ----------------------------------------------------------------------------------------


def test_every_number_of_the_portfolio_is_in_the_tables(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    shown = Numbers(portfolio.portfolio_page(publication, LAST_DAY)).values
    for zone, count, arr in con.execute(
        "select coalesce(health_zone, 'unscored'), count(*), coalesce(sum(arr_usd), 0) "
        "from marts.fct_account_health_daily where as_of_date = ? group by 1",
        [LAST_DAY],
    ).fetchall():
        assert float(shown[f"tile.zone.{zone}"]) == count
        assert float(shown[f"arr.{zone}"]) == pytest.approx(float(arr))
    cells = con.execute(
        "select solution_area, stage, health_zone, account_count "
        "from metrics.mtr_maturity_health_matrix where as_of_date = ? and account_count > 0",
        [LAST_DAY],
    ).fetchall()
    assert cells
    for area, stage, zone, count in cells:
        assert float(shown[f"matrix.{area}.{stage}.{zone}"]) == count


def test_another_day_shows_that_day(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    day = LAST_DAY - timedelta(days=20)
    shown = Numbers(portfolio.portfolio_page(publication, day)).values
    total = sum(float(value) for key, value in shown.items() if key.startswith("tile.zone."))
    asked = "select count(*) from marts.fct_account_health_daily where as_of_date = ?"
    assert total == one(con, asked, day)


def test_the_list_holds_every_account_once(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    page = portfolio.account_list(publication, LAST_DAY, portfolio.Choice())
    found = re.findall(r"account=([\w-]+)", page)
    known = con.execute(
        "select account_id from marts.fct_account_health_daily where as_of_date = ?", [LAST_DAY]
    ).fetchall()
    assert sorted(found) == sorted(account_id for (account_id,) in known)
    assert "No account fits" in portfolio.account_list(
        publication, LAST_DAY, portfolio.Choice(text="no such account")
    )


def test_the_ledger_s_causes_add_up_to_the_move(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    before = LAST_DAY - timedelta(days=17)
    scores = con.execute(
        "select account_id, new.health_score - old.health_score "
        "from marts.fct_account_health_daily as new "
        "inner join marts.fct_account_health_daily as old using (account_id) "
        "where new.as_of_date = ? and old.as_of_date = ? order by all",
        [LAST_DAY, before],
    ).fetchall()
    sized = [(account_id, move) for account_id, move in scores if move is not None]
    assert sized
    for account_id, move in sized[:4]:
        page = account.ledger_page(publication, account_id, before, LAST_DAY)
        (said,) = re.findall(r'class="sum".*?class="right">(.*?)</td>', page, re.S) or ["+0.00"]
        assert float(said.replace("−", "-")) == pytest.approx(move, abs=0.0051)
    refused = account.ledger_page(publication, sized[0][0], LAST_DAY, LAST_DAY)
    assert "must lie before" in refused


def test_an_account_s_page_has_every_measure_and_every_open_action(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    account_id = one(
        con,
        "select account_id from playbooks.actions where closed_on is null "
        "group by account_id order by count(*) desc, account_id limit 1",
    )
    page = account.account_page(publication, account_id, LAST_DAY)
    measures = one(
        con,
        "select count(*) from marts.fct_health_measure_daily "
        "where account_id = ? and as_of_date = ? and component is not null",
        account_id,
        LAST_DAY,
    )
    assert rows_of(page) == measures
    work = account.actions_page(publication, account_id)
    standing = "select count(*) from playbooks.actions where closed_on is null and account_id = ?"
    assert work.count('class="work"') == one(con, standing, account_id)
    slots = one(
        con,
        "select sum(least(count, 16)) from (select count(*) as count from marts.fct_cadence_slot "
        "where account_id = ? and opened_on <= ? group by call_type)",
        account_id,
        LAST_DAY,
    )
    assert account.calls_page(publication, account_id).count('<li class="') == slots
    areas = "select count(*) from marts.fct_stage_daily where account_id = ? and as_of_date = ?"
    assert account.stages_page(publication, account_id).count('class="ladder"') == one(
        con, areas, account_id, LAST_DAY
    )


def test_the_timeline_tells_what_the_tables_hold(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    account_id = one(
        con,
        "select account_id from marts.fct_zone_transition group by account_id "
        "order by count(*) desc, account_id limit 1",
    )

    def told(*kinds: str) -> int:
        page = timeline.timeline_page(publication, account_id, kinds=kinds)
        return page.count("<time ")

    counted = {
        "zone": "select count(*) from marts.fct_zone_transition where account_id = ?",
        "stage": "select count(*) from marts.fct_stage_transition where account_id = ?",
        "call": "select count(*) from marts.fct_cadence_slot "
        "where account_id = ? and status in ('met', 'missed')",
        "step": "select count(*) from playbooks.action_events "
        "inner join playbooks.actions using (action_id) "
        "where account_id = ? and event = 'step_done'",
    }
    for kind, query in counted.items():
        assert told(kind) == one(con, query, account_id), kind
    assert told("zone") > 0
    assert told(*counted) == sum(told(kind) for kind in counted)
    late = timeline.timeline_page(publication, account_id, kinds=["call"], since=LAST_DAY)
    assert late.count("<time ") < told("call")


def test_a_rule_s_page_counts_its_actions_and_verdicts(
    publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    since, until = rules.default_range(publication)
    opened = con.execute(
        "select rule_id, count(*) from playbooks.actions where rule_id is not null "
        "and opened_on between ? and ? group by 1 order by 2 desc, 1",
        [since, until],
    ).fetchall()
    rule_id, count = opened[0]
    page = rules.rule_page(publication, rule_id, since=since, until=until)
    assert f"{count:,} action" in page
    snapshot = publication.snapshot()
    weeks = rules.weekly(snapshot, rules.rules(publication)[rule_id], since, until)
    assert weeks.filter(weeks["kind"] == "opened")["count"].sum() == count
    listed = rules.rule_list(publication)
    assert listed.count("rule=") == one(con, "select count(*) from playbooks.rules")


def test_data_quality_knows_the_rejects_the_refusals_and_the_runs(
    backfilled: Installation, tmp_path: Path
) -> None:
    path = copy_published(backfilled.settings.published, tmp_path)
    with duckdb.connect(str(path)) as own:
        own.execute(
            'insert into raw_crm.accounts__rejects (file, line, rule, "column", message, '
            "extracted_on) select 'crm/accounts/x.csv', n, 'not_a_number', 'arr_usd', "
            "'<b>12k</b> is no number', ? from range(3) as r(n)",
            [LAST_DAY],
        )
        own.execute(
            "insert into pipeline.files by name select 'crm' as source, 'invoices' as table_name, "
            "'crm/invoices/bad.csv' as file_name, ?::date as extracted_on, 'refused' as status, "
            "'a required column is missing: due_on' as message",
            [LAST_DAY],
        )
        own.execute(
            "insert into intermediate.int_core__unmatched_keys (source_table, account_id, "
            "row_count, first_seen_on) values ('raw_crm.invoices', 'nobody', 7, ?)",
            [LAST_DAY],
        )
        own.execute(
            "insert into pipeline.publications values (0, '2025-12-15', '2026-03-30', '', true)"
        )
    page = quality.quality_page(current_publication(path))
    assert "not a number" in page
    assert "&lt;b&gt;12k&lt;/b&gt; is no number" in page
    assert "a required column is missing: due_on" in page
    assert "nobody" in page
    assert "15 Dec 2025 to 30 Mar 2026" in page
    clean = quality.quality_page(current_publication(backfilled.settings.published))
    assert "every row has its account" in clean


def test_names_and_notes_of_the_data_are_text(backfilled: Installation, tmp_path: Path) -> None:
    bad = '"><script>alert(1)</script>'
    path = copy_published(backfilled.settings.published, tmp_path)
    with duckdb.connect(str(path)) as own:
        own.execute("update marts.dim_account set account_name = account_id || ?", [bad])
        own.execute("update marts.fct_stage_blocker set description = ?", [bad])
        own.execute("update playbooks.actions set owner = ?", [bad])
    file = current_publication(path)
    account_id = portfolio.accounts(file, LAST_DAY)["account_id"][0]
    since, until = rules.default_range(file)
    for page in (
        portfolio.account_list(file, LAST_DAY, portfolio.Choice()),
        account.account_page(file, account_id, LAST_DAY),
        account.stages_page(file, account_id),
        account.actions_page(file, account_id),
        timeline.timeline_page(file, account_id),
        rules.rule_page(file, RULE, since=since, until=until),
    ):
        assert "<script>" not in page
    listed = portfolio.account_list(file, LAST_DAY, portfolio.Choice())
    assert bad in unescape(listed)


# Replay ---------------------------------------------------------------------------------------


def test_a_rule_in_force_replays_to_what_was_published(
    backfilled: Installation, publication: Publication, con: duckdb.DuckDBPyConnection
) -> None:
    since, until = rules.default_range(publication)
    busiest, count = con.execute(
        "select rule_id, count(*) from playbooks.actions where rule_id is not null "
        "and opened_on between ? and ? group by 1 order by 2 desc, 1 limit 1",
        [since, until],
    ).fetchall()[0]
    found = trial.try_rule(backfilled.settings, busiest, None, since=since, until=until)
    page = trial.trial_page(publication, found)
    tiles = re.findall(r'class="label">(.*?)</span><strong>(.*?)</strong>', page)
    counts = {label: int(number.replace(",", "")) for label, number in tiles}
    assert counts["Would have opened"] == counts["Published"] == count > 0
    assert counts["Same day, same thing"] == count
    assert counts["Only tried"] == counts["Only published"] == 0


def test_an_edited_condition_is_replayed_and_its_broken_tests_are_named(
    backfilled: Installation, publication: Publication
) -> None:
    since, until = rules.default_range(publication)
    rule_files = {path: path.read_bytes() for path in backfilled.settings.rules.glob("*.yml")}
    published = backfilled.settings.published.read_bytes()
    found = trial.try_rule(backfilled.settings, RULE, "health_score < 0", since=since, until=until)
    assert found.result.openings == ()
    assert any(RULE in text for text in found.broken_tests)
    assert "health_score &lt; 0" in trial.trial_page(publication, found)
    assert backfilled.settings.published.read_bytes() == published
    assert {path: path.read_bytes() for path in rule_files} == rule_files


def test_a_faulty_condition_and_a_missing_build_file_are_explained(
    backfilled: Installation, publication: Publication, tmp_path: Path
) -> None:
    since, until = rules.default_range(publication)

    def refused(settings: Settings, condition: str | None) -> str:
        with pytest.raises(CspError) as caught:
            trial.try_rule(settings, RULE, condition, since=since, until=until)
        return trial.trial_refused(caught.value)

    said = refused(backfilled.settings, "helth_score < 60")
    assert "unknown name `helth_score`" in said
    assert "did you mean `health_score`?" in said
    assert "is not part of the grammar" in refused(backfilled.settings, "1; drop table x")
    bare = Settings(data_dir=tmp_path)
    shutil.copytree(backfilled.settings.published.parent, bare.published.parent)
    assert "there is no such warehouse yet" in refused(bare, None)
    with trial._at_work:
        assert "another replay is running" in refused(backfilled.settings, None)
    with pytest.raises(ConfigError, match="not in the rule files any more"):
        trial.try_rule(backfilled.settings, "no_such_rule", "true", since=since, until=until)


# The app --------------------------------------------------------------------------------------


@pytest.fixture
def run_app(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run every cell as marimo would for an address; the text of what they show."""
    begin = session.begin

    def run(data_dir: Path, **asked: str) -> str:
        monkeypatch.setenv("CSP_DATA_DIR", str(data_dir))
        monkeypatch.setattr(session, "begin", lambda settings, _: begin(settings, asked))
        outputs, _ = app.run()
        return "".join(getattr(output, "text", "") for output in outputs)

    return run


@pytest.mark.parametrize("page", list(PAGES))
def test_the_app_shows_every_page(
    run_app: Callable[..., str], backfilled: Installation, page: str
) -> None:
    marks = {
        "portfolio": "What stands out",
        "account": "What makes the score",
        "rules": "rules in force",
        "data": "Rejected rows by rule",
    }
    shown = run_app(backfilled.data_dir, page=page)
    assert [name for name, mark in marks.items() if mark in shown] == [page]


def test_the_app_leads_where_the_address_says_and_no_further(
    run_app: Callable[..., str], backfilled: Installation, publication: Publication
) -> None:
    account_id = (
        publication.snapshot()
        .frame(
            "select account_id from marts.fct_account_health_daily where as_of_date = $as_of "
            "order by account_id desc limit 1"
        )
        .item()
    )
    assert f'<p class="sub">{account_id}' in run_app(
        backfilled.data_dir, page="account", account=account_id
    )
    injected = "' or 1=1 --"
    assert injected not in run_app(backfilled.data_dir, page="account", account=injected)
    assert "Episodes per week" in run_app(backfilled.data_dir, page="rules", rule=RULE)
    assert "rules in force" in run_app(backfilled.data_dir, page="rules", rule=injected)
    assert "What stands out" in run_app(backfilled.data_dir, page=injected)


@pytest.mark.parametrize("page", list(PAGES))
def test_the_app_stands_where_next_to_nothing_is_known(
    run_app: Callable[..., str], silent_dir: Path, empty_dir: Path, page: str
) -> None:
    silent = run_app(silent_dir, page=page)
    assert "Customer success" in silent
    if page == "portfolio":
        assert "No account is scored" in silent
    if page == "account":
        assert "no data" in silent
        assert "No solution area is active" in silent
    assert "Customer success" in run_app(empty_dir, page=page, rule=RULE)


def test_the_app_says_that_nothing_is_published(
    run_app: Callable[..., str], tmp_path: Path
) -> None:
    assert "nothing is published here yet" in run_app(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_session_says_that_something_newer_is_there(
    backfilled: Installation, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    copy_published(backfilled.settings.published, settings.published.parent)
    begun = session.begin(settings, {})
    assert session.news(begun) == ""
    aside = copy_published(backfilled.settings.published, tmp_path / "aside")
    aside.replace(settings.published)
    assert "Reload the page" in session.news(begun)
    assert session.news(session.begin(settings, {})) == ""
