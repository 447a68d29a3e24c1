from __future__ import annotations

import gzip
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.contracts import CONTRACTS
from dagster_project.errors import ConfigError, CspError
from dagster_project.ingestion import newest_extract, run
from tests.unit.ingestion_world import (
    ACCOUNT,
    INVOICE,
    SURVEY,
    TICKET,
    USAGE,
    Limits,
    World,
    lines,
    summary,
)

DAY1, DAY2, DAY3 = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "landing")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _accounts(*rows: str) -> str:
    return lines(ACCOUNT, *rows)


# -- what is stored -----------------------------------------------------------------------------


def test_a_snapshot_row_is_stored_when_it_changed_and_a_vanished_key_is_a_tombstone(
    world: World,
) -> None:
    world.put(
        "crm/accounts/a_2026-01-01.csv",
        _accounts("a,A,strategic,2025-01-01,5", "b,B,commercial,2025-02-01,6"),
    )
    world.put("crm/accounts/a_2026-01-02.csv", _accounts("a,A,strategic,2025-01-01,5.00"))
    world.put(
        "crm/accounts/a_2026-01-03.csv",
        _accounts("a,A,strategic,2025-01-01,7", "b,B,commercial,2025-02-01,6"),
    )
    result = world.run()
    assert world.rows(
        "select account_id, arr_usd, _is_deleted, _extracted_on, _source_file, _source_line "
        "from raw_crm.accounts order by account_id, _extracted_on"
    ) == [
        ("a", Decimal("5.00"), False, DAY1, "crm/accounts/a_2026-01-01.csv", 2),
        ("a", Decimal("7.00"), False, DAY3, "crm/accounts/a_2026-01-03.csv", 2),
        ("b", Decimal("6.00"), False, DAY1, "crm/accounts/a_2026-01-01.csv", 3),
        ("b", None, True, DAY2, "crm/accounts/a_2026-01-02.csv", None),
        ("b", Decimal("6.00"), False, DAY3, "crm/accounts/a_2026-01-03.csv", 3),
    ]
    accounts = summary(result, "crm/accounts")
    assert (accounts.file_count, accounts.read_rows, accounts.accepted_rows) == (3, 5, 5)
    assert (accounts.stored_rows, accounts.rejected_rows, accounts.mend) == (5, 0, "")
    assert result.newest_extract_on == DAY3
    assert result.earliest_business_on == date(2025, 1, 1)
    assert world.rows(
        "select extracted_on, accepted_count, unchanged_count from pipeline.files order by all"
    ) == [(DAY1, 2, 0), (DAY2, 1, 1), (DAY3, 2, 0)]


def test_all_formats_carry_the_same_rows(world: World) -> None:
    frame = pl.DataFrame(
        {
            "ticket_id": ["t1", "t2"],
            "account_id": ["a", "b"],
            "severity": ["high", "low"],
            "opened_at": [_at("2026-01-01 10:30"), _at("2026-01-01 00:00")],
            "resolved_at": [None, _at("2026-01-02 01:02:03")],
            "status": ["open", None],
        }
    )
    aware = frame.with_columns(
        pl.col("opened_at", "resolved_at")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Asia/Tokyo")
    )
    csv = frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S").encode()
    jsonl = aware.with_columns(
        pl.col("opened_at", "resolved_at").dt.strftime("%Y-%m-%dT%H:%M:%S%:z")
    ).write_ndjson()
    contents = {
        "csv": csv,
        "csv.gz": gzip.compress(csv),
        "jsonl": jsonl.encode(),
        "jsonl.gz": gzip.compress(jsonl.encode()),
    }
    seen = []
    for ending in (*contents, "parquet"):
        other = World(world.landing / ending.replace(".", "_"))
        path = other.put(f"support/tickets/t_2026-01-02.{ending}", contents.get(ending, b""))
        if ending == "parquet":
            aware.write_parquet(path)
        assert summary(other.run(), "support/tickets").rejected_rows == 0
        seen.append(
            other.rows(
                "select ticket_id, severity, opened_at, resolved_at, status "
                "from raw_support.tickets order by all"
            )
        )
    assert seen[0] == [
        ("t1", "high", _at("2026-01-01 10:30"), None, "open"),
        ("t2", "low", _at("2026-01-01 00:00"), _at("2026-01-02 01:02:03"), None),
    ]
    assert all(rows == seen[0] for rows in seen)


