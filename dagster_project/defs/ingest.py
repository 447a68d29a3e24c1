"""Extracts and meeting notes in: one step fills the raw tables and picks the days."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import duckdb

from dagster_project.checking import check_configuration
from dagster_project.contracts import CONTRACTS, Vocabulary
from dagster_project.contracts.notes import NOTE_TABLES, NOTES_TABLE
from dagster_project.defs.resources import WRITER_POOL, Installation
from dagster_project.errors import ConfigError, CspError
from dagster_project.infohub.notes import NotesResult, ingest_notes
from dagster_project.infohub.notes_words import load_note_words
from dagster_project.ingestion import (
    IngestResult,
    TableSummary,
    ingest,
    load_mapping,
    newest_extract,
)
from dagster_project.policy import vocabulary
from dagster_project.progress import say, stage
from dagster_project.settings import Settings
from dagster_project.warehouse import RunWindow, connect
from dagster_project.warehouse.runs import (
    choose_window,
    create_run_tables,
    last_published_on,
    note_counts,
    note_pending,
)

WINDOW_KEY = dg.AssetKey(["pipeline", "run_window"])
CHECK_NAME = "contract"
POLICY_MODES = ("in_force", "latest")


class RunRequest(dg.Config):
    """What the caller asks of a run; empty = the newest extract's day, from where it left off."""

    as_of: str | None = None
    from_date: str | None = None
    full_refresh: bool = False
    #: `in_force` or `latest`: which policy scores the past days of the range.
    policy_mode: str = "in_force"


def _as_date(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option} must be a date like 2026-06-30, not {text!r}") from error


def refuse_other_policy_set(con: duckdb.DuckDBPyConnection, policy_set: str) -> None:
    """Refuse to go on with another policy set than the one that scored the days in the build file.

    Two sets may put a measure into different components or not have it at all, so a move between a
    day of one and a day of the other has no split into causes that adds up.

    Raises:
        ConfigError: days are there that another set scored.
    """
    known = con.execute(
        "select count(*) from information_schema.tables "
        "where table_schema = 'marts' and table_name = 'dim_health_policy'"
    ).fetchone()
    if known is None or not known[0]:
        return
    others = con.execute(
        "select distinct policy_set from marts.dim_health_policy where policy_set <> ? order by 1",
        [policy_set],
    ).fetchall()
    if others:
        raise ConfigError(
            f"CSP_POLICY_SET is {policy_set!r}, but days here were scored by "
            f"{', '.join(repr(name) for (name,) in others)} — score all days by one set with "
            "--full-refresh, or go back to the other set"
        )


def ingest_and_choose(
    settings: Settings, request: RunRequest
) -> tuple[IngestResult, NotesResult, RunWindow]:
    """Ingest extracts and meeting notes up to the day asked for; decide which days to compute.

    Everything that can be refused without reading data is refused before anything is written.

    Raises:
        ConfigError: the range or the configuration is wrong; nothing was changed.
        CspError: there is nothing to read.
    """
    requested_as_of = _as_date("--as-of", request.as_of)
    requested_from = _as_date("--from", request.from_date)
    if request.policy_mode not in POLICY_MODES:
        raise ConfigError(
            f"policy_mode must be one of {', '.join(POLICY_MODES)}, not {request.policy_mode!r}"
        )
    # However the run was started, dbt leaves out the tests of what this finds sound.
    check_configuration(settings)
    lists = vocabulary(settings.seeds)
    words = Vocabulary(lists.tiers, lists.solution_areas, lists.call_types)
    note_words = load_note_words(settings.seeds)
    mapping = load_mapping(settings.sources, settings.landing, words)
    as_of = requested_as_of or newest_extract(settings.landing, mapping)
    with connect(settings.warehouse, settings) as con:
        create_run_tables(con)
        if not request.full_refresh:
            refuse_other_policy_set(con, settings.policy_set)
        last = None if request.full_refresh else last_published_on(con)
        if last is not None and requested_as_of is None:
            # A landing folder that was tidied up does not turn time back.
            as_of = max(as_of, last)
        choose_window(
            con,
            as_of=as_of,
            requested_from=requested_from,
            first_business_on=None,
            max_history_days=settings.max_history_days,
            full_refresh=request.full_refresh,
            policy_mode=request.policy_mode,
        )
        result = ingest(con, settings.landing, mapping, as_of, words, settings)
        note_pending(con, result.affected_from_on)
        notes = ingest_notes(con, settings.infohub, as_of, note_words)
        note_pending(con, notes.affected_from_on)
        note_counts(
            con,
            "ingest",
            {
                "files": result.file_count,
                "rows read": result.read_rows,
                "accepted": result.accepted_rows,
                "rejected": result.rejected_rows,
                "tables with a refused file": len(result.refused_sources),
                "meeting notes read": notes.read,
                "notes rejected": notes.rejected,
            },
        )
        window = choose_window(
            con,
            as_of=as_of,
            requested_from=requested_from,
            first_business_on=result.earliest_business_on,
            max_history_days=settings.max_history_days,
            full_refresh=request.full_refresh,
            policy_mode=request.policy_mode,
        )
    return result, notes, window


