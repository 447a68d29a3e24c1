"""dbt in two calls: seeds to marts before the playbooks, metrics after them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from dagster_project.defs.dbt_project import Translator
from dagster_project.defs.resources import WRITER_POOL, Installation, stream_dbt
from dagster_project.progress import stage
from dagster_project.warehouse import connect, current_window

METRICS_TAG = "tag:metrics"
# The first step of every run checks the seeds, as `csp check` does, before anything is read.
SEED_TESTS = "path:seeds,resource_type:test"


def transform_assets(manifest: Path) -> list[dg.AssetsDefinition]:
    """The dbt assets over a prepared manifest: `build_marts` and `build_metrics`."""

    @dbt_assets(
        manifest=manifest,
        exclude=f"{METRICS_TAG} {SEED_TESTS}",
        name="build_marts",
        dagster_dbt_translator=Translator(),
        pool=WRITER_POOL,
    )
    def build_marts(
        context: dg.AssetExecutionContext, installation: Installation, dbt: DbtCliResource
    ) -> Iterator[Any]:
        """Policy, staging, intermediate and marts over the run's range."""
        yield from _build(context, installation, dbt, "build marts")

    @dbt_assets(
        manifest=manifest,
        select=METRICS_TAG,
        exclude=SEED_TESTS,
        name="build_metrics",
        dagster_dbt_translator=Translator(),
        pool=WRITER_POOL,
    )
    def build_metrics(
        context: dg.AssetExecutionContext, installation: Installation, dbt: DbtCliResource
    ) -> Iterator[Any]:
        """Metric tables with targets, after the actions."""
        yield from _build(context, installation, dbt, "build metrics")

    return [build_marts, build_metrics]


def _build(
    context: dg.AssetExecutionContext, installation: Installation, dbt: DbtCliResource, name: str
) -> Iterator[Any]:
    settings = installation.settings
    with installation.patience(), connect(settings.warehouse, settings, read_only=True) as con:
        window = current_window(con)
    with stage(name):
        yield from stream_dbt(dbt, context, settings, window)
