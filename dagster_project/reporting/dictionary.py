"""What every published column means: the descriptions written beside the dbt models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster_project.yaml_lines import load_yaml

DBT = Path(__file__).resolve().parents[2] / "dbt"


def column_descriptions(project: Path = DBT) -> dict[tuple[str, str], str]:
    """Descriptions by (table name, column name), from the YAML of models, sources and seeds.

    Table names are without their schema: dbt keeps them unique.
    """
    texts: dict[tuple[str, str], str] = {}
    paths = [path for folder in ("models", "seeds") for path in (project / folder).rglob("*.yml")]
    for path in sorted(paths):
        parsed = load_yaml(path.read_text(encoding="utf-8")) or {}
        for table in _tables(parsed):
            for column in table.get("columns") or []:
                if text := column.get("description"):
                    texts[str(table["name"]), str(column["name"])] = " ".join(str(text).split())
    return texts


def _tables(parsed: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from parsed.get("models") or []
    yield from parsed.get("seeds") or []
    for source in parsed.get("sources") or []:
        yield from source.get("tables") or []
