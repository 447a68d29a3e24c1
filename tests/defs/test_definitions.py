"""What Dagster sees: the assets, the job, the schedule, the sensor, and who may write when."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import NullPool, create_engine

from dagster_project.definitions import build_defs
from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.defs.ingest import RunRequest, ingest_and_choose, refuse_other_policy_set
from dagster_project.defs.instance import swift_history
from dagster_project.defs.jobs import DAILY_JOB, PROOF_JOB, new_extracts
from dagster_project.defs.resources import (
    WRITER_POOL,
    Installation,
    build_arguments,
    build_variables,
    dbt_resource,
)
from dagster_project.errors import ConfigError
from dagster_project.settings import PROJECT_ROOT, Settings
from dagster_project.warehouse import RunWindow

GOLDEN = PROJECT_ROOT / "tests" / "golden" / "asset_keys.txt"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("defs"), schedule_timezone="Europe/Berlin")


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_defs(settings)


def test_asset_keys_are_the_reviewed_ones(definitions: dg.Definitions) -> None:
    """A key is a public name; after a wanted change the golden file is written anew."""
    keys = sorted(
        key.to_user_string()
        for key in definitions.resolve_asset_graph().get_all_asset_keys()
        if key.path[0] not in {"staging", "intermediate"}
    )
    assert "\n".join(keys) + "\n" == GOLDEN.read_text()


def test_the_job_runs_everything_in_one_process(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(DAILY_JOB)
    proof = definitions.resolve_job_def(PROOF_JOB)
    daily_keys = set(job.asset_layer.executable_asset_keys)
    proof_keys = set(proof.asset_layer.executable_asset_keys)
    assert daily_keys | proof_keys == set(definitions.resolve_asset_graph().executable_asset_keys)
    assert not daily_keys & proof_keys
    assert job.executor_def.name == "in_process"


def test_the_flow_has_one_order(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    def above(key: str) -> set[str]:
        found: set[str] = set()
        waiting = [dg.AssetKey.from_user_string(key)]
        while waiting:
            for parent in graph.get(waiting.pop()).parent_keys:
                if parent.to_user_string() not in found:
                    found.add(parent.to_user_string())
                    waiting.append(parent)
        return found

    published = above("published/analytics")
    assert {"raw_crm/accounts", "marts/fct_account_health_daily"} <= published
    assert {"playbooks/actions", "metrics/mtr_playbook_effectiveness"} <= published
    assert "playbooks/actions" in above("metrics/mtr_playbook_effectiveness")
    assert "marts/fct_account_health_daily" in above("playbooks/actions")
    # The folders are staged before the publication and put in place by it.
    assert "infohub/staged" in published
    assert {"playbooks/actions", "policy/infohub_policy"} <= above("infohub/staged")
    assert "published/analytics" not in above("infohub/staged")


def test_every_step_that_writes_waits_its_turn(definitions: dg.Definitions) -> None:
    for assets in definitions.assets or []:
        assert isinstance(assets, dg.AssetsDefinition)
        assert assets.op.pool == WRITER_POOL, assets.op.name


def test_the_schedule_has_a_time_zone(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("daily_schedule")
    assert schedule.execution_timezone == "Europe/Berlin"


def test_the_sensor_asks_for_one_run_per_change(settings: Settings, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    installation = Installation.of(
        settings.model_copy(update={"landing_dir": landing}), waits_when_busy=True
    )

    def look(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(cursor=cursor)
        result = new_extracts(context, installation=installation)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    assert isinstance(look(None), dg.SkipReason)
    (landing / "crm" / "accounts").mkdir(parents=True)
    file = landing / "crm" / "accounts" / "accounts_2026-01-01.csv"
    file.write_text("account_id\n")
    first = look(None)
    assert isinstance(first, dg.SensorResult) and len(first.run_requests or []) == 1
    assert isinstance(look(first.cursor), dg.SkipReason)
    file.write_text("account_id\nA-1\n")
    second = look(first.cursor)
    assert isinstance(second, dg.SensorResult)
    assert (second.run_requests or [])[0].run_key != (first.run_requests or [])[0].run_key
    note = settings.infohub / "emea" / "acme" / "meetings" / "calls" / "note.md"
    note.parent.mkdir(parents=True)
    note.write_text("---\n")
    third = look(second.cursor)
    assert isinstance(third, dg.SensorResult) and len(third.run_requests or []) == 1
    note.unlink()
    assert isinstance(look(second.cursor), dg.SkipReason)


def test_dbt_is_given_the_policy_set_and_its_mode() -> None:
    window = RunWindow(date(2026, 1, 1), date(2026, 1, 2), policy_mode="latest")
    assert json.loads(build_variables(window, "some_set")) == {
        "from_date": "2026-01-01",
        "as_of_date": "2026-01-02",
        "health_policy_set": "some_set",
        "health_policy_mode": "latest",
    }


def test_dbt_is_told_to_rebuild_and_to_run_no_unit_tests() -> None:
    window = RunWindow(date(2026, 1, 1), date(2026, 1, 2), is_full_refresh=True)
    arguments = build_arguments(window)
    assert "--full-refresh" in arguments
    # Dates in the arguments would make dbt parse the project anew each night.
    assert "--vars" not in arguments
    assert arguments[arguments.index("--exclude-resource-type") + 1] == "unit_test"


def test_days_of_another_policy_set_are_not_gone_on_from() -> None:
    with duckdb.connect() as con:
        refuse_other_policy_set(con, "one")
        con.execute(
            "create schema marts; create table marts.dim_health_policy (policy_set varchar)"
        )
        con.execute("insert into marts.dim_health_policy values ('one')")
        refuse_other_policy_set(con, "one")
        with pytest.raises(ConfigError, match="scored by 'one' — .* --full-refresh"):
            refuse_other_policy_set(con, "two")


def test_every_start_of_the_job_checks_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule and the interface start the job without `csp run`."""
    seeds = tmp_path / "seeds"
    shutil.copytree(PROJECT_ROOT / "dbt" / "seeds", seeds)
    zones = seeds / "health" / "health_zones.csv"
    zones.write_text(zones.read_text().replace("yellow,2,60,80", "yellow,2,61,80", 1))
    monkeypatch.setattr(Settings, "seeds", property(lambda _: seeds))
    settings = Settings(data_dir=tmp_path / "data", landing_dir=PROJECT_ROOT / "data" / "sample")
    with pytest.raises(ConfigError, match="gap: nothing holds from 60 to 61"):
        ingest_and_choose(settings, RunRequest())
    assert not settings.warehouse.exists()


