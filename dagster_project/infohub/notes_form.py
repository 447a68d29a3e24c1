"""The form of a meeting note: Markdown text to facts, and facts to Markdown text.

A note is front matter (YAML between two lines `---`) and free text. Facts come from the front
matter, and action items also from check boxes under a heading such as `Action items`. The free
text itself is read for nothing and kept nowhere.

Belongs here: one note's text. Does not belong here: finding, storing, or whose note it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dagster_project.errors import Fault
from dagster_project.expressions.names import nearest
from dagster_project.yaml_lines import (
    Document,
    Place,
    PlainLoader,
    parse_document,
    write_place,
)

MAX_NOTE_BYTES = 1 << 20
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(?P<title>.*?)\s*#*\s*$")
_CHECKBOX = re.compile(r"^(?P<indent>\s*)[-*+]\s+\[(?P<mark>.)\](?:\s+(?P<text>.*))?$")
_ITEM_KEYS = ("owner", "due", "done", "id")
_ITEM_FACTS = re.compile(rf"^(?P<text>.*?)\s*\((?P<facts>(?:{'|'.join(_ITEM_KEYS)})\s*:[^()]*)\)$")
_ATTENDEE = re.compile(r"^(?P<name>.*?)\s*\((?P<role>[^()]*)\)$")


@dataclass(frozen=True)
class NoteWords:
    """The words of policy that a note may use; every key is as `plain` writes it."""

    call_types: Mapping[str, str]
    sentiments: Mapping[str, float]
    headings: frozenset[str]
    executive_roles: frozenset[str]
    solution_areas: tuple[str, ...]
    blocker_categories: tuple[str, ...]
    evidence_areas: Mapping[str, str]
    """Criteria that a person confirms, each with its solution area."""


def plain(word: str) -> str:
    """A word for comparing: lower case, with spaces for hyphens and underscores."""
    return " ".join(re.split(r"[\s_-]+", word.strip().lower())).strip()


def _one_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


def _optional(value: object) -> object:
    """What YAML leaves empty, or calls null, is not given."""
    if isinstance(value, str) and value.strip().lower() in {"", "null", "~"}:
        return None
    return _one_line(value)


def _given_list(value: object) -> object:
    return [] if _optional(value) is None else value


def _as_attendee(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _ATTENDEE.match(value.strip())
    return {"name": match["name"], "role": match["role"]} if match else {"name": value}


def _as_item(value: object) -> object:
    if not isinstance(value, str):
        return value
    box = re.match(r"^\[(?P<mark>[ xX])\]\s+(?P<text>.*)$", value.strip())
    return _item(box["text"], box["mark"] if box else " ") if box else _item(value, " ")


def _item(text: str, mark: str) -> dict[str, str]:
    """The parts of an action item written as one line; a key it does not know stays to be told."""
    text = " ".join(text.split())
    found = {"text": text, "done": "true" if mark in "xX" else "false"}
    match = _ITEM_FACTS.match(text)
    if match:
        found["text"] = match["text"]
        for part in re.split(r"[,;]", match["facts"]):
            key, _, value = part.partition(":")
            found[key.strip().lower()] = value.strip()
    return found


def _as_next(value: object) -> object:
    return {"date": value} if isinstance(value, str) and _optional(value) else _optional(value)


def _day(value: object) -> object:
    """A date as ISO text and nothing looser: pydantic would read numbers as seconds."""
    value = _optional(value)
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("is not a date like 2026-01-31")
    return value


def _done(value: object) -> object:
    """`done:` says whether, or on which day."""
    value = _optional(value)
    if isinstance(value, str) and value.lower() in {"true", "yes"}:
        return True
    if value is None or (isinstance(value, str) and value.lower() in {"false", "no"}):
        return False
    return _day(value)


def _yes_no(value: object) -> object:
    value = _optional(value)
    words = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(value, str):
        if value.lower() not in words:
            raise ValueError("is neither yes nor no")
        return words[value.lower()]
    return value


_Optional = BeforeValidator(_optional)
Line = Annotated[str, BeforeValidator(_one_line), Field(min_length=1, max_length=2000)]
Name = Annotated[str, BeforeValidator(_one_line), Field(min_length=1, max_length=200)]
MaybeName = Annotated[Name | None, _Optional]
MaybeLine = Annotated[Line | None, _Optional]
Day = Annotated[date, BeforeValidator(_day)]
MaybeDay = Annotated[date | None, BeforeValidator(_day)]
YesNo = Annotated[bool, BeforeValidator(_yes_no)]
MaybeYesNo = Annotated[bool | None, BeforeValidator(_yes_no)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Attendee(_Part):
    """One person who was expected; by default of the customer, and there."""

    name: Name
    role: MaybeName = None
    side: Annotated[Literal["customer", "us"], BeforeValidator(_one_line)] = "customer"
    has_attended: YesNo = Field(True, alias="attended")


class ActionItem(_Part):
    """One thing somebody promised. `key` ties it to the same item of another note."""

    text: Line
    owner: MaybeName = None
    due_on: MaybeDay = Field(None, alias="due")
    done: Annotated[bool | date, BeforeValidator(_done)] = False
    key: MaybeName = Field(None, alias="id")

    @property
    def is_done(self) -> bool:
        """Ticked, or done on a given day."""
        return self.done is not False

    @property
    def done_on(self) -> date | None:
        """The day it was done, where the note gives it."""
        return self.done if isinstance(self.done, date) else None


class NextCall(_Part):
    """The call that was agreed; of the same type where none is given."""

    planned_on: Day = Field(alias="date")
    call_type: MaybeName = None


class Evidence(_Part):
    """A stage criterion that a person confirms, or takes back."""

    criterion_id: Name = Field(alias="criterion")
    solution_area: MaybeName = None
    confirmed_on: MaybeDay = None
    confirmed_by: MaybeName = None
    revoked_on: MaybeDay = None


class Blocker(_Part):
    """An obstacle to adoption. `key` ties it to a blocker of another note, or of the CRM."""

    key: MaybeName = Field(None, alias="id")
    solution_area: MaybeName = None
    category: MaybeName = None
    description: MaybeLine = None
    opened_on: MaybeDay = None
    resolved_on: MaybeDay = None


class Note(_Part):
    """What one note states. Dates without a given value stand as the note left them: empty."""

    held_on: Day = Field(alias="date")
    call_type: Name
    account_id: MaybeName = None
    touchpoint_id: MaybeName = None
    recorded_on: MaybeDay = None
    updated_on: MaybeDay = None
    sentiment: Annotated[float | None, Field(ge=-1, le=1, allow_inf_nan=False), _Optional] = None
    expected_count: Annotated[int | None, Field(ge=0, le=100_000), _Optional] = Field(
        None, alias="expected"
    )
    is_executive_present: MaybeYesNo = Field(None, alias="executive_present")
    attendees: Annotated[
        tuple[Annotated[Attendee, BeforeValidator(_as_attendee)], ...], BeforeValidator(_given_list)
    ] = ()
    action_items: Annotated[
        tuple[Annotated[ActionItem, BeforeValidator(_as_item)], ...], BeforeValidator(_given_list)
    ] = ()
    next_call: Annotated[NextCall | None, BeforeValidator(_as_next)] = None
    stage_evidence: Annotated[tuple[Evidence, ...], BeforeValidator(_given_list)] = ()
    blockers: Annotated[tuple[Blocker, ...], BeforeValidator(_given_list)] = ()

    @property
    def seen_from_on(self) -> date:
        """The first day on which a run knows of the note."""
        return self.recorded_on or self.held_on

    @property
    def dates(self) -> tuple[date, ...]:
        """Every business date on which the note can change a fact."""
        found = [self.held_on]
        for evidence in self.stage_evidence:
            found += [evidence.confirmed_on or self.held_on, evidence.revoked_on or self.held_on]
        for blocker in self.blockers:
            found += [blocker.opened_on or self.held_on, blocker.resolved_on or self.held_on]
        return tuple(found)

    def expected_attendees(self) -> int | None:
        """People of the customer who were expected; None where nobody is named."""
        if self.expected_count is not None:
            return self.expected_count
        return len(self._customers()) if self.attendees else None

    def attended(self) -> int | None:
        """People of the customer who came; None where nobody is named."""
        if not self.attendees:
            return None
        return sum(attendee.has_attended for attendee in self._customers())

    def has_executive(self, words: NoteWords) -> bool | None:
        """Whether an executive of the customer took part; None where no role is given."""
        if self.is_executive_present is not None:
            return self.is_executive_present
        roles = [
            plain(a.role) in words.executive_roles and a.has_attended
            for a in self._customers()
            if a.role
        ]
        return any(roles) if roles else None

    def _customers(self) -> list[Attendee]:
        return [attendee for attendee in self.attendees if attendee.side == "customer"]


@dataclass(frozen=True)
class ReadNote:
    """A note as read: `note` is None when something is wrong with it, and `faults` say what.

    `lines` gives the line of each part, `unknown_keys` the front matter that was not understood.
    `seen_from_on` is known as soon as the dates can be read, faults or not.
    """

    note: Note | None
    faults: tuple[Fault, ...]
    lines: Mapping[Place, int] = field(default_factory=dict)
    unknown_keys: tuple[str, ...] = ()
    seen_from_on: date | None = None

    def line(self, *place: str | int) -> int:
        """Line of a part, or of the nearest part around it."""
        return Document("", lines=dict(self.lines)).line(place)


class _Faulty(Exception):  # noqa: N818 - leaves a function early, never the module
    def __init__(self, *faults: Fault) -> None:
        self.faults = faults


def parse_note(file: str, text: str, words: NoteWords) -> ReadNote:
    """Read one note's text; `file` is how faults name it. Nothing is raised."""
    try:
        front, body = _parts(file, text)
        document = parse_document(file, front, is_typed=False)
        if document.faults:
            raise _Faulty(*document.faults)
        if not isinstance(document.data, dict):
            raise _Faulty(
                document.fault((), "the front matter is no list of `key: value`", _SKELETON)
            )
    except _Faulty as found:
        return ReadNote(None, tuple(sorted(found.faults)))
    data = dict(document.data)
    seen_from_on = _seen_from(data)
    places = _note_body_items(data, document, body, words)
    faults = [*_choose_words(data, document, words)]
    note: Note | None = None
    try:
        note = Note.model_validate(data)
    except ValidationError as error:
        faults += [_fault(document, detail) for detail in error.errors(include_url=False)]
    if note is not None:
        faults += _disagreements(note, document)
    return ReadNote(
        note=None if faults else note,
        faults=tuple(sorted(set(faults))),
        lines=places,
        unknown_keys=_unknown_keys(data),
        seen_from_on=note.seen_from_on if note is not None else seen_from_on,
    )


