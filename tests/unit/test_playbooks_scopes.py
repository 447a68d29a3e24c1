"""Names of every scope on hand-made facts: what a day reads, and that it reads no later fact."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import pytest

from dagster_project.playbooks.runner import known_tables
from dagster_project.playbooks.scopes import SCOPES
from tests.unit.playbook_world import START, add, add_account, day, open_world

DAYS = 40


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    world = open_world()
    add_account(world, "a", [70.0 + number for number in range(20)] + [60.0] * 20)
    return world


def values(
    con: duckdb.DuckDBPyConnection, scope: str, *names: str, last: int = DAYS - 1
) -> dict[tuple[str, int], tuple[Any, ...]]:
    """(scope key, day number) to the names' values over days 0 … last."""
    relation = SCOPES[scope].sql(names, day(0), day(last), known_tables(con))  # type: ignore[index]
    chosen = ", ".join(f'"{name}"' for name in names)
    rows = con.execute(f"select scope, as_of_date, {chosen} from ({relation})").fetchall()
    found = {(key, (on - START).days): tuple(rest) for key, on, *rest in rows}
    assert len(found) == len(rows), "one row per thing and day"
    return found


def at(hour: int, number: int) -> datetime:
    return datetime.combine(day(number), datetime.min.time()).replace(hour=hour)


@pytest.mark.parametrize("name", sorted(SCOPES))
def test_every_name_of_every_scope_compiles_alone_and_together(name: str) -> None:
    con = open_world()
    scope = SCOPES[name]  # type: ignore[index]
    every = list(scope.names)
    for wanted in ([], every, *([one] for one in every)):
        relation = scope.sql(wanted, day(0), day(5), known_tables(con))
        columns = [row[0] for row in con.execute(f"describe {relation}").fetchall()]
        assert columns == ["account_id", "scope", "solution_area", "as_of_date", *wanted]


@pytest.mark.parametrize("name", sorted(SCOPES))
def test_every_name_has_the_type_it_publishes(name: str) -> None:
    con = open_world()
    scope = SCOPES[name]  # type: ignore[index]
    relation = scope.sql(list(scope.names), day(0), day(5), known_tables(con))
    types = {row[0]: row[1] for row in con.execute(f"describe {relation}").fetchall()}
    kinds = {
        "number": {"DOUBLE", "BIGINT", "INTEGER", "DECIMAL(18,2)"},
        "text": {"VARCHAR"},
        "boolean": {"BOOLEAN"},
        "date": {"DATE"},
    }
    wrong = {
        one.name: types[one.name]
        for one in scope.names.values()
        if types[one.name] not in kinds[one.type]
    }
    assert wrong == {}


def test_account_scores_move_and_zones_change(con: duckdb.DuckDBPyConnection) -> None:
    found = values(
        con, "account", "score_change_7d", "score_change_30d", "is_zone_changed", "is_zone_worsened"
    )
    assert found["account", 6] == (None, None, False, False)
    assert found["account", 7][0] == 7.0
    assert found["account", 10][2:] == (True, False)  # 79 to 80: yellow to green
    assert found["account", 20][2:] == (True, True)  # 89 to 60
    assert found["account", 30][1] == 60.0 - 70.0


def test_open_facts_are_counted_only_while_they_stand(con: duckdb.DuckDBPyConnection) -> None:
    add(
        con,
        "staging.stg_support__tickets",
        ticket_id="t",
        account_id="a",
        severity="high",
        opened_at=at(9, 2),
        escalated_at=at(9, 5),
        resolved_at=at(9, 12),
    )
    add(
        con,
        "staging.stg_crm__invoices",
        invoice_id="i",
        account_id="a",
        issued_on=day(1),
        due_on=day(10),
        paid_on=day(15),
    )
    for number in (3, 4, 5):
        add(
            con,
            "staging.stg_crm__risk_flags",
            risk_id=f"r{number}",
            account_id="a",
            kind="competitor",
            severity="high",
            raised_on=day(number),
            cleared_on=day(20),
        )
    add(
        con,
        "staging.stg_crm__contacts",
        contact_id="c",
        account_id="a",
        role="champion",
        departed_on=day(6),
    )
    names = (
        "oldest_escalation_age_days",
        "oldest_overdue_invoice_days",
        "open_high_risk_count",
        "champions_left_30d_count",
        "competitor_flags_raised_count",
    )
    found = values(con, "account", *names)
    assert found["account", 4] == (0, 0, 2, 0, 1)
    assert found["account", 5] == (0, 0, 3, 0, 1)
    assert found["account", 11] == (6, 1, 3, 1, 0)
    assert found["account", 12] == (0, 2, 3, 1, 0)
    assert found["account", 15] == (0, 0, 3, 1, 0)
    assert found["account", 36] == (0, 0, 0, 0, 0)


