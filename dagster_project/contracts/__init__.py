"""What a row of each canonical table must be. Reading files and judging rows is `ingestion`."""

from __future__ import annotations

from dagster_project.contracts.fields import Dating
from dagster_project.contracts.model import Column, Contract, Kind, RowRule, Vocabulary
from dagster_project.contracts.raw_tables import ensure_raw_tables
from dagster_project.contracts.registry import CONTRACTS

__all__ = [
    "CONTRACTS",
    "Column",
    "Contract",
    "Dating",
    "Kind",
    "RowRule",
    "Vocabulary",
    "ensure_raw_tables",
]
