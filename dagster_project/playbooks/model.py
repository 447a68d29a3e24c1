"""What a playbook file may say: the pydantic model of one YAML file and of the signal list.

Belongs here: fields, their meaning and their closed lists. Does not belong here: reading files
(`loader`), the names a condition may use (`scopes`), and anything that touches data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["ca", "sa", "ae", "ve", "governance", "meeting_notes"]
EscalationTarget = Literal["owner", "manager", "ca", "sa", "ae", "ve", "governance"]
ScopeName = Literal[
    "account",
    "solution_area",
    "call",
    "blocker",
    "contact",
    "subscription",
    "opportunity",
    "ticket",
    "departure",
]
Severity = Literal["low", "medium", "high", "critical"]
Status = Literal["deployed", "draft", "retired"]
Category = Literal[
    "stage_adoption",
    "engagement",
    "health_management",
    "enablement",
    "lifecycle",
    "analysis",
    "prerequisite",
]
Component = Literal["engagement", "adoption", "outcomes", "support", "relationship", "commercial"]
ChainState = Literal["open", "opened", "completed"]

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
ROLES: tuple[Role, ...] = ("ca", "sa", "ae", "ve", "governance", "meeting_notes")

Text = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=0, le=3650)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
PlaybookId = Annotated[str, Field(pattern=r"^PB_[A-Z0-9_]*[0-9]+_[a-z0-9_]+$", max_length=80)]


class Part(BaseModel):
    """A closed part of a file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AutoClose(Part):
    """When an open action closes by itself, with the reason `recovered`: one of the two."""

    when: Literal["trigger_clears"] | None = Field(
        None,
        description="trigger_clears: no rule of the playbook has matched for hysteresis_days.",
    )
    condition: Text | None = Field(
        None, description="A condition in the rule's scope; the action closes on its first day."
    )


class Chain(Part):
    """Binds a rule to another playbook's actions on the same account (and solution area)."""

    playbook: PlaybookId = Field(description="The playbook whose action is looked at.")
    state: ChainState = Field(
        "open",
        description="open: while such an action is open; opened, completed: on that day only.",
    )
    min_days: Days = Field(0, description="With `open`: only after this many days open.")


class RuleSettings(Part):
    """How matches become work. A playbook gives defaults; a rule may override each."""

    severity: Severity | None = Field(None, description="low, medium, high or critical.")
    sla_days: Days | None = Field(None, description="Days from opening to the due date.")
    cooldown_days: Days | None = Field(
        None, description="Days after closing in which no new action opens for the same work."
    )
    hysteresis_days: Annotated[int, Field(ge=1, le=365)] | None = Field(
        None, description="Days the condition must be false before the episode ends (1: at once)."
    )
    reraise_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(
        None,
        description="While the condition lasts: remind every N days, and open again N days after "
        "the action was closed by hand. Without it a handled episode stays handled.",
    )
    auto_close: AutoClose | None = Field(None, description="When the action closes by itself.")
    expires_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(
        None, description="Days after opening at which an untouched action closes as expired."
    )
    holdout_ratio: Annotated[float, Field(ge=0, le=0.5)] | None = Field(
        None,
        description="Share of accounts for which the rule opens nothing, as a control group of a"
        " real experiment: chosen once by a stable hash of playbook and account.",
    )


class Trigger(RuleSettings):
    """One rule: a signal, a condition or both, and the work it opens."""

    rule: Slug = Field(description="Rule id, unique over all files.")
    version: Annotated[int, Field(ge=1)] = Field(1, description="Raised when the meaning changes.")
    scope: ScopeName = Field(description="What the condition is judged for, each day.")
    signal: str | None = Field(None, description="A signal of signals.yml; it must stand.")
    causes: list[Slug] = Field(
        default_factory=list, description="Only these causes of the signal; all when empty."
    )
    condition: Text | None = Field(None, description="A condition over the scope's names.")
    after: Chain | None = Field(None, description="Only in the wake of another playbook.")
    priority: Annotated[int, Field(ge=0, le=1000)] = Field(
        100, description="The lowest opens the action when several rules mean the same work."
    )
    raises_open_work: bool = Field(
        False, description="When it joins an action already open, that is a reminder event."
    )
    why: Text = Field(description="One sentence; {name} is replaced by the evidence.")


class Step(Part):
    """One thing to do."""

    id: Slug = Field(description="Step id; feedback names it.")
    owner: Role = Field(description="The role that does it.")
    day: Days = Field(description="Days after opening by which it is due.")
    do: Text = Field(description="What to do.")
    done_when: Text = Field(description="How one sees that it is done.")


class AgendaBlock(Part):
    """One block of a call."""

    topic: Text = Field(description="What is spoken about.")
    minutes: Annotated[int, Field(ge=1, le=240)] = Field(description="How long.")


class Agenda(Part):
    """The agenda of one kind of call."""

    call_type: Slug = Field(description="The kind of call, of seeds/cadence/call_types.csv.")
    length_minutes: Annotated[int, Field(ge=5, le=480)] = Field(description="The whole call.")
    required_people: list[Text] = Field(min_length=1, description="Roles that must be there.")
    blocks: list[AgendaBlock] = Field(min_length=1, description="In order.")


class Rise(Part):
    """A value that must rise from what it was on the opening day."""

    name: Literal["health_score", "readiness_ratio"] = Field(
        description="health_score of the account, or readiness_ratio of the action's solution"
        " area: within its stage, or by reaching a higher one."
    )
    by: Annotated[float, Field(gt=0)] = Field(description="By how much, in the name's unit.")


