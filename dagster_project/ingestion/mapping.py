"""Source mappings: a vendor's files as canonical tables."""

from __future__ import annotations

from pathlib import Path

from dagster_project.contracts import Vocabulary
from dagster_project.errors import ConfigError
from dagster_project.ingestion.discovery import Discovery, discover


class SourceMapping:
    """A checked mapping."""

    name: str = ""


def discover_mapped(landing: Path, mapping: SourceMapping) -> Discovery:
    """The extracts that a mapping makes of a landing folder."""
    return discover(landing)


def load_mapping(
    sources: str | None, landing: Path, vocabulary: Vocabulary
) -> SourceMapping | None:
    """The mapping asked for, None when the landing folder is in the canonical layout."""
    if sources is None:
        return None
    raise ConfigError(f"{sources}: no such source mapping")
