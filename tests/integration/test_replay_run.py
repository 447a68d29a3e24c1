"""Replays over one real run, and the changes it told: what it opened, and nothing changed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from dagster_project.cli import main
from dagster_project.defs.replay import replay_rules, rules_diff
from dagster_project.errors import ConfigError
from tests.integration.conftest import FIRST_DAY, LAST_DAY, Installation

pytestmark = pytest.mark.slow


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def published(installation: Installation) -> list[tuple[object, ...]]:
    with duckdb.connect(str(installation.settings.published), read_only=True) as con:
        return con.execute(
            "select action_id, rule_id, opened_on, closed_on, close_reason, evidence"
            " from playbooks.actions where opened_on between ? and ? order by all",
            [FIRST_DAY, LAST_DAY],
        ).fetchall()


def test_rules_in_force_give_what_was_published_even_when_a_day_is_left(
    backfilled: Installation, tmp_path: Path
) -> None:
    expected = published(backfilled)
    assert expected
    daily = backfilled.copy_to(tmp_path)
    # What a daily run leaves: its own day, in the tables that hold a run's days.
    with duckdb.connect(str(daily.settings.warehouse)) as con:
        for table in (
            "int_core__account_days",
            "int_core__area_days",
            "int_usage__account_daily",
            "int_usage__area_daily",
            "int_cadence__tier_adherence_daily",
        ):
            con.execute(f"delete from intermediate.{table} where as_of_date < ?", [LAST_DAY])
        con.execute("update pipeline.run_window set from_date = ?", [LAST_DAY])
    for installation in (backfilled, daily):
        before = files_of(installation.data_dir)
        result = replay_rules(
            installation.settings, str(installation.settings.rules), FIRST_DAY, None
        )
        assert files_of(installation.data_dir) == before
        found = sorted(
            (one.action_id, one.rule_id, one.opened_on, one.closed_on, one.close_reason,
             one.evidence)
            for one in result.openings
        )  # fmt: skip
        assert found == expected
        assert sum(week.opened for week in result.weeks) == len(expected)


def test_a_raised_triage_line_is_told_with_examples(
    backfilled: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    current = backfilled.settings.rules
    name = "PB_CS_301_health_triage.yml"
    proposal = tmp_path / "proposal"
    proposal.mkdir()
    text = (current / name).read_text(encoding="utf-8")
    assert "condition: health_score < 70" in text
    (proposal / name).write_text(text.replace("70", "75"), encoding="utf-8")
    data_dir = ["--data-dir", str(backfilled.data_dir)]
    csv = tmp_path / "diff.csv"
    arguments = ["rules-diff", str(current), str(proposal), *data_dir, "--csv", str(csv)]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "condition: health_score < 70 -> health_score < 75" in told
    diff = rules_diff(backfilled.settings, str(current), str(proposal), None, None)
    for one in diff.only_new:
        if one.opening.rule_id == "triage_score_under_line":
            assert 70 <= float(one.opening.evidence.split('"health_score":')[1].split(",")[0]) < 75
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as con:
        between = con.execute(
            "select count(*) from marts.fct_account_health_daily where health_score >= 70"
            " and health_score < 75 and as_of_date between ? and ?",
            [diff.range.from_date, diff.range.to_date],
        ).fetchall()
    if between == [(0,)]:
        assert not (diff.only_new or diff.only_old or diff.moved)
    assert csv.read_text(encoding="utf-8").count("\n") == 1 + len(diff.only_old) + len(
        diff.only_new
    ) + 2 * len(diff.moved)

    out = tmp_path / "out"
    assert main(["replay", str(proposal / name), *data_dir, "--out", str(out)]) == 0
    assert "What followed" in capsys.readouterr().out
    assert (out / "openings.svg").read_text(encoding="utf-8").startswith("<svg")


def test_days_outside_of_history_are_refused_with_the_mend(
    backfilled: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    early = FIRST_DAY - timedelta(days=400)
    data_dir = ["--data-dir", str(backfilled.data_dir)]
    assert main(["replay", "triage_declining", "--from", str(early), *data_dir]) == 2
    assert f"csp run --from {early}" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="ends .* before it starts"):
        replay_rules(
            backfilled.settings, "triage_declining", LAST_DAY, LAST_DAY - timedelta(days=1)
        )


def test_a_first_publication_tells_its_open_work(backfilled: Installation) -> None:
    folder = backfilled.settings.exports / LAST_DAY.isoformat() / "actions"
    events = [
        json.loads(line)
        for line in (folder / "changes.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    queued = {
        record["action_id"]: record
        for path in folder.glob("*.jsonl")
        if path.name != "changes.jsonl"
        for record in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if record["queue_role"] == "owner"
    }
    assert {event["subject"] for event in events} == set(queued) and queued
    for event in events:
        assert (event["specversion"], event["type"]) == ("1.0", "csp.action.opened")
        record = queued[event["subject"]]
        assert event["time"] == f"{record['opened_on']}T00:00:00Z"
        assert event["data"]["action"]["steps"] == record["steps"]
    assert len({event["id"] for event in events}) == len(events)


def test_nothing_to_replay_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "triage_declining", "--data-dir", str(tmp_path)]) == 1
    assert "csp run" in capsys.readouterr().err


def test_faults_of_both_sides_are_told_at_once(backfilled: Installation, tmp_path: Path) -> None:
    name = "PB_CS_301_health_triage.yml"
    text = (backfilled.settings.rules / name).read_text(encoding="utf-8")
    for side, wrong in (("old", "helth_score < 70"), ("new", "health_score < 'x'")):
        (tmp_path / side).mkdir()
        (tmp_path / side / name).write_text(
            text.replace("health_score < 70", wrong, 1), encoding="utf-8"
        )
    with pytest.raises(ConfigError) as refused:
        rules_diff(backfilled.settings, str(tmp_path / "old"), str(tmp_path / "new"), None, None)
    told = [str(fault) for fault in refused.value.faults]
    assert any(text.startswith(f"{tmp_path / 'old'}: {name}") for text in told)
    assert any(text.startswith(f"{tmp_path / 'new'}: {name}") for text in told)