def test_nothing_recorded_is_zero_only_where_somebody_records(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("delete from pipeline.files where table_name in ('invoices', 'risk_flags')")
    add(
        con,
        "pipeline.files",
        source="crm",
        table_name="risk_flags",
        extracted_on=day(3),
        status="accepted",
    )
    found = values(con, "account", "oldest_overdue_invoice_days", "open_high_risk_count")
    assert found["account", 2] == (None, None)
    assert found["account", 3] == (None, 0)


def test_a_removed_fact_ends_with_its_tombstone(con: duckdb.DuckDBPyConnection) -> None:
    add(
        con,
        "staging.stg_crm__adoption_blockers",
        blocker_id="b",
        account_id="a",
        solution_area="search",
        category="skill",
        opened_on=day(2),
        removed_on=day(9),
    )
    found = values(con, "blocker", "blocker_age_days", "category")
    assert sorted(number for _, number in found) == list(range(2, 9))
    assert found["blocker:b", 8] == (6, "skill")


def test_an_opportunity_is_seen_as_it_was_that_day(con: duckdb.DuckDBPyConnection) -> None:
    add(
        con,
        "staging.stg_crm__opportunities",
        opportunity_id="o",
        account_id="a",
        kind="expansion",
        created_on=day(3),
        closed_on=day(9),
        is_won=True,
    )
    add(
        con,
        "staging.stg_crm__opportunity_versions",
        opportunity_id="o",
        stage="discovery",
        valid_from_on=day(5),
        valid_to_on=day(7),
    )
    add(
        con,
        "staging.stg_crm__opportunity_versions",
        opportunity_id="o",
        stage="proof",
        valid_from_on=day(7),
    )
    add(
        con,
        "staging.stg_crm__success_objectives",
        objective_id="x",
        account_id="a",
        created_on=day(6),
    )
    names = ("opportunity_stage", "is_closed", "is_won", "has_objectives", "days_since_closed")
    found = values(con, "opportunity", *names)
    assert found["opportunity:o", 4] == (None, False, None, False, None)
    assert found["opportunity:o", 6] == ("discovery", False, None, True, None)
    assert found["opportunity:o", 9] == ("proof", True, True, True, 0)
    assert max(number for _, number in found) == 38


def test_a_call_comes_is_late_is_missed_and_is_left_when_another_is_held(
    con: duckdb.DuckDBPyConnection,
) -> None:
    add(
        con,
        "marts.fct_cadence_slot",
        account_id="a",
        call_type="technical_checkin",
        slot_number=3,
        opened_on=day(1),
        due_on=day(7),
        grace_ends_on=day(9),
    )
    add(
        con,
        "marts.fct_cadence_slot",
        account_id="a",
        call_type="technical_checkin",
        slot_number=4,
        opened_on=day(8),
        due_on=day(22),
        grace_ends_on=day(24),
    )
    add(
        con,
        "staging.stg_crm__touchpoints",
        touchpoint_id="t",
        account_id="a",
        call_type="technical_checkin",
        held_on=day(12),
    )
    for number in range(DAYS):
        add(
            con,
            "marts.fct_cadence_daily",
            account_id="a",
            call_type="technical_checkin",
            as_of_date=day(number),
            next_due_on=day(7 if number <= 7 else 22),
            consecutive_missed_count=1,
            account_state="paused" if number == 5 else "active",
        )
    found = values(con, "call", "days_to_due", "is_missed", "days_since_missed")
    key = "call:technical_checkin:3"
    mine = {number: row for (scope, number), row in found.items() if scope == key}
    assert sorted(mine) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]  # paused on day 5, held on day 12
    assert mine[4] == (3, False, None)
    assert mine[8] == (-1, False, None)
    assert mine[10] == (-3, True, 0)
    assert mine[11] == (-4, True, 1)