_SKELETON = "begin the note with ---, date: 2026-01-31, call_type: technical_checkin, ---"


def _parts(file: str, text: str) -> tuple[str, str]:
    """Front matter and body, both with the line numbers of the whole note."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if not lines or lines[0].rstrip() != "---":
        raise _Faulty(Fault(file, 1, "", "has no front matter", _SKELETON))
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() in {"---", "..."}), None)
    if end is None:
        raise _Faulty(Fault(file, 1, "", "the front matter has no end", "close it with a line ---"))
    front = "\n".join(["", *lines[1:end]]) + "\n"
    try:
        # An alias could make a short note a very long one; no note needs any.
        for event in yaml.parse(front, Loader=PlainLoader):
            if isinstance(event, yaml.AliasEvent):
                raise _Faulty(
                    Fault(
                        file,
                        event.start_mark.line + 1 if event.start_mark else 1,
                        "",
                        "anchors and aliases are not read",
                        "write the text out, in quotes where it begins with * or &",
                    )
                )
    except yaml.YAMLError as error:
        line = _yaml_error_line(error, front)
        raise _Faulty(Fault(file, line, "", "the front matter is broken YAML", _YAML)) from error
    return front, "\n".join([*("" for _ in lines[: end + 1]), *lines[end + 1 :]])


_YAML = (
    "quote a text that holds a colon or begins with [; check boxes belong below the front matter, "
    "under a heading Action items"
)


def _yaml_error_line(error: yaml.YAMLError, front: str) -> int:
    """Where YAML breaks. What the parser quotes of its input is people's text and is left out."""
    if isinstance(error, yaml.reader.ReaderError):
        return front.count("\n", 0, int(error.position)) + 1
    mark = getattr(error, "problem_mark", None)
    return int(mark.line) + 1 if mark else 1