def test_events_append_and_a_newer_file_replaces_an_equal_key(world: World) -> None:
    world.put(
        "usage/feature_usage/u_2026-01-01.csv",
        lines(USAGE, "a,search,u,f,2026-01-01,1,", "a,search,,f,2026-01-01,2,"),
    )
    world.put(
        "usage/feature_usage/u_2026-01-02.csv",
        lines(USAGE, "a,search,u,f,2026-01-01,9,", "a,search,u,f,2026-01-02,3,"),
    )
    world.run()
    query = (
        "select user_id, used_on, usage_count, _extracted_on "
        "from raw_usage.feature_usage order by all"
    )
    assert world.rows(query) == [
        ("u", DAY1, 9, DAY2),
        ("u", DAY2, 3, DAY2),
        (None, DAY1, 2, DAY1),
    ]
    # The correction is withdrawn: what it had replaced stands again.
    world.put("usage/feature_usage/u_2026-01-02.csv", lines(USAGE, "a,search,u,f,2026-01-02,3,"))
    assert world.run().affected_from_on == DAY1
    assert world.rows(query) == [
        ("u", DAY1, 1, DAY1),
        ("u", DAY2, 3, DAY2),
        (None, DAY1, 2, DAY1),
    ]


def test_a_repeated_event_keeps_its_first_file_and_is_no_news(world: World) -> None:
    world.put("usage/feature_usage/u_2026-01-01.csv", lines(USAGE, "a,search,u,f,2026-01-01,1,"))
    world.run()
    world.put(
        "usage/feature_usage/u_2026-01-02.csv",
        lines(USAGE, "a,search,u,f,2026-01-01,1,", "a,search,u,f,2026-01-02,1,"),
    )
    assert world.run().affected_from_on == DAY2
    assert world.rows(
        "select used_on, _extracted_on from raw_usage.feature_usage order by all"
    ) == [(DAY1, DAY1), (DAY2, DAY2)]


def test_an_event_whose_date_moved_is_found_wherever_it_was(world: World) -> None:
    world.put("support/surveys/s_2026-01-01.csv", lines(SURVEY, "s1,a,csat,2025-06-01,4"))
    world.run()
    world.put("support/surveys/s_2026-01-02.csv", lines(SURVEY, "s1,a,csat,2026-01-02,4"))
    assert world.run().affected_from_on == date(2025, 6, 1)
    assert world.rows("select survey_id, responded_on from raw_support.surveys") == [("s1", DAY2)]


def test_only_extracts_up_to_the_day_asked_for_are_read(world: World) -> None:
    world.put("crm/accounts/a_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,5"))
    world.put("crm/accounts/a_2026-01-03.csv", _accounts("a,A,strategic,2025-01-01,7"))
    assert newest_extract(world.landing, None) == DAY3
    result = world.run(as_of=DAY2)
    assert result.newest_extract_on == DAY1
    assert world.rows("select arr_usd from raw_crm.accounts") == [(Decimal("5.00"),)]
    assert world.run().newest_extract_on == DAY3


