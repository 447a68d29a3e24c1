from __future__ import annotations

import duckdb
import pytest

from dagster_project.contracts import (
    CONTRACTS,
    Contract,
    Dating,
    Kind,
    Vocabulary,
    ensure_raw_tables,
)

WORDS = Vocabulary(
    tiers=("strategic", "commercial"),
    solution_areas=("security",),
    call_types=("technical_checkin", "other"),
)
ALL = list(CONTRACTS.values())


@pytest.mark.parametrize("contract", ALL, ids=lambda contract: contract.name)
class TestEveryContract:
    def test_key_columns_are_keys_or_dates_and_nothing_else_is_a_key(
        self, contract: Contract
    ) -> None:
        columns = {column.name: column for column in contract.columns}
        for name in contract.key:
            assert columns[name].dating in (Dating.KEY, Dating.DATE)
        assert {c.name for c in contract.columns if c.dating is Dating.KEY} <= set(contract.key)

    def test_a_dated_value_names_business_dates_of_its_own_table(self, contract: Contract) -> None:
        for column in contract.columns:
            assert (column.dating is Dating.DATED_BY) == bool(column.dated_by)
            assert set(column.dated_by) <= set(contract.date_columns)

    def test_only_a_snapshot_has_undated_state(self, contract: Contract) -> None:
        undated = {
            c.name for c in contract.columns if c.dating in (Dating.VERSIONED, Dating.IDENTITY)
        }
        assert contract.kind is Kind.SNAPSHOT or not undated

    def test_an_event_happens_on_exactly_one_required_date(self, contract: Contract) -> None:
        if contract.kind is Kind.EVENT:
            (day,) = contract.date_columns
            assert day in contract.required_columns

    def test_row_rules_read_columns_of_the_table(self, contract: Contract) -> None:
        for rule in contract.row_rules:
            assert set(rule.columns) <= set(contract.column_names)
            assert set(rule.holds.meta.root_names()) == set(rule.columns)

    def test_every_column_says_what_it_means(self, contract: Contract) -> None:
        assert [c.name for c in contract.columns if not c.description.endswith(".")] == []

    def test_pandera_checks_and_rejects_speak_of_the_same_rules(self, contract: Contract) -> None:
        names = [check.name for check in contract.checked_schema(WORDS).checks]
        assert names == [rule.name for rule in contract.row_rules]


def test_domain_law_tables_are_all_there() -> None:
    assert sorted(CONTRACTS) == [
        "crm/accounts",
        "crm/adoption_blockers",
        "crm/contacts",
        "crm/health_overrides",
        "crm/invoices",
        "crm/opportunities",
        "crm/outreach",
        "crm/playbook_runs",
        "crm/risk_flags",
        "crm/stage_evidence",
        "crm/subscriptions",
        "crm/success_objectives",
        "crm/touchpoints",
        "support/surveys",
        "support/tickets",
        "usage/feature_usage",
        "usage/solution_measures",
    ]


def test_policy_lists_do_not_stick_to_the_contract() -> None:
    accounts = CONTRACTS["crm/accounts"]
    assert accounts.allowed_values("tier", WORDS) == ("strategic", "commercial")
    other = Vocabulary(("gold",), ("security",), ("other",))
    assert accounts.allowed_values("tier", other) == ("gold",)
    assert accounts.allowed_values("account_name", WORDS) == ()
    assert "champion" in CONTRACTS["crm/contacts"].allowed_values("role", WORDS)


def _drawn(con: duckdb.DuckDBPyConnection) -> list[tuple[str, ...]]:
    return con.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where not internal order by all"
    ).fetchall()


def test_raw_tables_are_drawn_once_and_stay() -> None:
    con = duckdb.connect()
    ensure_raw_tables(con)
    first = _drawn(con)
    con.execute("insert into pipeline.files (source) values ('crm')")
    ensure_raw_tables(con)
    assert _drawn(con) == first
    assert con.execute("select count(*) from pipeline.files").fetchall() == [(1,)]
    tables = {(schema, table) for schema, table, *_ in first}
    for contract in ALL:
        schema, table = contract.raw_table.split(".")
        assert (schema, table) in tables
        assert (schema, f"{table}__rejects") in tables
    columns = {column for schema, table, column, _ in first if table == "accounts"}
    assert {"_extracted_on", "_source_file", "_source_line", "_is_deleted"} <= columns
    assert not {c for _, table, c, _ in first if table == "feature_usage"} & {"_is_deleted"}


def test_a_contract_that_gained_a_column_widens_the_table() -> None:
    con = duckdb.connect()
    ensure_raw_tables(con)
    expected = _drawn(con)
    con.execute("insert into raw_crm.accounts (account_id) values ('a')")
    con.execute("alter table raw_crm.accounts drop column node")
    ensure_raw_tables(con)
    assert _drawn(con) == expected
    assert con.execute("select account_id, node from raw_crm.accounts").fetchall() == [("a", None)]