def _seen_from(data: Mapping[str, Any]) -> date | None:
    for key in ("recorded_on", "date"):
        try:
            return date.fromisoformat(str(data.get(key) or "").strip())
        except ValueError:
            continue
    return None


def _note_body_items(
    data: dict[str, Any], document: Document, body: str, words: NoteWords
) -> dict[Place, int]:
    """Put the body's check boxes behind the action items of the front matter."""
    items = data.get("action_items")
    listed = list(items) if isinstance(items, list) else []
    if items and not listed:
        return document.lines
    for line, mark, text in _checkboxes(body, words):
        document.lines["action_items", len(listed)] = line
        listed.append(_item(text, mark))
    if listed:
        data["action_items"] = listed
    return document.lines


def _checkboxes(body: str, words: NoteWords) -> Iterator[tuple[int, str, str]]:
    """(line, mark, text) of the check boxes under the headings that policy names."""
    is_inside = is_code = False
    found: list[tuple[int, str, str]] = []
    indent = -1
    for number, line in enumerate(body.split("\n"), 1):
        if _FENCE.match(line):
            is_code = not is_code
        heading = _HEADING.match(line)
        if is_code:
            indent = -1
        elif heading:
            is_inside = plain(heading["title"].rstrip(":")) in words.headings
            indent = -1
        elif is_inside and (box := _CHECKBOX.match(line)):
            found.append((number, box["mark"], box["text"] or ""))
            indent = len(box["indent"])
        elif indent >= 0 and line.strip() and len(line) - len(line.lstrip()) > indent:
            # A line that is set in under a check box goes on with its text.
            if not re.match(r"^\s*([-*+]|\d+[.)])\s", line):
                start, mark, text = found[-1]
                found[-1] = (start, mark, f"{text} {line.strip()}")
        else:
            indent = -1
    yield from found