# -- which days changed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "header", "before", "after", "expected"),
    [
        # A new key reaches back to its first business date.
        (
            "crm/accounts",
            ACCOUNT,
            ["b,B,strategic,2025-09-01,5"],
            ["b,B,strategic,2025-09-01,5", "a,A,strategic,2025-03-01,5"],
            date(2025, 3, 1),
        ),
        # A table's first row tells something of every day: nobody else had one.
        ("crm/accounts", ACCOUNT, [], ["a,A,strategic,2025-03-01,5"], date.min),
        # Undated state is known from the extract on.
        (
            "crm/accounts",
            ACCOUNT,
            ["a,A,strategic,2025-03-01,5"],
            ["a,A,strategic,2025-03-01,6"],
            DAY2,
        ),
        # A moved date touches everything from the earlier of both.
        (
            "crm/accounts",
            ACCOUNT,
            ["a,A,strategic,2025-03-01,5"],
            ["a,A,strategic,2025-01-15,5"],
            date(2025, 1, 15),
        ),
        # A date that is new touches itself.
        (
            "crm/invoices",
            INVOICE,
            ["i,a,2025-05-01,2025-06-01,,10"],
            ["i,a,2025-05-01,2025-06-01,2025-12-20,10"],
            date(2025, 12, 20),
        ),
        # A value that belongs to a date touches that date.
        (
            "crm/invoices",
            INVOICE,
            ["i,a,2025-05-01,2025-06-01,,10"],
            ["i,a,2025-05-01,2025-06-01,,11"],
            date(2025, 5, 1),
        ),
        # A vanished key is gone from the extract on.
        ("crm/invoices", INVOICE, ["i,a,2025-05-01,2025-06-01,,10"], [], DAY2),
        # Nothing new is no news.
        (
            "crm/invoices",
            INVOICE,
            ["i,a,2025-05-01,2025-06-01,,10"],
            ["i,a,2025-05-01,2025-06-01,,10.0"],
            None,
        ),
        (
            "support/tickets",
            TICKET,
            ["t,a,high,2025-05-01 09:00,,open"],
            ["t,a,low,2025-05-01 09:00,,open"],
            date(2025, 5, 1),
        ),
        (
            "support/tickets",
            TICKET,
            ["t,a,high,2025-05-01 09:00,,open"],
            ["t,a,high,2025-05-01 09:00,,solved"],
            DAY2,
        ),
    ],
)
def test_a_change_touches_the_days_it_speaks_of(
    world: World, table: str, header: str, before: list[str], after: list[str], expected: date
) -> None:
    world.put(f"{table}/x_2026-01-01.csv", lines(header, *before))
    world.run()
    world.put(f"{table}/x_2026-01-02.csv", lines(header, *after))
    assert world.run().affected_from_on == expected


def test_an_extract_after_a_gap_touches_the_days_nothing_was_known_of(world: World) -> None:
    """Also where it has no row for them: that there was none is news."""
    row = "t,a,high,2025-05-01 09:00,,open"
    world.put("support/tickets/t_2026-01-01.csv", lines(TICKET, row))
    world.run()
    world.put("support/tickets/t_2026-01-02.csv", "nonsense\n")
    assert world.run().affected_from_on is None
    world.put("support/tickets/t_2026-01-04.csv", lines(TICKET, row))
    assert world.run().affected_from_on == DAY2


def test_a_key_that_returns_touches_the_days_it_was_missing_from(world: World) -> None:
    row = "i,a,2026-01-02,2026-02-01,,10"
    for day, rows in ((1, [row]), (2, []), (3, [row])):
        world.put(f"crm/invoices/i_2026-01-0{day}.csv", lines(INVOICE, *rows))
        result = world.run()
    assert result.affected_from_on == DAY2


def test_a_corrected_extract_of_the_past_touches_what_it_corrects(world: World) -> None:
    for day in (1, 2, 3):
        world.put(
            f"crm/accounts/a_2026-01-0{day}.csv", _accounts(f"a,A,strategic,2025-01-01,{day}")
        )
    world.run()
    world.put("crm/accounts/a_2026-01-02.csv", _accounts("a,A,strategic,2025-01-01,22"))
    assert world.run().affected_from_on == DAY2


# -- what is rejected -----------------------------------------------------------------------------


