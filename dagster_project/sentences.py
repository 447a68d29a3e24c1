"""A sentence with {names} and what they stand for: how rules say why, in queues and in folders."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

MEETING_WHY = "Promised in the call of {held_on} ({call_type})."
"""The sentence of an action that a meeting note carries: no rule could say why."""


def write_why(template: str, evidence: Mapping[str, object]) -> str:
    """The rule's sentence with the evidence in it; what is missing reads `unknown`."""
    text = ""
    for before, name, _, _ in Formatter().parse(template):
        text += before
        if name:
            text += _shown(evidence.get(name))
    return text


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
