"""The notebooks over one real run, over one that knows next to nothing, and over none."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.errors import ConfigError, CspError
from dagster_project.proof import backtest
from dagster_project.settings import PROJECT_ROOT
from tests.integration.conftest import Installation

pytestmark = pytest.mark.slow

FOLDER = PROJECT_ROOT / "notebooks"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.py")))
Definitions = dict[str, Any]


@dataclass
class Ran:
    """What a notebook defined when it was run; its connection stays open until `close`."""

    defs: Definitions

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.defs["snapshot"].con.execute(query).fetchall()  # type: ignore[no-any-return]

    def one(self, query: str) -> Any:
        ((value,),) = self.rows(query)
        return value

    def close(self) -> None:
        if "snapshot" in self.defs:
            self.defs["snapshot"].con.close()


def run(name: str, data_dir: Path, **instead: object) -> Ran:
    """Run a notebook in this process without a network; `instead` takes the place of its own."""
    spec = importlib.util.spec_from_file_location(f"notebook_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSP_DATA_DIR", str(data_dir))
        patch.setattr(sys, "argv", [f"{name}.py"])
        patch.setattr(socket.socket, "connect", _refuse)
        spec.loader.exec_module(module)
        _, defs = module.app.run(defs=instead)
    return Ran(dict(defs))


def _refuse(*_: object) -> None:
    raise AssertionError("a notebook asked the network")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def sample(backfilled: Installation) -> Iterator[dict[str, Ran]]:
    """Every notebook, run over the published sample; the file is left as it was."""
    before = digest(backfilled.settings.published)
    found = {name: run(name, backfilled.data_dir) for name in NAMES}
    yield found
    for ran in found.values():
        ran.close()
    assert digest(backfilled.settings.published) == before


def published_copy(backfilled: Installation, folder: Path) -> Path:
    """The published file alone, as somebody mails it: no build file beside it."""
    target = folder / "published" / "analytics.duckdb"
    target.parent.mkdir(parents=True)
    shutil.copyfile(backfilled.settings.published, target)
    return target


@pytest.fixture(scope="module")
def silent_dir(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication in which no account has a score, a renewal or work, and nobody left."""
    folder = tmp_path_factory.mktemp("silent")
    with duckdb.connect(str(published_copy(backfilled, folder))) as con:
        con.execute(
            "update marts.fct_account_health_daily set health_score = null, health_zone = null, "
            "computed_score = null, computed_zone = null, score_status = 'unscored', "
            "coverage_ratio = 0.3, score_change_30d = null, days_to_renewal = null"
        )
        con.execute("update marts.fct_health_facts_daily set computed_score = null")
        con.execute("update marts.dim_account set churned_on = null, next_renewal_on = null")
        for table in ("actions", "action_events", "signals", "rule_states"):
            con.execute(f"delete from playbooks.{table}")
        con.execute("delete from marts.fct_cadence_slot")
        con.execute("delete from marts.fct_stage_daily")
    return folder


@pytest.fixture(scope="module")
def silent(silent_dir: Path) -> Iterator[dict[str, Ran]]:
    found = {name: run(name, silent_dir) for name in NAMES}
    yield found
    for ran in found.values():
        ran.close()


