"""Run the daily job in this process, telling a person what happens: the core of `csp run`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from dagster_project.definitions import build_defs
from dagster_project.defs.ingest import RunRequest
from dagster_project.defs.instance import prepare_home, swift_history
from dagster_project.defs.jobs import DAILY_JOB
from dagster_project.errors import CspError
from dagster_project.progress import listening
from dagster_project.settings import Settings
from dagster_project.warehouse import run_lock


def run_daily(settings: Settings, request: RunRequest) -> None:
    """Execute the daily job; progress on stderr, dbt's and Dagster's output in the log folder.

    Raises:
        ConfigError: the call or the configuration is wrong; nothing was changed.
        CspError: the run failed; the previous publication is untouched.
    """
    with run_lock(settings), listening():
        prepare_home(settings)
        settings.logs.mkdir(parents=True, exist_ok=True)
        log = settings.logs / "run.log"
        job = build_defs(settings, waits_when_busy=False).resolve_job_def(DAILY_JOB)
        try:
            with swift_history(), dg.DagsterInstance.get() as instance, _output_to(log):
                job.execute_in_process(
                    instance=instance,
                    run_config={
                        "ops": {
                            "ingest_extracts": {"config": request.model_dump(exclude_none=True)}
                        },
                        "loggers": {"console": {"config": {"log_level": "WARNING"}}},
                    },
                )
        except CspError:
            raise
        except DagsterDbtCliRuntimeError as error:
            raise CspError(f"dbt failed:\n{_dbt_failures(settings)}\n  more: {log}") from error
        except Exception as error:
            raise CspError(f"{type(error).__name__}: {error}\n  more: {log}") from error


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what dbt and Dagster print to the log; it holds names and counts, no rows of data."""
    with (
        log.open("w", encoding="utf-8") as handle,
        contextlib.redirect_stdout(handle),
        contextlib.redirect_stderr(handle),
    ):
        yield


def _dbt_failures(settings: Settings) -> str:
    """The models and tests that failed, with dbt's own first words on each."""
    path = settings.dbt_target / "run_results.json"
    if not path.exists():
        return "  dbt stopped before it ran anything"
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    failed = [r for r in results if r["status"] in {"error", "fail"}]
    lines = [
        f"  {result['unique_id']}: {' '.join((result['message'] or '').split())[:400]}"
        for result in failed[:20]
    ]
    if any("out of sync" in line or "on_schema_change" in line for line in lines):
        lines.append("  the columns of a daily table changed: run once with --full-refresh")
    return "\n".join(lines) or "  dbt stopped before it ran anything"
