"""The dbt project as Dagster sees it: manifest, names, and what the manifest says of each table."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from dagster_project.errors import ConfigError
from dagster_project.playbooks.tables import PUBLIC_TABLES
from dagster_project.proof import BACKTEST_TABLES, EFFECT_TABLES
from dagster_project.settings import Settings
from dagster_project.warehouse.publish import Dictionary, Lineage

_PARSED_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".md"}


def dbt_executable() -> str:
    """The dbt of this environment, whatever the shell's PATH says."""
    return str(Path(sys.executable).parent / "dbt")


def prepare_manifest(settings: Settings) -> Path:
    """Parse the dbt project when any of its files changed since the last time; the manifest's path.

    Parsing costs seconds, a run must not pay them each day.

    Raises:
        ConfigError: dbt cannot parse the project; the text is dbt's own.
    """
    manifest = settings.dbt_target / "manifest.json"
    stamp = settings.dbt_target / "manifest.sha256"
    digest = _digest(settings.dbt_project)
    if manifest.exists() and stamp.exists() and stamp.read_text() == digest:
        return manifest
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    settings.logs.mkdir(parents=True, exist_ok=True)
    parsed = subprocess.run(
        [dbt_executable(), "--quiet", "parse", "--profiles-dir", str(settings.dbt_project)],
        cwd=settings.dbt_project,
        env={**os.environ, **settings.dbt_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if parsed.returncode != 0:
        raise ConfigError(f"dbt cannot parse {settings.dbt_project}:\n{parsed.stdout.strip()}")
    stamp.write_text(digest)
    return manifest


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] in {"target", "logs"} or path.suffix not in _PARSED_SUFFIXES:
            continue
        digest.update(str(relative).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Translator(DagsterDbtTranslator):
    """Asset key = `<schema>/<table>`; group = the stage of the flow."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=False))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The schema and name in DuckDB."""
        name = dbt_resource_props.get("alias") or dbt_resource_props["name"]
        return dg.AssetKey([dbt_resource_props["schema"], name])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The schema: policy, staging, intermediate, marts, metrics."""
        return str(dbt_resource_props["schema"])


def read_manifest(manifest: Path) -> dict[str, Any]:
    """The parsed manifest."""
    parsed: dict[str, Any] = json.loads(manifest.read_text())
    return parsed


def daily_tables(manifest: Mapping[str, Any]) -> list[str]:
    """`schema.table` of the models that a run replaces by date range."""
    return sorted(
        f"{node['schema']}.{node['alias']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"].get("incremental_strategy") == "replace_range"
    )


def dictionary(manifest: Mapping[str, Any]) -> Dictionary:
    """The descriptions of models, seeds and sources: the texts shown as comments in DuckDB."""
    nodes = [
        *(n for n in manifest["nodes"].values() if n["resource_type"] in {"model", "seed"}),
        *manifest["sources"].values(),
    ]
    tables: dict[str, str] = {}
    columns: dict[tuple[str, str], str] = {}
    for node in nodes:
        name = f"{node['schema']}.{node.get('alias') or node['name']}"
        if node.get("description"):
            tables[name] = " ".join(node["description"].split())
        for column in node.get("columns", {}).values():
            if column.get("description"):
                columns[name, column["name"]] = " ".join(column["description"].split())
    for shape in PUBLIC_TABLES:
        tables[shape.name] = f"Grain: {shape.grain}."
        columns |= {(shape.name, column): text for column, _, text in shape.columns}
    for name, table in {**BACKTEST_TABLES, **EFFECT_TABLES}.items():
        tables[name] = table.description
        columns |= {(name, column): text for column, (_, text) in table.columns.items()}
    return Dictionary(tables, columns, lineage(manifest))


def lineage(manifest: Mapping[str, Any]) -> tuple[Lineage, ...]:
    """What each model, seed, source and exposure is made of, ordered by name."""
    nodes = {
        key: node
        for kind in ("nodes", "sources", "exposures")
        for key, node in manifest[kind].items()
        if node["resource_type"] in {"model", "seed", "source", "exposure"}
    }
    names = {
        key: node["label"] or node["name"]
        if node["resource_type"] == "exposure"
        else f"{node['schema']}.{node.get('alias') or node['name']}"
        for key, node in nodes.items()
    }
    return tuple(
        sorted(
            (
                Lineage(
                    names[key],
                    node["resource_type"],
                    f"dbt/{node['original_file_path']}",
                    tuple(
                        sorted(
                            names[parent]
                            for parent in node.get("depends_on", {}).get("nodes", [])
                            if parent in names
                        )
                    ),
                )
                for key, node in nodes.items()
            ),
            key=lambda entry: entry.table_name,
        )
    )