def _check(summary: TableSummary) -> dg.AssetCheckResult:
    """One table's ingestion as a check: refused files and rejected rows, with the mend."""
    missing_accounts = summary.name == "crm/accounts" and summary.stored_rows == 0
    return dg.AssetCheckResult(
        passed=not (missing_accounts or summary.refusals or summary.rejected_rows),
        asset_key=_raw_key(summary.name),
        check_name=CHECK_NAME,
        severity=(dg.AssetCheckSeverity.ERROR if missing_accounts else dg.AssetCheckSeverity.WARN),
        description=summary.mend or "every file and row kept its contract",
        metadata={
            "files": summary.file_count,
            "rows read": summary.read_rows,
            "rows accepted": summary.accepted_rows,
            "rows rejected": summary.rejected_rows,
            "rows stored": summary.stored_rows,
            "refused files": list(summary.refusals),
            "mend": summary.mend,
        },
    )


def _check_notes(notes: NotesResult) -> dg.AssetCheckResult:
    """The reading of the meeting notes as a check."""
    return dg.AssetCheckResult(
        passed=not notes.rejected,
        asset_key=_note_key(NOTES_TABLE),
        check_name=CHECK_NAME,
        severity=dg.AssetCheckSeverity.WARN,
        description=notes.mend or "every note could be read",
        metadata={
            "notes found": notes.found,
            "notes read": notes.read,
            "notes accepted": notes.accepted,
            "notes rejected": notes.rejected,
            "notes removed": notes.removed,
            "notes of a later day": notes.waiting,
            "mend": notes.mend,
        },
    )


def _note_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(table.split("."))


def _raw_key(name: str) -> dg.AssetKey:
    source, table = name.split("/")
    return dg.AssetKey([f"raw_{source}", table])


@dg.multi_asset(
    name="ingest_extracts",
    specs=[
        *(
            dg.AssetSpec(
                _raw_key(name),
                group_name=f"raw_{contract.source}",
                description=f"{contract.kind.value} table of the {contract.source} extracts",
                kinds={"duckdb", "polars"},
            )
            for name, contract in sorted(CONTRACTS.items())
        ),
        *(
            dg.AssetSpec(
                _note_key(table),
                group_name="raw_infohub",
                description="What people wrote in the notes of their calls, as it reads now.",
                kinds={"duckdb", "python"},
            )
            for table in NOTE_TABLES
        ),
        dg.AssetSpec(
            WINDOW_KEY,
            group_name="pipeline",
            description="The days the run in progress computes, both ends included.",
            kinds={"duckdb"},
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(CHECK_NAME, asset=_raw_key(name), blocking=True)
        for name in sorted(CONTRACTS)
    ]
    + [dg.AssetCheckSpec(CHECK_NAME, asset=_note_key(NOTES_TABLE), blocking=True)],
    pool=WRITER_POOL,
)
def ingest_extracts(
    context: dg.AssetExecutionContext, config: RunRequest, installation: Installation
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Read new extracts and meeting notes into the raw tables; the same twice changes nothing."""
    with installation.patience(), stage("read extracts"):
        result, notes, window = ingest_and_choose(installation.settings, config)
    for line in (
        *result.warnings,
        *(f"refused: {refusal}" for table in result.tables for refusal in table.refusals),
        *([notes.mend] if notes.rejected else []),
    ):
        say(f"  {line}")
    for summary in result.tables:
        yield dg.MaterializeResult(
            asset_key=_raw_key(summary.name),
            metadata={"rows accepted": summary.accepted_rows, "rows stored": summary.stored_rows},
        )
    for table in NOTE_TABLES:
        yield dg.MaterializeResult(
            asset_key=_note_key(table), metadata={"rows stored": notes.row_counts[table]}
        )
    yield dg.MaterializeResult(
        asset_key=WINDOW_KEY,
        metadata={
            "from_date": str(window.from_date),
            "as_of_date": str(window.as_of_date),
            "days": window.day_count,
        },
    )
    for summary in result.tables:
        yield _check(summary)
    yield _check_notes(notes)
    if not any(s.stored_rows for s in result.tables if s.name == "crm/accounts"):
        raise CspError(
            f"{installation.settings.landing}: no account was accepted — "
            "deliver crm/accounts/accounts_YYYY-MM-DD.csv, or mend its rows "
            "(raw_crm.accounts__rejects names file, line and column)"
        )
