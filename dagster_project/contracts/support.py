"""Support contracts: tickets (a snapshot) and survey answers (events)."""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl

from dagster_project.contracts.fields import business_date, date_key, dated_by, key, versioned
from dagster_project.contracts.model import Contract, Kind, RowRule, not_before

Timestamp = Annotated[pl.Datetime, "us", None]


class Tickets(pa.DataFrameModel):
    """One support ticket."""

    ticket_id: pl.String = key("Ticket.")
    account_id: pl.String = dated_by("opened_at", "Account.", str_length={"min_value": 1})
    severity: pl.String = dated_by(
        "opened_at", "Severity.", isin=["critical", "high", "medium", "low"]
    )
    opened_at: Timestamp = business_date("Time it was opened, UTC.")
    first_responded_at: Timestamp = business_date("Time of the first answer, UTC.", nullable=True)
    resolved_at: Timestamp = business_date("Time it was resolved, UTC.", nullable=True)
    escalated_at: Timestamp = business_date("Time it was escalated, UTC.", nullable=True)
    reopened_at: Timestamp = business_date("Time it was last reopened, UTC.", nullable=True)
    status: pl.String = versioned("State as the vendor gives it.", nullable=True)


class Surveys(pa.DataFrameModel):
    """One answer to a survey."""

    survey_id: pl.String = key("Answer.")
    account_id: pl.String = dated_by("responded_on", "Account.", str_length={"min_value": 1})
    kind: pl.String = dated_by("responded_on", "Kind of survey.", isin=["csat", "nps"])
    responded_on: pl.Date = date_key("Day of the answer.")
    score: pl.Float64 = dated_by("responded_on", "CSAT 1 to 5, NPS 0 to 10.")
    ticket_id: pl.String = dated_by("responded_on", "Ticket it was about.", nullable=True)


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        source="support",
        table="tickets",
        kind=Kind.SNAPSHOT,
        key=("ticket_id",),
        model=Tickets,
        row_rules=(not_before("resolved_at", "opened_at"),),
    ),
    Contract(
        source="support",
        table="surveys",
        kind=Kind.EVENT,
        key=("survey_id",),
        model=Surveys,
        row_rules=(
            RowRule(
                name="score_in_range_of_kind",
                columns=("kind", "score"),
                holds=pl.when(pl.col("kind") == "csat")
                .then(pl.col("score").is_between(1, 5))
                .when(pl.col("kind") == "nps")
                .then(pl.col("score").is_between(0, 10)),
                message="the score must be 1 to 5 for csat, 0 to 10 for nps",
            ),
        ),
    ),
)
