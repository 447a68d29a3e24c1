"""The sample generator: equal bytes, honest extracts, customers who behave."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.sampling import DEFAULT_UNTIL, SampleOptions, SampleSummary, write_sample
from dagster_project.sampling.extracts import extract_dates
from dagster_project.sampling.tables import COLUMNS, EVENT_TABLES

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
LAST = DEFAULT_UNTIL


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*_20*"))
    }


def read(folder: Path, table: str, day: date = LAST) -> pl.DataFrame:
    name = table.split("/")[1]
    return pl.read_csv(folder / table / f"{name}_{day}.csv.gz", infer_schema_length=None)


def read_all(folder: Path, table: str) -> pl.DataFrame:
    return pl.concat(
        [
            pl.read_csv(path, infer_schema=False)
            for path in sorted((folder / table).glob("*.csv.gz"))
        ]
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small")
    write_sample(out, SampleOptions(accounts=8, days=70, seed=3))
    return out


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    write_sample(tmp_path, SampleOptions())
    written, committed = files(tmp_path), files(SAMPLE)
    assert written.keys() == committed.keys()
    # Decompressed: another zlib packs the same text into other bytes.
    different = [
        name
        for name in written
        # People's work is drawn from the actions of a run (test_sample_work).
        if "playbook_runs" not in name
        and gzip.decompress(written[name]) != gzip.decompress(committed[name])
    ]
    assert different == []
    assert sum(map(len, committed.values())) < 3_000_000


@pytest.mark.parametrize("file_format", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("dirt", [False, True])
def test_equal_options_give_equal_bytes_and_another_seed_does_not(
    tmp_path: Path, file_format: str, dirt: bool
) -> None:
    def write(name: str, seed: int) -> dict[str, bytes]:
        options = SampleOptions(
            accounts=6,
            days=40,
            seed=seed,
            file_format=file_format,
            dirt=dirt,  # type: ignore[arg-type]
        )
        write_sample(tmp_path / name, options)
        return files(tmp_path / name)

    first, second, other = write("a", 5), write("b", 5), write("c", 6)
    assert first == second
    assert first.keys() == other.keys()
    assert first != other


def test_every_canonical_table_has_its_columns_in_every_extract(small: Path) -> None:
    days = extract_dates(LAST - timedelta(days=69), LAST, 30)
    for table, columns in COLUMNS.items():
        for day in days:
            assert tuple(read(small, table, day).columns) == columns, (table, day)


def test_extract_dates_are_periodic_and_daily_at_the_end() -> None:
    days = extract_dates(LAST - timedelta(days=99), LAST, 30)
    assert [(LAST - day).days for day in days] == [90, 60, 30, 2, 1, 0]
    assert extract_dates(LAST, LAST, 30) == [LAST]


def test_no_extract_knows_a_fact_dated_after_it(small: Path) -> None:
    planned = {"scheduled_on", "due_on", "renews_on", "expected_close_on", "expires_on"}
    planned |= {"paused_until_on", "started_on"}
    checked = 0
    for table, columns in COLUMNS.items():
        for path in (small / table).glob("*.csv.gz"):
            day = path.name.removesuffix(".csv.gz")[-10:]
            frame = pl.read_csv(path, infer_schema=False)
            for name in columns:
                if name.endswith(("_on", "_at")) and name not in planned:
                    latest = frame[name].drop_nulls().str.slice(0, 10).max()
                    assert latest is None or str(latest) <= day, (path.name, name)
                    checked += latest is not None
    assert checked > 100


def test_event_extracts_do_not_overlap_and_cover_all_days(small: Path) -> None:
    days = extract_dates(LAST - timedelta(days=69), LAST, 30)
    for table, column in (("usage/feature_usage", "used_on"), ("support/surveys", "responded_on")):
        assert table in EVENT_TABLES
        before = ""
        for day in days:
            values = read(small, table, day)[column].cast(pl.String)
            assert all(before < value <= str(day) for value in values)
            before = str(day)


def test_an_account_lives_the_same_life_in_a_bigger_sample(small: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, SampleOptions(accounts=11, days=70, seed=3))
    for table in COLUMNS:
        if "account_id" not in COLUMNS[table]:
            continue
        few, many = read_all(small, table), read_all(tmp_path, table)
        mine = many.filter(pl.col("account_id").is_in(few["account_id"].unique().to_list()))
        assert mine.equals(few), table


def test_refuses_a_folder_that_holds_another_sample(small: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, SampleOptions(accounts=2, days=5))
    write_sample(tmp_path, SampleOptions(accounts=2, days=5))
    with pytest.raises(FileExistsError, match="another sample"):
        write_sample(tmp_path, SampleOptions(accounts=2, days=5, until=date(2026, 5, 1)))


@pytest.mark.parametrize("wrong", [{"accounts": 0}, {"days": 0}, {"file_format": "xml"}])
def test_refuses_a_sample_that_cannot_be_drawn(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SampleOptions(**wrong)  # type: ignore[arg-type]


def test_the_committed_sample_shows_every_kind_of_customer() -> None:
    accounts = read(SAMPLE, "crm/accounts")
    churned = accounts.filter(pl.col("churned_on").is_not_null()).height
    assert 2 <= churned <= 12
    living = accounts.filter(pl.col("churned_on").is_null())
    assert living.filter(pl.col("customer_since_on") > str(LAST - timedelta(days=30))).height >= 2
    assert set(accounts["tier"]) == {"strategic", "enterprise", "commercial"}
    subscriptions = read(SAMPLE, "crm/subscriptions")
    soon = subscriptions.filter(
        pl.col("ended_on").is_null()
        & (pl.col("renews_on") <= str(LAST + timedelta(days=180)))
        & pl.col("account_id").is_in(living["account_id"].to_list())
    )
    assert 0.25 <= soon["account_id"].n_unique() / living.height <= 0.75
    assert set(subscriptions["solution_area"]) == {"security", "observability", "search"}
    pulses = read(SAMPLE, "crm/risk_flags").filter(pl.col("kind") == "csm_pulse")
    assert set(pulses["pulse_score"]) >= {2, 3, 4, 5}
    assert read(SAMPLE, "crm/health_overrides").height in (1, 2)


def test_strain_comes_before_churn(tmp_path: Path) -> None:
    """Customers who left were worse in the 90 days before than those who stayed, on average."""
    write_sample(tmp_path, SampleOptions(accounts=400, days=300, file_format="parquet", seed=1))
    landing = tmp_path.as_posix()
    with duckdb.connect() as connection:
        gap = connection.execute(f"""
            with accounts as (
                select account_id, churned_on, coalesce(churned_on, date '{LAST}') as end_on
                from '{landing}/crm/accounts/accounts_{LAST}.parquet'
                where coalesce(churned_on, date '{LAST}') - customer_since_on > 120
            ),
            pulses as (
                select account_id, end_on, avg(pulse_score) as pulse
                from '{landing}/crm/risk_flags/risk_flags_{LAST}.parquet'
                inner join accounts using (account_id)
                where kind = 'csm_pulse' and raised_on between end_on - 90 and end_on
                group by all
            )
            select count(churned_on), avg(pulse) filter (where churned_on is null)
                - avg(pulse) filter (where churned_on is not null)
            from accounts inner join pulses using (account_id)
        """).fetchall()
    churned, difference = gap[0]
    assert churned >= 15
    assert difference > 0.5


def test_keys_are_unique_in_every_file(small: Path) -> None:
    keys = {
        "usage/feature_usage": ["account_id", "solution_area", "user_id", "feature", "used_on"],
        "usage/solution_measures": ["account_id", "solution_area", "measure", "measured_on"],
        "crm/playbook_runs": ["action_id", "event", "step_id", "occurred_on"],
    }
    for table, columns in COLUMNS.items():
        key = keys.get(table, [columns[0]])
        for path in (small / table).glob("*.csv.gz"):
            frame = pl.read_csv(path, infer_schema=False)
            assert frame.select(key).is_unique().all(), path.name


BAD_WORDS = {
    "bad_enum": [
        "platinum",
        "boss",
        "storage",
        "maybe",
        "coffee",
        "weather",
        "hunch",
        "sev1",
        "ces",
    ],
    "bad_number": ["1.2 million", "twelve", "tbd", "a few", "half", "12.000,50 EUR", "many"]
    + ["#DIV/0!", "good"],
    "bad_date": ["2025-02-30", "31.01.2025", "2025-13-01", "next week", "2025-01-31 25:00:00"]
    + ["31/01/2025", "Q1 2025", "yesterday"],
    "negative": ["-100", "-5", "-1", "-3"],
}
REQUIRED = {"account_id", "account_name", "started_on", "objective_name", "criterion_id"}
REQUIRED |= {"responded_on", "sent_at"}
REQUIRED_IN = {"opportunities": {"created_on"}, "invoices": {"due_on"}}
REQUIRED_IN["solution_measures"] = {"value"}


def faults_of(line: bytes, header: list[str], table: str) -> list[str]:
    """Every fault of one line, seen with no help from the generator."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return ["latin_1"]
    cells = dict(zip(header, next(csv.reader([text])), strict=True))
    faults = ["unknown_account"] if cells.get("account_id") == "acc-unknown" else []
    for kind, words in BAD_WORDS.items():
        numeric = {k: v for k, v in cells.items() if k != "sentiment"}
        faults += [kind for cell in numeric.values() if cell in words]
    required = (REQUIRED | REQUIRED_IN.get(table, set())) & cells.keys()
    return faults + ["missing" for name in required if cells[name] == ""]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, SampleSummary]:
    """A clean sample, the same with dirt, and what the second was said to hold."""
    clean, dirty = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("dirty")
    write_sample(clean, SampleOptions(accounts=80, days=65))
    summary = write_sample(dirty, SampleOptions(accounts=80, days=65, dirt=True))
    return clean, dirty, summary


