"""One run of the playbooks over a range of days, as one transaction.

Belongs here: the order of the steps and what a run reports. Does not belong here: any of the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from dagster_project.playbooks.actions import write_actions
from dagster_project.playbooks.episodes import open_episodes, register_rules
from dagster_project.playbooks.rulebook import RuleBook
from dagster_project.playbooks.spans import evaluate_conditions
from dagster_project.playbooks.tables import (
    PLAYBOOKS,
    PUBLIC_TABLES,
    RULES,
    create_playbook_tables,
)


@dataclass(frozen=True)
class PlaybookResult:
    """What a run did: actions opened, closed, escalated and restated; rows per public table."""

    opened: int
    closed: int
    escalated: int
    restated: int
    continued: int
    row_counts: Mapping[str, int]

    def metadata(self, table: str) -> dict[str, int]:
        """Numbers worth showing beside one of the tables, by its name without schema."""
        shown = {"row_count": self.row_counts[table]}
        if table == "actions":
            shown |= {
                "opened": self.opened,
                "closed": self.closed,
                "continued": self.continued,
                "restated": self.restated,
            }
        if table == "action_events":
            shown |= {"escalated": self.escalated}
        return shown


def known_tables(con: duckdb.DuckDBPyConnection) -> dict[str, date]:
    """Since when each landing table is known: its first accepted extract.

    A table that came with the first accounts extract is known for all of history, because its rows
    carry their own dates; one that came later is known from its own first extract on.
    """
    rows = con.execute(
        "select table_name, min(extracted_on) from pipeline.files where status = 'accepted'"
        " and extracted_on is not null group by table_name"
    ).fetchall()
    first = {str(table): extracted_on for table, extracted_on in rows}
    start = first.get("accounts")
    return {
        table: date.min if start is not None and since <= start else since
        for table, since in first.items()
    }


def run_playbooks(
    con: duckdb.DuckDBPyConnection, rules: RuleBook, from_date: date, as_of_date: date
) -> PlaybookResult:
    """Judge every rule over [from_date, as_of_date]; open, continue, escalate and close actions.

    Reads `staging`, `intermediate` and `marts` (which cover the range) and what earlier runs left;
    writes `playbooks.*` and its own state in `pipeline`. All or nothing.
    """
    if from_date > as_of_date:
        raise ValueError(f"the range ends before it starts: {from_date} to {as_of_date}")
    create_playbook_tables(con)
    con.execute("begin transaction")
    try:
        known_from = known_tables(con)
        evaluate_conditions(con, rules, from_date, as_of_date, known_from=known_from)
        register_rules(con, rules)
        episodes = open_episodes(con, rules, from_date, as_of_date)
        counts = write_actions(con, from_date, as_of_date)
        _write_definitions(con, rules)
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    rows = {table.name.split(".")[1]: _row_count(con, table.name) for table in PUBLIC_TABLES}
    return PlaybookResult(
        opened=counts["opened"],
        closed=counts["closed"],
        escalated=counts["escalated"],
        restated=counts["restated"],
        continued=episodes.continued,
        row_counts=rows,
    )


def _write_definitions(con: duckdb.DuckDBPyConnection, rules: RuleBook) -> None:
    """Keep the checked rules beside their actions, so that the data explains itself."""
    con.execute(f"delete from {PLAYBOOKS.name}")
    con.execute(f"delete from {RULES.name}")
    for playbook_id, playbook in sorted(rules.playbooks.items()):
        con.execute(
            f"insert into {PLAYBOOKS.name} values (?, ?, ?, ?, ?, ?, ?)",
            [
                playbook_id,
                playbook.name,
                playbook.version,
                playbook.status,
                playbook.category,
                playbook.owner_role,
                playbook.model_dump_json(exclude={"tests"}, exclude_defaults=True),
            ],
        )
    for rule in rules.rules:
        con.execute(
            f"insert into {RULES.name} values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                rule.rule_id,
                rule.version,
                rule.playbook_id,
                rule.scope,
                rule.signal,
                rule.text,
                rule.severity,
                rule.priority,
                rule.sla_days,
                rule.cooldown_days,
                rule.hysteresis_days,
                rule.why,
            ],
        )


def _row_count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(con.execute(f"select count(*) from {table}").fetchall()[0][0])
