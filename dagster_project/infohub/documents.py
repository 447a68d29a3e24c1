"""The YAML files of an account's folder: one model per file, which is also its schema.

A model is the whitelist of its file: what is not a field here cannot be written there. That is how
internal facts stay out of `external-infohub/`, so a field added to an external model is a decision
about what a customer may read.

`python -m dagster_project.infohub.documents` writes the JSON Schemas into `schema/`; a test holds
that what is committed is what the models give.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_FOLDER = Path(__file__).resolve().parent / "schema"
EXTERNAL = "external-infohub"
Ratio = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=0, le=100)]
Usd = Annotated[float, Field()]


class Part(BaseModel):
    """A part of a file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AccountName(Part):
    """Whose file it is."""

    account_id: str = Field(description="Account, as in CRM.")
    account_name: str | None = Field(description="Name for people.")


class Document(Part):
    """A file."""

    schema_version: Literal[1] = Field(default=1, description="Raised when a key changes meaning.")
    account: AccountName = Field(description="Whose file it is.")


# --- external: a customer may read these ---------------------------------------------------------


class TeamMember(Part):
    """Somebody of ours whom the customer may call."""

    role: Literal[
        "customer_architect", "solution_architect", "account_executive", "value_engineer"
    ] = Field(description="What the person does for the customer.")
    person: str = Field(description="Name or address, as in CRM.")


class PlannedObjective(Part):
    """A goal agreed with the customer."""

    objective_id: str = Field(description="Objective, as in CRM.")
    objective: str = Field(description="What is to be reached.")
    solution_area: str | None = Field(description="Solution area; null when it is about none.")
    status: Literal["open", "met", "past_due"] = Field(description="As of the last change.")
    agreed_on: date | None = Field(description="Day it was recorded.")
    due_on: date | None = Field(description="Day by which it is to be met.")
    met_on: date | None = Field(description="Day it was met; null while it is not.")
    baseline_value: float | None = Field(description="Value at the start, in its own unit.")
    target_value: float | None = Field(description="Value to reach, in its own unit.")
    planned_value_usd: Usd | None = Field(description="Value it is worth (USD).")


class NextStep(Part):
    """What leads to the next stage of an area."""

    criterion: str = Field(description="What must hold.")
    activity: str | None = Field(description="The enablement activity that leads there.")
    format: str | None = Field(description="Kind of activity.")
    effort_hours: float | None = Field(description="Its usual length (hours).")


class AreaPlan(Part):
    """Where a solution area stands and what comes next."""

    solution_area: str = Field(description="Solution area.")
    live_since_on: date | None = Field(description="Day of go-live, else of the first contract.")
    renews_on: date | None = Field(description="Next renewal of its subscriptions.")
    seats: int | None = Field(description="Licensed seats (people).")
    stage: str = Field(description="Adoption stage reached.")
    next_stage: str | None = Field(description="The stage after it; null at the last.")
    next_steps: list[NextStep] = Field(description="Criteria of the next stage still pending.")


class SuccessPlan(Document):
    """external-infohub/value/csp.yaml: what the customer wants to reach and the way there."""

    customer_since_on: date = Field(description="First day as a customer.")
    next_renewal_on: date | None = Field(description="Next renewal of any subscription.")
    team: list[TeamMember] = Field(description="Our people.")
    objectives: list[PlannedObjective] = Field(description="Goals, the next due first.")
    solution_areas: list[AreaPlan] = Field(description="Where each area stands.")


class Measurement(Part):
    """One measurement of an objective."""

    measured_on: date = Field(description="Day of the measurement.")
    value: float | None = Field(description="Value in the objective's own unit.")
    realised_value_usd: Usd | None = Field(description="Value realised up to then (USD).")


class TrackedObjective(Part):
    """What became of a goal."""

    objective_id: str = Field(description="Objective, as in CRM.")
    objective: str = Field(description="What is to be reached.")
    solution_area: str | None = Field(description="Solution area; null when it is about none.")
    status: Literal["open", "met", "past_due"] = Field(description="As of the last change.")
    due_on: date | None = Field(description="Day by which it is to be met.")
    met_on: date | None = Field(description="Day it was met; null while it is not.")
    baseline_value: float | None = Field(description="Value at the start, in its own unit.")
    target_value: float | None = Field(description="Value to reach, in its own unit.")
    current_value: float | None = Field(description="Last measured value, in its own unit.")
    progress_ratio: float | None = Field(
        description="Way made from baseline to target (1 = there; below 0 = moved away)."
    )
    planned_value_usd: Usd | None = Field(description="Value it is worth (USD).")
    realised_value_usd: Usd | None = Field(description="Value realised so far (USD).")
    measurements: list[Measurement] = Field(description="Every measurement, oldest first.")


class ValueTotals(Part):
    """The account's objectives together."""

    objective_count: int = Field(description="Objectives recorded.")
    met_count: int = Field(description="Of these, met.")
    planned_value_usd: Usd | None = Field(
        description="Planned value (USD); null when none has one."
    )
    realised_value_usd: Usd | None = Field(description="Realised so far (USD); null when unknown.")


