"""When it runs: one daily job, one schedule with a time zone, one sensor for new extracts."""

import hashlib

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from dagster_project.defs.resources import Installation
from dagster_project.infohub.notes import find_notes
from dagster_project.settings import Settings

DAILY_JOB = "daily"
PROOF_JOB = "proof"
# Looks back over all of history; belongs to the month, not to the day.
PROOF_GROUP = dg.AssetSelection.groups("proof")


def daily_job() -> UnresolvedAssetJobDefinition:
    """Everything, once, over one range of days. A backfill is the same job over a longer range."""
    return dg.define_asset_job(
        DAILY_JOB,
        selection=dg.AssetSelection.all() - PROOF_GROUP,
        description="Extracts in, marts, playbooks, metrics, publication.",
        # One process: a process per step costs more than the step.
        executor_def=dg.in_process_executor,
        tags={"dagster/max_runtime": str(6 * 3600)},
    )


def proof_job() -> UnresolvedAssetJobDefinition:
    """The backtest of the score; the next daily run publishes its tables."""
    return dg.define_asset_job(
        PROOF_JOB,
        selection=PROOF_GROUP,
        description="Holds the score as known then against what followed.",
        executor_def=dg.in_process_executor,
    )


def proof_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Once a month, an hour before the daily run."""
    minute, hour, *_ = settings.schedule_cron.split()
    early = f"{minute} {(int(hour) - 1) % 24} 1 * *" if hour.isdigit() else "0 4 1 * *"
    return dg.ScheduleDefinition(
        name="proof_schedule",
        job_name=PROOF_JOB,
        cron_schedule=early,
        execution_timezone=settings.schedule_timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def daily_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The nightly run, in the time zone of the people who read its results."""
    return dg.ScheduleDefinition(
        name="daily_schedule",
        job_name=DAILY_JOB,
        cron_schedule=settings.schedule_cron,
        execution_timezone=settings.schedule_timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Start it in the interface, or with `dagster schedule start daily_schedule`.",
    )


@dg.sensor(
    job_name=DAILY_JOB,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests a run when an extract or a meeting note is new, changed or gone.",
)
def new_extracts(
    context: dg.SensorEvaluationContext, installation: Installation
) -> dg.SensorResult | dg.SkipReason:
    """Compare names, sizes and change times with the last look; request one run if changed."""
    landing = installation.settings.landing
    if not landing.is_dir():
        return dg.SkipReason(f"there is no landing folder {landing}")
    digest = hashlib.sha256()
    count = 0
    for path in sorted(landing.rglob("*")):
        if path.is_file():
            stat = path.stat()
            digest.update(f"{path.relative_to(landing)} {stat.st_size} {stat.st_mtime_ns}".encode())
            count += 1
    for note in find_notes(installation.settings.infohub):
        digest.update(f"{note.name} {note.size_bytes} {note.modified_ns}".encode())
    cursor = digest.hexdigest()
    if count == 0:
        return dg.SkipReason(f"{landing} is empty")
    if cursor == context.cursor:
        return dg.SkipReason("no file is new or changed")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=cursor)], cursor=cursor)
