"""Does the score see what follows, and do playbooks change it: the proof tables, after the run."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.resources import WRITER_POOL, Installation
from dagster_project.progress import stage
from dagster_project.proof import (
    BACKTEST_TABLES,
    EFFECT_TABLES,
    backtest,
    playbook_effect,
    store_backtest,
    store_effect,
)
from dagster_project.warehouse import connect, current_window


def proof_assets(manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """The proof tables, downstream of the daily health facts, the policy and the actions."""
    upstream = [
        dg.AssetKey([node["schema"], node["alias"]])
        for node in manifest["nodes"].values()
        if node["schema"] in {"marts", "policy"} and node["resource_type"] in {"model", "seed"}
    ]

    @dg.multi_asset(
        name="run_backtest",
        specs=[
            dg.AssetSpec(
                dg.AssetKey(name.split(".")),
                deps=upstream,
                group_name="proof",
                description=table.description,
                kinds={"duckdb", "python"},
            )
            for name, table in BACKTEST_TABLES.items()
        ],
        pool=WRITER_POOL,
    )
    def run_backtest(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Hold the score as known at each month's end against what followed."""
        settings = installation.settings
        with (
            installation.patience(),
            stage("run backtest"),
            connect(settings.warehouse, settings) as con,
        ):
            window = current_window(con)
            counts = store_backtest(con, backtest(con, as_of=window.as_of_date))
        for name in BACKTEST_TABLES:
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(name.split(".")), metadata={"row_count": counts[name]}
            )

    @dg.multi_asset(
        name="run_effect",
        specs=[
            dg.AssetSpec(
                dg.AssetKey(name.split(".")),
                deps=[
                    *upstream,
                    dg.AssetKey(["playbooks", "actions"]),
                    dg.AssetKey(["playbooks", "rule_states"]),
                ],
                group_name="proof",
                description=table.description,
                kinds={"duckdb", "python"},
            )
            for name, table in EFFECT_TABLES.items()
        ],
        pool=WRITER_POOL,
    )
    def run_effect(
        context: dg.AssetExecutionContext, installation: Installation
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Hold worked actions against alike ones that were not worked on."""
        settings = installation.settings
        with (
            installation.patience(),
            stage("run effect"),
            connect(settings.warehouse, settings) as con,
        ):
            window = current_window(con)
            counts = store_effect(con, playbook_effect(con, window.as_of_date))
        for name in EFFECT_TABLES:
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(name.split(".")), metadata={"row_count": counts[name]}
            )

    return [run_backtest, run_effect]
