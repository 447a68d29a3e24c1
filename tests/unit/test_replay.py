"""Replays and comparisons of rules: the engine's own answer, counted by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from dagster_project.errors import ConfigError
from dagster_project.playbooks import load_rules, run_playbooks
from dagster_project.playbooks.proposals import Proposal, propose
from dagster_project.playbooks.replay import Range, compare, measure, run_aside
from dagster_project.playbooks.replay_text import (
    render_replay,
    render_rules_diff,
    write_replay,
    write_rules_diff,
)
from dagster_project.reporting.replay_chart import write_replay_chart
from tests.unit.playbook_world import (
    CALLS,
    FOLLOW,
    RULE_FILES,
    TRIAGE,
    add_account,
    day,
    dump,
    open_world,
    report,
    write_rules,
)

# The triage line of the small rule set is 70; a proposal moves it to 75, tests and all.
RAISED = {
    name: text.replace("health_score < 70", "health_score < 75")
    .replace("{health_score: 70}", "{health_score: 75}")
    .replace("{health_score: 69}", "{health_score: 74}")
    for name, text in RULE_FILES.items()
}


def world(*horizons: int, confirm: int = 3) -> duckdb.DuckDBPyConnection:
    con = open_world()
    con.execute("create schema policy")
    con.execute("create table policy.proof_horizons as select unnest(?) as horizon_days",
                [list(horizons) or [5]])  # fmt: skip
    con.execute(
        "create table policy.metric_policy as select 'green_confirm_days' as parameter,"
        " cast(? as varchar) as value",
        [confirm],
    )
    return con


def days(first: int, last: int, *, known: int | None = None, start: int = 0) -> Range:
    return Range(day(start), day(first), day(last), day(last if known is None else known))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rules(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="module")
def raised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rules(tmp_path_factory.mktemp("raised"), RAISED)


def proposal(folder: Path, given: str, tmp_path: Path) -> Proposal:
    return propose(folder, given, tmp_path / f"work-{abs(hash(given))}")


def test_a_replay_of_the_rules_in_force_gives_what_the_nights_gave(
    folder: Path, tmp_path: Path
) -> None:
    scores: dict[str, list[float | None]] = {
        "a": [80, 65, 65, 55, 45, 45, 75, 75, 75, 75, 55, 30, 30, 85, 85, 85, 85, 65, 55, 55, 50],
        "b": [55] * 21,
        "c": [None, 72, 68, 39, 39, 61, 59, 58, 57, 70, 71, 72, 73, 60, 50, 40, 30, 20, 10, 90, 90],
    }
    nights, aside = world(), world()
    for con in (nights, aside):
        for account, values in scores.items():
            add_account(con, account, values)
    rules = load_rules(folder)
    for number in range(20):
        run_playbooks(nights, rules, day(number), day(number))
        for (action,) in nights.execute(
            "select action_id from playbooks.actions where opened_on = ? and account_id = 'b'",
            [day(number)],
        ).fetchall():
            for con in (nights, aside):
                report(con, action, "completed", day(number + 1))
    run_playbooks(nights, rules, day(20), day(20))

    run_aside(aside, rules, days(8, 20), "replayed")
    assert dump(aside) == dump(nights)
    result = measure(aside, proposal(folder, TRIAGE, tmp_path), days(8, 20), "replayed")
    published = nights.execute(
        "select action_id from playbooks.actions where opened_on >= ? and playbook_id = ?"
        " order by opened_on, account_id",
        [day(8), TRIAGE],
    ).fetchall()
    assert [(one.action_id,) for one in result.openings] == published
    assert published
    assert result.open_before == nights.execute(
        "select count(*) from playbooks.actions where opened_on < ? and playbook_id = ?"
        " and coalesce(closed_on, date '9999-12-31') >= ?",
        [day(8), TRIAGE, day(8)],
    ).fetchall()[0][0]  # fmt: skip


def test_a_days_openings_do_not_depend_on_what_is_known_later(folder: Path, tmp_path: Path) -> None:
    scores = [80, 65, 65, 75, 75, 75, 75, 75, 75, 75, 55, 55, 85, 85, 85]
    asked = proposal(folder, TRIAGE, tmp_path)
    openings = []
    for known in (10, 14):
        con = world()
        add_account(con, "a", scores)
        run_aside(con, asked.rules, days(0, 10, known=known), "replayed")
        found = measure(con, asked, days(0, 10, known=known), "replayed").openings
        openings.append([(one.action_id, one.rule_id, one.opened_on) for one in found])
    assert openings[0] == openings[1]
    assert [on for _, _, on in openings[0]] == [day(1), day(10)]


def test_raising_the_triage_line_opens_earlier_and_for_more(
    folder: Path, raised: Path, tmp_path: Path
) -> None:
    con = world()
    add_account(con, "between", [80] * 5 + [73] * 10)
    add_account(con, "under", [80] * 3 + [65] * 12)
    add_account(con, "falling", [80] * 2 + [73] * 4 + [65] * 9)
    # Under 75 all the time: for the new line one piece of work, for the old one two.
    add_account(con, "swinging", [65] * 2 + [73] * 8 + [65] * 5)
    add_account(con, "fine", [90] * 15)
    sides = [proposal(folder, str(folder), tmp_path), proposal(folder, str(raised), tmp_path)]
    span = days(1, 14)
    for side, one in zip(("old", "new"), sides, strict=True):
        run_aside(con, one.rules, span, side)
    diff = compare(con, sides[0], sides[1], span)

    triage = [one for one in diff.only_new if one.opening.playbook_id == TRIAGE]
    assert [(one.opening.account_id, one.opening.opened_on) for one in triage] == [
        ("between", day(5))
    ]
    assert triage[0].why_not == "no match"
    assert triage[0].opening.why == "The score is 73."
    assert '"health_score":73.0' in triage[0].opening.evidence
    assert [(a.account_id, a.opened_on, b.opened_on) for a, b in diff.moved] == [
        ("falling", day(6), day(2))
    ]
    old = [one for one in diff.only_old if one.opening.playbook_id == TRIAGE]
    assert [(one.opening.account_id, one.opening.opened_on) for one in old] == [
        ("swinging", day(10))
    ]
    assert old[0].why_not == f"already at work since {day(0)} (under_line)"
    counts = {playbook: (a, b) for playbook, a, b in diff.counts}
    assert counts[TRIAGE] == (3, 3)
    assert diff.same == counts[CALLS][0] + 1
    assert (diff.standing_only_old, diff.standing_only_new) == (0, 1)
    assert diff.changes == (
        ("SIG_HLT_001:score_under_line", "health_score < 70 -> health_score < 75"),
        ("under_line", "reads SIG_HLT_001, which changed"),
    )
    text = render_rules_diff(diff)
    assert "between" in text and "4 day(s) earlier" in text and '"health_score":73.0' in text

    path = write_rules_diff(diff, tmp_path / "diff.csv")
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {(row["side"], row["account_id"]) for row in rows if row["playbook_id"] == TRIAGE} == {
        ("only_new", "between"),
        ("only_old", "swinging"),
        ("moved_old", "falling"),
        ("moved_new", "falling"),
    }


def test_two_equal_rule_sets_differ_in_nothing(folder: Path, tmp_path: Path) -> None:
    con = world()
    add_account(con, "a", [80, 65, 65, 55, 45, 45, 75, 75, 75, 75, 55])
    copy = write_rules(tmp_path / "copy")
    sides = [proposal(folder, str(folder), tmp_path), proposal(folder, str(copy), tmp_path)]
    for side, one in zip(("old", "new"), sides, strict=True):
        run_aside(con, one.rules, days(0, 10), side)
    diff = compare(con, sides[0], sides[1], days(0, 10))
    assert (diff.only_old, diff.only_new, diff.moved, diff.changes) == ((), (), (), ())
    assert diff.same == sum(count for _, count, _ in diff.counts) > 0


def test_weeks_owners_overlap_and_what_is_held_back(folder: Path, tmp_path: Path) -> None:
    con = world()
    add_account(con, "a", [80] * 3 + [65] * 15, owner="ann@example.com")
    add_account(con, "b", [80] * 8 + [55] * 10, owner="bob@example.com")
    add_account(con, "c", [80] * 9 + [30] * 9, owner=None)
    add_account(con, "d", [None] * 18)
    asked = proposal(folder, "under_line", tmp_path)
    span = days(2, 17)
    run_aside(con, asked.rules, span, "replayed")
    result = measure(con, asked, span, "replayed")

    # Day 0 is a Wednesday, so the weeks begin on days -2, 5 and 12.
    assert [(week.week_on, week.opened) for week in result.weeks] == [
        (day(-2), 1), (day(5), 1), (day(12), 0),
    ]  # fmt: skip
    assert [(one.owner, one.opened, one.most_in_a_week, one.open_at_end)
            for one in result.owners] == [
        ("ann@example.com", 1, 1, 1), ("bob@example.com", 1, 1, 1),
    ]  # fmt: skip
    # The zone moved on the opening day of each, which opens a call of its own.
    [overlap] = result.overlaps
    assert (overlap.other_playbook_id, overlap.openings, overlap.same_day, overlap.ratio) == (
        CALLS, 2, 2, 1.0,
    )  # fmt: skip
    # In the red both rules match, and the other one names the work.
    own = [one for one in result.held_back if one.direction == "own"]
    assert [(one.kind, one.other, one.matches, one.accounts, one.days) for one in own] == [
        ("same_work", "in_red", 1, 1, 9)
    ]
    assert [one for one in result.held_back if one.direction == "others"] == []
    [unjudged] = result.unjudged
    assert (unjudged.missing, unjudged.accounts, unjudged.days) == ("health_score", 1, 16)

    text = render_replay(result)
    assert "ann@example.com" in text and "same work as in_red" in text
    red = measure(con, proposal(folder, "in_red", tmp_path), span, "replayed")
    assert [(one.direction, one.other, one.days) for one in red.held_back] == [
        ("others", "under_line", 9)
    ]


def test_what_a_superseding_playbook_holds_back_is_told(folder: Path, tmp_path: Path) -> None:
    con = world()
    add_account(con, "a", [80] + [50] * 14)
    asked = proposal(folder, CALLS, tmp_path)
    span = days(0, 14)
    run_aside(con, asked.rules, span, "replayed")
    result = measure(con, asked, span, "replayed")
    held = [one for one in result.held_back if one.direction == "others"]
    assert [(one.kind, one.other, one.accounts) for one in held] == [("superseded", "still_low", 1)]


def test_what_followed_is_counted_only_where_the_horizon_is_over(
    folder: Path, tmp_path: Path
) -> None:
    con = world(5, 9, confirm=3)
    length = 20
    # Opened on day 2, left on day 6.
    add_account(con, "left", [80] * 2 + [65] * 18, churned_on=day(6))
    # Opened on day 2 in yellow, green for three days from day 4 on: recovered on day 6.
    add_account(con, "back", [80] * 2 + [65] * 2 + [85] * 16)
    # Green for two days only: no recovery.
    add_account(con, "almost", [80] * 2 + [65] * 2 + [85] * 2 + [65] * 14)
    # Opened too late for anything to be known.
    add_account(con, "late", [80] * 17 + [65] * 3)
    add_account(con, "fine", [90] * length)
    asked = proposal(folder, "under_line", tmp_path)
    span = days(1, 19)
    run_aside(con, asked.rules, span, "replayed")
    by_horizon = {one.horizon_days: one for one in measure(con, asked, span, "replayed").followed}

    five = by_horizon[5]
    assert (five.openings, five.judged, five.churned) == (4, 3, 1)
    assert five.churn_ratio == pytest.approx(1 / 3)
    assert (five.left, five.left_after_opening) == (1, 1)
    assert (five.recovery_judged, five.recovered) == (3, 1)
    # The base: days 1 to 14 of every customer; of `left` days 1 to 5, each within 5 days of day 6.
    assert five.base_churn_ratio == pytest.approx(5 / (5 + 4 * 14))
    assert five.churn_lift == pytest.approx((1 / 3) / (5 / 61))
    # Clear on days 4 and after, three days of hysteresis: closed by itself on day 6.
    assert five.cleared == 1
    # With nine days the openings of day 2 are over on day 11, the last judged day is day 10.
    assert by_horizon[9].judged == 3
    assert by_horizon[9].base_churn_ratio == pytest.approx(5 / (5 + 4 * 10))

    early = measure(con, asked, replace(span, known_until=day(6)), "replayed").followed
    assert [(one.judged, one.churn_ratio) for one in early] == [(0, None), (0, None)]
    text = render_replay(measure(con, asked, span, "replayed"))
    assert "1 (33%)" in text and "1 of 1" in text


def test_a_file_is_laid_over_todays_rules_and_a_draft_is_taken_as_deployed(
    folder: Path, tmp_path: Path
) -> None:
    text = RULE_FILES[f"{FOLLOW}.yml"].replace("status: deployed", "status: draft")
    edited = tmp_path / "edited" / f"{FOLLOW}.yml"
    edited.parent.mkdir()
    edited.write_text(text.replace("< 60", "< 64").replace("60}", "64}").replace("59}", "63}"))
    asked = proposal(folder, str(edited), tmp_path)
    assert asked.rule_ids == ("still_low",)
    assert asked.notes == (f"{FOLLOW} is a draft; it is taken as deployed",)
    assert {rule.rule_id for rule in asked.rules.rules} == {
        "under_line", "in_red", "still_low", "zone_moved",
    }  # fmt: skip
    con = world()
    add_account(con, "a", [63] * 12)
    span = days(0, 11)
    run_aside(con, asked.rules, span, "replayed")
    assert [one.opened_on for one in measure(con, asked, span, "replayed").openings] == [day(4)]
    # A draft that nobody asks about opens nothing.
    run_aside(con, load_rules(write_rules(tmp_path / "d", {**RULE_FILES, f"{FOLLOW}.yml": text})),
              span, "replayed")  # fmt: skip
    assert con.execute(
        "select count(*) from replayed.actions where playbook_id = ?", [FOLLOW]
    ).fetchall() == [(0,)]


def test_a_whole_folder_is_taken_as_it_is_and_a_part_is_laid_over(
    folder: Path, tmp_path: Path
) -> None:
    whole = write_rules(
        tmp_path / "whole",
        {name: text for name, text in RULE_FILES.items() if TRIAGE in name or name[0] == "s"},
    )
    assert set(proposal(folder, str(whole), tmp_path).rules.playbooks) == {TRIAGE}
    part = write_rules(tmp_path / "part", {f"{CALLS}.yml": RULE_FILES[f"{CALLS}.yml"]})
    laid = proposal(folder, str(part), tmp_path)
    assert set(laid.rules.playbooks) == {TRIAGE, FOLLOW, CALLS}
    assert laid.rule_ids == ("zone_moved",)
    signals = tmp_path / "signals.yml"
    signals.write_text(RAISED["signals.yml"])
    with pytest.raises(ConfigError, match="inline test of under_line"):
        proposal(folder, str(signals), tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("under_lin", "did you mean under_line"),
        ("rules/none.yml", "no such file"),
        ("PB_1_triag", f"did you mean {TRIAGE}"),
    ],
)
def test_what_nobody_knows_is_refused(
    folder: Path, tmp_path: Path, given: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        proposal(folder, given, tmp_path)


def test_files_hold_every_row_and_no_formula(folder: Path, tmp_path: Path) -> None:
    con = world()
    add_account(con, "=cmd|' /C calc'!A0", [80, 65, 65, 65])
    asked = proposal(folder, TRIAGE, tmp_path)
    run_aside(con, asked.rules, days(0, 3), "replayed")
    result = measure(con, asked, days(0, 3), "replayed")
    paths = write_replay(result, tmp_path / "out")
    assert sorted(path.name for path in paths) == [
        "followed.csv", "held_back.csv", "openings.csv", "overlaps.csv", "owners.csv",
        "unjudged.csv", "weeks.csv",
    ]  # fmt: skip
    with (tmp_path / "out" / "openings.csv").open(newline="") as handle:
        [row] = csv.DictReader(handle)
    assert row["account_id"] == "'=cmd|' /C calc'!A0"
    assert row["opened_on"] == day(1).isoformat()
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_the_chart_draws_every_week_and_folds_many_rules(tmp_path: Path) -> None:
    weeks = [
        (date(2026, 1, 5 + 7 * week), f"rule_{number}", number)
        for week in range(3)
        for number in range(10)
    ]
    path = write_replay_chart(weeks, "A <title> & more", tmp_path / "chart.svg")
    svg = path.read_text(encoding="utf-8")
    assert svg.startswith("<svg") and "&lt;title&gt;" in svg
    assert "2026-01-19" in svg and "rule_9" in svg
    assert "other rules" in svg and "rule_1<" not in svg
    assert write_replay_chart(weeks, "A <title> & more", tmp_path / "again.svg").read_text() == svg
