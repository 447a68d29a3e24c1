"""Signals to actions: one step, set-based, between the marts and the metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.resources import WRITER_POOL, Installation
from dagster_project.playbooks import load_rules, run_playbooks, write_meeting_actions
from dagster_project.playbooks.tables import PUBLIC_TABLES
from dagster_project.policy import read_gauges
from dagster_project.progress import stage
from dagster_project.warehouse import connect, current_window
from dagster_project.warehouse.runs import note_counts

TABLES = tuple(table.name.split(".")[1] for table in PUBLIC_TABLES)
# What the rules read: signals and rule inputs are derived from these.
_UPSTREAM_SCHEMAS = ("marts", "intermediate", "staging")


def playbook_assets(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The playbook tables, downstream of every model that comes before the metrics."""
    upstream = [
        dg.AssetKey([node["schema"], node["alias"]])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["schema"] in _UPSTREAM_SCHEMAS
        and "metrics" not in node["tags"]
    ]

    @dg.multi_asset(
        name="run_playbooks",
        specs=[
            dg.AssetSpec(
                dg.AssetKey(["playbooks", table]),
                deps=upstream,
                group_name="playbooks",
                description=f"Grain: {shape.grain}.",
                kinds={"duckdb", "python"},
            )
            for table, shape in zip(TABLES, PUBLIC_TABLES, strict=True)
        ],
        pool=WRITER_POOL,
    )
    def playbooks(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Judge every rule over the run's days; open, continue, escalate and close actions."""
        settings = installation.settings
        rules = load_rules(settings.rules, read_gauges(settings.seeds))
        with (
            installation.patience(),
            stage("run playbooks"),
            connect(settings.warehouse, settings) as con,
        ):
            window = current_window(con)
            result = run_playbooks(con, rules, window.from_date, window.as_of_date)
            promised = write_meeting_actions(con, window.as_of_date)
            note_counts(
                con,
                "playbooks",
                {
                    "opened": result.opened,
                    "closed": result.closed,
                    "escalated": result.escalated,
                    "restated": result.restated,
                    "open from meetings": promised["open"],
                },
            )
        for table in TABLES:
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(["playbooks", table]), metadata=result.metadata(table)
            )

    return playbooks
