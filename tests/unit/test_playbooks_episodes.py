"""Episodes: open once, continue, close, open again; every reason, every event, exact days."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.playbooks import RuleBook, load_rules, run_playbooks
from tests.unit.playbook_world import (
    CALLS,
    FOLLOW,
    RULE_FILES,
    START,
    TRIAGE,
    actions,
    add,
    add_account,
    change_scores,
    day,
    dump,
    open_world,
    report,
    write_rules,
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleBook:
    return load_rules(write_rules(tmp_path_factory.mktemp("rules")))


def events(con: duckdb.DuckDBPyConnection, action_id: str) -> list[tuple[str, int]]:
    """(event, day number) of an action in order."""
    rows = con.execute(
        "select event, occurred_on, event_number from playbooks.action_events"
        " where action_id = ? order by event_number",
        [action_id],
    ).fetchall()
    assert [number for _, _, number in rows] == list(range(1, len(rows) + 1))
    return [(event, (on - START).days) for event, on, _ in rows]


def states(con: duckdb.DuckDBPyConnection, rule_id: str) -> list[tuple[int, int | None, str, str]]:
    """(first day, day after the last, verdict, start of the reason) of a rule."""
    rows = con.execute(
        "select valid_from_on, valid_to_on, verdict, reason from playbooks.rule_states"
        " where rule_id = ? order by valid_from_on",
        [rule_id],
    ).fetchall()
    return [
        (
            (a - START).days,
            None if b is None else (b - START).days,
            verdict,
            reason.split(" act_")[0],
        )
        for a, b, verdict, reason in rows
    ]


def triage(con: duckdb.DuckDBPyConnection, columns: str) -> list[Any]:
    return actions(con, columns, f"playbook_id = '{TRIAGE}'")


def test_one_action_while_the_condition_lasts_and_recovery_closes_it(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [80, 65, 65, 64, 75, 66, 75, 76, 77, 78, 79])
    run_playbooks(con, rules, day(0), day(10))
    # Clear on day 4 only: shorter than the hysteresis of 3 days, so it is one episode.
    assert triage(con, "opened_on, due_on, closed_on, status, close_reason") == [
        (day(1), day(4), day(8), "closed", "recovered")
    ]
    assert [row[:3] for row in states(con, "under_line")] == [(1, 4, "matched"), (5, 6, "matched")]


def test_evidence_and_reason_are_kept(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [80, 65])
    run_playbooks(con, rules, day(0), day(1))
    [(action_id, evidence)] = triage(con, "action_id, evidence")
    assert json.loads(evidence) == {"health_score": 65.0, "health_zone": "yellow"}
    [(signal, cause, on, told)] = con.execute(
        "select signal, cause, occurred_on, evidence from playbooks.signals"
        " where signal = 'SIG_HLT_001'"
    ).fetchall()
    assert (signal, cause, on) == ("SIG_HLT_001", "score_under_line", day(1))
    assert json.loads(told)["health_score"] == 65.0
    [(reason,)] = con.execute(
        "select reason from playbooks.rule_states where rule_id = 'under_line'"
    ).fetchall()
    assert reason == action_id


def test_unknown_is_a_verdict_that_names_what_is_missing_and_never_fires(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [None, None, 65, None])
    run_playbooks(con, rules, day(0), day(3))
    assert states(con, "under_line") == [
        (0, 2, "unknown", "missing: health_score"),
        (2, 3, "matched", states(con, "under_line")[1][3]),
        (3, None, "unknown", "missing: health_score"),
    ]
    assert len(triage(con, "action_id")) == 1


def test_a_more_severe_rule_joins_the_open_action_and_raises_it(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65, 65, 30, 30])
    run_playbooks(con, rules, day(0), day(3))
    [(action_id, rule_id, severity)] = triage(con, "action_id, rule_id, severity")
    assert (rule_id, severity) == ("under_line", "critical")
    assert ("severity_raised", 2) in events(con, action_id)
    assert states(con, "in_red") == [(2, None, "suppressed", "same work as")]


def test_the_lowest_priority_names_work_that_several_rules_open(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [30])
    run_playbooks(con, rules, day(0), day(0))
    assert triage(con, "rule_id, severity") == [("in_red", "critical")]
    assert states(con, "under_line")[0][2] == "suppressed"


def test_cooldown_suppresses_with_a_reason_and_then_opens(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65, 75, 75, 75, 75, 65, 65, 65, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(10))
    # Recovered on day 3 (three clear days); cooldown 5 days, so day 8.
    assert triage(con, "opened_on, closed_on") == [(day(0), day(3)), (day(8), None)]
    assert states(con, "under_line")[1] == (5, 8, "suppressed", "cooldown until 2025-01-09 after")
    assert states(con, "under_line")[2][:3] == (8, None, "matched")


def test_handled_work_stays_handled_until_it_is_raised_again(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65] * 20)
    run_playbooks(con, rules, day(0), day(2))
    [(action_id,)] = triage(con, "action_id")
    report(con, action_id, "started", day(1))
    report(con, action_id, "completed", day(4), outcome="spoke to them")
    run_playbooks(con, rules, day(1), day(19))
    # Raised again nine days after it was closed, which is later than the cooldown of five.
    assert triage(con, "opened_on, started_on, closed_on, status, outcome") == [
        (day(0), day(1), day(4), "completed", "spoke to them"),
        (day(13), None, None, "open", None),
    ]
    assert [row[:3] for row in states(con, "under_line")] == [
        (0, 4, "matched"),
        (4, 9, "suppressed"),
        (9, 13, "suppressed"),
        (13, None, "matched"),
    ]
    assert states(con, "under_line")[2][3] == "handled by"
    assert ("completed", 4) in events(con, action_id)


def test_worse_severity_opens_again_although_the_first_was_handled(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65] * 5 + [30] * 5)
    run_playbooks(con, rules, day(0), day(0))
    [(action_id,)] = triage(con, "action_id")
    report(con, action_id, "completed", day(0))
    run_playbooks(con, rules, day(0), day(9))
    assert triage(con, "opened_on, rule_id") == [(day(0), "under_line"), (day(5), "in_red")]


def test_reminders_come_while_the_condition_lasts(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65] * 12 + [75, 75] + [65] * 7)
    run_playbooks(con, rules, day(0), day(20))
    [(action_id, count)] = triage(con, "action_id, reraised_count")
    assert [one for one in events(con, action_id) if one[0] == "re_raised"] == [
        ("re_raised", 9),
        ("re_raised", 18),
    ]
    assert count == 2


def test_escalation_climbs_each_step_once_unless_started(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "idle", [65] * 25)
    add_account(con, "started", [65] * 25)
    run_playbooks(con, rules, day(0), day(0))
    by_account = dict(triage(con, "account_id, action_id"))
    report(con, by_account["started"], "started", day(2))
    for number in range(25):
        run_playbooks(con, rules, day(number), day(number))
    told = con.execute(
        "select account_id, event, event_on, detail from (select a.account_id, e.event,"
        " e.occurred_on as event_on, e.detail from playbooks.action_events e"
        " join playbooks.actions a using (action_id)"
        f" where e.event = 'escalated' and a.playbook_id = '{TRIAGE}') order by all"
    ).fetchall()
    # Idle: due on day 3, so days 5 and 8. Started: last step due on day 10, so days 12 and 15.
    assert [(account, (on - START).days, json.loads(detail)["to_role"])
            for account, _, on, detail in told] == [
        ("idle", 5, "manager"), ("idle", 8, "governance"),
        ("started", 12, "manager"), ("started", 15, "governance"),
    ]  # fmt: skip
    assert con.execute(
        "select count(*) from playbooks.signals where signal = 'SIG_GOV_001' and scope = 'account'"
    ).fetchall() == [(2 + _follow_escalations(con),)]


def _follow_escalations(con: duckdb.DuckDBPyConnection) -> int:
    rows = con.execute(
        "select count(*) from playbooks.action_events e join playbooks.actions a using (action_id)"
        f" where a.playbook_id <> '{TRIAGE}' and e.event = 'escalated'"
        " and e.detail like '%governance%'"
    ).fetchall()
    return int(rows[0][0])


def test_churn_closes_what_is_open(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65] * 10, churned_on=day(6))
    run_playbooks(con, rules, day(0), day(9))
    assert triage(con, "closed_on, close_reason") == [(day(6), "churned")]
    assert states(con, "under_line")[0][:2] == (0, 6)


def test_a_chain_opens_only_in_the_wake_of_the_other_playbook(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [55] * 12)
    run_playbooks(con, rules, day(0), day(11))
    assert actions(con, "opened_on, due_on", f"playbook_id = '{FOLLOW}'") == [(day(4), day(7))]
    assert states(con, "still_low") == [
        (0, 4, "suppressed", f"waits for {TRIAGE}"),
        (4, None, "matched", states(con, "still_low")[1][3]),
    ]


def test_a_superseding_playbook_closes_and_blocks_the_other(rules: RuleBook) -> None:
    con = open_world()
    # The zone moves on day 8 (yellow to orange) and the calls playbook takes over.
    add_account(con, "a", [45] * 8 + [35] * 4)
    run_playbooks(con, rules, day(0), day(11))
    assert actions(con, "opened_on, closed_on, close_reason", f"playbook_id = '{FOLLOW}'") == [
        (day(4), day(8), "superseded")
    ]
    assert actions(con, "opened_on, closed_on", f"playbook_id = '{CALLS}'") == [(day(8), None)]
    assert states(con, "still_low")[-1][2:] == ("suppressed", "superseded")


def test_an_auto_close_condition_closes_on_its_first_day(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [90, 70, 70, 85, 85, 85])
    run_playbooks(con, rules, day(0), day(5))
    assert actions(con, "opened_on, closed_on, close_reason", f"playbook_id = '{CALLS}'") == [
        (day(1), day(4), "recovered")
    ]


def test_untouched_work_expires_and_started_work_does_not(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [55] * 30)
    add_account(con, "b", [55] * 30)
    run_playbooks(con, rules, day(0), day(5))
    ids = dict(actions(con, "account_id, action_id", f"playbook_id = '{FOLLOW}'"))
    report(con, ids["b"], "started", day(6))
    run_playbooks(con, rules, day(5), day(29))
    assert actions(
        con, "account_id, closed_on, close_reason, status", f"playbook_id = '{FOLLOW}'"
    ) == [("a", day(19), "expired", "closed"), ("b", None, None, "in_progress")]


def test_objectives_are_judged_on_data_after_completion(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "better", [65] * 6 + [75] * 30)
    add_account(con, "worse", [65] * 36)
    run_playbooks(con, rules, day(0), day(0))
    for account, action_id in triage(con, "account_id, action_id"):
        assert account in ("better", "worse")
        report(con, action_id, "completed", day(2))
    run_playbooks(con, rules, day(0), day(10))
    columns = "account_id, objective_due_on, objective_met_on, objective_status"
    first = [row for row in triage(con, columns + ", opened_on") if row[-1] == day(0)]
    assert sorted(row[:4] for row in first) == [
        ("better", day(22), day(6), "met"),
        ("worse", day(22), None, "pending"),
    ]
    for number in range(11, 26):
        run_playbooks(con, rules, day(number), day(number))
    rows = con.execute(
        "select a.account_id, e.event, e.occurred_on from playbooks.action_events e"
        " join playbooks.actions a using (action_id) where e.event like 'objective_%' order by all"
    ).fetchall()
    assert rows == [("better", "objective_met", day(6)), ("worse", "objective_missed", day(23))]


def test_an_objective_without_condition_is_the_work_done_in_time(tmp_path: Path) -> None:
    text = RULE_FILES[f"{TRIAGE}.yml"].replace("condition: health_score >= 70, ", "", 1)
    assert "horizon_days: 20" in text
    files = {**RULE_FILES, f"{TRIAGE}.yml": text.replace("horizon_days: 20", "horizon_days: 4")}
    rules = load_rules(write_rules(tmp_path, files))
    con = open_world()
    add_account(con, "fast", [65] * 9)
    add_account(con, "slow", [65] * 9)
    run_playbooks(con, rules, day(0), day(0))
    for account, action_id in triage(con, "account_id, action_id"):
        report(con, action_id, "completed", day(4 if account == "fast" else 6))
    run_playbooks(con, rules, day(0), day(8))
    assert sorted(
        triage(con, "account_id, objective_due_on, objective_met_on, objective_status")
    ) == [
        ("fast", day(4), day(4), "met"),
        ("slow", day(4), None, "missed"),
    ]


def test_the_owner_is_the_person_of_that_day_and_a_change_is_told(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65] * 10)
    add(con, "staging.stg_crm__account_versions", account_id="a", owner_ca="bob@example.com",
        valid_from_on=day(5), is_first_version=False)  # fmt: skip
    add_account(con, "b", [65] * 10, owner=None)
    run_playbooks(con, rules, day(0), day(4))
    assert triage(con, "account_id, owner, is_unassigned") == [
        ("a", "ann@example.com", False), ("b", None, True),
    ]  # fmt: skip
    run_playbooks(con, rules, day(5), day(9))
    [(action_id, owner)] = actions(
        con, "action_id, owner", f"account_id = 'a' and playbook_id = '{TRIAGE}'"
    )
    assert owner == "bob@example.com"
    assert ("reassigned", 5) in events(con, action_id)


def test_contradicting_feedback_is_told_and_has_no_effect(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [80, 80, 80, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(3))
    [(action_id,)] = triage(con, "action_id")
    report(con, action_id, "completed", day(1))
    report(con, "act_nobody", "started", day(1))
    report(con, action_id, "step_done", day(4), step_id="dance")
    run_playbooks(con, rules, day(0), day(5))
    assert triage(con, "status, closed_on") == [("in_progress", None)]
    assert con.execute(
        "select event, message from playbooks.feedback_rejects order by all"
    ).fetchall() == [
        ("completed", "before the action opened on 2025-01-04"),
        ("started", "no such action"),
        ("step_done", "the playbook has no such step"),
    ]


def test_late_data_that_unmakes_a_trigger_closes_its_action_as_restated(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [80, 65, 65, 80, 80])
    add_account(con, "b", [80, 65, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(2))
    kept = triage(con, "action_id, account_id")
    change_scores(con, 85, "account_id = 'a'")
    result = run_playbooks(con, rules, day(1), day(4))
    # Triage, and the call about the zone that never changed.
    assert result.restated == 2
    assert triage(con, "action_id, account_id") == kept
    assert (
        actions(con, "status, close_reason, closed_on", "account_id = 'a'")
        == [("closed", "restated", day(4))] * 2
    )
    action_id = kept[0][0] if kept[0][1] == "a" else kept[1][0]
    assert events(con, action_id)[-1] == ("restated", 4)
    before = dump(con)
    assert run_playbooks(con, rules, day(1), day(4)).restated == 0
    assert dump(con) == before


def test_a_restated_action_that_opens_again_is_the_same_action(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [80, 65, 65, 65])
    run_playbooks(con, rules, day(0), day(3))
    before = dump(con)
    for score in (85, 65):
        change_scores(con, score, f"as_of_date > date '{START}'")
        run_playbooks(con, rules, day(1), day(3))
    assert dump(con) == before


def test_a_new_version_of_a_rule_continues_open_work(rules: RuleBook, tmp_path: Path) -> None:
    con = open_world()
    add_account(con, "a", [65] * 6)
    run_playbooks(con, rules, day(0), day(2))
    before = triage(con, "action_id, rule_version")
    text = RULE_FILES[f"{TRIAGE}.yml"].replace(
        "rule: under_line\n", "rule: under_line\n    version: 2\n", 1
    )
    newer = load_rules(write_rules(tmp_path, {**RULE_FILES, f"{TRIAGE}.yml": text}))
    run_playbooks(con, newer, day(3), day(5))
    assert triage(con, "action_id, rule_version") == before
    assert triage(con, "closed_on") == [(None,)]


def test_an_earlier_clock_takes_back_later_days(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [80, 80, 65, 65, 65, 80, 80, 80, 80])
    run_playbooks(con, rules, day(0), day(3))
    before = dump(con)
    run_playbooks(con, rules, day(4), day(8))
    assert dump(con) != before
    run_playbooks(con, rules, day(2), day(3))
    assert dump(con) == before


def test_a_failing_run_leaves_everything_as_it_was(rules: RuleBook) -> None:
    con = open_world()
    add_account(con, "a", [65] * 4)
    run_playbooks(con, rules, day(0), day(1))
    before = dump(con)
    con.execute("alter table staging.stg_crm__account_versions drop column owner_ca")
    with pytest.raises(duckdb.Error):
        run_playbooks(con, rules, day(2), day(3))
    assert dump(con) == before
    spans = con.execute("select count(*) from pipeline.condition_spans where to_on is null")
    assert spans.fetchall()[0][0] > 0


def test_a_range_that_ends_before_it_starts_is_refused(rules: RuleBook) -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        run_playbooks(open_world(), rules, day(2), day(1))


def test_a_held_out_share_of_accounts_opens_nothing_and_stays_the_same(tmp_path: Path) -> None:
    files = {
        name: text.replace("cooldown_days: 5,", "cooldown_days: 5, holdout_ratio: 0.3,")
        for name, text in RULE_FILES.items()
    }
    experiment = load_rules(write_rules(tmp_path / "e", files))
    con = open_world()
    for number in range(200):
        add_account(con, f"account-{number}", [75, 65, 75, 75, 75])
    run_playbooks(con, experiment, day(0), day(1))
    for number in range(2, 5):
        run_playbooks(con, experiment, day(number), day(number))
    opened = {account for (account,) in triage(con, "account_id")}
    held = {
        account
        for (account,) in con.execute(
            "select account_id from playbooks.rule_states"
            " where rule_id = 'under_line' and verdict = 'suppressed' and reason = 'held out'"
        ).fetchall()
    }
    assert not opened & held
    assert len(opened | held) == 200
    # 60 expected, standard deviation 6.5: the hash is fixed, so this cannot flicker.
    assert 40 <= len(held) <= 80
    # A larger share holds out these and more.
    more = {name: text.replace("0.3,", "0.5,") for name, text in files.items()}
    again = open_world()
    for number in range(200):
        add_account(again, f"account-{number}", [75, 65, 75, 75, 75])
    run_playbooks(again, load_rules(write_rules(tmp_path / "m", more)), day(0), day(4))
    assert {account for (account,) in triage(again, "account_id")} < opened