def test_dirt_is_counted_to_the_row(twins: tuple[Path, Path, SampleSummary]) -> None:
    _, dirty, summary = twins
    report = json.loads((dirty / "dirt.json").read_text())
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in report["files"]:
        expected[entry["file"]][entry["kind"]] += entry["rows"]
    total: Counter[str] = Counter()
    for name, packed in files(dirty).items():
        head, *lines = gzip.decompress(packed).splitlines()
        header, table = head.decode().split(","), name.split("/")[1]
        found = Counter({"duplicate": len(lines) - len(set(lines))})
        for line in lines:
            faults = faults_of(line, header, table)
            assert len(faults) <= 1, (name, line, faults)
            found.update(faults)
        del expected[name]["late"]  # a late row is clean in itself: see the next test
        assert +found == expected[name], name
        total += found
    assert set(total) == {"duplicate", "unknown_account", "latin_1", "missing", *BAD_WORDS}
    assert min(total.values()) >= 3
    assert {kind: rows for kind, rows in summary.dirt.items() if kind != "late"} == dict(total)
    by_kind: Counter[str] = Counter()
    for kinds in report["totals"].values():
        by_kind.update(kinds)
    assert by_kind == summary.dirt


def test_late_rows_come_one_extract_later_and_none_is_lost(
    twins: tuple[Path, Path, SampleSummary],
) -> None:
    clean, dirty, summary = twins
    late = 0
    for table in sorted(EVENT_TABLES - {"crm/playbook_runs"}):
        held_back: set[bytes] = set()
        for path in sorted((clean / table).glob("*.csv.gz")):
            wanted = set(gzip.decompress(path.read_bytes()).splitlines())
            got = set(gzip.decompress((dirty / table / path.name).read_bytes()).splitlines())
            assert held_back <= got, path.name
            late += len(held_back)
            report = json.loads((dirty / "dirt.json").read_text())["files"]
            changed = sum(
                entry["rows"]
                for entry in report
                if entry["file"] == f"{table}/{path.name}"
                and entry["kind"] not in ("late", "duplicate", "unknown_account")
            )
            missing = wanted - got
            # What is gone was either edited in place or comes with the next extract.
            coming = dirty / table
            following = [p for p in sorted(coming.glob("*.csv.gz")) if p.name > path.name][:1]
            later = set[bytes]()
            if following:
                later = set(gzip.decompress(following[0].read_bytes()).splitlines())
            held_back = missing & later
            assert len(missing) == changed + len(held_back), path.name
    assert late == summary.dirt["late"] > 0
