"""The playbooks as a machine: days, late edits, repeats and people in any order, one truth."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dagster_project.errors import ConfigError
from dagster_project.playbooks import RuleBook, load_rules, run_playbooks
from tests.unit.playbook_world import (
    RULE_FILES,
    add_account,
    day,
    dump,
    open_world,
    report,
    write_rules,
)

LEVELS = (None, 30.0, 45.0, 55.0, 65.0, 75.0, 85.0)
ACCOUNTS = ("a0", "a1")
DAYS = 24
# The same rules by other words and numbers that decide nothing: an edit that keeps the meaning.
REWORDED = {
    name: text.replace("health_score < 60", "not (health_score >= 60)").replace(
        "why: The score is", "why: Now the score is"
    )
    for name, text in RULE_FILES.items()
}

with tempfile.TemporaryDirectory() as _folder:
    BOOKS = tuple(
        load_rules(write_rules(Path(_folder) / name, files))
        for name, files in (("first", RULE_FILES), ("reworded", REWORDED))
    )

LEVEL = st.sampled_from(LEVELS)
ACCOUNT = st.sampled_from(ACCOUNTS)


class Nights(RuleBasedStateMachine):
    """What may happen to an installation; every rule ends with the days up to `today` computed."""

    def __init__(self) -> None:
        super().__init__()
        self.today = 0
        self.book: RuleBook = BOOKS[0]
        self.scores: dict[str, list[float | None]] = {}
        self.told: list[tuple[str, str, date]] = []
        self.con = open_world()

    @initialize(levels=st.lists(st.lists(LEVEL, min_size=DAYS, max_size=DAYS), min_size=2,
                                max_size=2))  # fmt: skip
    def begin(self, levels: list[list[float | None]]) -> None:
        for account, scores in zip(ACCOUNTS, levels, strict=True):
            # Each level lasts three days: that is what makes episodes.
            self.scores[account] = [scores[number // 3] for number in range(DAYS)]
        self._fill(self.con)
        run_playbooks(self.con, self.book, day(0), day(0))

    def _fill(self, con: duckdb.DuckDBPyConnection) -> None:
        for table in ("intermediate.int_core__account_days", "marts.fct_account_health_daily",
                      "marts.dim_account", "staging.stg_crm__account_versions"):  # fmt: skip
            con.execute(f"delete from {table}")
        for account, scores in self.scores.items():
            add_account(con, account, scores)

    def _again(self, first: int) -> None:
        run_playbooks(self.con, self.book, day(first), day(self.today))

    @precondition(lambda self: self.today < DAYS - 1)
    @rule(days=st.integers(1, 6))
    def nights_pass(self, days: int) -> None:
        first, self.today = self.today + 1, min(self.today + days, DAYS - 1)
        for number in range(first, self.today + 1):
            run_playbooks(self.con, self.book, day(number), day(number))

    @rule(account=ACCOUNT, back=st.integers(0, 12), level=LEVEL, length=st.integers(1, 5))
    def a_late_record_comes(
        self, account: str, back: int, level: float | None, length: int
    ) -> None:
        first = max(self.today - back, 0)
        for number in range(first, min(first + length, DAYS)):
            self.scores[account][number] = level
        self._fill(self.con)
        self._again(first)

    @rule(back=st.integers(0, 30))
    def days_are_run_again(self, back: int) -> None:
        before = dump(self.con)
        self._again(max(self.today - back, 0))
        assert dump(self.con) == before

    @rule(which=st.integers(0, 50), event=st.sampled_from(["started", "completed", "cancelled"]),
          late=st.integers(0, 3))  # fmt: skip
    def somebody_works(self, which: int, event: str, late: int) -> None:
        rows = self.con.execute(
            "select action_id, opened_on from playbooks.actions where closed_on is null"
            " order by action_id"
        ).fetchall()
        if not rows:
            return
        action, opened_on = rows[which % len(rows)]
        on = max(opened_on, day(max(self.today - late, 0)))
        report(self.con, action, event, on)
        self.told.append((action, event, on))
        self._again((on - day(0)).days)

    @rule()
    def the_rules_are_reworded(self) -> None:
        before = self._truth(self.con)
        self.book = BOOKS[1] if self.book is BOOKS[0] else BOOKS[0]
        self._again(self.today)
        assert self._truth(self.con) == before

    @invariant()
    def what_always_holds(self) -> None:
        if not self.scores:
            return
        for question in (
            # Two pieces of one work at once.
            """
            select a.action_id from playbooks.actions as a inner join playbooks.actions as b
                on a.playbook_id = b.playbook_id and a.account_id = b.account_id
                and a.scope = b.scope and a.action_id < b.action_id
                and a.opened_on < coalesce(b.closed_on, date '9999-12-31')
                and b.opened_on < coalesce(a.closed_on, date '9999-12-31')
            where a.close_reason is distinct from 'restated'
                and b.close_reason is distinct from 'restated'
            """,
            "select action_id from playbooks.actions where evidence is null or evidence = '{}'",
            # A rule that could not be judged fired.
            "select action_id from playbooks.actions where rule_id = 'under_line'"
            " and json_extract_string(evidence, '$.health_score') is null",
            "select rule_id from playbooks.rule_states where reason is null"
            " or reason in ('not opened', 'missing: ')",
            "select action_id from playbooks.action_events where event = 'escalated'"
            " group by action_id, detail having count(*) > 1",
        ):
            assert self.con.execute(question).fetchall() == []

    def _truth(self, con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
        """Everything but what was taken back."""
        gone = {
            action
            for (action,) in con.execute(
                "select action_id from playbooks.actions where close_reason = 'restated'"
            ).fetchall()
        }
        tables = dump(con)
        return {
            "signals": tables["signals"],
            "rule_states": tables["rule_states"],
            "actions": [row for row in tables["actions"] if row[0] not in gone],
            "action_events": [row for row in tables["action_events"] if row[0] not in gone],
        }

    def teardown(self) -> None:
        if not self.scores:
            return
        fresh = open_world()
        self._fill(fresh)
        for action, event, on in self.told:
            report(fresh, action, event, on)
        run_playbooks(fresh, self.book, day(0), day(self.today))
        assert self._truth(self.con) == self._truth(fresh)
        fresh.close()
        self.con.close()


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=4,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMES = sorted(RULE_FILES)
MARKS = st.sampled_from(
    ["'", '"', ":", "{", "}", "[", "]", "#", "&a", "*a", "!!python/object:os.system", "\t", "- ",
     "null", "1e999", "2024-13-45", "; drop table x; --", "\u2028", "<", "not", "{health_score",
     "!", "|", ">", "~", "0x", "yes"]
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from("dri"), MARKS), min_size=1,
             max_size=3),
)  # fmt: skip
def test_any_edit_of_a_rule_file_loads_or_is_refused_with_a_place(
    name: str, edits: list[tuple[int, str, str]]
) -> None:
    text = RULE_FILES[name]
    for at, kind, mark in edits:
        place = at % (len(text) + 1)
        cut = place + (3 if kind in "dr" else 0)
        text = text[:place] + (mark if kind in "ri" else "") + text[cut:]
    with tempfile.TemporaryDirectory() as folder:
        try:
            load_rules(write_rules(Path(folder), {**RULE_FILES, name: text}))
        except ConfigError as error:
            assert error.faults
            assert all(fault.file and fault.message for fault in error.faults)
            assert all(fault.line >= 0 for fault in error.faults)
