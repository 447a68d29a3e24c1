"""Whether playbooks speak of calls that the cadence knows: the list of call types is policy.

Belongs here: agendas, conditions and inline tests against that list. Does not belong here: anything
that can be judged without policy (`loader`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from dagster_project.errors import Fault
from dagster_project.expressions import ExpressionError, Names, parse_expression
from dagster_project.expressions.names import nearest
from dagster_project.playbooks.model import Playbook, ScopeName
from dagster_project.playbooks.rulebook import RuleBook
from dagster_project.playbooks.scopes import SCOPES
from dagster_project.yaml_lines import Document, Place, read_document

_NAME = "call_type"


def call_type_faults(folder: Path, book: RuleBook, call_types: Collection[str]) -> list[Fault]:
    """Every place of the rule files under `folder` that names a call type outside `call_types`.

    `book` is what `load_rules` made of the folder, so that all else is known to be right.
    """
    faults: list[Fault] = []
    for playbook in book.playbooks.values():
        document = read_document(folder / f"{playbook.id}.yml")
        faults += _word_faults(playbook, document, call_types)
        faults += _condition_faults(playbook, document, tuple(call_types))
    return sorted(faults)


def _word_faults(
    playbook: Playbook, document: Document, call_types: Collection[str]
) -> Iterator[Fault]:
    words: list[tuple[Place, object]] = [
        (("agendas", index, _NAME), agenda.call_type)
        for index, agenda in enumerate(playbook.agendas)
    ]
    words += [
        (("tests", index, "given", _NAME), case.given[_NAME])
        for index, case in enumerate(playbook.tests)
        if case.given.get(_NAME) is not None
    ]
    for place, word in words:
        if word not in call_types:
            near = nearest(str(word), call_types)
            mend = f"did you mean {near}?" if near else f"one of {', '.join(sorted(call_types))}"
            yield document.fault(place, f"{word!r} is no call type of the cadence policy", mend)


def _condition_faults(
    playbook: Playbook, document: Document, call_types: tuple[str, ...]
) -> Iterator[Fault]:
    closing = playbook.defaults.auto_close if playbook.defaults is not None else None
    found: list[tuple[Place, ScopeName, str | None]] = [
        (("objective", "condition"), playbook.objective.scope, playbook.objective.condition)
    ]
    for index, trigger in enumerate(playbook.triggers):
        found.append((("triggers", index, "condition"), trigger.scope, trigger.condition))
        own = trigger.auto_close or closing
        place: Place = ("triggers", index) if trigger.auto_close is not None else ("defaults",)
        if own is not None:
            found.append(((*place, "auto_close", "condition"), trigger.scope, own.condition))
    for place, scope, text in found:
        names = SCOPES[scope].names
        if text is None or _NAME not in names:
            continue
        closed = Names(
            replace(name, values=call_types) if name.name == _NAME else name
            for name in names.values()
        )
        try:
            parse_expression(text, closed)
        except ExpressionError as error:
            where = f" (column {error.column} of the condition)"
            yield document.fault(place, error.message + where, error.mend)