def test_every_fault_of_a_bad_row_is_said_and_good_rows_go_on(world: World) -> None:
    world.put(
        "crm/accounts/a_2026-01-01.csv",
        lines(
            ACCOUNT + ",churned_on,paused_from_on,is_at_risk",
            "a,A,strategic,2025-01-01,5,,,",
            "b,,gold,2025-01-01,-5,2024-12-31,,maybe",
            ",C,commercial,2025-13-01,1e400,,,no",
            "d,D,commercial",
        ),
    )
    result = world.run()
    assert world.rows("select account_id from raw_crm.accounts") == [("a",)]
    assert world.rows(
        'select line, rule, "column", value, message from raw_crm.accounts__rejects order by all'
    ) == [
        (
            3,
            "churned_on_not_before_customer_since_on",
            "churned_on, customer_since_on",
            "2024-12-31, 2025-01-01",
            "churned_on is before customer_since_on",
        ),
        (3, "in_list", "tier", "gold", "tier must be one of strategic, enterprise, commercial"),
        (3, "in_range", "arr_usd", "-5", "arr_usd must be 0 or more"),
        (3, "required", "account_name", "", "account_name has no value"),
        (3, "type", "is_at_risk", "maybe", "is_at_risk is not yes or no; write true or false"),
        (4, "required", "account_id", "", "account_id has no value"),
        (
            4,
            "type",
            "arr_usd, customer_since_on",
            "1e400, 2025-13-01",
            "arr_usd is not a decimal(18,2); customer_since_on is not a date; write YYYY-MM-DD",
        ),
        (5, "ragged_line", None, "d,D,commercial", "the line has 3 cells, the header 8"),
    ]
    accounts = summary(result, "crm/accounts")
    assert (accounts.read_rows, accounts.accepted_rows, accounts.rejected_rows) == (4, 1, 3)
    assert "raw_crm.accounts__rejects" in accounts.mend


@pytest.mark.parametrize(
    ("table", "header", "row", "rule"),
    [
        ("crm/touchpoints", "touchpoint_id,account_id,call_type,status,created_on",
         "t,a,other,held,2026-01-01", "any_of_scheduled_on_held_on"),
        ("crm/touchpoints", "touchpoint_id,account_id,call_type,status,held_on,sentiment",
         "t,a,other,held,2026-01-01,1.5", "in_range"),
        ("crm/outreach", "outreach_id,account_id,sent_at,responded_at",
         "o,a,2026-01-01 10:00,2026-01-01 09:59", "responded_at_not_before_sent_at"),
        ("crm/risk_flags", "risk_id,account_id,kind,raised_on,pulse_score",
         "r,a,csm_pulse,2026-01-01,", "pulse_needs_score"),
        ("crm/risk_flags", "risk_id,account_id,kind,raised_on,pulse_score",
         "r,a,csm_pulse,2026-01-01,6", "in_range"),
        ("crm/health_overrides", "override_id,account_id,reason,author,starts_on,expires_on",
         "o,a,r,x,2026-01-01,2026-02-01", "any_of_health_score_health_zone"),
        ("crm/health_overrides",
         "override_id,account_id,reason,author,starts_on,expires_on,health_zone",
         "o,a,r,x,2026-01-01,2026-01-01,red", "expires_after_start"),
        ("support/surveys", SURVEY, "s,a,csat,2026-01-01,0", "score_in_range_of_kind"),
        ("support/surveys", SURVEY, "s,a,nps,2026-01-01,11", "score_in_range_of_kind"),
        ("support/tickets", TICKET, "t,a,high,2026-01-02 10:00,2026-01-02 09:00,",
         "resolved_at_not_before_opened_at"),
        ("crm/opportunities",
         "opportunity_id,account_id,kind,stage,created_on,probability_ratio",
         "o,a,new,proof,2026-01-01,80", "in_range"),
        ("usage/feature_usage", USAGE, "a,search,u,f,2026-01-01,1.5,", "type"),
        ("usage/feature_usage", USAGE, "a,seach,u,f,2026-01-01,1,", "in_list"),
    ],
)  # fmt: skip
def test_a_row_that_breaks_its_contract_is_rejected(
    world: World, table: str, header: str, row: str, rule: str
) -> None:
    world.put(f"{table}/x_2026-01-01.csv", lines(header, row))
    contract = CONTRACTS[table]
    world.run()
    assert world.rows(f"select rule from {contract.rejects_table}") == [(rule,)]
    assert world.rows(f"from {contract.raw_table}") == []


