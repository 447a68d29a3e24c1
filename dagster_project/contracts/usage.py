"""Usage contracts: what users did, and gauges of a solution area. Both are events."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from dagster_project.contracts.fields import date_key, dated_by, key
from dagster_project.contracts.model import Contract, Kind


class FeatureUsage(pa.DataFrameModel):
    """How often a user used a feature on a day."""

    account_id: pl.String = key("Account.")
    solution_area: pl.String = key(
        "Solution area (policy list `solution_areas`).", vocabulary="solution_areas"
    )
    user_id: pl.String = key(
        "User; null where the vendor does not tell users apart.", nullable=True
    )
    feature: pl.String = key("Feature.")
    used_on: pl.Date = date_key("Day of use, UTC.")
    usage_count: pl.Int64 = dated_by("used_on", "Number of uses.", ge=0)
    event_id: pl.String = key("The vendor's id of the row.", nullable=True)


class SolutionMeasures(pa.DataFrameModel):
    """One reading of a gauge, e.g. data sources connected."""

    account_id: pl.String = key("Account.")
    solution_area: pl.String = key("Solution area.", vocabulary="solution_areas")
    measure: pl.String = key("Gauge.")
    measured_on: pl.Date = date_key("Day of the reading.")
    value: pl.Float64 = dated_by("measured_on", "Reading, in the gauge's own unit.")


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        source="usage",
        table="feature_usage",
        kind=Kind.EVENT,
        key=("account_id", "solution_area", "user_id", "feature", "used_on", "event_id"),
        model=FeatureUsage,
        unique_columns=("event_id",),
        # Trailing windows read a few dozen days of two years: date order lets the scan skip.
        stored_order=("used_on", "account_id"),
    ),
    Contract(
        source="usage",
        table="solution_measures",
        kind=Kind.EVENT,
        key=("account_id", "solution_area", "measure", "measured_on"),
        model=SolutionMeasures,
        stored_order=("measured_on", "account_id"),
    ),
)
