"""What must hold of the publication, seen beside the assets: freshness and how much was scored."""

from datetime import timedelta

import dagster as dg

from dagster_project.defs.publish import SNAPSHOT_KEY
from dagster_project.defs.resources import Installation
from dagster_project.settings import Settings
from dagster_project.warehouse import connect


def freshness(settings: Settings) -> dg.FreshnessPolicy:
    """The publication must have been made by two hours after the scheduled time, every day."""
    minute, hour, *_ = settings.schedule_cron.split()
    deadline = f"{minute} {(int(hour) + 2) % 24} * * *" if hour.isdigit() else "0 8 * * *"
    return dg.FreshnessPolicy.cron(
        deadline_cron=deadline,
        lower_bound_delta=timedelta(hours=12),
        timezone=settings.schedule_timezone,
    )


@dg.asset_check(
    asset=SNAPSHOT_KEY,
    name="accounts_scored",
    description="How many of the eligible accounts could be scored, and why the others could not.",
)
def accounts_scored(installation: Installation) -> dg.AssetCheckResult:
    """Warn when nobody could be scored: the pipeline ran, but its inputs carry no health."""
    settings = installation.settings
    with connect(settings.published, settings, read_only=True) as con:
        rows = con.execute(
            "select score_status, count(*) from marts.fct_account_health_daily "
            "where as_of_date = (select as_of_date from pipeline.publication) "
            "group by all order by all"
        ).fetchall()
    counts = {str(status): int(count) for status, count in rows}
    return dg.AssetCheckResult(
        passed=counts.get("scored", 0) > 0 or not counts,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={**counts},
    )
