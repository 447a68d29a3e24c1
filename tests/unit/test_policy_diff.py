"""Comparing two policies: what moves, why, in which order; proposed folders; future rows."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.policy import check_policy
from dagster_project.policy.compare import (
    AccountHealth,
    compare_policies,
    render_diff,
    write_diff,
)
from dagster_project.policy.overlay import bring_forward, changed_seeds, lay_over
from dagster_project.settings import PROJECT_ROOT

SEEDS = PROJECT_ROOT / "dbt" / "seeds"
DAY = date(2026, 6, 30)


def health(
    account: str,
    zone: str | None,
    score: float | None,
    *,
    coverage: float = 1.0,
    overridden: bool = False,
    arr: int | None = 1000,
    **contributions: float,
) -> AccountHealth:
    return AccountHealth(
        account_id=account,
        account_name=f"Name {account}",
        arr_usd=None if arr is None else Decimal(arr),
        zone=zone,
        score=score,
        coverage=coverage,
        is_overridden=overridden,
        contributions=contributions,
    )


def by_id(*accounts: AccountHealth) -> dict[str, AccountHealth]:
    return {account.account_id: account for account in accounts}


OLD = by_id(
    health("A", "green", 81.0, usage=50.0, calls=31.0),
    health("B", "yellow", 60.0, arr=500, usage=60.0),
    health("C", "yellow", 70.0, arr=None, usage=70.0),
    health("D", "green", 90.0, overridden=True, usage=20.0),
)
NEW = by_id(
    health("A", "yellow", 75.0, usage=42.0, calls=33.0),
    health("B", "orange", 40.0, arr=500, usage=35.0, nps=5.0),
    health("C", None, None, arr=None, coverage=0.4),
    health("D", "green", 90.0, overridden=True, usage=10.0),
)


def test_moves_come_lost_scores_first_then_by_size() -> None:
    diff = compare_policies(OLD, NEW)
    assert [move.old.account_id for move in diff.moves] == ["C", "B", "A"]
    assert [move.zones for move in diff.moves] == [
        ("yellow", "unscored"),
        ("yellow", "orange"),
        ("green", "yellow"),
    ]


def test_causes_are_the_measures_and_sum_to_the_move() -> None:
    move = compare_policies(OLD, NEW).moves[2]
    assert [(cause.measure, cause.points) for cause in move.causes] == [
        ("usage", -8.0),
        ("calls", 2.0),
    ]
    assert move.score_change == sum(cause.points for cause in move.causes) == -6.0
    assert move.why() == "usage -8.0, calls +2.0"


def test_why_names_coverage_override_and_edges() -> None:
    lost, *_ = compare_policies(OLD, NEW).moves
    assert lost.why() == "coverage 100% to 40%"
    (held,) = [move for move in compare_policies(OLD, NEW).accounts if move.old.is_overridden]
    assert not held.changes_zone
    assert held.why() == "an override holds, usage -10.0"
    (edge,) = compare_policies(
        by_id(health("A", "green", 80.0, usage=80.0)),
        by_id(health("A", "yellow", 80.0, usage=80.0)),
    ).moves
    assert edge.why() == "the zone's edges moved"


def test_zone_moves_count_accounts_and_arr_and_unknown_arr_counts_as_nothing() -> None:
    moves = compare_policies(OLD, NEW).zone_moves()
    assert {(m.old_zone, m.new_zone): (m.account_count, m.arr_usd) for m in moves} == {
        ("green", "yellow"): (1, Decimal(1000)),
        ("yellow", "orange"): (1, Decimal(500)),
        ("yellow", "unscored"): (1, Decimal(0)),
    }


def test_one_side_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="'B'"):
        compare_policies(OLD, {key: value for key, value in NEW.items() if key != "B"})


def test_text_tells_counts_arr_and_reasons() -> None:
    text = render_diff(
        compare_policies(OLD, NEW), as_of=DAY, old_name="a", new_name="b", limit=2, notes=("n1",)
    )
    assert "zone would change         3 account(s), ARR 1,500 USD" in text
    assert "mean score         75.2 to 68.3" in text
    assert "unscored           0 to 1" in text
    assert "note: n1" in text
    assert "largest moves (2 of 3)" in text
    assert "B Name B: yellow 60.0 to orange 40.0 (-20.0), ARR 500 USD\n    usage -25.0" in text
    assert "A Name A" not in text


def test_equal_policies_move_nobody() -> None:
    text = render_diff(compare_policies(OLD, OLD), as_of=DAY, old_name="a", new_name="b")
    assert text.endswith("no account would change its zone")


def test_csv_has_every_account_and_which_move(tmp_path: Path) -> None:
    path = tmp_path / "out" / "diff.csv"
    write_diff(compare_policies(OLD, NEW), path)
    rows = list(csv.DictReader(path.open()))
    assert [(row["account_id"], row["changes_zone"]) for row in rows] == [
        ("A", "true"),
        ("B", "true"),
        ("C", "true"),
        ("D", "false"),
    ]
    assert rows[1]["score_change"] == "-20.0"
    assert rows[2]["new_zone"] == "unscored"
    assert rows[2]["new_score"] == ""
    assert [entry.name for entry in path.parent.iterdir()] == ["diff.csv"]


points = st.dictionaries(
    st.sampled_from(["m1", "m2", "m3", "m4"]), st.floats(0, 25, allow_nan=False)
)


@settings(deadline=None)
@given(points, points)
def test_causes_sum_to_the_move_whatever_the_contributions(
    old: dict[str, float], new: dict[str, float]
) -> None:
    before = replace(health("A", "x", sum(old.values())), contributions=old)
    after = replace(health("A", "y", sum(new.values())), contributions=new)
    (move,) = compare_policies(by_id(before), by_id(after)).moves
    assert move.score_change is not None
    assert abs(move.score_change - sum(cause.points for cause in move.causes)) < 1e-8


# Folders -------------------------------------------------------------------------------------


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_files_are_laid_over_by_name_and_the_rest_stays(tmp_path: Path) -> None:
    given = tmp_path / "suggestion"
    given.mkdir()
    shutil.copyfile(
        SEEDS / "health" / "health_component_weights.csv", given / "health_component_weights.csv"
    )
    edit(
        given / "health_component_weights.csv",
        "standard,default,support,15,",
        "standard,default,support,30,",
    )
    out = tmp_path / "merged" / "seeds"
    assert lay_over(SEEDS, given, out) == []
    assert changed_seeds(SEEDS, out) == ["health/health_component_weights"]
    assert check_policy(out) == []


def test_a_whole_folder_of_seeds_is_laid_over_itself(tmp_path: Path) -> None:
    out = tmp_path / "seeds"
    assert lay_over(SEEDS, SEEDS, out) == []
    assert changed_seeds(SEEDS, out) == []


def test_a_file_that_is_no_seed_is_a_fault_with_the_nearest_name(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "health_component_weight.csv").write_text("x\n")
    (fault,) = lay_over(SEEDS, given, tmp_path / "out")
    assert fault.file == "health_component_weight.csv"
    assert "health_component_weights" in fault.mend


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (fault,) = lay_over(SEEDS, tmp_path / "given", tmp_path / "out")
    assert "no CSV file" in fault.message


def rows_of(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "health" / f"{table}.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_rows_that_begin_later_are_taken_as_begun_and_the_newest_wins(tmp_path: Path) -> None:
    out = tmp_path / "seeds"
    lay_over(SEEDS, None, out)
    weights = out / "health" / "health_component_weights.csv"
    before = rows_of(out, "health_component_weights")
    with weights.open("a") as handle:
        handle.write("standard,default,support,20,2026-06-30\n")
        handle.write("standard,default,support,30,2026-07-01\n")
        handle.write("standard,default,support,40,2026-08-01\n")
    bands = out / "health" / "health_bands.csv"
    with bands.open("a") as handle:
        handle.write("standard,default,consecutive_missed_calls,2026-07-01,,1,100\n")
        handle.write("standard,default,consecutive_missed_calls,2026-07-01,1,,10\n")
    assert bring_forward(out, DAY) == 3
    after = rows_of(out, "health_component_weights")
    assert after[: len(before)] == before
    assert [(row["weight"], row["effective_from"]) for row in after[len(before) :]] == [
        ("40", "2026-06-30")
    ]
    assert [
        row["score"]
        for row in rows_of(out, "health_bands")
        if row["effective_from"] == "2026-06-30"
    ] == ["100", "10"]


def test_without_later_rows_no_byte_changes(tmp_path: Path) -> None:
    out = tmp_path / "seeds"
    lay_over(SEEDS, None, out)
    assert bring_forward(out, DAY) == 0
    assert changed_seeds(SEEDS, out) == []
