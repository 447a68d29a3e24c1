"""CRM contracts: accounts and everything people write down about them.

All tables are snapshots except `playbook_runs`, which reports what happened to actions.
"""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl

from dagster_project.contracts.fields import (
    business_date,
    date_key,
    dated_by,
    identity,
    key,
    versioned,
)
from dagster_project.contracts.model import (
    Contract,
    Kind,
    Reference,
    RowRule,
    any_of,
    not_before,
)

Money = Annotated[pl.Decimal, 18, 2]
Timestamp = Annotated[pl.Datetime, "us", None]


class Accounts(pa.DataFrameModel):
    """One customer account."""

    account_id: pl.String = key("Account, as every other table names it.")
    account_name: pl.String = identity("Name shown to people.")
    tier: pl.String = identity("Service tier (policy list `tiers`).", vocabulary="tiers")
    segment: pl.String = identity("Segment.", nullable=True)
    region: pl.String = identity("Sales region.", nullable=True)
    industry: pl.String = identity("Industry.", nullable=True)
    arr_usd: Money = versioned("Annual recurring revenue, US dollars.", nullable=True, ge=0)
    owner_ca: pl.String = identity("Customer architect: e-mail or name.", nullable=True)
    owner_sa: pl.String = identity("Solution architect: e-mail or name.", nullable=True)
    owner_ae: pl.String = identity("Account executive: e-mail or name.", nullable=True)
    owner_ve: pl.String = identity("Value engineer: e-mail or name.", nullable=True)
    owner_governance: pl.String = identity("Governance contact: e-mail or name.", nullable=True)
    customer_since_on: pl.Date = business_date("First day as a customer.")
    churned_on: pl.Date = business_date("First day no longer a customer.", nullable=True)
    realm: pl.String = identity("InfoHub realm (upper folder).", nullable=True)
    node: pl.String = identity("InfoHub node (lower folder).", nullable=True)
    is_at_risk: pl.Boolean = versioned("CRM flags the account as at risk.", nullable=True)
    paused_from_on: pl.Date = business_date("First paused day.", nullable=True)
    paused_until_on: pl.Date = business_date("Last paused day.", nullable=True)


class Contacts(pa.DataFrameModel):
    """One person at an account."""

    contact_id: pl.String = key("Contact.")
    account_id: pl.String = identity("Account.", str_length={"min_value": 1})
    contact_name: pl.String = identity("Name of the person.", nullable=True)
    email: pl.String = identity("E-mail address.", nullable=True)
    role: pl.String = identity(
        "Role in the customer's buying and using.",
        isin=[
            "champion",
            "executive_sponsor",
            "business_sponsor",
            "technical_champion",
            "economic_buyer",
            "user",
            "other",
        ],
    )
    is_active: pl.Boolean = versioned("The person is reachable in this role.")
    created_on: pl.Date = business_date("Day the contact was recorded.", nullable=True)
    departed_on: pl.Date = business_date("Day the person left.", nullable=True)


class Subscriptions(pa.DataFrameModel):
    """One subscription of an account to a solution area."""

    subscription_id: pl.String = key("Subscription.")
    account_id: pl.String = identity("Account.", str_length={"min_value": 1})
    solution_area: pl.String = identity(
        "Solution area (policy list `solution_areas`).", vocabulary="solution_areas"
    )
    started_on: pl.Date = business_date("First day of the term.")
    # A plan that lies ahead: what was planned on a day is what the extract of its time said.
    renews_on: pl.Date = identity("Planned renewal day of the term.", nullable=True)
    ended_on: pl.Date = business_date("Day it actually ended.", nullable=True)
    arr_usd: Money = identity("Annual recurring revenue, US dollars.", ge=0)
    seats: pl.Int64 = identity("Licensed seats.", nullable=True, ge=0)
    go_live_on: pl.Date = business_date("Day of first productive use.", nullable=True)
    previous_subscription_id: pl.String = identity(
        "Subscription that this one renews.", nullable=True
    )
    is_displacement: pl.Boolean = identity("Replaces a competitor's product.", nullable=True)