class ValueTracking(Document):
    """external-infohub/value/value_tracking.yaml: value planned and realised."""

    totals: ValueTotals = Field(description="All objectives together.")
    objectives: list[TrackedObjective] = Field(description="Each objective, the next due first.")


class JourneyCriterion(Part):
    """One criterion of a stage."""

    criterion_id: str = Field(description="Criterion, as in policy.")
    criterion: str = Field(description="What must hold.")
    is_mandatory: bool = Field(description="The stage cannot be reached without it.")
    status: str = Field(description="met, unmet, or why it cannot be told.")
    observed_value: float | None = Field(description="Value of the measure; null for evidence.")
    threshold: float | None = Field(description="Value it must reach; null for evidence.")
    met_since_on: date | None = Field(description="First day it held without a break.")
    activity: str | None = Field(description="The enablement activity that leads there.")
    activity_status: Literal["done", "proposed", "later"] | None = Field(
        description="done: the criterion holds; proposed: for the next stage; later: after that."
    )


class JourneyStage(Part):
    """One stage of an area."""

    stage: str = Field(description="Stage.")
    is_reached: bool = Field(description="The area is at this stage or beyond.")
    criteria: list[JourneyCriterion] = Field(description="Its criteria.")


class StageMove(Part):
    """A change of stage."""

    occurred_on: date = Field(description="Day of the change.")
    from_stage: str = Field(description="Stage before.")
    to_stage: str = Field(description="Stage after.")
    kind: Literal["promotion", "demotion"] = Field(description="Up or down.")


class JourneyBlocker(Part):
    """Something in the way."""

    blocker_id: str = Field(description="Blocker, as in CRM.")
    category: str = Field(description="technical, resource, skill or organisational.")
    status: Literal["open", "resolved"] = Field(description="Whether it is still in the way.")
    opened_on: date = Field(description="Day it was recorded.")
    resolved_on: date | None = Field(description="Day it was out of the way.")


class AreaJourney(Part):
    """The way of one solution area."""

    solution_area: str = Field(description="Solution area.")
    live_since_on: date | None = Field(description="Day of go-live, else of the first contract.")
    stage: str = Field(description="Stage reached.")
    stage_entered_on: date | None = Field(description="Day it was entered.")
    next_stage: str | None = Field(description="The stage after it; null at the last.")
    readiness_ratio: Ratio | None = Field(description="Share of the next stage's criteria met.")
    is_regressed: bool | None = Field(description="A higher stage was reached before.")
    stages: list[JourneyStage] = Field(description="All stages with their criteria.")
    blockers: list[JourneyBlocker] = Field(description="Blockers, open ones first.")
    history: list[StageMove] = Field(description="Changes of stage, oldest first.")


class AdoptionJourney(Document):
    """external-infohub/journey/adoption_journey.yaml: stages, criteria and enablement."""

    solution_areas: list[AreaJourney] = Field(description="Each area with an active subscription.")


# --- internal -----------------------------------------------------------------------------------


class MeasureState(Part):
    """One measure of a component."""

    measure: str = Field(description="Measure, as in policy.")
    status: str = Field(description="scored, stale, too_early, no_data or not_applicable.")
    value: float | None = Field(description="Its value, in its own unit.")
    score: Score | None = Field(description="What it scores.")
    weight: float | None = Field(description="Weight in the score after redistribution (ratio).")
    contribution: float | None = Field(description="Points it adds to the score.")


class ComponentState(Part):
    """One component of the score."""

    component: str = Field(description="Component.")
    status: str = Field(description="scored, stale, too_early, no_data or not_applicable.")
    score: Score | None = Field(description="Its score.")
    weight: float | None = Field(description="Weight in the score after redistribution (ratio).")
    measures: list[MeasureState] = Field(description="What it is made of.")


class Override(Part):
    """A person's judgement that stands in place of the computed score."""

    score: Score | None = Field(description="The score set; null when only a zone was.")
    zone: str | None = Field(description="The zone set; null when only a score was.")
    reason: str = Field(description="Why.")
    author: str | None = Field(description="Who.")
    expires_on: date | None = Field(description="First day it no longer holds.")


class ScoreMove(Part):
    """What moved the score."""

    cause_kind: str = Field(description="behaviour, coverage, config or override.")
    cause: str = Field(description="Measure, or what else it was.")
    points: float = Field(description="Points added (or taken).")


class ScoreChange(Part):
    """The score against an earlier day; the moves add up to its change."""

    since_on: date = Field(description="The earlier day.")
    points: float = Field(description="Sum of all moves.")
    moves: list[ScoreMove] = Field(description="The largest first.")


class ScorePoint(Part):
    """The score on a day."""

    as_of_date: date = Field(description="Day.")
    score: Score | None = Field(description="Score; null when unscored.")
    zone: str | None = Field(description="Zone; null when unscored.")


class ZoneMove(Part):
    """A change of zone."""

    occurred_on: date = Field(description="Day of the change.")
    from_zone: str | None = Field(description="Zone before.")
    to_zone: str | None = Field(description="Zone after.")