class Objective(Part):
    """What the playbook is for: true on data, or the work itself done in time.

    `condition`, `rise` and `clears` are ways to reach it; whichever holds first within the horizon
    meets it. With none of them the objective is the work itself, completed within horizon_days of
    its opening.
    """

    condition: Text | None = Field(
        None,
        description="A condition over the names of `scope`. An action about the whole account is"
        " met by anything of the scope, any other by its own thing or solution area.",
    )
    becomes: bool = Field(
        False, description="The condition counts only if it did not hold on the opening day."
    )
    rise: Rise | None = Field(None, description="A value that must rise since the opening day.")
    clears: bool = Field(
        False,
        description="What the rule that opened the action matched no longer holds, while the"
        " account is still a customer.",
    )
    scope: ScopeName = Field("account", description="Where the condition is judged.")
    horizon_days: Annotated[int, Field(ge=1, le=730)] = Field(
        description="Days after completion within which it must hold."
    )
    counts_from: Literal["completed", "opened"] = Field(
        "completed", description="First day that counts: completion, or already the opening."
    )
    meaning: Text = Field(description="The objective in words.")

    @property
    def is_on_data(self) -> bool:
        """Whether data tell if it was reached; else the work itself is the objective."""
        return self.condition is not None or self.rise is not None or self.clears


class EscalationStep(Part):
    """One step of the path an overdue action climbs, once."""

    to: EscalationTarget = Field(description="Who is told.")
    days_past_due: Annotated[int, Field(ge=1, le=365)] = Field(description="Days after due.")


class Intervention(Part):
    """What to do by the account's weakest component."""

    component: Component = Field(description="The weakest component on the opening day.")
    name: Slug = Field(description="Name of the intervention.")
    weeks_min: Annotated[int, Field(ge=1, le=52)] = Field(description="Shortest length.")
    weeks_max: Annotated[int, Field(ge=1, le=52)] = Field(description="Longest length.")
    do: list[Text] = Field(min_length=1, description="What it consists of.")


class InlineTest(Part):
    """One case: the given names (all others are missing) and the verdict of the rule."""

    rule: Slug = Field(description="The rule that is judged.")
    given: dict[str, Any] = Field(description="Name to value; names left out are missing.")
    expect: Literal["matched", "not_matched", "unknown"] = Field(description="The verdict.")


class Playbook(Part):
    """One file under playbook_rules/."""

    id: PlaybookId = Field(description="The file's name without .yml.")
    name: Text = Field(description="For people.")
    version: Annotated[int, Field(ge=1)] = Field(description="Raised when the meaning changes.")
    status: Status = Field(description="Only deployed playbooks open actions.")
    category: Category = Field(description="The family it belongs to.")
    owner_role: Role = Field(description="Whose queue the action goes to.")
    supporting_roles: list[Role] = Field(default_factory=list, description="Who helps.")
    purpose: Text = Field(description="What it is for.")
    rationale: Text = Field(description="Why it opens when it opens.")
    defaults: RuleSettings = Field(
        default_factory=RuleSettings,
        description="Settings of all its rules, unless a rule says otherwise.",
    )
    survives_churn: bool = Field(
        False, description="The account's leaving does not close its actions."
    )
    supersedes: list[PlaybookId] = Field(
        default_factory=list,
        description="While an action of this playbook is open, those playbooks open none on the "
        "account, and what they have open closes as superseded.",
    )
    triggers: list[Trigger] = Field(min_length=1, description="The rules.")
    steps: list[Step] = Field(min_length=1, description="What to do, in order.")
    checklist: list[Text] = Field(default_factory=list, description="What to check.")
    agendas: list[Agenda] = Field(default_factory=list, description="Of the calls it holds.")
    interventions: list[Intervention] = Field(
        default_factory=list, description="Chosen by the weakest component on the opening day."
    )
    objective: Objective = Field(description="How one sees that it worked.")
    escalation: list[EscalationStep] = Field(
        min_length=1, description="The path an overdue action climbs, each step once."
    )
    follow_ups: list[PlaybookId] = Field(
        default_factory=list, description="Playbooks that often come next (for people)."
    )
    infohub: list[Text] = Field(default_factory=list, description="Files the work updates.")
    tests: list[InlineTest] = Field(
        min_length=2, description="At least one case that fires and one that does not, per rule."
    )


class SignalCause(Part):
    """One way a signal comes about."""

    cause: Slug = Field(description="Name of the cause, kept in the evidence.")
    condition: Text = Field(description="A condition over the scope's names.")


class SignalDefinition(Part):
    """One signal: an immutable fact about an account, derived from the models."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] = Field(description="Its id.")
    fact: Text = Field(description="What it says, in words.")
    scope: ScopeName = Field(description="What it is about.")
    kind: Literal["level", "event"] = Field(
        description="level: stands while true, written when it begins; event: each true day."
    )
    evidence: list[Text] = Field(
        default_factory=list, description="More names kept with it, beside those it tests."
    )
    causes: list[SignalCause] = Field(min_length=1, description="Any of them makes the signal.")


class SignalFile(Part):
    """playbook_rules/signals.yml."""

    signals: list[SignalDefinition] = Field(min_length=1, description="All signals.")


class RetiredPlaybook(Part):
    """An id that must not be used again."""

    id: PlaybookId = Field(description="The removed id.")
    retired_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = Field(
        description="YYYY-MM-DD."
    )
    reason: Text = Field(description="Why.")
    replaced_by: PlaybookId | None = Field(None, description="What took its place.")


class RetiredFile(Part):
    """playbook_rules/retired.yml."""

    retired: list[RetiredPlaybook] = Field(default_factory=list, description="Removed ids.")