def _choose_words(data: dict[str, Any], document: Document, words: NoteWords) -> Iterator[Fault]:
    """Put policy's own words in place of the note's, and tell those it does not have."""
    yield from _word(data, document, ("call_type",), words.call_types, "call type")
    sentiment = data.get("sentiment")
    if isinstance(sentiment, str) and plain(sentiment) in words.sentiments:
        data["sentiment"] = words.sentiments[plain(sentiment)]
    elif isinstance(sentiment, str) and re.search(r"[^\W\d]", sentiment) and _optional(sentiment):
        known = ", ".join(words.sentiments)
        yield document.fault(
            ("sentiment",), "is no known mood", f"a number from -1 to 1, or one of {known}"
        )
        data["sentiment"] = None
    if isinstance(data.get("next_call"), dict):
        data["next_call"] = dict(data["next_call"])
        where = ("next_call", "call_type")
        yield from _word(data["next_call"], document, where, words.call_types, "call type")
    areas = {plain(area): area for area in words.solution_areas}
    categories = {plain(category): category for category in words.blocker_categories}
    for key in ("stage_evidence", "blockers"):
        entries = data.get(key)
        if not isinstance(entries, list):
            continue
        data[key] = entries = [dict(e) if isinstance(e, dict) else e for e in entries]
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict):
                continue
            place: Place = (key, index)
            yield from _word(entry, document, (*place, "solution_area"), areas, "solution area")
            yield from _word(entry, document, (*place, "category"), categories, "category")
            if key == "stage_evidence":
                yield from _criterion(entry, document, place, words)


def _word(
    data: dict[str, Any], document: Document, place: Place, known: Mapping[str, str], what: str
) -> Iterator[Fault]:
    key = str(place[-1])
    value = data.get(key)
    if not isinstance(value, str) or _optional(value) is None:
        return
    if plain(value) in known:
        data[key] = known[plain(value)]
        return
    names = sorted(set(known.values()))
    near = nearest(plain(value), known)
    mend = f"did you mean {known[near]}?" if near else f"one of {', '.join(names)}"
    yield document.fault(place, f"is no known {what}", mend)


def _criterion(
    entry: dict[str, Any], document: Document, place: Place, words: NoteWords
) -> Iterator[Fault]:
    """Evidence names a criterion that people confirm; its area follows from it."""
    name = entry.get("criterion")
    if not isinstance(name, str) or _optional(name) is None:
        return
    area = words.evidence_areas.get(name.strip())
    if area is None:
        near = nearest(name.strip(), words.evidence_areas)
        yield document.fault(
            (*place, "criterion"),
            "is no criterion that a person confirms",
            f"did you mean {near}?" if near else "see kind evidence in seeds/stages/stage_criteria",
        )
    elif entry.get("solution_area") in {None, ""}:
        entry["solution_area"] = area
    elif entry["solution_area"] != area:
        yield document.fault(
            (*place, "solution_area"), f"the criterion belongs to {area}", f"write {area}"
        )


