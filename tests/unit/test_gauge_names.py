"""A gauge becomes a name in conditions by a row of policy alone, missing while it is silent."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import duckdb
import pytest

from dagster_project.errors import ConfigError
from dagster_project.playbooks import load_rules, run_playbooks
from dagster_project.policy import check_policy, read_gauges
from dagster_project.settings import PROJECT_ROOT
from tests.unit.playbook_world import (
    SIGNALS,
    add,
    add_account,
    day,
    open_world,
    playbook_text,
    write_rules,
)

PLAYBOOK = "PB_9_backlog"
RULES = {
    "signals.yml": SIGNALS,
    f"{PLAYBOOK}.yml": playbook_text(
        PLAYBOOK,
        """\
  - rule: backlog_grows
    scope: account
    condition: migration_backlog >= 10
    auto_close: {when: trigger_clears}
    why: The backlog is {migration_backlog}.
  - rule: area_backlog_grows
    scope: solution_area
    condition: search_backlog > 5
    why: The backlog of the area is {search_backlog}.
""",
        """\
  - {rule: backlog_grows, given: {migration_backlog: 10}, expect: matched}
  - {rule: backlog_grows, given: {migration_backlog: 9}, expect: not_matched}
  - {rule: area_backlog_grows, given: {search_backlog: 6}, expect: matched}
  - {rule: area_backlog_grows, given: {search_backlog: 5}, expect: not_matched}
""",
    ),
}


def append(path: Path, **cells: str) -> None:
    """One row at the end of a seed; columns left out are empty."""
    with path.open(newline="") as handle:
        columns = next(csv.reader(handle))
    with path.open("a", newline="") as handle:
        csv.DictWriter(handle, columns, lineterminator="\n").writerow(cells)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    folder = tmp_path / "dbt" / "seeds"
    shutil.copytree(PROJECT_ROOT / "dbt" / "seeds", folder)
    return folder


def add_gauges(seeds: Path) -> None:
    append(
        seeds / "health" / "health_measures.csv",
        measure="migration_backlog",
        component="adoption",
        measure_order="290",
        source="gauge",
        source_table="solution_measures",
        gauge_measure="o'clock backlog",
        better="lower",
        label="migrations waiting",
        unit="count",
        description="Migrations that wait",
    )
    append(
        seeds / "stages" / "stage_measures.csv",
        measure="search_backlog",
        source="gauge",
        unit="count",
        description="Searches that wait",
    )


def reading(con: duckdb.DuckDBPyConnection, area: str, gauge: str, on: int, value: float) -> None:
    add(
        con,
        "staging.stg_usage__solution_measures",
        account_id="a",
        solution_area=area,
        measure=gauge,
        measured_on=day(on),
        value=value,
    )


def test_a_row_of_policy_makes_a_gauge_a_name(seeds: Path, tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", RULES)
    with pytest.raises(ConfigError) as refused:
        load_rules(folder, read_gauges(seeds))
    assert any("migration_backlog" in str(fault) for fault in refused.value.faults)

    add_gauges(seeds)
    assert check_policy(seeds) == []
    rules = load_rules(folder, read_gauges(seeds))

    con = open_world()
    con.execute(
        "create table staging.stg_usage__solution_measures (account_id varchar,"
        " solution_area varchar, measure varchar, measured_on date, value double)"
    )
    lookback = max(gauge.lookback_days for gauge in read_gauges(seeds))
    add_account(con, "a", [70.0] * (lookback + 30))
    for number in range(20):
        add(con, "intermediate.int_core__area_days", account_id="a", solution_area="search",
            as_of_date=day(number))  # fmt: skip
    # Two areas on one day are averaged; a later reading replaces the earlier one.
    reading(con, "search", "o'clock backlog", 3, 14)
    reading(con, "security", "o'clock backlog", 3, 6)
    reading(con, "search", "o'clock backlog", 8, 2)
    reading(con, "search", "search_backlog", 5, 6)
    run_playbooks(con, rules, day(0), day(lookback + 20))

    verdicts = con.execute(
        "select verdict, valid_from_on, valid_to_on from playbooks.rule_states"
        " where rule_id = 'backlog_grows' order by valid_from_on"
    ).fetchall()
    # Unknown before the first reading and again once the last one is older than the lookback.
    assert verdicts[0] == ("unknown", day(0), day(3))
    assert ("matched", day(3), day(8)) in verdicts
    assert verdicts[-1][:2] == ("unknown", day(8 + lookback + 1))
    opened = con.execute(
        "select rule_id, opened_on from playbooks.actions order by opened_on"
    ).fetchall()
    assert opened == [
        ("backlog_grows", day(3)),
        ("area_backlog_grows", day(5)),
    ]


def test_a_gauge_may_not_take_a_published_name(seeds: Path, tmp_path: Path) -> None:
    append(
        seeds / "stages" / "stage_measures.csv",
        measure="stage_age_days",
        source="gauge",
        unit="days",
        description="Taken",
    )
    folder = write_rules(tmp_path / "rules")
    with pytest.raises(ConfigError) as refused:
        load_rules(folder, read_gauges(seeds))
    (fault,) = refused.value.faults
    assert fault.file.endswith("stage_measures.csv")
    assert "already have a name 'stage_age_days'" in str(fault)
