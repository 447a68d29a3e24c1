"""Changing one line of a rule in its file's text, to try it: what else stands there stays.

Belongs here: text in, text out. Does not belong here: whether the rule then holds (`loader`) and
what it would open (`replay`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlglot
import yaml
from sqlglot.errors import SqlglotError

from dagster_project.errors import ConfigError

_COMPARISONS = {"LT", "LTE", "GT", "GTE", "EQ", "NEQ"}
# A line is moved by this share of itself.
_STEP_RATIO = 0.1


@dataclass(frozen=True)
class Line:
    """A number that a condition compares a name with; `start` and `end` are places in its text."""

    name: str
    operator: str
    value: float
    start: int
    end: int


def lines_of(condition: str) -> tuple[Line, ...]:
    """Every `name < number` of a condition, in its order; none when it cannot be read."""
    try:
        tokens = sqlglot.tokenize(condition, dialect="duckdb")
    except SqlglotError:
        return ()
    found: list[Line] = []
    for at, token in enumerate(tokens):
        if token.token_type.name not in _COMPARISONS or at == 0 or at + 1 >= len(tokens):
            continue
        name, number = tokens[at - 1], tokens[at + 1]
        sign = 1
        if number.token_type.name == "DASH" and at + 2 < len(tokens):
            sign, start, number = -1, number.start, tokens[at + 2]
        else:
            start = number.start
        if name.token_type.name != "VAR" or number.token_type.name != "NUMBER":
            continue
        found.append(
            Line(
                name=name.text,
                operator=condition[token.start : token.end + 1],
                value=sign * float(number.text),
                start=start,
                end=number.end + 1,
            )
        )
    return tuple(found)


def stricter(condition: str) -> str | None:
    """The condition with its first line moved by a tenth, so that this comparison holds less often.

    A whole number stays one and moves by 1 at least. None when there is no line to move: no number
    is compared, or only for equality.
    """
    for line in lines_of(condition):
        if line.operator not in ("<", "<=", ">", ">="):
            continue
        step = abs(line.value) * _STEP_RATIO
        if line.value.is_integer():
            step = max(1, round(step))
        moved = line.value + (step if line.operator.startswith(">") else -step)
        text = f"{moved:.0f}" if line.value.is_integer() else f"{round(moved, 6):g}"
        return condition[: line.start] + text + condition[line.end :]
    return None


def with_condition(text: str, rule_id: str, condition: str) -> str:
    """A playbook file's text with another condition for one of its rules.

    An empty condition takes the rule's away, which one that has a signal can do without.

    Raises:
        ConfigError: the text is no playbook, or has no such rule.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"the playbook cannot be read: {error}") from error
    trigger = _trigger(root, rule_id)
    if trigger is None:
        raise ConfigError(f"there is no rule {rule_id} in this playbook")
    # JSON's form of a text is YAML's, too, and holds whatever the condition has.
    written = json.dumps(condition, ensure_ascii=False)
    if not condition.strip():
        return _without_condition(text, trigger)
    for key, value in trigger.value:
        if key.value == "condition":
            end = value.end_mark.index
            # A folded text ends behind its last line; what follows begins on its own.
            tail = "\n" if text[value.start_mark.index : end].endswith("\n") else ""
            return text[: value.start_mark.index] + written + tail + text[end:]
    first, _ = trigger.value[0]
    start = first.start_mark.index
    ending = ", " if trigger.flow_style else f"\n{' ' * first.start_mark.column}"
    return f"{text[:start]}condition: {written}{ending}{text[start:]}"


def _without_condition(text: str, trigger: yaml.MappingNode) -> str:
    keys = [key.value for key, _ in trigger.value]
    if "condition" not in keys:
        return text
    at = keys.index("condition")
    key, value = trigger.value[at]
    start, end = key.start_mark.index, value.end_mark.index
    if at + 1 < len(keys):
        end = trigger.value[at + 1][0].start_mark.index
    elif trigger.flow_style:
        start = trigger.value[at - 1][1].end_mark.index
    else:
        # The last line of a block goes with its indent; a folded text ends behind its own.
        start -= key.start_mark.column
        if not text[:end].endswith("\n"):
            line_end = text.find("\n", end)
            end = len(text) if line_end < 0 else line_end + 1
    return text[:start] + text[end:]


def _trigger(root: yaml.Node | None, rule_id: str) -> yaml.MappingNode | None:
    if not isinstance(root, yaml.MappingNode):
        return None
    for key, value in root.value:
        if key.value != "triggers" or not isinstance(value, yaml.SequenceNode):
            continue
        for trigger in value.value:
            if isinstance(trigger, yaml.MappingNode) and any(
                name.value == "rule" and rule.value == rule_id for name, rule in trigger.value
            ):
                return trigger
    return None