class Opportunities(pa.DataFrameModel):
    """One sales opportunity."""

    opportunity_id: pl.String = key("Opportunity.")
    account_id: pl.String = identity("Account.", str_length={"min_value": 1})
    kind: pl.String = identity("What is sold.", isin=["new", "renewal", "expansion", "evaluation"])
    solution_area: pl.String = identity(
        "Solution area.", nullable=True, vocabulary="solution_areas"
    )
    subscription_id: pl.String = identity("Subscription it renews or expands.", nullable=True)
    stage: pl.String = versioned(
        "Sales stage.",
        isin=["discovery", "proof", "proposal", "negotiation", "closed_won", "closed_lost"],
    )
    probability_ratio: pl.Float64 = versioned(
        "Probability of winning, 0 to 1.", nullable=True, in_range={"min_value": 0, "max_value": 1}
    )
    amount_usd: Money = versioned("Amount, US dollars.", nullable=True)
    created_on: pl.Date = business_date("Day it was opened.")
    # An expectation, not an event: it may lie ahead of every day that reads it.
    expected_close_on: pl.Date = versioned("Expected closing day.", nullable=True)
    closed_on: pl.Date = business_date("Day it was won or lost.", nullable=True)
    is_won: pl.Boolean = dated_by("closed_on", "It was won.", nullable=True)


_TOUCHPOINT_DATE = ("created_on", "scheduled_on", "held_on")


class Touchpoints(pa.DataFrameModel):
    """One call with a customer, planned or held."""

    touchpoint_id: pl.String = key("Touchpoint.")
    account_id: pl.String = dated_by(_TOUCHPOINT_DATE, "Account.", str_length={"min_value": 1})
    call_type: pl.String = dated_by(
        _TOUCHPOINT_DATE, "Kind of call (policy list `call_types`).", vocabulary="call_types"
    )
    created_on: pl.Date = business_date("Day the call was planned.", nullable=True)
    scheduled_on: pl.Date = business_date("Day the call was planned for.", nullable=True)
    held_on: pl.Date = business_date("Day the call took place.", nullable=True)
    cancelled_on: pl.Date = business_date("Day the call was called off.", nullable=True)
    status: pl.String = versioned(
        "State as the CRM gives it.", isin=["scheduled", "held", "missed", "cancelled"]
    )
    expected_attendee_count: pl.Int64 = dated_by(
        "held_on", "People expected from the customer.", nullable=True, ge=0
    )
    attended_count: pl.Int64 = dated_by(
        "held_on", "People who came from the customer.", nullable=True, ge=0
    )
    is_executive_present: pl.Boolean = dated_by(
        "held_on", "An executive of the customer took part.", nullable=True
    )
    sentiment: pl.Float64 = dated_by(
        "held_on",
        "Mood of the call, -1 to 1.",
        nullable=True,
        in_range={"min_value": -1, "max_value": 1},
    )


class Outreach(pa.DataFrameModel):
    """One message to a customer."""

    outreach_id: pl.String = key("Message.")
    account_id: pl.String = dated_by("sent_at", "Account.", str_length={"min_value": 1})
    contact_id: pl.String = dated_by("sent_at", "Contact written to.", nullable=True)
    channel: pl.String = dated_by("sent_at", "Channel, e.g. email.", nullable=True)
    sent_at: Timestamp = business_date("Time it was sent, UTC.")
    responded_at: Timestamp = business_date("Time of the first answer, UTC.", nullable=True)