class HealthScore(Document):
    """internal-infohub/governance/health_score.yaml: the score and what makes it."""

    as_of_date: date = Field(description="Day of the score.")
    score: Score | None = Field(description="Score in force; null when unscored.")
    zone: str | None = Field(description="Zone in force; null when unscored.")
    status: str = Field(description="scored, or unscored.")
    unscored_reason: str | None = Field(description="Why there is no score.")
    coverage_ratio: Ratio | None = Field(description="Share of the weights that was scored.")
    computed_score: Score | None = Field(description="Score before an override.")
    override: Override | None = Field(description="A person's judgement in force; null when none.")
    components: list[ComponentState] = Field(description="The six components.")
    cap_points: float | None = Field(
        description="Points a measure that forces the score takes off; null when none does."
    )
    change: ScoreChange | None = Field(description="What moved it; null without an earlier score.")
    history: list[ScorePoint] = Field(description="One score a week, oldest first.")
    zone_moves: list[ZoneMove] = Field(description="Changes of zone, newest first.")


class TrackedSlot(Part):
    """One slot for a call."""

    slot_number: int = Field(description="Its number among the calls of this type.")
    due_on: date = Field(description="Last day of the slot.")
    grace_ends_on: date | None = Field(description="Last day on which a call still meets it.")
    status: str = Field(description="open, met, missed or not_applicable.")
    met_on: date | None = Field(description="Day of the call that met it.")
    attended_count: int | None = Field(description="People who came.")
    expected_count: int | None = Field(description="People expected.")


class CallRhythm(Part):
    """One type of call."""

    call_type: str = Field(description="Type of call.")
    name: str | None = Field(description="Name for people.")
    interval_days: float | None = Field(description="Days between calls at the rate in force.")
    next_due_on: date | None = Field(description="Last day of the slot in progress.")
    is_held_early: bool = Field(description="A call has already met the slot in progress.")
    adherence_ratio: Ratio | None = Field(description="Met of decided slots, trailing window.")
    met_count: int | None = Field(description="Slots met in that window.")
    missed_count: int | None = Field(description="Slots missed in that window.")
    consecutive_missed_count: int | None = Field(description="Newest slots missed in a row.")
    attendance_ratio: float | None = Field(description="People who came of those expected.")
    slots: list[TrackedSlot] = Field(description="The newest slots, newest first.")


class CadenceTracker(Document):
    """meetings/cadence_tracker.yaml: the rhythm of calls and how it is kept."""

    tier: str | None = Field(description="Tier, which sets the rhythm.")
    is_paused: bool = Field(description="No calls are expected now.")
    is_at_risk_rhythm: bool = Field(description="The at-risk rhythm is the least.")
    calls: list[CallRhythm] = Field(description="Each type of call.")


# --- index ----------------------------------------------------------------------------------------


class IndexedAccount(Part):
    """One account of a realm."""

    node: str = Field(description="Folder within the realm.")
    account_id: str = Field(description="Account, as in CRM.")
    account_name: str | None = Field(description="Name for people.")
    files: list[str] = Field(description="Files written for it, relative to its folder.")


class RealmIndex(Part):
    """{realm}/index.yaml: whose folders are here."""

    schema_version: Literal[1] = Field(default=1, description="Raised when a key changes meaning.")
    realm: str = Field(description="The realm's folder.")
    accounts: list[IndexedAccount] = Field(description="In order of node.")


class ArchivedItem(Part):
    """Something moved out of the way, with all that stood in it."""

    archived_on: date = Field(description="Day of the run that moved it.")
    account_id: str = Field(description="Account, as in CRM.")
    reason: str = Field(description="Why it was moved.")
    moved_from: str = Field(description="Where it was, relative to the InfoHub.")
    moved_to: str = Field(description="Where it is, relative to the InfoHub.")


class ArchiveList(Part):
    """archive/archive.yaml: everything that was ever moved out of the way."""

    schema_version: Literal[1] = Field(default=1, description="Raised when a key changes meaning.")
    items: list[ArchivedItem] = Field(description="In the order they were moved.")


DOCUMENTS: dict[str, type[BaseModel]] = {
    "csp": SuccessPlan,
    "value_tracking": ValueTracking,
    "adoption_journey": AdoptionJourney,
    "health_score": HealthScore,
    "cadence_tracker": CadenceTracker,
    "index": RealmIndex,
    "archive": ArchiveList,
}


def plain(document: BaseModel) -> dict[str, Any]:
    """A document as plain data, in the order of its fields."""
    return document.model_dump()


def schema_files() -> dict[str, str]:
    """File name to content of the JSON Schemas."""
    return {
        f"{name}.schema.json": json.dumps(model.model_json_schema(), indent=2, sort_keys=True)
        + "\n"
        for name, model in DOCUMENTS.items()
    }


if __name__ == "__main__":
    SCHEMA_FOLDER.mkdir(exist_ok=True)
    for file_name, content in schema_files().items():
        (SCHEMA_FOLDER / file_name).write_text(content, encoding="utf-8")