def test_a_met_call_is_work_no_more_and_no_feed_is_no_work(con: duckdb.DuckDBPyConnection) -> None:
    add(
        con,
        "marts.fct_cadence_slot",
        account_id="a",
        call_type="technical_checkin",
        slot_number=1,
        opened_on=day(0),
        due_on=day(7),
        grace_ends_on=day(9),
        met_on=day(6),
    )
    for number in range(10):
        add(
            con,
            "marts.fct_cadence_daily",
            account_id="a",
            call_type="technical_checkin",
            as_of_date=day(number),
            next_due_on=day(7),
            account_state="active",
            consecutive_missed_count=None if number < 2 else 0,
        )
    found = values(con, "call", "days_to_due", "is_slot_met")
    assert {number: row[1] for (_, number), row in found.items()} == {
        2: False, 3: False, 4: False, 5: False, 6: True,
    }  # fmt: skip


def test_an_area_knows_its_stage_its_move_and_whether_it_is_the_weakest(
    con: duckdb.DuckDBPyConnection,
) -> None:
    for area, rank, ready in (("search", 1, 0.5), ("security", 1, 0.25)):
        for number in range(3):
            add(
                con,
                "intermediate.int_core__area_days",
                account_id="a",
                solution_area=area,
                as_of_date=day(number),
                seats_licensed=10,
                subscription_started_on=day(0),
                days_since_go_live=number,
            )
            add(
                con,
                "marts.fct_stage_daily",
                account_id="a",
                solution_area=area,
                as_of_date=day(number),
                stage="foundation",
                stage_rank=rank,
                readiness_ratio=ready if number else 0.5,
            )
            add(
                con,
                "intermediate.int_usage__area_daily",
                account_id="a",
                solution_area=area,
                as_of_date=day(number),
                active_users_28d=4,
            )
    add(
        con,
        "marts.fct_stage_transition",
        account_id="a",
        solution_area="search",
        occurred_on=day(1),
        from_stage_rank=0,
        to_stage_rank=1,
    )
    names = ("is_weakest_area", "is_stage_advanced", "active_users_ratio", "days_since_start")
    found = values(con, "solution_area", *names)
    # On day 0 both are alike: the first by name.
    assert found["area:search", 0] == (True, False, 0.4, 0)
    assert found["area:security", 0][0] is False
    assert found["area:search", 1] == (False, True, 0.4, 1)
    assert found["area:security", 1][:2] == (True, False)


def test_leavers_subscriptions_and_departures_are_looked_at_for_their_time(
    con: duckdb.DuckDBPyConnection,
) -> None:
    add(
        con,
        "staging.stg_crm__contacts",
        contact_id="c",
        account_id="a",
        role="champion",
        departed_on=day(4),
    )
    add(
        con,
        "staging.stg_crm__subscriptions",
        subscription_id="s",
        account_id="a",
        solution_area="search",
        started_on=day(2),
        go_live_on=day(8),
        is_displacement=True,
    )
    add_account(con, "b", [50.0] * 10, churned_on=day(5))
    left = values(con, "contact", "contact_role", "days_since_departed")
    assert left["contact:c", 4] == ("champion", 0)
    assert ("contact:c", 3) not in left
    bought = values(con, "subscription", "is_live", "days_since_subscription_start")
    assert bought["subscription:s", 7] == (False, 5)
    assert bought["subscription:s", 8] == (True, 6)
    gone = values(con, "departure", "days_since_churn", "customer_days")
    assert gone["account:left", 5] == (0, 5)
    assert max(number for _, number in gone) == 18


def test_known_since_the_first_accepted_extract(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from pipeline.files")
    for table, extracted_on, status in (
        ("accounts", day(5), "accepted"),
        ("contacts", day(5), "accepted"),
        ("invoices", day(3), "refused"),
        ("invoices", day(9), "accepted"),
    ):
        add(
            con,
            "pipeline.files",
            source="crm",
            table_name=table,
            extracted_on=extracted_on,
            status=status,
        )
    assert known_tables(con) == {
        "accounts": date.min,
        "contacts": date.min,
        "invoices": day(9),
    }