class SuccessObjectives(pa.DataFrameModel):
    """One thing the customer wants to reach."""

    objective_id: pl.String = key("Objective.")
    account_id: pl.String = dated_by("created_on", "Account.", str_length={"min_value": 1})
    solution_area: pl.String = dated_by(
        "created_on", "Solution area.", nullable=True, vocabulary="solution_areas"
    )
    objective_name: pl.String = dated_by("created_on", "What is to be reached.")
    created_on: pl.Date = business_date("Day it was agreed.")
    due_on: pl.Date = dated_by("created_on", "Day it is due.", nullable=True)
    baseline_value: pl.Float64 = dated_by("created_on", "Value at the start.", nullable=True)
    target_value: pl.Float64 = dated_by("created_on", "Value to reach.", nullable=True)
    current_value: pl.Float64 = dated_by("measured_on", "Value measured last.", nullable=True)
    measured_on: pl.Date = business_date("Day of the last measurement.", nullable=True)
    met_on: pl.Date = business_date("Day it was reached.", nullable=True)
    planned_value_usd: Money = dated_by(
        "created_on", "Business value planned, US dollars.", nullable=True
    )
    realised_value_usd: Money = dated_by(
        "measured_on", "Business value realised so far, US dollars.", nullable=True
    )


class StageEvidence(pa.DataFrameModel):
    """One stage criterion confirmed by a person."""

    evidence_id: pl.String = key("Evidence.")
    account_id: pl.String = dated_by("confirmed_on", "Account.", str_length={"min_value": 1})
    solution_area: pl.String = dated_by(
        "confirmed_on", "Solution area.", vocabulary="solution_areas"
    )
    criterion_id: pl.String = dated_by("confirmed_on", "Criterion of the stage policy.")
    confirmed_on: pl.Date = business_date("Day it was confirmed.")
    confirmed_by: pl.String = dated_by("confirmed_on", "Who confirmed it.", nullable=True)
    revoked_on: pl.Date = business_date("Day it was taken back.", nullable=True)


class AdoptionBlockers(pa.DataFrameModel):
    """One obstacle to adoption in a solution area."""

    blocker_id: pl.String = key("Blocker.")
    account_id: pl.String = dated_by("opened_on", "Account.", str_length={"min_value": 1})
    solution_area: pl.String = dated_by("opened_on", "Solution area.", vocabulary="solution_areas")
    category: pl.String = dated_by(
        "opened_on", "Kind.", isin=["technical", "resource", "skill", "organisational"]
    )
    opened_on: pl.Date = business_date("Day it was seen.")
    resolved_on: pl.Date = business_date("Day it was out of the way.", nullable=True)
    description: pl.String = dated_by("opened_on", "What it is.", nullable=True)


class Invoices(pa.DataFrameModel):
    """One invoice."""

    invoice_id: pl.String = key("Invoice.")
    account_id: pl.String = dated_by("issued_on", "Account.", str_length={"min_value": 1})
    issued_on: pl.Date = business_date("Day it was issued.")
    # A promise made on the day of issue; as a date it lies ahead of the days that must read it.
    due_on: pl.Date = dated_by("issued_on", "Day payment is due.")
    paid_on: pl.Date = business_date("Day it was paid.", nullable=True)
    amount_usd: Money = dated_by("issued_on", "Amount, US dollars.")


class RiskFlags(pa.DataFrameModel):
    """One risk a person raised, or one pulse a CSM gave."""

    risk_id: pl.String = key("Risk.")
    account_id: pl.String = dated_by("raised_on", "Account.", str_length={"min_value": 1})
    kind: pl.String = dated_by(
        "raised_on", "Kind.", isin=["competitor", "budget", "csm_pulse", "other"]
    )
    severity: pl.String = dated_by(
        "raised_on", "Severity.", nullable=True, isin=["low", "medium", "high"]
    )
    raised_on: pl.Date = business_date("Day it was raised.")
    cleared_on: pl.Date = business_date("Day it was cleared.", nullable=True)
    pulse_score: pl.Int64 = dated_by(
        "raised_on", "CSM pulse, 1 to 5.", nullable=True, in_range={"min_value": 1, "max_value": 5}
    )
    note: pl.String = dated_by("raised_on", "Words to it.", nullable=True)