def test_the_first_of_repeated_keys_stays(world: World) -> None:
    world.put(
        "crm/accounts/a_2026-01-01.csv",
        _accounts(
            "a,A,strategic,2025-01-01,5",
            "a,A,strategic,2025-01-01,5",
            "a,B,commercial,2025-01-01,6",
            "b,B,commercial,2025-01-01,6",
        ),
    )
    world.put(
        "usage/feature_usage/u_2026-01-01.csv",
        lines(
            USAGE,
            "a,search,u,f,2026-01-01,1,e1",
            "a,search,u,f,2026-01-01,1,e1",
            "a,search,u,f,2026-01-02,1,e1",
            "a,search,,f,2026-01-01,1,",
            "a,search,,f,2026-01-01,2,",
            "a,search,,g,2026-01-01,2,",
        ),
    )
    result = world.run()
    assert world.rows("select account_id, account_name from raw_crm.accounts order by all") == [
        ("a", "A"),
        ("b", "B"),
    ]
    assert world.rows("select line, rule, value from raw_crm.accounts__rejects order by all") == [
        (3, "duplicate_key", "a"),
        (4, "duplicate_key", "a"),
    ]
    assert world.rows(
        "select line, rule, message from raw_usage.feature_usage__rejects order by all"
    ) == [
        (line, rule, f'repeats "{column}" of line {first}; the first row was kept, '
         "deliver each row once")
        for line, rule, column, first in [
            (3, "duplicate_key", ", ".join(CONTRACTS["usage/feature_usage"].key), 2),
            (4, "duplicate_event_id", "event_id", 2),
            (6, "duplicate_key", ", ".join(CONTRACTS["usage/feature_usage"].key), 5),
        ]
    ]  # fmt: skip
    usage = summary(result, "usage/feature_usage")
    assert (usage.read_rows, usage.accepted_rows, usage.rejected_rows) == (6, 3, 3)
    assert usage.stored_rows == 3


def test_rejects_of_a_corrected_file_go_with_it(world: World) -> None:
    name = "crm/accounts/a_2026-01-01.csv"
    world.put(name, _accounts("a,A,gold,2025-01-01,5"))
    world.run()
    assert len(world.rows("from raw_crm.accounts__rejects")) == 1
    world.put(name, _accounts("a,A,strategic,2025-01-01,5"))
    world.run()
    assert world.rows("from raw_crm.accounts__rejects") == []
    assert world.rows("select status, rejected_count from pipeline.files") == [("accepted", 0)]


# -- what is refused ------------------------------------------------------------------------------


def _many(count: int, since: str = "2025-01-01") -> str:
    return _accounts(*(f"a{i},A{i},strategic,{since},5" for i in range(count)))


@pytest.mark.parametrize(
    ("content", "why", "mend"),
    [
        (b"", "is empty", "deliver it again"),
        (gzip.compress(_many(30).encode()), "is gzip", ".csv.gz"),
        (_many(30).replace("account_name", "acount_name"), "has no column account_name",
         "rename acount_name to account_name"),
        (_many(0), "holds no rows where the extract before had 30", "deliver it again"),
        (_many(14), "holds 14 good rows where the extract before had 30", "CSP_MIN_SNAPSHOT_RATIO"),
        (_many(30, "01.02.2025"), "every one of its 30 rows was rejected",
         "raw_crm.accounts__rejects"),
    ],
)  # fmt: skip
def test_a_bad_file_keeps_what_was_there_and_other_tables_go_on(
    world: World, content: str | bytes, why: str, mend: str
) -> None:
    world.put("crm/accounts/a_2026-01-01.csv", _many(30))
    world.run()
    before = world.rows("from raw_crm.accounts order by all")
    world.put("crm/accounts/a_2026-01-02.csv", content)
    world.put("support/surveys/s_2026-01-02.csv", lines(SURVEY, "s,a1,csat,2026-01-02,4"))
    result = world.run()
    assert world.rows("from raw_crm.accounts order by all") == before
    assert len(world.rows("from raw_support.surveys")) == 1
    assert result.refused_sources == ("crm/accounts",)
    accounts = summary(result, "crm/accounts")
    (refusal,) = accounts.refusals
    assert refusal.startswith("crm/accounts/a_2026-01-02.csv: ")
    assert why in refusal
    assert mend in refusal
    assert mend in accounts.mend
    assert accounts.accepted_rows == 0
    ((status, message),) = world.rows(
        "select status, message from pipeline.files where extracted_on = '2026-01-02' "
        "and source = 'crm'"
    )
    assert (status, message) == ("refused", refusal.split(": ", 1)[1])
    # The next good extract goes on from where the last good one was.
    world.put("crm/accounts/a_2026-01-03.csv", _many(31))
    assert world.run().newest_extract_on == DAY3
    assert world.rows("select count(*) from raw_crm.accounts") == [(31,)]


