"""Playbooks: rules from YAML, signals, episodes, actions and the agents' queues.

Belongs here: everything between the marts and the metrics that decides what work is to be done.
Does not belong here: Dagster, dbt, and what health or a stage is.
"""

from __future__ import annotations

from dagster_project.playbooks.call_words import call_type_faults
from dagster_project.playbooks.loader import load_rules
from dagster_project.playbooks.meetings import write_meeting_actions
from dagster_project.playbooks.queues import write_queues
from dagster_project.playbooks.rulebook import Rule, RuleBook
from dagster_project.playbooks.runner import PlaybookResult, run_playbooks
from dagster_project.playbooks.tables import create_playbook_tables

__all__ = [
    "PlaybookResult",
    "Rule",
    "RuleBook",
    "call_type_faults",
    "create_playbook_tables",
    "load_rules",
    "run_playbooks",
    "write_meeting_actions",
    "write_queues",
]
