"""Assembly only: settings in, Definitions out."""

from __future__ import annotations

import dagster as dg

from dagster_project.defs.checks import accounts_scored, freshness
from dagster_project.defs.dbt_project import prepare_manifest, read_manifest
from dagster_project.defs.infohub import infohub_assets, infohub_is_whole
from dagster_project.defs.ingest import ingest_extracts
from dagster_project.defs.jobs import (
    daily_job,
    daily_schedule,
    new_extracts,
    proof_job,
    proof_schedule,
)
from dagster_project.defs.playbooks import playbook_assets
from dagster_project.defs.proof import proof_assets
from dagster_project.defs.publish import SNAPSHOT_KEY, publish_assets
from dagster_project.defs.resources import Installation, dbt_resource
from dagster_project.defs.transform import transform_assets
from dagster_project.settings import Settings


def build_defs(settings: Settings, *, waits_when_busy: bool = True) -> dg.Definitions:
    """All assets, checks, the job, its schedule and its sensor for one installation.

    Args:
        settings: the installation.
        waits_when_busy: whether a step tries again while another process holds the warehouse.
    """
    manifest_path = prepare_manifest(settings)
    manifest = read_manifest(manifest_path)
    publish = publish_assets(manifest).map_asset_specs(
        lambda spec: (
            spec.replace_attributes(freshness_policy=freshness(settings))
            if spec.key == SNAPSHOT_KEY
            else spec
        )
    )
    return dg.Definitions(
        assets=[
            ingest_extracts,
            *transform_assets(manifest_path),
            playbook_assets(manifest),
            infohub_assets(manifest),
            publish,
            *proof_assets(manifest),
        ],
        asset_checks=[accounts_scored, infohub_is_whole],
        jobs=[daily_job(), proof_job()],
        schedules=[daily_schedule(settings), proof_schedule(settings)],
        sensors=[new_extracts],
        resources={
            "installation": Installation.of(settings, waits_when_busy=waits_when_busy),
            "dbt": dbt_resource(settings),
        },
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` loads: the installation that the environment describes."""
    return build_defs(Settings())
