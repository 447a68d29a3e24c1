"""The rules ready to run: checked, with their SQL.

Belongs here: what the rest of the package reads about rules. Does not belong here: YAML (`loader`)
and anything that touches data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dagster_project.playbooks.model import (
    SEVERITIES,
    Chain,
    Playbook,
    RetiredPlaybook,
    Role,
    ScopeName,
    Severity,
    SignalDefinition,
)
from dagster_project.playbooks.scopes import Scope

ConditionKind = Literal["rule", "cause", "objective", "auto_close"]


@dataclass(frozen=True)
class Condition:
    """One condition, judged every day for everything in its scope.

    `sql` gives true, false or NULL (unknown) over a relation aliased `input`. `needed` are the
    names whose absence makes it unknown, `evidence` the names kept with a verdict.
    """

    condition_id: str
    kind: ConditionKind
    scope: ScopeName
    sql: str
    needed: tuple[str, ...]
    evidence: tuple[str, ...]
    is_event: bool = False

    @property
    def keeps_unknown(self) -> bool:
        """Whether days on which it could not be judged are kept."""
        return self.kind == "rule"


@dataclass(frozen=True)
class Rule:
    """One trigger rule with its settings filled in from the playbook's defaults.

    `text` is the condition as written, `condition` that and the signal, compiled.
    """

    rule_id: str
    version: int
    playbook_id: str
    scope: ScopeName
    severity: Severity
    sla_days: int
    cooldown_days: int
    hysteresis_days: int
    reraise_days: int | None
    expires_days: int | None
    holdout_ratio: float
    closes_when_clear: bool
    auto_close_id: str | None
    priority: int
    raises_open_work: bool
    after: Chain | None
    why: str
    signal: str | None
    text: str | None
    condition: Condition

    @property
    def severity_rank(self) -> int:
        """0 low … 3 critical."""
        return SEVERITIES.index(self.severity)


@dataclass(frozen=True)
class RuleBook:
    """Every playbook, signal and retired id of one folder, checked.

    `rules` and `conditions` hold only what runs: rules of deployed playbooks, causes of all
    signals, objectives and auto-close conditions of deployed playbooks. `strata` orders deployed
    playbooks so that a playbook comes after those it looks at. `scopes` are what the conditions are
    judged on, with the gauges that policy names.
    """

    playbooks: Mapping[str, Playbook]
    signals: Mapping[str, SignalDefinition]
    retired: tuple[RetiredPlaybook, ...]
    rules: tuple[Rule, ...]
    conditions: tuple[Condition, ...]
    strata: tuple[tuple[str, ...], ...]
    scopes: Mapping[ScopeName, Scope]
    #: drafts that the caller had taken as deployed
    drafts_taken: tuple[str, ...] = ()

    @property
    def deployed(self) -> tuple[Playbook, ...]:
        """Playbooks that open actions, by id."""
        return tuple(
            playbook for _, playbook in sorted(self.playbooks.items()) if is_running(playbook)
        )

    def queue_roles(self, playbook_id: str) -> tuple[Role, ...]:
        """Owner role first, then the supporting roles."""
        playbook = self.playbooks[playbook_id]
        return (playbook.owner_role, *playbook.supporting_roles)


def is_running(playbook: Playbook) -> bool:
    """Whether a playbook opens actions."""
    return playbook.status == "deployed"
