"""The tables of a sample: the canonical columns, and the wider drawn tables they are cut from."""

from __future__ import annotations

from typing import Final

import polars as pl

#: How a drawn value becomes a column. Days and seconds count from 1970-01-01 UTC; cents are USD.
KINDS: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "day": pl.Date(),
    "second": pl.Datetime("us"),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "flag": pl.Boolean(),
    "cents": pl.Decimal(18, 2),
}

#: Tables whose extracts append; all others are replaced by each extract.
EVENT_TABLES: Final = frozenset(
    {"crm/playbook_runs", "usage/feature_usage", "usage/solution_measures", "support/surveys"}
)

#: `source/table` -> canonical columns in file order.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "crm/accounts": (
        "account_id", "account_name", "tier", "segment", "region", "industry", "arr_usd",
        "owner_ca", "owner_sa", "owner_ae", "owner_ve", "owner_governance", "customer_since_on",
        "churned_on", "realm", "node", "is_at_risk", "paused_from_on", "paused_until_on",
    ),
    "crm/contacts": (
        "contact_id", "account_id", "contact_name", "email", "role", "is_active", "created_on",
        "departed_on",
    ),
    "crm/subscriptions": (
        "subscription_id", "account_id", "solution_area", "started_on", "renews_on", "ended_on",
        "arr_usd", "seats", "go_live_on", "previous_subscription_id", "is_displacement",
    ),
    "crm/opportunities": (
        "opportunity_id", "account_id", "kind", "solution_area", "subscription_id", "stage",
        "probability_ratio", "amount_usd", "created_on", "expected_close_on", "closed_on", "is_won",
    ),
    "crm/touchpoints": (
        "touchpoint_id", "account_id", "call_type", "created_on", "scheduled_on", "held_on",
        "cancelled_on", "status", "expected_attendee_count", "attended_count",
        "is_executive_present", "sentiment",
    ),
    "crm/outreach": (
        "outreach_id", "account_id", "contact_id", "channel", "sent_at", "responded_at",
    ),
    "crm/success_objectives": (
        "objective_id", "account_id", "solution_area", "objective_name", "created_on", "due_on",
        "baseline_value", "target_value", "current_value", "measured_on", "met_on",
        "planned_value_usd", "realised_value_usd",
    ),
    "crm/stage_evidence": (
        "evidence_id", "account_id", "solution_area", "criterion_id", "confirmed_on",
        "confirmed_by", "revoked_on",
    ),
    "crm/adoption_blockers": (
        "blocker_id", "account_id", "solution_area", "category", "opened_on", "resolved_on",
        "description",
    ),
    "crm/invoices": (
        "invoice_id", "account_id", "issued_on", "due_on", "paid_on", "amount_usd",
    ),
    "crm/risk_flags": (
        "risk_id", "account_id", "kind", "severity", "raised_on", "cleared_on", "pulse_score",
        "note",
    ),
    "crm/health_overrides": (
        "override_id", "account_id", "health_score", "health_zone", "reason", "author",
        "starts_on", "expires_on",
    ),
    "crm/playbook_runs": (
        "action_id", "event", "occurred_on", "step_id", "reason", "outcome", "actor",
    ),
    "usage/feature_usage": (
        "account_id", "solution_area", "user_id", "feature", "used_on", "usage_count", "event_id",
    ),
    "usage/solution_measures": (
        "account_id", "solution_area", "measure", "measured_on", "value",
    ),
    "support/tickets": (
        "ticket_id", "account_id", "severity", "opened_at", "first_responded_at", "resolved_at",
        "escalated_at", "reopened_at", "status",
    ),
    "support/surveys": (
        "survey_id", "account_id", "kind", "responded_on", "score", "ticket_id",
    ),
}  # fmt: skip


def _shape(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split())
    return {name: kind for name, _, kind in pairs}