def test_dbt_is_the_one_of_this_environment(settings: Settings) -> None:
    """The version is asked of the environment; the program itself must agree."""
    said = subprocess.run(
        [dbt_executable(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    dbt = dbt_resource(settings)
    assert str(dbt._cli_version) in said
    assert type(dbt).__mro__[1]._initialize_dbt_core_adapter, "the library asks it elsewhere now"


def test_swift_history_waits_for_no_disk_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    engine = create_engine(f"sqlite:///{path}")

    def synchronous() -> int:
        with engine.connect() as con:
            return int(con.exec_driver_sql("pragma synchronous").scalar_one())

    full = synchronous()
    engine.dispose()
    with swift_history():
        assert synchronous() == 1 < full
        with engine.begin() as con:
            con.exec_driver_sql("pragma journal_mode = wal")
            con.exec_driver_sql("create table events (id integer)")
        engine.dispose()
        with engine.begin() as con:
            con.exec_driver_sql("insert into events values (1)")
        shared = sqlite_event_log.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        assert sqlite_event_log.create_engine(f"sqlite:///{path}", poolclass=NullPool) is shared
        # One connection stays, so the journal is not copied back at each close.
        engine.dispose()
        assert path.with_name("history.db-wal").exists()
    assert not path.with_name("history.db-wal").exists()
    engine.dispose()
    assert synchronous() == full
    with engine.connect() as con:
        assert con.exec_driver_sql("select count(*) from events").scalar_one() == 1