class HealthOverrides(pa.DataFrameModel):
    """One person's decision on an account's score or zone, until it expires."""

    override_id: pl.String = key("Override.")
    account_id: pl.String = dated_by("starts_on", "Account.", str_length={"min_value": 1})
    health_score: pl.Float64 = dated_by(
        "starts_on",
        "Score, 0 to 100.",
        nullable=True,
        in_range={"min_value": 0, "max_value": 100},
    )
    health_zone: pl.String = dated_by(
        "starts_on", "Zone.", nullable=True, isin=["green", "yellow", "orange", "red"]
    )
    reason: pl.String = dated_by("starts_on", "Why.", str_length={"min_value": 1})
    author: pl.String = dated_by("starts_on", "Who.", str_length={"min_value": 1})
    starts_on: pl.Date = business_date("First day it holds.")
    # Set when the override is made, so it is known from its start although it lies ahead.
    expires_on: pl.Date = dated_by("starts_on", "First day it no longer holds.")


class PlaybookRuns(pa.DataFrameModel):
    """One thing that happened to an action, reported from outside."""

    action_id: pl.String = key("Action.")
    event: pl.String = key(
        "What happened.", isin=["started", "step_done", "completed", "cancelled"]
    )
    occurred_on: pl.Date = date_key("Day it happened.")
    step_id: pl.String = key("Step of the playbook.", nullable=True)
    reason: pl.String = dated_by("occurred_on", "Why, e.g. of a cancellation.", nullable=True)
    outcome: pl.String = dated_by("occurred_on", "What came of it.", nullable=True)
    actor: pl.String = dated_by("occurred_on", "Who.", nullable=True)


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        source="crm",
        table="accounts",
        kind=Kind.SNAPSHOT,
        key=("account_id",),
        model=Accounts,
        row_rules=(
            not_before("churned_on", "customer_since_on"),
            not_before("paused_until_on", "paused_from_on"),
        ),
    ),
    Contract("crm", "contacts", Kind.SNAPSHOT, ("contact_id",), Contacts),
    Contract("crm", "subscriptions", Kind.SNAPSHOT, ("subscription_id",), Subscriptions),
    Contract("crm", "opportunities", Kind.SNAPSHOT, ("opportunity_id",), Opportunities),
    Contract(
        source="crm",
        table="touchpoints",
        kind=Kind.SNAPSHOT,
        key=("touchpoint_id",),
        model=Touchpoints,
        row_rules=(any_of("scheduled_on", "held_on"),),
    ),
    Contract(
        source="crm",
        table="outreach",
        kind=Kind.SNAPSHOT,
        key=("outreach_id",),
        model=Outreach,
        row_rules=(not_before("responded_at", "sent_at"),),
    ),
    Contract("crm", "success_objectives", Kind.SNAPSHOT, ("objective_id",), SuccessObjectives),
    Contract("crm", "stage_evidence", Kind.SNAPSHOT, ("evidence_id",), StageEvidence),
    Contract("crm", "adoption_blockers", Kind.SNAPSHOT, ("blocker_id",), AdoptionBlockers),
    Contract("crm", "invoices", Kind.SNAPSHOT, ("invoice_id",), Invoices),
    Contract(
        source="crm",
        table="risk_flags",
        kind=Kind.SNAPSHOT,
        key=("risk_id",),
        model=RiskFlags,
        row_rules=(
            RowRule(
                name="pulse_needs_score",
                columns=("kind", "pulse_score"),
                holds=(pl.col("kind") != "csm_pulse") | pl.col("pulse_score").is_not_null(),
                message="a csm_pulse needs its pulse_score",
            ),
        ),
    ),
    Contract(
        source="crm",
        table="health_overrides",
        kind=Kind.SNAPSHOT,
        key=("override_id",),
        model=HealthOverrides,
        row_rules=(
            any_of("health_score", "health_zone"),
            RowRule(
                name="expires_after_start",
                columns=("expires_on", "starts_on"),
                holds=pl.col("expires_on") > pl.col("starts_on"),
                message="expires_on is not after starts_on",
            ),
        ),
        # An override that nobody sees working looks like one that works.
        references=(Reference("account_id", "crm/accounts", "account_id"),),
    ),
    Contract(
        source="crm",
        table="playbook_runs",
        kind=Kind.EVENT,
        key=("action_id", "event", "step_id", "occurred_on"),
        model=PlaybookRuns,
    ),
)