def test_a_smaller_extract_is_taken_when_the_limit_says_so(world: World) -> None:
    world.limits = Limits(min_snapshot_ratio=0)
    world.put("crm/accounts/a_2026-01-01.csv", _many(30))
    world.put("crm/accounts/a_2026-01-02.csv", _many(3))
    assert world.run().refused_sources == ()
    assert world.rows("select count(*) from raw_crm.accounts where _is_deleted") == [(27,)]


def test_few_rows_may_vanish(world: World) -> None:
    world.put("crm/accounts/a_2026-01-01.csv", _many(run.MANY_ROWS - 1))
    world.put("crm/accounts/a_2026-01-02.csv", _many(1))
    assert world.run().refused_sources == ()


def test_an_event_file_without_rows_is_refused_only_where_there_were_many(world: World) -> None:
    many = [f"a,search,u{i},f,2026-01-01,1," for i in range(30)]
    world.put("usage/feature_usage/u_2026-01-01.csv", lines(USAGE, *many))
    world.put("usage/feature_usage/u_2026-01-02.csv", lines(USAGE))
    world.put("usage/solution_measures/m_2026-01-01.csv",
              lines("account_id,solution_area,measure,measured_on,value"))  # fmt: skip
    assert world.run().refused_sources == ("usage/feature_usage",)
    assert world.rows("select count(*) from raw_usage.feature_usage") == [(30,)]


def test_a_bad_correction_leaves_the_accepted_version(world: World) -> None:
    for table, content in (
        ("crm/accounts", _many(30)),
        ("usage/feature_usage", lines(USAGE, "a,search,u,f,2026-01-01,1,")),
    ):
        world.put(f"{table}/x_2026-01-01.csv", content)
    world.run()
    before = world.everything()
    world.put("crm/accounts/x_2026-01-01.csv", "nonsense\n1\n")
    world.put("usage/feature_usage/x_2026-01-01.csv", "nonsense\n1\n")
    result = world.run()
    assert result.refused_sources == ("crm/accounts", "usage/feature_usage")
    assert result.affected_from_on is None
    after = world.everything()
    for table in before:
        if table.startswith("raw"):
            assert after[table] == before[table], table
    assert world.rows("select status from pipeline.files order by all") == [
        ("accepted",),
        ("accepted",),
        ("refused",),
        ("refused",),
    ]
    # The old version again: accepted as it was, and the refusal is gone.
    world.put("crm/accounts/x_2026-01-01.csv", _many(30))
    world.put("usage/feature_usage/x_2026-01-01.csv", lines(USAGE, "a,search,u,f,2026-01-01,1,"))
    world.run()
    final = world.everything()
    assert final["raw_crm.accounts"] == before["raw_crm.accounts"]


def test_an_extract_in_several_files_is_one(world: World) -> None:
    world.put("crm/accounts/p1_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,5"))
    world.put("crm/accounts/p2_2026-01-01.csv", _accounts("b,B,strategic,2025-01-01,5"))
    world.run()
    # A correction of one part must not make the other part's rows vanish.
    world.put("crm/accounts/p1_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,6"))
    world.run()
    query = "select account_id, arr_usd, _is_deleted from raw_crm.accounts order by all"
    assert world.rows(query) == [("a", Decimal("6.00"), False), ("b", Decimal("5.00"), False)]
    # A bad part refuses the whole date.
    world.put("crm/accounts/p1_2026-01-02.csv", _accounts("a,A,strategic,2025-01-01,7"))
    world.put("crm/accounts/p2_2026-01-02.csv", "nonsense\n1\n")
    assert len(summary(world.run(), "crm/accounts").refusals) == 2
    # So does a part that is gone when another comes anew.
    (world.landing / "crm/accounts/p2_2026-01-01.csv").unlink()
    world.put("crm/accounts/p1_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,8"))
    refusals = " ".join(summary(world.run(), "crm/accounts").refusals)
    assert "crm/accounts/p2_2026-01-01.csv belongs to the same extract and is gone" in refusals
    assert len(world.rows(query)) == 2


