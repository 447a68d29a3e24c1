"""Laws of the playbooks over generated worlds: any split of the days gives the same tables."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.playbooks import load_rules, run_playbooks
from tests.unit.playbook_world import (
    RULE_FILES,
    add_account,
    answer_some,
    day,
    dump,
    open_world,
    report,
    write_rules,
)

with tempfile.TemporaryDirectory() as _folder:
    RULES = load_rules(write_rules(Path(_folder), RULE_FILES))

DAYS = 32
LEVELS = (None, 30.0, 45.0, 55.0, 65.0, 75.0, 85.0)

# A score stays for some days, then moves: that is what makes episodes, gaps and returns.
SCORES = st.lists(
    st.tuples(st.sampled_from(LEVELS), st.integers(1, 7)), min_size=4, max_size=14
).map(lambda runs: [score for score, days in runs for _ in range(days)])
ACCOUNTS = st.lists(st.tuples(SCORES, st.none() | st.integers(5, 40)), min_size=1, max_size=3)
CUTS = st.lists(st.integers(1, DAYS - 1), max_size=8, unique=True).map(sorted)

Accounts = Sequence[tuple[list[float | None], int | None]]
LAWS = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def build(accounts: Accounts) -> duckdb.DuckDBPyConnection:
    con = open_world()
    for number, (scores, left) in enumerate(accounts):
        padded = (scores + [scores[-1]] * DAYS)[:DAYS]
        churned_on = day(left) if left is not None and left < DAYS else None
        add_account(con, f"a{number}", padded, churned_on=churned_on)
    return con


def settle(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, Any]]:
    """Let people answer the actions until nothing new opens; the answers given."""
    told: list[tuple[str, str, Any]] = []
    while True:
        run_playbooks(con, RULES, day(0), day(DAYS - 1))
        rows = con.execute("select action_id, opened_on from playbooks.actions").fetchall()
        answers = answer_some(sorted(rows), day(DAYS - 1))
        new = [one for one in answers if one not in told]
        if not new:
            return told
        for action_id, event, on in new:
            report(con, action_id, event, on)
        told += new


def fresh(accounts: Accounts, told: list[tuple[str, str, Any]]) -> duckdb.DuckDBPyConnection:
    con = build(accounts)
    for action_id, event, on in told:
        report(con, action_id, event, on)
    return con


@LAWS
@given(ACCOUNTS, CUTS, st.lists(st.tuples(st.integers(0, DAYS - 1), st.integers(0, DAYS - 1)),
                                max_size=3))  # fmt: skip
def test_any_split_of_the_days_and_any_repeat_equals_one_backfill(
    accounts: Accounts, cuts: list[int], repeats: list[tuple[int, int]]
) -> None:
    told = settle(build(accounts))
    whole = fresh(accounts, told)
    run_playbooks(whole, RULES, day(0), day(DAYS - 1))
    expected = dump(whole)

    parts = fresh(accounts, told)
    starts = [0, *cuts]
    for start, stop in zip(starts, [*cuts, DAYS], strict=True):
        run_playbooks(parts, RULES, day(start), day(stop - 1))
        for first, _ in repeats:
            # A late record reaches back: the same days again, up to the same clock.
            if first < stop:
                run_playbooks(parts, RULES, day(first), day(stop - 1))
    assert dump(parts) == expected


@LAWS
@given(ACCOUNTS, SCORES)
def test_another_account_changes_no_row(accounts: Accounts, scores: list[float | None]) -> None:
    alone = build(accounts)
    run_playbooks(alone, RULES, day(0), day(DAYS - 1))
    beside = build(accounts)
    add_account(beside, "other", (scores + [scores[-1]] * DAYS)[:DAYS])
    run_playbooks(beside, RULES, day(0), day(DAYS - 1))
    for table in ("signals", "rule_states", "actions"):
        column = {"signals": 3, "rule_states": 2, "actions": 5}[table]
        kept = [row for row in dump(beside)[table] if row[column] != "other"]
        assert kept == dump(alone)[table]


@LAWS
@given(ACCOUNTS, st.integers(1, DAYS - 2))
def test_a_day_knows_nothing_of_later_days(accounts: Accounts, cut: int) -> None:
    whole, short = build(accounts), build(accounts)
    for table in ("intermediate.int_core__account_days", "marts.fct_account_health_daily"):
        short.execute(f"delete from {table} where as_of_date > ?", [day(cut)])
    short.execute("update marts.dim_account set churned_on = null where churned_on > ?", [day(cut)])
    run_playbooks(whole, RULES, day(0), day(cut))
    run_playbooks(short, RULES, day(0), day(cut))
    assert dump(whole) == dump(short)


@LAWS
@given(ACCOUNTS)
def test_what_always_holds(accounts: Accounts) -> None:
    con = build(accounts)
    settle(con)
    assert con.execute(
        """
        select count(*) from playbooks.actions as a inner join playbooks.actions as b
            on a.playbook_id = b.playbook_id and a.account_id = b.account_id
            and a.close_reason is distinct from 'restated'
            and b.close_reason is distinct from 'restated'
            and a.scope = b.scope and a.action_id < b.action_id
            and a.opened_on < coalesce(b.closed_on, date '9999-12-31')
            and b.opened_on < coalesce(a.closed_on, date '9999-12-31')
        """
    ).fetchall() == [(0,)]
    # Every action stands on evidence, and its rule was matched on the day it opened.
    assert con.execute(
        """
        select count(*) from playbooks.actions as a
        left join playbooks.rule_states as s on a.rule_id = s.rule_id
            and a.account_id = s.account_id and a.scope = s.scope and s.verdict = 'matched'
            and s.valid_from_on <= a.opened_on
            and coalesce(s.valid_to_on, date '9999-12-31') > a.opened_on
            and s.reason = a.action_id
        where s.rule_id is null and a.closed_on is distinct from a.opened_on
            and a.close_reason is distinct from 'restated'
            or a.evidence is null or a.evidence = '{}'
        """
    ).fetchall() == [(0,)]
    # Every match opened, continued or was suppressed with a reason; nothing was lost.
    assert con.execute(
        "select count(*) from playbooks.rule_states"
        " where reason is null or reason = 'not opened' or reason = 'missing: '"
    ).fetchall() == [(0,)]
    assert con.execute(
        """
        select count(*) from (
            select action_id, detail from playbooks.action_events where event = 'escalated'
            group by all having count(*) > 1
        )
        """
    ).fetchall() == [(0,)]
    # States of one rule and thing never overlap.
    assert con.execute(
        """
        select count(*) from (
            select valid_to_on, lead(valid_from_on) over (
                partition by rule_id, account_id, scope order by valid_from_on
            ) as next_on
            from playbooks.rule_states
        ) where next_on < coalesce(valid_to_on, date '9999-12-31')
        """
    ).fetchall() == [(0,)]
    assert con.execute(
        "select count(*) from playbooks.rule_states where valid_from_on > ? or valid_to_on > ?",
        [day(DAYS - 1), day(DAYS - 1)],
    ).fetchall() == [(0,)]
    # Nothing is dated after the clock, and an event follows its action's opening.
    assert con.execute(
        "select count(*) from playbooks.action_events e join playbooks.actions a"
        " using (action_id) where e.occurred_on > ? or e.occurred_on < a.opened_on",
        [day(DAYS - 1)],
    ).fetchall() == [(0,)]


@LAWS
@given(ACCOUNTS, st.integers(0, DAYS - 1), st.sampled_from(LEVELS))
def test_late_data_leaves_only_restated_rows_beside_the_truth(
    accounts: Accounts, changed: int, level: float | None
) -> None:
    corrected = [(list((s + [s[-1]] * DAYS)[:DAYS]), left) for s, left in accounts]
    corrected[0][0][changed] = level
    late = build(accounts)
    run_playbooks(late, RULES, day(0), day(max(changed, 1)))
    source = build(corrected)
    for table in ("intermediate.int_core__account_days", "marts.fct_account_health_daily"):
        late.execute(f"delete from {table}")
        rows = source.execute(f"select * from {table}").fetchall()
        marks = ", ".join("?" * len(rows[0]))
        late.executemany(f"insert into {table} values ({marks})", rows)
    run_playbooks(late, RULES, day(changed), day(DAYS - 1))
    run_playbooks(source, RULES, day(0), day(DAYS - 1))
    truth, told = dump(source), dump(late)
    assert told["signals"] == truth["signals"]
    assert told["rule_states"] == truth["rule_states"]
    restated = {
        row[0]
        for row in late.execute(
            "select action_id from playbooks.actions where close_reason = 'restated'"
        ).fetchall()
    }
    assert [row for row in told["actions"] if row[0] not in restated] == truth["actions"]
    assert [row for row in told["action_events"] if row[0] not in restated] == truth[
        "action_events"
    ]
