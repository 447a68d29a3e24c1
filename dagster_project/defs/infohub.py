"""The InfoHub: rendered and staged after the actions, put in place when the day is published."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.resources import WRITER_POOL, Installation
from dagster_project.infohub.calendar import write_calendars
from dagster_project.infohub.store import apply_staged
from dagster_project.infohub.write import FAULTS_TABLE, note_files, stage_infohub
from dagster_project.progress import stage
from dagster_project.warehouse import connect, current_window
from dagster_project.warehouse.runs import note_counts

STAGED_KEY = dg.AssetKey(["infohub", "staged"])
INFOHUB_KEY = dg.AssetKey(["published", "infohub"])

__all__ = [
    "INFOHUB_KEY",
    "STAGED_KEY",
    "apply_staged",
    "infohub_assets",
    "infohub_is_whole",
    "write_calendars",
]


def infohub_assets(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """What of the InfoHub changed, staged beside it; downstream of marts, policy and actions."""
    upstream = [
        *(
            dg.AssetKey([node["schema"], node["alias"]])
            for node in manifest["nodes"].values()
            if node["resource_type"] in {"model", "seed"}
            and node["schema"] in {"marts", "intermediate", "staging", "policy"}
            and "metrics" not in node["tags"]
        ),
        *(dg.AssetKey(["playbooks", table]) for table in ("signals", "actions", "action_events")),
    ]

    @dg.asset(
        key=STAGED_KEY,
        deps=upstream,
        group_name="infohub",
        description="The account folders' changed files, rendered and waiting for the publication.",
        kinds={"yaml", "python"},
        pool=WRITER_POOL,
    )
    def stage_account_folders(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> dg.MaterializeResult[None]:
        """Render what changed; a reader of the folders sees nothing of it yet."""
        settings = installation.settings
        with (
            installation.patience(),
            stage("stage infohub"),
            connect(settings.warehouse, settings) as con,
        ):
            window = current_window(con)
            staged = stage_infohub(
                con, settings.infohub, settings.templates, window.from_date, window.as_of_date
            )
            note_files(con, staged)
            note_counts(con, "infohub", staged.counts)
        return dg.MaterializeResult(metadata={**staged.counts})

    return stage_account_folders


@dg.asset_check(
    asset=STAGED_KEY,
    name="infohub_is_whole",
    description="Which accounts have no folder of their own, and which files could not be written.",
)
def infohub_is_whole(installation: Installation) -> dg.AssetCheckResult:
    """Warn of every account or file that was left as it is, with the mend."""
    settings = installation.settings
    with connect(settings.warehouse, settings, read_only=True) as con:
        faults = [
            str(message)
            for (message,) in con.execute(
                f"select message from {FAULTS_TABLE} order by position"
            ).fetchall()
        ]
    return dg.AssetCheckResult(
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"faults": len(faults), "first": "\n".join(faults[:20]) or "none"},
    )
