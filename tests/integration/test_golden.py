"""Outputs of the small world as a reviewer reads them; `CSP_WRITE_GOLDEN=1` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable

import duckdb
import pytest

from dagster_project.reporting.explain import explain_account
from dagster_project.settings import PROJECT_ROOT
from tests.integration.conftest import LAST_DAY, Installation

pytestmark = pytest.mark.slow

GOLDEN = PROJECT_ROOT / "tests" / "golden"


def _explanation(con: duckdb.DuckDBPyConnection) -> str:
    """Of the account with the lowest score."""
    ((account,),) = con.execute(
        "select account_id from marts.fct_account_health_daily where as_of_date = ?"
        " order by health_score nulls last, account_id limit 1",
        [LAST_DAY],
    ).fetchall()
    return explain_account(con, account)


def _metrics(con: duckdb.DuckDBPyConnection) -> str:
    """The uncut metrics of the last day, against target."""
    tables = ("mtr_playbook_effectiveness", "mtr_stage_adoption", "mtr_engagement")
    return _lines(
        con,
        " union all ".join(
            "select metric_id, round(value, 4) as value, unit, target, status, numerator,"
            f" denominator, reason from metrics.{table}"
            f" where as_of_date = '{LAST_DAY}' and dimension = 'all'"
            for table in tables
        )
        + " order by metric_id",
    )


def _story(con: duckdb.DuckDBPyConnection) -> str:
    """What happened to the work that was completed, from signal to outcome."""
    return _lines(
        con,
        "select actions.account_id, actions.rule_id, actions.scope, events.event_number,"
        " events.occurred_on, events.event, events.detail"
        " from playbooks.actions join playbooks.action_events as events using (action_id)"
        " where actions.status = 'completed' order by actions.opened_on, actions.action_id,"
        " events.event_number limit 40",
    )


def _lines(con: duckdb.DuckDBPyConnection, query: str) -> str:
    found = con.execute(query)
    head = [column[0] for column in found.description or []]
    rows = [["" if cell is None else str(cell) for cell in row] for row in found.fetchall()]
    return "\n".join(" | ".join(row).rstrip() for row in [head, *rows]) + "\n"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("explanation.txt", _explanation),
        ("metrics.txt", _metrics),
        ("story_of_completed_work.txt", _story),
    ],
)
def test_outputs_are_the_reviewed_ones(
    backfilled: Installation, name: str, write: Callable[[duckdb.DuckDBPyConnection], str]
) -> None:
    with duckdb.connect(str(backfilled.settings.published), read_only=True) as con:
        text = write(con)
    if os.environ.get("CSP_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")