def _fault(document: Document, detail: ErrorDetails) -> Fault:
    """A pydantic error as a fault of the note; what stands there is never quoted."""
    place: Place = detail["loc"]
    kind = detail["type"]
    context = detail.get("ctx", {})
    match kind:
        case "missing":
            message, mend = f"the key `{place[-1]}` is missing", "add it"
        case "value_error":
            message, mend = str(context.get("error", "is wrong")), ""
        case "string_too_short" | "none_required":
            message, mend = "has no value", "give it one, or remove the key"
        case "string_too_long":
            message, mend = f"is longer than {context['max_length']} characters", "shorten it"
        case "literal_error":
            message, mend = "is not known here", f"one of {context.get('expected', '')}"
        case "greater_than_equal":
            message, mend = f"must be {context['ge']} or more", ""
        case "less_than_equal":
            message, mend = f"must be {context['le']} or less", ""
        case "float_parsing" | "finite_number" | "int_parsing" | "int_from_float":
            message, mend = "is no number", "write it like 3 or 0.5"
        case "date_from_datetime_parsing" | "date_parsing" | "date_from_datetime_inexact":
            message, mend = "there is no such day", "write it as 2026-01-31"
        case "tuple_type":
            message, mend = "is no list", "begin each entry with a hyphen"
        case "model_type" | "model_attributes_type" | "dict_type":
            message, mend = "is no list of `key: value`", ""
        case _:
            message, mend = "cannot be read", ""
    return document.fault(place, message, mend)


def _disagreements(note: Note, document: Document) -> Iterator[Fault]:
    """Dates that cannot all be true."""
    if note.recorded_on is not None and note.recorded_on < note.held_on:
        yield document.fault(
            ("recorded_on",), "is before the call's date", "a note follows its call"
        )
    if note.updated_on is not None and note.updated_on < note.held_on:
        yield document.fault(("updated_on",), "is before the call's date")
    if note.next_call is not None and note.next_call.planned_on <= note.held_on:
        yield document.fault(("next_call",), "is not after the call")
    for index, evidence in enumerate(note.stage_evidence):
        confirmed_on = evidence.confirmed_on or note.held_on
        if evidence.revoked_on is not None and evidence.revoked_on < confirmed_on:
            yield document.fault(
                ("stage_evidence", index, "revoked_on"), "is before it was confirmed"
            )
    yield from _blocker_faults(note, document)
    seen: set[str] = set()
    for index, item in enumerate(note.action_items):
        if item.key in seen:
            yield document.fault(("action_items", index), "repeats the id of another item")
        if item.key is not None:
            seen.add(item.key)


def _blocker_faults(note: Note, document: Document) -> Iterator[Fault]:
    for index, blocker in enumerate(note.blockers):
        place = ("blockers", index)
        if blocker.key is None:
            for name in ("solution_area", "category"):
                if getattr(blocker, name) is None:
                    yield document.fault(
                        (*place, name),
                        f"the key `{name}` is missing",
                        "add it, or the id of a blocker that is known already",
                    )
        opened_on = blocker.opened_on or (None if blocker.key else note.held_on)
        if None not in {blocker.resolved_on, opened_on} and blocker.resolved_on < opened_on:  # type: ignore[operator]
            yield document.fault((*place, "resolved_on"), "is before it was opened")


_KEYS: Mapping[str, type[_Part]] = {
    "attendees": Attendee,
    "action_items": ActionItem,
    "stage_evidence": Evidence,
    "blockers": Blocker,
    "next_call": NextCall,
}


def _names(kind: type[_Part]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items()]


def _unknown_keys(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys that mean nothing here, with what may have been meant where a known one is near."""
    found: dict[str, None] = {}

    def look(entry: object, kind: type[_Part], where: str) -> None:
        if not isinstance(entry, dict):
            return
        known = _names(kind)
        for key in entry:
            if key not in known:
                near = nearest(str(key), known)
                hint = f" (did you mean {near}?)" if near else ""
                found[f"{write_place((where, str(key))) if where else key}{hint}"] = None

    look(data, Note, "")
    for name, kind in _KEYS.items():
        value = data.get(name)
        for entry in value if isinstance(value, list) else [value]:
            look(entry, kind, name)
    return tuple(found)


# Facts to text ------------------------------------------------------------------------------------


def render_note(note: Note, body: str = "") -> str:
    """The note as Markdown: `parse_note` reads the same facts back.

    Only what is given is written. `body` is free text below the front matter.
    """
    data = _plain_data(note)
    front = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{front}---\n" + (f"\n{body}" if body else "")


def _plain_data(part: _Part) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if value == info.default or value in ((), None):
            continue
        if isinstance(value, _Part):
            value = _plain_data(value)
        elif isinstance(value, Iterable) and not isinstance(value, str):
            value = [_plain_data(entry) for entry in value]
        data[info.alias or name] = value
    return data
