"""Does the score work, and do playbooks: held against what happened to the accounts afterwards.

Belongs here: the backtest of the score (`backtest`, its tables, its page of text), the weights that
past outcomes would suggest (`policy_suggest`) and what worked actions changed (`playbook_effect`).
Does not belong here: computing a score, or changing a policy; a suggestion is a file for a person
to read. Everything at a day T is read from rows of that day; outcomes lie after T and are used only
when their whole window is over.
"""

from dagster_project.proof.backtest import (
    BacktestResult,
    CalibrationRow,
    LeadTimeRow,
    SummaryRow,
    ZoneRow,
    backtest,
)
from dagster_project.proof.cohorts import Step
from dagster_project.proof.effect import (
    EFFECT_TABLES,
    EffectResult,
    EffectRow,
    playbook_effect,
    store_effect,
)
from dagster_project.proof.options import ProofOptions, proof_options
from dagster_project.proof.render import render_backtest, render_effect, render_suggestion
from dagster_project.proof.suggest import Suggestion, policy_suggest
from dagster_project.proof.tables import BACKTEST_TABLES, TableSpec, store_backtest

__all__ = [
    "BACKTEST_TABLES",
    "EFFECT_TABLES",
    "BacktestResult",
    "CalibrationRow",
    "EffectResult",
    "EffectRow",
    "LeadTimeRow",
    "ProofOptions",
    "Step",
    "Suggestion",
    "SummaryRow",
    "TableSpec",
    "ZoneRow",
    "backtest",
    "playbook_effect",
    "policy_suggest",
    "proof_options",
    "render_backtest",
    "render_effect",
    "render_suggestion",
    "store_backtest",
    "store_effect",
]
