"""What leaves: the day's exports and queues, then the published warehouse, each swapped whole."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project.defs.dbt_project import daily_tables, dictionary
from dagster_project.defs.deliver import deliver_changes, webhook_of
from dagster_project.defs.infohub import (
    INFOHUB_KEY,
    STAGED_KEY,
    apply_staged,
    write_calendars,
)
from dagster_project.defs.playbooks import TABLES
from dagster_project.defs.resources import WRITER_POOL, Installation
from dagster_project.errors import CspError
from dagster_project.playbooks import write_queues
from dagster_project.playbooks.changes import stage_changes, write_changes
from dagster_project.progress import stage
from dagster_project.reporting.day import account_count, say_note, write_day
from dagster_project.reporting.exports import write_exports
from dagster_project.reporting.report import ReportFiles
from dagster_project.settings import Settings
from dagster_project.warehouse import connect, current_window, publish_snapshot
from dagster_project.warehouse.runs import next_publication_number, note_counts

SNAPSHOT_KEY = dg.AssetKey(["published", "analytics"])
EXPORTS_KEY = dg.AssetKey(["published", "exports"])
# From so many accounts on the report is worth a process of its own, which takes a second to start.
LARGE_DAY = 2000


def config_sha256(settings: Settings) -> str:
    """Fingerprint of what decides results besides the data: seeds, rules, templates, models."""
    digest = hashlib.sha256(settings.policy_set.encode())
    for folder, patterns in (
        (settings.rules, ("*.yml", "templates/**/*.j2")),
        (settings.dbt_project, ("seeds/**/*.csv", "models/**/*.sql", "macros/**/*.sql")),
    ):
        for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def stage_day(settings: Settings) -> None:
    """Keep what this publication changes against the one readers have, before it is made."""
    with connect(settings.warehouse, settings) as con:
        as_of = current_window(con).as_of_date
        stage_changes(
            con,
            settings.published if settings.published.exists() else None,
            as_of,
            next_publication_number(con),
            wants_delivery=webhook_of(settings) is not None,
        )


def export_day(settings: Settings, snapshot: Path) -> None:
    """Write the day's folder: tables, workbook, report, dictionary, queues, calendars, manifest.

    All but queues and calendars is read from the file that is about to be published, so that what
    leaders read is what analysts will query. The folder appears whole or not at all.
    """
    with (
        connect(settings.warehouse, settings, read_only=True) as build,
        connect(snapshot, settings, read_only=True) as con,
    ):
        as_of = current_window(build).as_of_date
        is_large = settings.threads > 1 and account_count(con, as_of) >= LARGE_DAY

        def add_files(folder: Path) -> None:
            if not is_large:
                with stage("report"):
                    say_note(write_day(con, folder, as_of))
            write_queues(build, folder / "actions", as_of)
            write_changes(build, folder / "actions", as_of)
            write_calendars(build, folder / "calendar", as_of)

        write_exports(
            con,
            settings.exports,
            as_of,
            add_files,
            lambda folder: (
                _report_beside(settings, snapshot, folder, as_of) if is_large else nullcontext()
            ),
        )


@contextmanager
def _report_beside(settings: Settings, snapshot: Path, folder: Path, as_of: date) -> Iterator[None]:
    """Write the report in a process of its own while the context lasts; wait for it at the end.

    Raises:
        CspError: that process died (of a lack of memory, for example).
    """
    # The process needs no secret and shares the machine with this one.
    own = settings.model_copy(update={"webhook_url": None, "webhook_secret": None, "threads": 1})
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        writing = pool.submit(write_day_of_file, own, snapshot, folder, as_of)
        yield
        try:
            with stage("report"):
                say_note(writing.result())
        except BrokenProcessPool as error:
            raise CspError(
                "the process that writes the report died — free memory, or set CSP_THREADS=1 to "
                "write it in this process, then run again; the previous publication is untouched"
            ) from error


def write_day_of_file(settings: Settings, snapshot: Path, folder: Path, as_of: date) -> ReportFiles:
    """Write report, workbook and dictionary into a folder, from a file that nobody writes."""
    with connect(snapshot, settings, read_only=True) as con:
        return write_day(con, folder, as_of)


def publish_assets(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The published files, downstream of the metrics and the actions."""
    upstream = [
        *(
            dg.AssetKey([node["schema"], node["alias"]])
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and "metrics" in node["tags"]
        ),
        *(dg.AssetKey(["playbooks", table]) for table in TABLES),
        STAGED_KEY,
    ]

    @dg.multi_asset(
        name="publish_day",
        specs=[
            dg.AssetSpec(
                SNAPSHOT_KEY,
                deps=upstream,
                group_name="published",
                description="analytics.duckdb: what analysts open, swapped in atomically.",
                kinds={"duckdb"},
            ),
            dg.AssetSpec(
                EXPORTS_KEY,
                deps=upstream,
                group_name="published",
                description="Tables, workbook, report, dictionary, queues, calendars, manifest.",
                kinds={"parquet", "csv", "excel", "html"},
            ),
            dg.AssetSpec(
                INFOHUB_KEY,
                deps=[STAGED_KEY],
                group_name="published",
                description="One folder per account, with what changed on the day put in place.",
                kinds={"yaml"},
            ),
        ],
        pool=WRITER_POOL,
    )
    def publish(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Publish the day; when anything fails, yesterday's publication stays as it was."""
        settings = installation.settings
        with connect(settings.warehouse, settings, read_only=True) as con:
            window = current_window(con)
        with installation.patience(), stage("publish"):
            stage_day(settings)
            publication = publish_snapshot(
                settings,
                window,
                daily_tables=daily_tables(manifest),
                dictionary=dictionary(manifest),
                config_sha256=config_sha256(settings),
                before_swap=lambda snapshot: export_day(settings, snapshot),
            )
            # Renames only, and never before the day is out: the folders do not run ahead of it.
            applied = apply_staged(settings.infohub, window.as_of_date)
            delivery = deliver_changes(settings)
            folder = settings.exports / window.as_of_date.isoformat()
            with connect(settings.warehouse, settings) as con:
                note_counts(
                    con,
                    "publish",
                    {
                        "tables": len(publication.row_counts),
                        "files": sum(1 for path in folder.rglob("*") if path.is_file()),
                        "days restated": publication.restated_days,
                        **(
                            {"changes delivered": delivery.delivered}
                            | (
                                {"changes waiting": delivery.left + delivery.refused}
                                if not delivery.is_complete
                                else {}
                            )
                            if delivery is not None
                            else {}
                        ),
                    },
                )
        yield dg.MaterializeResult(asset_key=EXPORTS_KEY, metadata={"folder": str(folder)})
        yield dg.MaterializeResult(
            asset_key=INFOHUB_KEY,
            metadata={
                "folder": str(settings.infohub),
                "files written": applied.written,
                "left as they are": "\n".join(applied.faults) or "none",
            },
        )
        yield dg.MaterializeResult(
            asset_key=SNAPSHOT_KEY,
            metadata={
                "path": str(publication.path),
                "tables": len(publication.row_counts),
                "rows": sum(publication.row_counts.values()),
                "copied whole": publication.is_full_copy,
                "restated days": publication.restated_days,
            },
        )

    return publish
