"""The report of the real job: every number is the warehouse's, whatever the data looks like."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import openpyxl
import pypdf
import pytest

from dagster_project.cli import main
from dagster_project.errors import ConfigError
from dagster_project.reporting.day import published_day, write_day
from dagster_project.reporting.dictionary import read_dictionary
from dagster_project.reporting.exports import read_manifest
from dagster_project.reporting.queries import Snapshot
from dagster_project.reporting.report import write as write_module
from dagster_project.reporting.report.accounts import account_data
from dagster_project.reporting.report.owners import owner_file
from dagster_project.reporting.report.packing import unpacked
from dagster_project.reporting.words import long_day
from tests.integration.conftest import LAST_DAY, Installation
from tests.integration.report_pages import copy_published, emptied, numbers, write_pages

pytestmark = pytest.mark.slow

METRICS = (
    "(select * from metrics.mtr_playbook_effectiveness union all by name "
    "select * from metrics.mtr_stage_adoption union all by name "
    "select * from metrics.mtr_engagement)"
)
HEALTH = "(select * from marts.fct_account_health_daily where as_of_date = $day)"
ZONE = "coalesce(health_zone, 'unscored')"
OPEN = (
    "(select *, case when started_on is null or started_on > $day then due_on < $day "
    "else coalesce(plan_due_on < $day, false) end as late from playbooks.actions "
    "where opened_on <= $day and (closed_on is null or closed_on > $day))"
)
# key prefix -> a query of (rest of the key, value), written apart from the report's own.
TRACED = {
    "accounts": f"select '', count(*) from {HEALTH}",
    "arr": f"select '', sum(arr_usd) from {HEALTH}",
    "mean_score": f"select '', avg(health_score) from {HEALTH}",
    "tile.zone": f"select {ZONE}, count(*) from {HEALTH} group by 1",
    "zone_accounts": f"select {ZONE}, count(*) from {HEALTH} group by 1",
    "zone_arr": f"select {ZONE}, sum(arr_usd) from {HEALTH} group by 1",
    "metric": f"select metric_id, value from {METRICS} "
    "where as_of_date = $day and dimension = 'all'",
    "sample": f"select metric_id, denominator from {METRICS} "
    "where as_of_date = $day and dimension = 'all'",
    "cadence.tier": "select dimension_value, value from metrics.mtr_engagement where "
    "as_of_date = $day and metric_id = 'cadence_adherence' and dimension = 'tier'",
    "cadence.owner": "select dimension_value, value from metrics.mtr_engagement where "
    "as_of_date = $day and metric_id = 'cadence_adherence' and dimension = 'owner'",
    "promotions": "select solution_area, count(*) filter (where kind = 'promotion') from "
    "marts.fct_stage_transition where occurred_on > $day - 90 and occurred_on <= $day group by 1",
    "demotions": "select solution_area, count(*) filter (where kind = 'demotion') from "
    "marts.fct_stage_transition where occurred_on > $day - 90 and occurred_on <= $day group by 1",
    "renewal_accounts": f"select {ZONE}, count(*) from {HEALTH} "
    "where days_to_renewal between 0 and 180 group by 1",
    "renewal_arr": f"select {ZONE}, sum(arr_usd) from {HEALTH} "
    "where days_to_renewal between 0 and 180 group by 1",
    "opened": "select playbook_id, count(*) from playbooks.actions "
    "where opened_on > $day - 30 and opened_on <= $day group by 1",
    "open": f"select playbook_id, count(*) from {OPEN} group by 1",
    "overdue": f"select playbook_id, count(*) filter (where late) from {OPEN} group by 1",
    "escalated": f"select playbook_id, count(*) filter (where action_id in (select action_id from "
    f"playbooks.action_events where event = 'escalated' and occurred_on <= $day)) from {OPEN} "
    "group by 1",
    "execution_rate": "select dimension_value, value from metrics.mtr_playbook_effectiveness "
    "where as_of_date = $day and metric_id = 'execution_rate' and dimension = 'playbook'",
    "completion_rate": "select dimension_value, value from metrics.mtr_playbook_effectiveness "
    "where as_of_date = $day and metric_id = 'completion_rate' and dimension = 'playbook'",
    "outcome_achievement": "select dimension_value, value from metrics.mtr_playbook_effectiveness "
    "where as_of_date = $day and metric_id = 'outcome_achievement' and dimension = 'playbook'",
    "rejected": "select source || '.' || table_name, sum(rejected_count) from pipeline.files "
    "where extracted_on <= $day group by 1",
    "rows_read": "select '', sum(row_count) from pipeline.files where extracted_on <= $day",
    "rows_rejected": "select '', sum(rejected_count) from pipeline.files "
    "where extracted_on <= $day",
    "tile.mean_score": f"select '', avg(health_score) from {HEALTH}",
    "tile.mean_coverage": f"select '', avg(coverage_ratio) from {HEALTH}",
    "tile.overdue_actions": f"select '', count(*) filter (where late) from {OPEN}",
    "tile.metrics_met": f"select '', count(*) from {METRICS} "
    "where as_of_date = $day and dimension = 'all' and status = 'met'",
    "tile.renewals_at_risk": f"select '', coalesce(sum(arr_usd), 0) from {HEALTH} "
    "where days_to_renewal between 0 and 180 and health_zone in ('orange', 'red')",
}
# A zone, tier or playbook with nothing may be left out or shown as 0.
_FREE_OF = (0.0, None)


@pytest.fixture
def folder(backfilled: Installation) -> Path:
    return backfilled.settings.exports / LAST_DAY.isoformat()


@pytest.fixture
def con(backfilled: Installation) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def expected(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, float | None]:
    rows = con.execute(query.replace("$day", f"date '{LAST_DAY}'")).fetchall()
    return {str(key): None if value is None else float(value) for key, value in rows}


def close(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-6)


def test_the_job_writes_what_leaders_and_analysts_read(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"report.html", "report.pdf", "dictionary.html", "metrics.xlsx", "owners"} <= names
    listed = {entry["file"] for entry in read_manifest(folder)["files"]}  # type: ignore[attr-defined]
    assert {"report.html", "dictionary.html", "report.pdf"} <= listed
    assert any(name.startswith("owners/") for name in listed)
    assert "tables/marts/account_overview.csv" in listed


@pytest.mark.parametrize("prefix", sorted(TRACED))
def test_every_number_is_the_warehouses(
    con: duckdb.DuckDBPyConnection, folder: Path, prefix: str
) -> None:
    shown = numbers(folder / "report.html")
    others = [other for other in TRACED if other.startswith(f"{prefix}.")]
    mine = {
        key.removeprefix(prefix).removeprefix("."): value
        for key, value in shown.items()
        if (key == prefix or key.startswith(f"{prefix}.")) and not any(map(key.startswith, others))
    }
    wanted = expected(con, TRACED[prefix])
    assert mine
    for key, value in mine.items():
        assert close(value, wanted.get(key)) or (value in _FREE_OF and key not in wanted), key
    if prefix != "cadence.owner":
        left_out = {key for key, value in wanted.items() if key not in mine and value}
        assert not left_out


def test_no_number_of_the_page_is_left_untraced(folder: Path) -> None:
    known = (*TRACED, "matrix", "state")
    assert not [
        key
        for key in numbers(folder / "report.html")
        if not any(key == prefix or key.startswith(f"{prefix}.") for prefix in known)
    ]


def test_the_matrix_counts_every_account_once(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    shown = numbers(folder / "report.html")
    (accounts,) = expected(con, TRACED["accounts"]).values()
    areas = [
        area
        for (area,) in con.execute("select solution_area from policy.solution_areas").fetchall()
    ]
    whole = {
        key: value
        for key, value in shown.items()
        if key.startswith("matrix.") and key.split(".")[1] not in areas
    }
    assert sum(value or 0 for value in whole.values()) == accounts
    for area in areas:
        cells = {k: v for k, v in shown.items() if k.startswith(f"matrix.{area}.")}
        wanted = expected(
            con,
            "select stage || '.' || health_zone, account_count "
            "from metrics.mtr_maturity_health_matrix "
            f"where as_of_date = $day and solution_area = '{area}'",
        )
        assert {k.removeprefix(f"matrix.{area}."): v for k, v in cells.items() if v} == {
            key: value for key, value in wanted.items() if value
        }


def test_states_of_a_component_are_counted(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    for key, value in numbers(folder / "report.html").items():
        if key.startswith("state."):
            _, component, state = key.split(".")
            (wanted,) = expected(
                con, f"select '', count(*) from {HEALTH} where {component}_status = '{state}'"
            ).values()
            assert value == wanted, key


def test_explanations_add_up_to_the_score(con: duckdb.DuckDBPyConnection) -> None:
    data = account_data(Snapshot(con, LAST_DAY))
    moves = dict(
        con.execute(
            "select account_id, sum(points) from marts.health_change(?::date - 30, ?::date) "
            "group by 1",
            [LAST_DAY, LAST_DAY],
        ).fetchall()
    )
    explained = [one for chunk in data.chunks for one in chunk]
    assert len(explained) == len(data.rows) > 0
    checked = 0
    for row, (components, measures, causes, *_rest) in zip(data.rows, explained, strict=True):
        if row[8] is None or _rest[-1] is not None:
            continue
        points = sum(score * weight for score, _, weight in components if score is not None)
        assert points == pytest.approx(row[8], abs=0.1)
        assert sum(one[5] or 0 for one in measures) == pytest.approx(row[8], abs=0.2)
        assert sum(one[2] for one in causes) == pytest.approx(moves.get(row[0]) or 0, abs=0.05)
        checked += 1
    assert checked


def test_the_list_inside_the_page_is_the_list_of_accounts(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    packed = dict(re.findall(r'<script type="text/plain" id="data-(\w+)">([^<]*)</script>', page))
    listed = unpacked(packed["list"])
    chunks = [unpacked(packed[str(at)]) for at in range(len(packed) - 1)]
    assert len(listed["rows"]) == sum(map(len, chunks)) > 0


def test_each_owner_has_a_page_with_their_own_accounts_only(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    held = con.execute(
        "select owner_ca, list(account_name) from marts.account_overview group by 1 order by 1"
    ).fetchall()
    names = {name for _, mine in held for name in mine}
    others = con.execute(
        "select owner_sa, owner_ae, owner_ve, owner_governance, account_name "
        "from marts.account_overview"
    ).fetchall()
    for owner, mine in held:
        page = (folder / "owners" / owner_file(owner)).read_text(encoding="utf-8")
        known = set(mine) | {row[-1] for row in others if owner in row[:-1]}
        work = con.execute(
            "select distinct account_name from marts.my_week where owner = ?", [owner]
        ).fetchall()
        known |= {name for (name,) in work}
        assert all(name in page for name in mine)
        assert not [name for name in names - known if f">{name}<" in page]


def test_the_print_edition_has_its_pages_and_text(folder: Path) -> None:
    pages = pypdf.PdfReader(folder / "report.pdf").pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert 4 <= len(pages) <= 9
    for words in (
        "Customer health",
        long_day(LAST_DAY),
        "Metrics against target",
        "Cadence adherence",
    ):
        assert words in text


def test_the_dictionary_explains_every_published_column(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    page = (folder / "dictionary.html").read_text(encoding="utf-8")
    tables = read_dictionary(con)
    silent = [
        f"{table.full_name}.{column.name}"
        for table in tables
        for column in table.columns
        if not column.meaning
    ]
    assert not silent
    assert not [table.full_name for table in tables if not table.meaning]
    assert all(f'id="{table.full_name}"' in page for table in tables)
    lineage = {table.full_name: table for table in tables}
    assert lineage["marts.fct_account_health_daily"].reads
    assert "Leadership report" in lineage["metrics.mtr_engagement"].read_by
    assert "marts.account_overview" in lineage["marts.dim_account"].read_by


def test_analysts_views_agree_with_the_tables(con: duckdb.DuckDBPyConnection) -> None:
    assert (
        con.execute(
            "select count(*), count(distinct account_id) from marts.account_overview"
        ).fetchall()
        == con.execute(
            f"select count(*), count(*) from {HEALTH}".replace("$day", f"date '{LAST_DAY}'")
        ).fetchall()
    )
    assert (
        con.execute(
            "select account_id, compared_days from marts.why_changed "
            "group by all "
            "having abs(sum(points) - (any_value(score_now) - any_value(score_before))) > 1e-6"
        ).fetchall()
        == []
    )
    assert con.execute(
        "select count(*) from marts.my_week where not is_overdue and days_left > 7"
    ).fetchall() == [(0,)]
    late = "select '', count(*) from marts.my_week where kind = 'action' and is_overdue"
    assert expected(con, late) == expected(con, TRACED["tile.overdue_actions"])


def test_nothing_published_makes_a_report_that_says_so(
    backfilled: Installation, tmp_path: Path
) -> None:
    path = emptied(backfilled.settings.published, tmp_path / "data")
    out = tmp_path / "out"
    out.mkdir()
    with duckdb.connect(str(path), read_only=True) as con:
        files = write_day(con, out, LAST_DAY)
    page = files.html.read_text(encoding="utf-8")
    for words in (
        "There are no accounts on this day",
        "No renewal is known",
        "No playbook has opened an action yet",
        "none can be said to be at risk",
        "No extract was read",
    ):
        assert words in page
    assert files.owner_pages == 0


def test_unscored_accounts_make_a_report_that_says_so(
    backfilled: Installation, tmp_path: Path
) -> None:
    path = copy_published(backfilled.settings.published, tmp_path / "data")
    with duckdb.connect(str(path)) as con:
        con.execute(
            "update marts.fct_account_health_daily set health_score = null, health_zone = null, "
            "computed_score = null, score_status = 'unscored', unscored_reason = 'no_data', "
            "adoption_status = 'no_data', adoption_score = null"
        )
        write_pages(con, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No account is scored" in page
    assert "most of the missing weight is no data" in page
    assert numbers(tmp_path / "report.html")["mean_score"] is None


def test_hostile_names_stay_text_and_inside_the_folder(
    backfilled: Installation, tmp_path: Path
) -> None:
    evil = "<script>alert(1)</script>../../../evil"
    path = copy_published(backfilled.settings.published, tmp_path / "data")
    out = tmp_path / "out" / "deep" / "day"
    out.mkdir(parents=True)
    with duckdb.connect(str(path)) as con:
        con.execute(
            "update marts.dim_account set account_name = $1, owner_sa = $1, tier = $1", [evil]
        )
        con.execute("update marts.fct_account_health_daily set owner_ca = $1, tier = $1", [evil])
        con.execute("update playbooks.actions set owner = $1", [evil])
        con.execute("update pipeline.files set table_name = $1", [evil])
        write_pages(con, out)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"deep"}
    assert {p.name for p in (tmp_path / "out" / "deep").iterdir()} == {"day"}
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text, page.name
        assert "&lt;script&gt;alert" in text or page.name == "dictionary.html"


def test_csp_report_writes_the_same_bytes_again_from_the_published_file_alone(
    backfilled: Installation, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    copy_published(backfilled.settings.published, data / "published")
    original = backfilled.settings.exports / LAST_DAY.isoformat()
    made = data / "exports" / LAST_DAY.isoformat()
    shutil.copytree(original, made)
    (made / "owners" / "stale.html").write_text("somebody who left")
    (made / "report.html").write_text("spoiled")
    assert main(["report", "--data-dir", str(data)]) == 0
    files = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    assert files == {path.relative_to(original) for path in original.rglob("*") if path.is_file()}
    assert not [
        name for name in files if (made / name).read_bytes() != (original / name).read_bytes()
    ]


def test_csp_report_writes_any_published_day(
    backfilled: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(write_module, "write_pdf", lambda *_: "no pdf today")
    copy_published(backfilled.settings.published, tmp_path / "published")
    earlier = LAST_DAY - timedelta(days=3)
    assert main(["report", "--data-dir", str(tmp_path), "--as-of", earlier.isoformat()]) == 0
    folder = tmp_path / "exports" / str(earlier)
    assert long_day(earlier) in (folder / "report.html").read_text()
    listed = {
        entry["file"] for entry in json.loads((folder / "manifest.json").read_text())["files"]
    }
    assert {"report.html", "metrics.xlsx", "dictionary.html"} <= listed
    assert "report.pdf" not in listed
    assert "no pdf today" in capfd.readouterr().err
    assert main(["report", "--data-dir", str(tmp_path), "--as-of", "1999-01-01"]) == 2
    assert "is no published day: it holds" in capfd.readouterr().err


def test_without_a_publication_csp_report_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--data-dir", str(tmp_path)]) == 1
    assert "run `csp run` first" in capsys.readouterr().err


def test_the_published_day_is_the_default(con: duckdb.DuckDBPyConnection) -> None:
    assert published_day(con, None) == LAST_DAY
    with pytest.raises(ConfigError, match="no published day"):
        published_day(con, LAST_DAY + timedelta(days=1))


def test_every_column_of_the_workbook_is_explained(folder: Path) -> None:
    book = openpyxl.load_workbook(folder / "metrics.xlsx", read_only=True)
    rows = list(book["Columns"].iter_rows(min_row=4, values_only=True))
    assert rows[0][-1] == "Meaning"
    assert len(rows) > 50
    assert not [row for row in rows[1:] if not row[-1]]


def test_workbook_and_report_show_the_same_definitions(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    dictionary = (folder / "dictionary.html").read_text(encoding="utf-8")
    book = openpyxl.load_workbook(folder / "metrics.xlsx", read_only=True)
    cells = {cell for row in book["Definitions"].iter_rows(values_only=True) for cell in row}
    for name, formula in con.execute(
        "select name, formula from policy.metric_definitions"
    ).fetchall():
        escaped = formula.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
        assert {name, formula} <= cells
        assert escaped in page
        assert escaped in dictionary


def test_dbts_documentation_is_one_file(backfilled: Installation) -> None:
    assert main(["docs", "--data-dir", str(backfilled.data_dir)]) == 0
    text = (backfilled.settings.exports / "dbt_docs.html").read_text(encoding="utf-8")
    assert "fct_account_health_daily" in text
    assert "<script src=" not in text