# -- what is only noticed -------------------------------------------------------------------------


def test_unknown_columns_are_flagged_with_the_nearest_known_name(world: World) -> None:
    world.put(
        "crm/accounts/a_2026-01-01.csv",
        lines(ACCOUNT + ",regoin,shoe_size", "a,A,strategic,2025-01-01,5,EMEA,9"),
    )
    world.run()
    assert world.rows(
        "select table_name, flag, row_count, message from pipeline.quality_flags"
    ) == [
        (
            "accounts",
            "unknown_column",
            1,
            "not in the contract and not read: regoin (did you mean region?), shoe_size",
        )
    ]


def test_windows_text_is_read_and_flagged(world: World) -> None:
    world.put(
        "crm/accounts/a_2026-01-01.csv",
        _accounts("a,Caf\xe9,strategic,2025-01-01,5").encode("latin-1"),
    )
    world.run()
    assert world.rows("select account_name from raw_crm.accounts") == [("Café",)]
    assert world.rows("select flag, row_count from pipeline.quality_flags") == [
        ("decoded_windows_1252", 1)
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("crm/acounts/a_2026-01-01.csv", "did you mean crm/accounts?"),
        ("crm/accounts/a.csv", "its name must end in _YYYY-MM-DD"),
        ("crm/accounts/a_2026-01-01.xlsx", "its name must end in _YYYY-MM-DD"),
        ("crm/accounts/a_2026-02-30.csv", "2026-02-30 is no date"),
        ("crm/a_2026-01-01.csv", "extracts stand in <source>/<table>/"),
        ("crm/accounts/old/a_2026-01-01.csv", "extracts stand in <source>/<table>/"),
    ],
)
def test_a_file_that_is_no_extract_is_named(world: World, name: str, why: str) -> None:
    world.put("crm/accounts/good_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,5"))
    world.put("README.md", "read me")
    world.put("crm/accounts/.hidden", "")
    world.put(name, "x")
    (warning,) = world.run().warnings
    assert warning.startswith(f"{name}: not read: ")
    assert why in warning