@pytest.fixture(scope="module")
def deserted_dir(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication without a single account, as after a first run on empty extracts."""
    folder = tmp_path_factory.mktemp("deserted")
    with duckdb.connect(str(published_copy(backfilled, folder))) as con:
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where schema_name in ('marts', 'playbooks', 'metrics') "
            "and table_name not in ('dim_cadence_feed', 'playbooks', 'rules')"
        ).fetchall():
            con.execute(f'delete from "{schema}"."{table}"')
    return folder


# --- all of them -------------------------------------------------------------------------------


def test_there_are_five_and_the_readme_lists_them() -> None:
    assert len(NAMES) == 5
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"{name}.py" not in readme] == []


@pytest.mark.parametrize("name", NAMES)
def test_runs_on_the_sample(sample: dict[str, Ran], name: str) -> None:
    assert sample[name].defs["snapshot"].con


@pytest.mark.parametrize("name", NAMES)
def test_runs_where_next_to_nothing_is_known(silent: dict[str, Ran], name: str) -> None:
    assert silent[name].defs["snapshot"].con


@pytest.mark.parametrize("name", NAMES)
def test_runs_where_there_is_no_account(deserted_dir: Path, name: str) -> None:
    run(name, deserted_dir).close()


@pytest.mark.parametrize("name", NAMES)
def test_says_what_to_do_when_nothing_is_published(name: str, tmp_path: Path) -> None:
    with pytest.raises(CspError, match="make run"):
        run(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_names_no_account_and_no_day_of_the_sample(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    days = set(re.findall(r"\b\d{4}-\d{2}-\d{2}\b", text)) - {"9999-12-31"}
    assert not days
    assert not re.findall(r"\bacc-\d", text)


def test_marimo_finds_nothing_to_mend() -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "marimo"),
            "check",
            "--strict",
            *(str(FOLDER / f"{name}.py") for name in NAMES),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_runs_as_a_script(backfilled: Installation) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "tour.py")],
        env={"CSP_DATA_DIR": str(backfilled.data_dir), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- tour --------------------------------------------------------------------------------------


def test_tour_lists_every_published_table_with_its_meaning_and_rows(
    sample: dict[str, Ran],
) -> None:
    tour = sample["tour"]
    there = tour.rows(
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_catalog = current_catalog() order by 1"
    )
    listed = {row["table"]: row for row in tour.defs["tables"]}
    assert sorted(listed) == [name for (name,) in there]
    assert all(row["meaning"] for row in listed.values())
    assert listed["marts.dim_account"]["rows"] == tour.one("select count(*) from marts.dim_account")
    assert sum(count for _, count, _ in tour.defs["schemas"]) == len(there)


def test_tour_answers_its_ten_questions(sample: dict[str, Ran]) -> None:
    tour = sample["tour"]
    day = tour.defs["snapshot"].as_of
    arr = tour.defs["arr_by_zone"]
    assert arr["accounts_now"].sum() == tour.one(
        f"select count(*) from marts.fct_account_health_daily where as_of_date = date '{day}'"
    )
    assert arr["arr_now"].sum() == float(
        tour.one(
            f"select sum(arr_usd) from marts.fct_account_health_daily where as_of_date = '{day}'"
        )
    )
    made_of = tour.defs["made_of"]
    lowest = tour.one("select min(health_score) from marts.account_overview")
    assert made_of["contribution"].sum() == pytest.approx(lowest, abs=1e-6)
    assert tour.defs["metrics_now"].height == tour.one(
        "select count(*) from policy.metric_definitions"
    )
    assert tour.defs["work_by_owner"]["due"].sum() == tour.one("select count(*) from marts.my_week")
    assert tour.defs["inputs"]["rows"].sum() == tour.one(
        "select sum(row_count) from pipeline.files"
    )
    missed = tour.defs["calls_missed"]
    assert missed["missed"].sum() == tour.one(
        "select count(*) from marts.fct_cadence_slot "
        f"where status = 'missed' and decided_on > date '{day}' - 90"
    )
    assert set(tour.defs["accounts_to_look_at"]["health_zone"].to_list()) <= {"orange", "red"}
    # Another way to the same sum: the view over all look-backs.
    assert tour.defs["movers"]["points"].sum() == pytest.approx(
        tour.one("select coalesce(sum(points), 0) from marts.why_changed where compared_days = 30"),
        abs=0.05 * max(tour.defs["movers"].height, 1),
    )
    assert tour.defs["own_answer"].height


def test_tour_counts_who_has_no_score(sample: dict[str, Ran], silent: dict[str, Ran]) -> None:
    for ran in (sample["tour"], silent["tour"]):
        day = ran.defs["snapshot"].as_of
        assert ran.rows(
            "select count(*), count(health_score) from marts.fct_account_health_daily "
            f"where as_of_date = date '{day}'"
        ) == [(ran.defs["coverage"]["account_count"], ran.defs["coverage"]["scored_count"])]
    assert silent["tour"].defs["coverage"]["scored_count"] == 0


def test_a_wrong_question_is_answered_with_its_error(backfilled: Installation) -> None:
    ran = run("tour", backfilled.data_dir, own_sql=_Value("select no_such_column from nowhere"))
    assert ran.defs["own_answer"] is None
    ran.close()


@dataclass
class _Value:
    """Stands for a control of a notebook that somebody has set."""

    value: Any


# --- why did an account fall -------------------------------------------------------------------


def test_opens_with_the_account_that_fell_most(sample: dict[str, Ran]) -> None:
    fall = sample["why_did_an_account_fall"]
    since, day = fall.defs["since"], fall.defs["snapshot"].as_of
    assert day - since == timedelta(days=30)
    ((account, move),) = fall.rows(
        f"""
        select new.account_id, new.health_score - old.health_score as move
        from marts.fct_account_health_daily as new, marts.fct_account_health_daily as old
        where new.account_id = old.account_id and new.as_of_date = '{day}'
            and old.as_of_date = '{since}' and new.health_score < old.health_score
        order by move limit 1
        """
    )
    assert fall.defs["account_id"] == account
    assert fall.defs["chosen"]["move"] == pytest.approx(move)


def test_the_ledger_adds_up_to_the_move(sample: dict[str, Ran]) -> None:
    fall = sample["why_did_an_account_fall"]
    assert fall.defs["ledger_is_whole"] is True
    assert fall.defs["ledger"]["points"].sum() == pytest.approx(fall.defs["chosen"]["move"])
    assert fall.defs["measures"]["points_now"].sum() == pytest.approx(
        fall.defs["chosen"]["score_now"], abs=1e-6
    )


def test_what_happened_is_what_the_tables_hold(sample: dict[str, Ran]) -> None:
    fall = sample["why_did_an_account_fall"]
    account, since = fall.defs["account_id"], fall.defs["shown_from"]
    day = fall.defs["snapshot"].as_of
    counts = dict(
        fall.rows(
            f"""
            select status, count(*) from marts.fct_cadence_slot
            where account_id = '{account}' and status in ('met', 'missed')
                and coalesce(met_on, decided_on) between '{since}' and '{day}'
            group by status
            """
        )
    )
    assert fall.defs["calls_missed"] == counts.get("missed", 0)
    assert fall.defs["calls_met"] == counts.get("met", 0)
    assert fall.defs["work"].height == fall.one(
        f"""
        select count(*) from playbooks.actions
        where account_id = '{account}' and opened_on <= '{day}'
            and coalesce(closed_on, '9999-12-31') >= '{since}'
        """
    )
    assert fall.defs["happenings"]["occurred_on"].is_sorted()


@pytest.mark.parametrize("place", [1, -1])
def test_another_account_may_be_asked_about(
    backfilled: Installation, sample: dict[str, Ran], place: int
) -> None:
    """The next to the first, and the last, which rose most or has no score to compare."""
    first = sample["why_did_an_account_fall"].defs
    account = first["moves"]["account_id"][place]
    ran = run(
        "why_did_an_account_fall",
        backfilled.data_dir,
        account=_Value(account),
        **{name: first[name] for name in ("fallen", "moves", "since")},
    )
    assert ran.defs["account_id"] == account
    move = ran.defs["chosen"]["move"]
    assert ran.defs["ledger_is_whole"] is (None if move is None else True)
    ran.close()


def test_without_scores_no_fall_is_claimed(silent: dict[str, Ran]) -> None:
    fall = silent["why_did_an_account_fall"]
    assert fall.defs["fallen"].height == 0
    assert fall.defs["chosen"]["move"] is None
    assert fall.defs["ledger_is_whole"] is None
    assert fall.defs["work"].height == 0
    assert "no score" in fall.defs["explanation"]


# --- design a rule -----------------------------------------------------------------------------


def test_the_replay_in_force_opens_what_was_published(sample: dict[str, Ran]) -> None:
    design = sample["design_a_rule"]
    trial, rule = design.defs["trial"], design.defs["rule"]
    days = trial.in_force.range
    published = design.one(
        f"""
        select count(*) from playbooks.actions
        where rule_id = '{rule.rule_id}'
            and opened_on between '{days.from_date}' and '{days.to_date}'
        """
    )
    assert len(trial.in_force.openings) == published > 0
    assert design.defs["openings_by_week"]["in_force"].sum() == published
    assert design.defs["openings_by_week"]["proposed"].sum() == len(trial.proposed.openings)
    assert len(design.defs["only_in_force"]) == len(trial.diff.only_old)
    assert len(design.defs["only_proposed"]) == len(trial.diff.only_new)


def test_the_rule_it_opens_with_is_the_one_that_opened_most(sample: dict[str, Ran]) -> None:
    design = sample["design_a_rule"]
    conditions = {row["rule"]: row["condition"] for row in design.defs["rulebook"]}
    ranked = design.rows(
        f"""
        select rule_id from playbooks.actions
        where opened_on > date '{design.defs["snapshot"].as_of}' - 90 and rule_id is not null
        group by rule_id order by count(*) desc, rule_id
        """
    )
    with_line = [rule for (rule,) in ranked if re.search(r"[<>]=? ?-?\d", conditions[rule])]
    assert design.defs["rule"].rule_id == with_line[0]
    assert design.defs["condition"] != design.defs["rule"].text


def test_the_published_file_alone_reads_rules_but_replays_none(silent: dict[str, Ran]) -> None:
    design = silent["design_a_rule"]
    assert design.defs["has_build_file"] is False
    assert design.defs["trial"] is None
    assert design.defs["names"]


def test_a_condition_with_a_fault_is_not_replayed(backfilled: Installation) -> None:
    ran = run(
        "design_a_rule",
        backfilled.data_dir,
        proposed_condition=_Value("health_skore < 50"),
    )
    assert ran.defs["condition_fault"]
    assert ran.defs["trial"] is None
    ran.close()


def test_a_large_history_is_replayed_when_somebody_asks(backfilled: Installation) -> None:
    ran = run(
        "design_a_rule",
        backfilled.data_dir,
        account_days=10**9,
        begins_by_itself=False,
        has_build_file=True,
        replay_button=_Value(False),
    )
    assert ran.defs["trial"] is None
    assert ran.defs["condition_fault"] is None
    ran.close()


# --- renewal outlook ---------------------------------------------------------------------------


def test_renewals_are_those_of_the_published_day(sample: dict[str, Ran]) -> None:
    outlook = sample["renewal_outlook"]
    day, ahead = outlook.defs["snapshot"].as_of, outlook.defs["days_ahead"].value
    ((accounts, arr_usd, at_risk_usd),) = outlook.rows(
        f"""
        select count(*), coalesce(sum(arr_usd), 0),
            coalesce(sum(arr_usd) filter (health_zone in ('orange', 'red')), 0)
        from marts.account_overview where days_to_renewal between 0 and {ahead}
        """
    )
    total = outlook.defs["total"]
    assert (total.accounts, total.arr_usd, total.at_risk_usd) == (
        accounts,
        float(arr_usd),
        float(at_risk_usd),
    )
    assert outlook.defs["by_month"]["account_count"].sum() == accounts
    assert outlook.defs["months"]["arr_usd"].sum() == pytest.approx(total.arr_usd)
    assert ahead == 180
    assert day == outlook.one("select as_of_date from pipeline.publication")


def test_forty_days_of_a_few_accounts_let_nothing_be_expected(sample: dict[str, Ran]) -> None:
    total = sample["renewal_outlook"].defs["total"]
    assert (total.expected_usd, total.low_usd, total.high_usd) == (None, None, None)


def test_without_renewals_the_outlook_is_empty(silent: dict[str, Ran]) -> None:
    assert silent["renewal_outlook"].defs["total"].accounts == 0


# --- does the score predict --------------------------------------------------------------------


def test_the_proof_shown_is_the_proof(sample: dict[str, Ran]) -> None:
    predict = sample["does_the_score_predict"]
    proof = predict.defs["proof"]
    result = backtest(predict.defs["snapshot"].con, as_of=predict.defs["snapshot"].as_of)
    assert proof.summary["auc"].to_list() == [row.auc for row in result.summary]
    assert proof.zones["event_ratio"].to_list() == [row.event_ratio for row in result.zones]
    assert proof.calibration["band"].to_list() == [row.band for row in result.calibration]
    assert proof.lead_time["churned_count"].to_list() == [
        row.churned_count for row in result.lead_time
    ]


def test_too_little_to_prove_is_said(sample: dict[str, Ran], silent: dict[str, Ran]) -> None:
    assert any("cannot be said" in one for one in sample["does_the_score_predict"].defs["said"])
    (only,) = silent["does_the_score_predict"].defs["said"]
    assert only.startswith("Nothing can be said")


def test_a_wrong_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, backfilled: Installation
) -> None:
    monkeypatch.setenv("CSP_THREADS", "none")
    with pytest.raises(ConfigError, match="CSP_THREADS"):
        run("tour", backfilled.data_dir)
