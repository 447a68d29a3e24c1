"""Two policies over one real run: equal effect, equal scores; a raised weight moves who it must."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from dagster_project.defs.policy_diff import policy_diff, prepare_sides, score_sides
from dagster_project.errors import ConfigError
from dagster_project.policy.compare import compare_policies
from tests.integration.conftest import LAST_DAY, Installation

pytestmark = pytest.mark.slow


def proposal(installation: Installation, folder: Path, **weights: float) -> Path:
    """The components' weights of the set in use: those named replaced, `times` all multiplied."""
    times = weights.pop("times", 1)
    folder.mkdir()
    current = installation.settings.seeds / "health" / "health_component_weights.csv"
    head, *rows = current.read_text().splitlines()
    assert head == "policy_set,profile_id,component,weight,effective_from"
    lines = [head]
    for row in rows:
        policy_set, profile, component, weight, starts = row.split(",")
        is_in_use = policy_set == installation.settings.policy_set
        value = weights.get(component, float(weight)) * times if is_in_use else weight
        lines.append(f"{policy_set},{profile},{component},{value},{starts}")
    (folder / current.name).write_text("\n".join(lines) + "\n")
    return folder


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_scores_are_the_published_ones_and_only_effects_move_them(
    backfilled: Installation, tmp_path: Path
) -> None:
    settings = backfilled.settings
    before = files_of(backfilled.data_dir)
    given = [
        str(proposal(backfilled, tmp_path / "today")),
        str(proposal(backfilled, tmp_path / "scaled", times=3)),
        str(proposal(backfilled, tmp_path / "raised", engagement=200)),
    ]
    work = tmp_path / "work"
    work.mkdir()
    sides = prepare_sides(settings, given, work)
    day, (today, scaled, raised), begun = score_sides(settings, sides, None, work)

    assert files_of(backfilled.data_dir) == before
    assert (day, begun) == (LAST_DAY, [0, 0, 0])
    with duckdb.connect(str(settings.published), read_only=True) as con:
        published = dict(
            con.execute(
                "select account_id, health_score from marts.fct_account_health_daily "
                "where as_of_date = ?",
                [day],
            ).fetchall()
        )
        engagement = dict(
            con.execute(
                "select account_id, engagement_score from marts.fct_account_health_daily "
                "where as_of_date = ?",
                [day],
            ).fetchall()
        )
    assert {key: health.score for key, health in today.items()} == published
    assert any(score is not None for score in published.values())

    for move in compare_policies(today, scaled).accounts:
        assert not move.changes_zone
        assert move.score_change is None or abs(move.score_change) < 1e-9

    # An account's score goes towards its engagement score, which now weighs most.
    drawn = 0
    for move in compare_policies(today, raised).accounts:
        change, pull = move.score_change, engagement[move.old.account_id]
        if change is None or pull is None or move.old.is_overridden:
            continue
        assert move.old.score is not None and move.new.score is not None
        assert min(move.old.score, pull) - 1e-6 <= move.new.score
        assert move.new.score <= max(move.old.score, pull) + 1e-6
        assert abs(change - sum(cause.points for cause in move.causes)) < 1e-6
        drawn += abs(change) > 1e-6
    assert drawn


def test_a_faulty_policy_is_refused_whole_with_all_faults(
    backfilled: Installation, tmp_path: Path
) -> None:
    wrong = proposal(backfilled, tmp_path / "wrong", engagement=-1)
    shutil.copyfile(
        backfilled.settings.seeds / "health" / "health_zones.csv", tmp_path / "wrong" / "zones.csv"
    )
    worse = proposal(backfilled, tmp_path / "worse", support=-2)
    with pytest.raises(ConfigError) as refused:
        policy_diff(backfilled.settings, str(wrong), str(worse), as_of=None)
    told = [str(fault) for fault in refused.value.faults]
    assert any(text.startswith(f"{wrong}: zones.csv") for text in told)
    assert any(text.startswith(f"{wrong}: ") and "-1" in text for text in told)
    assert any(text.startswith(f"{worse}: ") and "-2" in text for text in told)


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("set:standart", "did you mean 'standard'"),
        ("no-such-revision", "no folder and no git revision"),
    ],
)
def test_an_unknown_policy_is_refused(backfilled: Installation, old: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        policy_diff(backfilled.settings, old, "set:standard", as_of=None)


def test_a_day_outside_the_last_run_is_refused_with_the_mend(backfilled: Installation) -> None:
    day = LAST_DAY.replace(year=2020)
    with pytest.raises(ConfigError, match=f"csp run --from {day}"):
        policy_diff(backfilled.settings, "set:standard", "set:standard", as_of=day)