def test_a_missing_or_empty_landing_folder_is_said(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such landing folder"):
        world.run()
    world.landing.mkdir()
    world.put("crm/accounts/notes.txt", "x")
    with pytest.raises(CspError, match="holds no extract") as error:
        world.run()
    assert "notes.txt: not read" in str(error.value)
    world.landing = tmp_path / "file"
    world.landing.write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        newest_extract(world.landing, None)


# -- all or nothing -------------------------------------------------------------------------------


def test_the_same_files_twice_change_nothing(world: World) -> None:
    world.put("crm/accounts/a_2026-01-01.csv", _many(3) + "x,X,gold,2025-01-01,\n")
    world.put("usage/feature_usage/u_2026-01-01.csv", lines(USAGE, "a,search,u,f,2026-01-01,1,"))
    world.put("support/surveys/s_2026-01-01.csv", "nonsense\n1\n")
    world.run()
    before = world.everything()
    result = world.run()
    assert world.everything() == before
    assert result.affected_from_on is None
    assert [table.name for table in result.tables if table.file_count] == ["support/surveys"]


def test_a_file_touched_but_not_changed_is_not_read_again(world: World) -> None:
    path = world.put("crm/accounts/a_2026-01-01.csv", _many(3))
    world.run()
    path.touch()
    assert world.run().file_count == 0


def test_a_failure_half_way_leaves_the_table_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("usage/feature_usage/u_2026-01-01.csv", lines(USAGE, "a,search,u,f,2026-01-01,1,"))
    world.run()
    before = world.everything()
    world.put("usage/feature_usage/u_2026-01-01.csv", lines(USAGE, "a,search,u,f,2026-01-01,2,"))

    def full(*_: object) -> None:
        raise duckdb.OutOfMemoryException("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(run.events, "resolve", full)
        with pytest.raises(CspError, match="usage/feature_usage: could not be stored"):
            world.run()
    after = world.everything()
    after.pop("pipeline.file_times")
    before.pop("pipeline.file_times")
    assert after == before
    world.run()
    assert world.rows("select usage_count from raw_usage.feature_usage") == [(2,)]


def test_usage_is_stored_in_order_of_date(world: World) -> None:
    world.con.execute("set preserve_insertion_order = false")
    rows = [f"a,search,u,f,2026-{month:02d}-01,1," for month in (12, 3, 7, 1, 9)]
    world.put("usage/feature_usage/u_2026-12-01.csv", lines(USAGE, *rows))
    world.run()
    days = [day for (day,) in world.rows("select used_on from raw_usage.feature_usage")]
    assert days == sorted(days)
    assert world.rows("select current_setting('preserve_insertion_order')") == [(False,)]


OVERRIDE = "override_id,account_id,health_zone,reason,author,starts_on,expires_on"


@pytest.mark.parametrize(
    ("row", "rule", "column"),
    [
        ("o,nobody,red,why,ann,2026-01-01,2026-02-01", "unknown_account_id", "account_id"),
        ("o,a,red,,ann,2026-01-01,2026-02-01", "required", "reason"),
        ("o,a,red,why,,2026-01-01,2026-02-01", "required", "author"),
        ("o,a,red,why,ann,2026-01-01,", "required", "expires_on"),
        ("o,late,red,why,ann,2026-01-01,2026-02-01", "unknown_account_id", "account_id"),
    ],
)
def test_an_override_nobody_could_stand_for_is_rejected(
    world: World, row: str, rule: str, column: str
) -> None:
    world.put("crm/accounts/a_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,5"))
    # An account that only a later extract tells of is as unknown as on the day.
    world.put(
        "crm/accounts/a_2026-01-02.csv",
        _accounts("a,A,strategic,2025-01-01,5", "late,L,strategic,2025-01-01,5"),
    )
    world.put(
        "crm/health_overrides/o_2026-01-01.csv",
        lines(OVERRIDE, row, "good,a,red,why,ann,2026-01-01,2026-02-01"),
    )
    result = world.run()
    assert world.rows(
        'select line, rule, "column", file from raw_crm.health_overrides__rejects'
    ) == [(2, rule, column, "crm/health_overrides/o_2026-01-01.csv")]
    assert world.rows("select override_id from raw_crm.health_overrides") == [("good",)]
    told = summary(result, "crm/health_overrides")
    assert (told.read_rows, told.accepted_rows, told.rejected_rows) == (2, 1, 1)
    assert "raw_crm.health_overrides__rejects" in told.mend


def test_an_override_counts_once_its_account_is_known(world: World) -> None:
    world.put("crm/accounts/a_2026-01-01.csv", _accounts("a,A,strategic,2025-01-01,5"))
    world.put(
        "crm/health_overrides/o_2026-01-01.csv",
        lines(OVERRIDE, "o,late,red,why,ann,2026-01-01,2026-02-01"),
    )
    world.run()
    assert world.rows("from raw_crm.health_overrides") == []
    world.put(
        "crm/accounts/a_2026-01-02.csv",
        _accounts("a,A,strategic,2025-01-01,5", "late,L,strategic,2025-01-01,5"),
    )
    world.put(
        "crm/health_overrides/o_2026-01-02.csv",
        lines(OVERRIDE, "o,late,red,why,ann,2026-01-01,2026-02-01"),
    )
    world.run()
    assert world.rows("select override_id from raw_crm.health_overrides") == [("o",)]
    assert len(world.rows("from raw_crm.health_overrides__rejects")) == 1
