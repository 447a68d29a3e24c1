"""Extracts in: read, map, judge by contract, store as a change log or as events.

Belongs here: everything between a file and the raw tables. Does not belong here: what a row must be
(`contracts`), what a value means for health (dbt), and Dagster.
"""

from __future__ import annotations

from dagster_project.ingestion.mapping import SourceMapping, load_mapping
from dagster_project.ingestion.result import IngestResult, TableSummary
from dagster_project.ingestion.run import IngestSettings, ingest, newest_extract

__all__ = [
    "IngestResult",
    "IngestSettings",
    "SourceMapping",
    "TableSummary",
    "ingest",
    "load_mapping",
    "newest_extract",
]