#: The drawn tables, column -> kind. Columns named `known_on`, `live_until_on` and `valid_from_on`
#: serve the cut into extracts and never leave.
FACTS: Final[dict[str, dict[str, str]]] = {
    "accounts": _shape(
        "account_id:text account_name:text tier:text segment:text region:text industry:text "
        "customer_since_on:day churned_on:day realm:text node:text paused_from_on:day "
        "paused_until_on:day"
    ),
    "account_states": _shape(
        "account_id:text valid_from_on:day arr_usd:cents owner_ca:text owner_sa:text owner_ae:text "
        "owner_ve:text owner_governance:text is_at_risk:flag"
    ),
    "contacts": _shape(
        "contact_id:text account_id:text contact_name:text email:text role:text created_on:day "
        "departed_on:day"
    ),
    "subscriptions": _shape(
        "subscription_id:text account_id:text solution_area:text started_on:day renews_on:day "
        "ended_on:day arr_usd:cents seats:integer go_live_on:day previous_subscription_id:text "
        "is_displacement:flag known_on:day"
    ),
    "opportunities": _shape(
        "opportunity_id:text account_id:text kind:text solution_area:text subscription_id:text "
        "created_on:day closed_on:day is_won:flag known_on:day"
    ),
    "opportunity_states": _shape(
        "opportunity_id:text valid_from_on:day stage:text probability_ratio:number "
        "amount_usd:cents expected_close_on:day"
    ),
    "touchpoints": _shape(
        "touchpoint_id:text account_id:text call_type:text created_on:day scheduled_on:day "
        "held_on:day cancelled_on:day expected_attendee_count:integer attended_count:integer "
        "is_executive_present:flag sentiment:number"
    ),
    "outreach": _shape(
        "outreach_id:text account_id:text contact_id:text channel:text sent_at:second "
        "responded_at:second"
    ),
    "success_objectives": _shape(
        "objective_id:text account_id:text solution_area:text objective_name:text created_on:day "
        "due_on:day baseline_value:number target_value:number met_on:day planned_value_usd:cents"
    ),
    "objective_measures": _shape(
        "objective_id:text measured_on:day current_value:number realised_value_usd:cents"
    ),
    "stage_evidence": _shape(
        "evidence_id:text account_id:text solution_area:text criterion_id:text confirmed_on:day "
        "confirmed_by:text revoked_on:day"
    ),
    "adoption_blockers": _shape(
        "blocker_id:text account_id:text solution_area:text category:text opened_on:day "
        "resolved_on:day description:text"
    ),
    "invoices": _shape(
        "invoice_id:text account_id:text issued_on:day due_on:day paid_on:day amount_usd:cents"
    ),
    "risk_flags": _shape(
        "risk_id:text account_id:text kind:text severity:text raised_on:day cleared_on:day "
        "pulse_score:integer note:text"
    ),
    "health_overrides": _shape(
        "override_id:text account_id:text health_score:number health_zone:text reason:text "
        "author:text starts_on:day expires_on:day"
    ),
    "tickets": _shape(
        "ticket_id:text account_id:text severity:text opened_at:second first_responded_at:second "
        "resolved_at:second escalated_at:second reopened_at:second"
    ),
    "surveys": _shape(
        "survey_id:text account_id:text kind:text responded_on:day score:number ticket_id:text"
    ),
    "area_weeks": _shape(
        "account_number:integer account_id:text solution_area:text week_on:day first_on:day "
        "last_on:day week_number:integer user_count:integer active_permille:integer "
        "feature_count:integer intensity:integer maturity_permille:integer"
    ),
}


def to_frame(table: str, rows: list[tuple[object, ...]]) -> pl.DataFrame:
    """Rows of one drawn table as a typed frame, in the order given; cents stay whole numbers."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(FACTS[table])
    series = []
    for (name, kind), values in zip(FACTS[table].items(), columns, strict=True):
        if kind == "day":
            column = pl.Series(name, values, dtype=pl.Int32).cast(pl.Date)
        elif kind == "second":
            column = (pl.Series(name, values, dtype=pl.Int64) * 1_000_000).cast(KINDS[kind])
        elif kind == "cents":
            column = pl.Series(name, values, dtype=pl.Int64)
        else:
            column = pl.Series(name, values, dtype=KINDS[kind])
        series.append(column)
    return pl.DataFrame(series)
