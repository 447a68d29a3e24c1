"""A folder of YAML files to a checked rule book; every fault at once, with file and line.

Belongs here: reading, checking, compiling the conditions, running the inline tests. Does not
belong here: data of a run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

import duckdb
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dagster_project.errors import ConfigError, Fault
from dagster_project.expressions import (
    Expression,
    ExpressionError,
    Name,
    Names,
    parse_expression,
    quote_identifier,
)
from dagster_project.expressions.names import nearest
from dagster_project.playbooks import model
from dagster_project.playbooks.gauges import scopes_with
from dagster_project.playbooks.model import (
    Playbook,
    RetiredFile,
    RetiredPlaybook,
    RuleSettings,
    SignalDefinition,
    SignalFile,
    Trigger,
)
from dagster_project.playbooks.rulebook import Condition, Rule, RuleBook, is_running
from dagster_project.policy.gauges import Gauge
from dagster_project.yaml_lines import Document, Place, read_document

SIGNALS_FILE = "signals.yml"
RETIRED_FILE = "retired.yml"
# Signals the playbooks themselves make; a rule reacts to them with `after`.
PLAYBOOK_SIGNALS = {
    "SIG_PB_001": "a playbook started",
    "SIG_PB_002": "a playbook completed",
    "SIG_GOV_001": "an escalation was raised",
}
INPUT = "input"

_SQL_TYPES = {
    "number": "double",
    "text": "varchar",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
}
_REQUIRED_SETTINGS = ("severity", "sla_days", "cooldown_days", "hysteresis_days")
_Model = TypeVar("_Model", bound=BaseModel)


def load_rules(
    folder: Path,
    gauges: Iterable[Gauge] = (),
    *,
    deployed: Collection[str] = (),
    runs_tests: bool = True,
) -> RuleBook:
    """Read and check every rule file of `folder`.

    Args:
        folder: where the YAML files are.
        gauges: names that policy adds to those of the scopes.
        deployed: ids of drafts that are taken as deployed (for replaying them).
        runs_tests: whether the inline tests are held against the rules; not while a condition is
            being tried out that they were not written for.

    Raises:
        ConfigError: with every fault found, in order of file and line.
    """
    if not folder.is_dir():
        raise ConfigError(
            "the rules cannot be read", [Fault(str(folder), 0, "", "there is no such folder")]
        )
    loader = _Loader(folder, gauges, deployed, runs_tests=runs_tests)
    book = loader.load()
    if loader.faults or book is None:
        raise ConfigError(f"the rules have {len(loader.faults)} fault(s)", loader.faults)
    return book


class _Loader:
    """One reading of one folder."""

    def __init__(
        self,
        folder: Path,
        gauges: Iterable[Gauge],
        deployed: Collection[str],
        *,
        runs_tests: bool,
    ) -> None:
        self.folder = folder
        self.runs_tests = runs_tests
        self.deployed = deployed
        self.drafts_taken: list[str] = []
        self.scopes, self.faults = scopes_with(gauges)
        self.documents: dict[str, Document] = {}
        self.playbooks: dict[str, Playbook] = {}
        self.signals: dict[str, SignalDefinition] = {}
        self.retired: tuple[RetiredPlaybook, ...] = ()
        self.causes: dict[tuple[str, str], Expression] = {}
        self.rules: list[Rule] = []
        self.conditions: list[Condition] = []

    def load(self) -> RuleBook | None:
        self._read_retired()
        self._read_signals()
        self._read_playbooks()
        self._check_ids()
        strata = self._order()
        for playbook in self.playbooks.values():
            self._compile(playbook)
        if self.faults:
            return None
        return RuleBook(
            playbooks=self.playbooks,
            signals=self.signals,
            retired=self.retired,
            rules=tuple(sorted(self.rules, key=lambda rule: rule.rule_id)),
            conditions=tuple(sorted(self.conditions, key=lambda one: one.condition_id)),
            strata=strata,
            scopes=self.scopes,
            drafts_taken=tuple(self.drafts_taken),
        )

    # -- reading --------------------------------------------------------------------------------

    def _read(self, path: Path, kind: type[_Model]) -> tuple[Document, _Model | None]:
        document = read_document(path)
        self.documents[path.name] = document
        self.faults += document.faults
        if document.faults:
            return document, None
        try:
            return document, kind.model_validate(document.data)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                self.faults.append(_validation_fault(document, details))
            return document, None

    def _read_retired(self) -> None:
        path = self.folder / RETIRED_FILE
        if not path.exists():
            return
        document, file = self._read(path, RetiredFile)
        if file is None:
            return
        self.retired = tuple(file.retired)
        for index, entry in enumerate(file.retired):
            try:
                date.fromisoformat(entry.retired_on)
            except ValueError:
                place = ("retired", index, "retired_on")
                self.faults.append(document.fault(place, f"{entry.retired_on!r} is not a date"))

    def _read_signals(self) -> None:
        path = self.folder / SIGNALS_FILE
        if not path.exists():
            self.faults.append(Fault(SIGNALS_FILE, 0, "", "the file is missing"))
            return
        document, file = self._read(path, SignalFile)
        if file is None:
            return
        for index, signal in enumerate(file.signals):
            place: Place = ("signals", index)
            if signal.id in self.signals or signal.id in PLAYBOOK_SIGNALS:
                self.faults.append(
                    document.fault((*place, "id"), f"the signal {signal.id} is defined twice")
                )
                continue
            self.signals[signal.id] = signal
            names = self.scopes[signal.scope].names
            self._check_names(document, (*place, "evidence"), signal.evidence, names)
            seen: set[str] = set()
            for number, cause in enumerate(signal.causes):
                where = (*place, "causes", number)
                if cause.cause in seen:
                    self.faults.append(
                        document.fault((*where, "cause"), f"the cause {cause.cause} is given twice")
                    )
                seen.add(cause.cause)
                expression = self._parse(document, (*where, "condition"), cause.condition, names)
                if expression is None:
                    continue
                self.causes[signal.id, cause.cause] = expression
                self.conditions.append(
                    Condition(
                        condition_id=f"{signal.id}:{cause.cause}",
                        kind="cause",
                        scope=signal.scope,
                        sql=expression.sql(INPUT),
                        needed=expression.needed_names,
                        evidence=_unique(expression.names, signal.evidence),
                        is_event=signal.kind == "event",
                    )
                )

    def _read_playbooks(self) -> None:
        for path in sorted(self.folder.glob("*.yaml")):
            self.faults.append(
                Fault(path.name, 0, "", "rule files end in .yml", f"rename it to {path.stem}.yml")
            )
        paths = [
            path
            for path in sorted(self.folder.glob("*.yml"))
            if path.name not in (SIGNALS_FILE, RETIRED_FILE)
        ]
        if not paths:
            self.faults.append(Fault(str(self.folder), 0, "", "there is no playbook"))
        retired = {entry.id for entry in self.retired}
        for path in paths:
            document, playbook = self._read(path, Playbook)
            if playbook is None:
                continue
            if playbook.id != path.stem:
                self.faults.append(
                    document.fault(
                        ("id",),
                        f"the id {playbook.id} is not the file's name",
                        f"write {path.stem} or rename the file",
                    )
                )
            if playbook.id in retired:
                self.faults.append(
                    document.fault(("id",), f"{playbook.id} is retired", "take a new id")
                )
            if playbook.id in self.playbooks:
                self.faults.append(document.fault(("id",), f"{playbook.id} is defined twice"))
                continue
            if playbook.status == "draft" and playbook.id in self.deployed:
                playbook = playbook.model_copy(update={"status": "deployed"})  # noqa: PLW2901
                self.drafts_taken.append(playbook.id)
            self.playbooks[playbook.id] = playbook

    # -- relations between files ------------------------------------------------------------------

    def _document(self, playbook: Playbook) -> Document:
        for document in self.documents.values():
            if isinstance(document.data, dict) and document.data.get("id") == playbook.id:
                return document
        raise AssertionError(f"{playbook.id} was read from no file")

    def _check_ids(self) -> None:
        # A file that could not be read still defines its id: its users are not at fault.
        known = set(self.playbooks) | {
            Path(name).stem for name in self.documents if name not in (SIGNALS_FILE, RETIRED_FILE)
        }
        rule_places: dict[str, str] = {}
        for playbook in self.playbooks.values():
            document = self._document(playbook)

            def check(place: Place, wanted: str, document: Document = document) -> None:
                if wanted not in known:
                    near = nearest(wanted, known)
                    mend = f"did you mean {near}?" if near else "see the files in this folder"
                    self.faults.append(document.fault(place, f"unknown playbook {wanted}", mend))

            for key in ("follow_ups", "supersedes"):
                for index, wanted in enumerate(getattr(playbook, key)):
                    check((key, index), wanted)
            for index, trigger in enumerate(playbook.triggers):
                place: Place = ("triggers", index)
                if trigger.after is not None:
                    check((*place, "after", "playbook"), trigger.after.playbook)
                if trigger.rule in rule_places:
                    self.faults.append(
                        document.fault(
                            (*place, "rule"),
                            f"the rule id {trigger.rule} is also in {rule_places[trigger.rule]}",
                            "give each rule its own id",
                        )
                    )
                rule_places.setdefault(trigger.rule, document.file)
            late = [step.days_past_due for step in playbook.escalation]
            if late != sorted(set(late)):
                self.faults.append(
                    document.fault(
                        ("escalation",), "each step must come later than the one before it"
                    )
                )
            if any(t.scope == "departure" for t in playbook.triggers) and not (
                playbook.survives_churn
            ):
                self.faults.append(
                    document.fault(
                        ("triggers",),
                        "work about an account that left would close as churned at once",
                        "write survives_churn: true",
                    )
                )
            self._check_unique(document, "steps", [step.id for step in playbook.steps], "step")
            self._check_unique(
                document, "agendas", [agenda.call_type for agenda in playbook.agendas], "agenda"
            )
            self._check_unique(
                document,
                "interventions",
                [one.component for one in playbook.interventions],
                "intervention",
            )

    def _check_unique(self, document: Document, key: str, values: Sequence[str], what: str) -> None:
        for index, value in enumerate(values):
            if value in values[:index]:
                self.faults.append(
                    document.fault((key, index), f"the {what} {value} is given twice")
                )

    def _order(self) -> tuple[tuple[str, ...], ...]:
        """Playbooks in layers: each after those it reacts to or gives way to."""
        before: dict[str, set[str]] = {playbook_id: set() for playbook_id in self.playbooks}
        for playbook in self.playbooks.values():
            for trigger in playbook.triggers:
                if trigger.after is not None and trigger.after.playbook in before:
                    before[playbook.id].add(trigger.after.playbook)
            for other in playbook.supersedes:
                if other in before:
                    before[other].add(playbook.id)
        layers: list[tuple[str, ...]] = []
        rest = dict(before)
        while rest:
            free = sorted(one for one, needed in rest.items() if not needed & rest.keys())
            if not free:
                cycle = _find_cycle(rest)
                document = self._document(self.playbooks[cycle[0]])
                self.faults.append(
                    document.fault(
                        ("triggers",),
                        f"chains and supersedes go round: {' -> '.join([*cycle, cycle[0]])}",
                        "remove one link",
                    )
                )
                break
            running = tuple(one for one in free if is_running(self.playbooks[one]))
            if running:
                layers.append(running)
            for one in free:
                del rest[one]
        return tuple(layers)

    # -- conditions -------------------------------------------------------------------------------

    def _parse(
        self, document: Document, place: Place, text: str, names: Names
    ) -> Expression | None:
        try:
            return parse_expression(text, names)
        except ExpressionError as error:
            where = f" (column {error.column} of the condition)"
            self.faults.append(document.fault(place, error.message + where, error.mend))
            return None

    def _check_names(
        self, document: Document, place: Place, wanted: Iterable[str], names: Names
    ) -> None:
        for name in wanted:
            if name not in names:
                near = names.nearest(name)
                mend = f"did you mean `{near}`?" if near else "see NAMES.md"
                self.faults.append(document.fault(place, f"unknown name `{name}`", mend))

    def _compile(self, playbook: Playbook) -> None:
        document = self._document(playbook)
        rules: dict[str, Rule] = {}
        for index, trigger in enumerate(playbook.triggers):
            rule = self._rule(playbook, trigger, document, ("triggers", index))
            if rule is not None:
                rules[rule.rule_id] = rule
        objective = None
        if playbook.objective.condition is not None:
            objective = self._parse(
                document,
                ("objective", "condition"),
                playbook.objective.condition,
                self.scopes[playbook.objective.scope].names,
            )
        self._check_objective(playbook, document)
        if objective is not None and is_running(playbook):
            self.conditions.append(
                Condition(
                    condition_id=f"objective:{playbook.id}",
                    kind="objective",
                    scope=playbook.objective.scope,
                    sql=objective.sql(INPUT),
                    needed=objective.needed_names,
                    evidence=(),
                )
            )
        if self.runs_tests:
            self._run_tests(playbook, rules, document)

    def _check_objective(self, playbook: Playbook, document: Document) -> None:
        goal = playbook.objective
        if goal.becomes and goal.condition is None:
            self.faults.append(
                document.fault(
                    ("objective", "becomes"), "becomes says when a condition counts; there is none"
                )
            )
        if goal.rise is not None and goal.rise.name == "readiness_ratio":
            without = [
                trigger.rule
                for trigger in playbook.triggers
                if not self.scopes[trigger.scope].has_area
            ]
            if without:
                self.faults.append(
                    document.fault(
                        ("objective", "rise"),
                        f"the work of {', '.join(without)} has no solution area whose readiness"
                        " could rise",
                        "use health_score, or a condition",
                    )
                )

    def _settings(
        self, playbook: Playbook, trigger: Trigger, document: Document, place: Place
    ) -> dict[str, Any] | None:
        values = {
            key: getattr(trigger, key) if getattr(trigger, key) is not None
            else getattr(playbook.defaults, key)
            for key in RuleSettings.model_fields
        }  # fmt: skip
        missing = [key for key in _REQUIRED_SETTINGS if values[key] is None]
        if missing:
            self.faults.append(
                document.fault(
                    place,
                    f"the rule {trigger.rule} has no {', '.join(missing)}",
                    "set it here or in the playbook's defaults",
                )
            )
            return None
        return values

    def _signal_of(
        self, trigger: Trigger, document: Document, place: Place
    ) -> SignalDefinition | None:
        if trigger.signal is None:
            if trigger.condition is None:
                self.faults.append(
                    document.fault(place, f"{trigger.rule} has neither signal nor condition")
                )
            if trigger.causes:
                self.faults.append(document.fault((*place, "causes"), "causes belong to a signal"))
            return None
        if trigger.signal in PLAYBOOK_SIGNALS:
            self.faults.append(
                document.fault(
                    (*place, "signal"),
                    f"{trigger.signal} is made by the playbooks themselves",
                    "write `after:` with the playbook",
                )
            )
            return None
        signal = self.signals.get(trigger.signal)
        if signal is None:
            if SIGNALS_FILE in self.documents and self.documents[SIGNALS_FILE].data is not None:
                near = nearest(trigger.signal, self.signals)
                mend = f"did you mean {near}?" if near else f"see {SIGNALS_FILE}"
                self.faults.append(
                    document.fault((*place, "signal"), f"unknown signal {trigger.signal}", mend)
                )
            return None
        if signal.scope != trigger.scope:
            self.faults.append(
                document.fault(
                    (*place, "scope"),
                    f"{signal.id} is about a {signal.scope}, the rule about a {trigger.scope}",
                    f"write scope: {signal.scope}",
                )
            )
            return None
        known = [cause.cause for cause in signal.causes]
        for index, cause in enumerate(trigger.causes):
            if cause not in known:
                near = nearest(cause, known)
                mend = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
                self.faults.append(
                    document.fault(
                        (*place, "causes", index), f"{signal.id} has no cause {cause}", mend
                    )
                )
        return signal

    def _rule(
        self, playbook: Playbook, trigger: Trigger, document: Document, place: Place
    ) -> Rule | None:
        before = len(self.faults)
        names = self.scopes[trigger.scope].names
        settings = self._settings(playbook, trigger, document, place)
        signal = self._signal_of(trigger, document, place)
        parts: list[str] = []
        needed: list[str] = []
        evidence: list[str] = []
        if signal is not None:
            wanted = trigger.causes or [cause.cause for cause in signal.causes]
            causes = [
                self.causes[signal.id, cause]
                for cause in wanted
                if (signal.id, cause) in self.causes
            ]
            if len(causes) < len(wanted):
                # The fault is in the signal and is told there.
                return None
            parts.append(" or ".join(cause.sql(INPUT) for cause in causes))
            for cause in causes:
                needed += cause.needed_names
                evidence += cause.names
            evidence += signal.evidence
        if trigger.condition is not None:
            expression = self._parse(document, (*place, "condition"), trigger.condition, names)
            if expression is not None:
                parts.append(expression.sql(INPUT))
                needed += expression.needed_names
                evidence += expression.names
        placeholders = [field for _, field, _, _ in _template_fields(trigger.why)]
        self._check_names(document, (*place, "why"), placeholders, names)
        evidence += [name for name in placeholders if name in names]
        if settings is None or (trigger.signal is not None and signal is None):
            # A signal that is not there is a fault of its own, told where it belongs.
            return None
        is_event = signal is not None and signal.kind == "event"
        auto_close_id = self._auto_close(trigger, settings["auto_close"], is_event, document, place)
        if auto_close_id is not None and not is_running(playbook):
            self.conditions.pop()
        if len(self.faults) > before:
            return None
        condition = Condition(
            condition_id=trigger.rule,
            kind="rule",
            scope=trigger.scope,
            sql=" and ".join(f"({part})" for part in parts),
            needed=_unique(needed),
            evidence=_unique(evidence),
        )
        closing = settings["auto_close"]
        rule = Rule(
            rule_id=trigger.rule,
            version=trigger.version,
            playbook_id=playbook.id,
            scope=trigger.scope,
            severity=settings["severity"],
            sla_days=settings["sla_days"],
            cooldown_days=settings["cooldown_days"],
            hysteresis_days=settings["hysteresis_days"],
            reraise_days=settings["reraise_days"],
            expires_days=settings["expires_days"],
            holdout_ratio=settings["holdout_ratio"] or 0.0,
            closes_when_clear=closing is not None and closing.when == "trigger_clears",
            auto_close_id=auto_close_id,
            priority=trigger.priority,
            raises_open_work=trigger.raises_open_work,
            after=trigger.after,
            why=trigger.why,
            signal=trigger.signal,
            text=trigger.condition,
            condition=condition,
        )
        if is_running(playbook):
            self.rules.append(rule)
            self.conditions.append(condition)
        return rule

    def _auto_close(
        self,
        trigger: Trigger,
        closing: model.AutoClose | None,
        is_event: bool,
        document: Document,
        place: Place,
    ) -> str | None:
        """Compile the auto-close condition; its id, or None when there is none."""
        where: Place = ("defaults", "auto_close")
        if trigger.auto_close is not None:
            where = (*place, "auto_close")
        if closing is None:
            return None
        if (closing.when is None) == (closing.condition is None):
            self.faults.append(
                document.fault(where, "auto_close needs either `when` or `condition`")
            )
            return None
        if closing.condition is None:
            if is_event:
                self.faults.append(
                    document.fault(
                        where,
                        f"{trigger.signal} lasts one day: the work of {trigger.rule} would close"
                        " the day after it opened",
                        "write auto_close with a condition, or none",
                    )
                )
            return None
        expression = self._parse(
            document, (*where, "condition"), closing.condition, self.scopes[trigger.scope].names
        )
        if expression is None:
            return None
        condition_id = f"auto_close:{trigger.rule}"
        self.conditions.append(
            Condition(
                condition_id=condition_id,
                kind="auto_close",
                scope=trigger.scope,
                sql=expression.sql(INPUT),
                needed=expression.needed_names,
                evidence=(),
            )
        )
        return condition_id

    # -- inline tests -----------------------------------------------------------------------------

    def _run_tests(self, playbook: Playbook, rules: dict[str, Rule], document: Document) -> None:
        declared = {trigger.rule for trigger in playbook.triggers}
        seen: dict[str, set[str]] = defaultdict(set)
        con = duckdb.connect(":memory:")
        try:
            for index, case in enumerate(playbook.tests):
                place: Place = ("tests", index)
                if case.rule not in declared:
                    near = nearest(case.rule, declared)
                    mend = f"did you mean {near}?" if near else "name a rule of this file"
                    self.faults.append(
                        document.fault((*place, "rule"), f"unknown rule {case.rule}", mend)
                    )
                    continue
                seen[case.rule].add(case.expect)
                rule = rules.get(case.rule)
                if rule is None:
                    continue
                verdict = self._judge(con, rule, case.given, document, place)
                if verdict is not None and verdict != case.expect:
                    self.faults.append(
                        document.fault(
                            place,
                            f"the inline test of {case.rule} expects {case.expect},"
                            f" the rule says {verdict}",
                            "mend the rule or the test",
                        )
                    )
        finally:
            con.close()
        for index, trigger in enumerate(playbook.triggers):
            for wanted in ("matched", "not_matched"):
                if wanted not in seen[trigger.rule]:
                    self.faults.append(
                        document.fault(
                            ("triggers", index, "rule"),
                            f"the rule {trigger.rule} has no inline test that expects {wanted}",
                            "add one under tests",
                        )
                    )

    def _judge(
        self,
        con: duckdb.DuckDBPyConnection,
        rule: Rule,
        given: dict[str, Any],
        document: Document,
        place: Place,
    ) -> str | None:
        names = self.scopes[rule.scope].names
        before = len(self.faults)
        self._check_names(document, (*place, "given"), given, names)
        for name, value in given.items():
            if name in names and not _is_of_type(value, names[name]):
                self.faults.append(
                    document.fault(
                        (*place, "given", name),
                        f"`{name}` is a {names[name].type}, not {value!r}",
                    )
                )
        if len(self.faults) > before:
            return None
        wanted = [names[name] for name in _unique(rule.condition.needed, rule.condition.evidence)]
        columns = ", ".join(
            f"cast(? as {_SQL_TYPES[name.type]}) as {quote_identifier(name.sql_column)}"
            for name in wanted
        )
        rows = con.execute(
            f"select {rule.condition.sql} from (select {columns}) as {INPUT}",
            [given.get(name.name) for name in wanted],
        ).fetchall()
        verdicts: dict[bool | None, str] = {True: "matched", False: "not_matched", None: "unknown"}
        return verdicts[rows[0][0]]


def _is_of_type(value: object, name: Name) -> bool:
    match name.type:
        case "number":
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            fits = isinstance(value, bool)
        case "date":
            fits = isinstance(value, date) and not isinstance(value, datetime)
            fits = fits or (isinstance(value, str) and _is_iso_date(value))
        case "timestamp":
            fits = isinstance(value, datetime)
        case _:
            fits = isinstance(value, str) and (not name.values or value in name.values)
    return fits or value is None


def _is_iso_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _unique(*lists: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))


def _template_fields(text: str) -> list[tuple[str, str, str | None, str | None]]:
    """The `{name}` places of a sentence; a brace that stands alone is read as a name `{`."""
    try:
        return [
            (before, name, spec, conversion)
            for before, name, spec, conversion in Formatter().parse(text)
            if name is not None
        ]
    except ValueError:
        return [("", "{", None, None)]


def _find_cycle(before: dict[str, set[str]]) -> list[str]:
    """One cycle of a graph in which every node has a predecessor in the graph."""
    path: list[str] = []
    node = min(before)
    while node not in path:
        path.append(node)
        node = min(before[node] & before.keys())
    cycle = path[path.index(node) :]
    cycle.reverse()
    start = cycle.index(min(cycle))
    return [*cycle[start:], *cycle[:start]]


_MESSAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "unknown key",
    "literal_error": lambda context: f"must be one of {context.get('expected', '')}",
    "string_pattern_mismatch": lambda context: f"must look like {context.get('pattern', '')}",
}


def _validation_fault(document: Document, details: ErrorDetails) -> Fault:
    place: Place = details["loc"]
    kind = details["type"]
    make = _MESSAGES.get(kind)
    message = make(details.get("ctx", {})) if make else details["msg"]
    mend = ""
    if kind == "extra_forbidden":
        key = str(place[-1])
        near = nearest(key, _ALL_KEYS - {key})
        message = f"unknown key `{key}`"
        mend = f"did you mean `{near}`?" if near else "see README.md for the fields"
    elif kind == "missing":
        message = f"the key `{place[-1]}` is missing"
        mend = "add it; see README.md"
    elif kind == "literal_error":
        expected = re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))
        near = nearest(str(details["input"]), expected)
        message = f"{details['input']!r} is not known here"
        mend = f"did you mean {near}?" if near else f"one of {', '.join(expected)}"
    return document.fault(place, message, mend)


def _keys(kind: type[BaseModel]) -> set[str]:
    return set(kind.model_fields)


_ALL_KEYS = set[str]().union(
    *(
        _keys(kind)
        for kind in vars(model).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )
)
