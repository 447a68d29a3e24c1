"""Laws of meeting notes: nothing is lost on the way, and only what stands in the folder counts."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.infohub.notes import read_notes
from dagster_project.infohub.notes_form import (
    ActionItem,
    Attendee,
    Blocker,
    Evidence,
    NextCall,
    Note,
    parse_note,
    render_note,
)
from tests.unit.notes_world import AS_OF, NOTE, WORDS, NotesWorld

SETTINGS = settings(deadline=None, max_examples=60)

# Anything a person may write on a line, quotes, colons, brackets and markup included.
_text = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text and text.lower() not in {"null", "~"})
)
_maybe_text = st.none() | _text
_day = st.dates(date(2025, 1, 1), date(2026, 3, 1))
_maybe_day = st.none() | _day


@st.composite
def notes(draw: st.DrawFn) -> Note:
    held_on = draw(_day)
    later = st.none() | st.integers(1, 60).map(lambda days: held_on + timedelta(days=days))
    areas = st.sampled_from(WORDS.solution_areas)
    criteria = st.sampled_from(sorted(WORDS.evidence_areas))
    planned_on = draw(later)
    next_call = planned_on and NextCall(
        planned_on=planned_on,
        call_type=draw(st.none() | st.sampled_from(sorted(set(WORDS.call_types.values())))),
    )

    def evidence(criterion: str) -> Evidence:
        return Evidence(
            criterion_id=criterion,
            solution_area=WORDS.evidence_areas[criterion],
            confirmed_on=draw(_maybe_day),
            confirmed_by=draw(_maybe_text),
        )

    def blocker(key: str | None) -> Blocker:
        opened_on = draw(_maybe_day)
        first = opened_on or held_on
        return Blocker(
            key=key,
            solution_area=draw(areas),
            category=draw(st.sampled_from(WORDS.blocker_categories)),
            description=draw(_maybe_text),
            opened_on=opened_on,
            resolved_on=draw(st.none() | st.just(first + timedelta(days=3))),
        )

    def item(key: str | None) -> ActionItem:
        return ActionItem(
            text=draw(_text),
            owner=draw(_maybe_text),
            due_on=draw(_maybe_day),
            done=draw(st.booleans() | _day),
            key=key,
        )

    keys = draw(st.lists(_text, max_size=2, unique=True))
    return Note(
        held_on=held_on,
        call_type=draw(st.sampled_from(sorted(set(WORDS.call_types.values())))),
        account_id=draw(st.none() | st.just("A")),
        touchpoint_id=draw(_maybe_text),
        recorded_on=draw(later),
        updated_on=draw(later),
        sentiment=draw(st.none() | st.floats(-1, 1).map(lambda mood: round(mood, 4))),
        expected_count=draw(st.none() | st.integers(0, 9)),
        is_executive_present=draw(st.none() | st.booleans()),
        attendees=tuple(
            Attendee(
                name=name,
                role=draw(_maybe_text),
                side=draw(st.sampled_from(["customer", "us"])),
                has_attended=draw(st.booleans()),
            )
            for name in draw(st.lists(_text, max_size=3))
        ),
        action_items=tuple(item(key) for key in [*keys, *draw(st.lists(st.none(), max_size=2))]),
        next_call=next_call,
        stage_evidence=tuple(evidence(name) for name in draw(st.lists(criteria, max_size=2))),
        blockers=tuple(blocker(key) for key in draw(st.lists(_maybe_text, max_size=2))),
    )


@SETTINGS
@given(note=notes(), body=st.text(max_size=80))
def test_a_written_note_reads_back_as_it_was(note: Note, body: str) -> None:
    # Check boxes of a body are promises, too; they are tested on their own.
    read = parse_note("n", render_note(note, body.replace("[", "(")), WORDS)
    assert read.faults == ()
    assert read.note == note


@settings(deadline=None, max_examples=15)
@given(written=st.lists(notes(), min_size=1, max_size=3))
def test_notes_to_tables_to_notes_keeps_every_fact(written: list[Note]) -> None:
    world = NotesWorld(Path(tempfile.mkdtemp(prefix="notes-")))
    for number, note in enumerate(written):
        world.put(render_note(note), f"n{number}.md")
    assert world.run(date(2026, 6, 1)).accepted == len(written)
    stored = {note_id: note for note_id, _, note in read_notes(world.con)}
    files = dict(world.rows("select _source_file, note_id from raw_infohub.notes"))
    kept = [stored[files[f"emea/acme/meetings/calls/n{n}.md"]] for n in range(len(written))]
    assert kept == written


# A step: which note, and what it becomes (None: removed; a number: the day; late: not yet known).
_step = st.tuples(
    st.sampled_from(["a.md", "b.md"]), st.none() | st.integers(0, 9) | st.just("late")
)


def _version(state: Any) -> str:
    day = AS_OF + timedelta(days=5) if state == "late" else date(2026, 3, 1) + timedelta(days=state)
    return NOTE.replace("2026-03-10", day.isoformat()).replace("next_call: 2026-03-24\n", "")


@settings(deadline=None, max_examples=20)
@given(steps=st.lists(st.tuples(_step, st.booleans()), min_size=1, max_size=6))
def test_what_is_stored_is_what_stands_in_the_folder(steps: list[tuple[Any, bool]]) -> None:
    """However notes came, changed and went, and wherever runs cut in."""
    world = NotesWorld(Path(tempfile.mkdtemp(prefix="notes-")))
    for (name, state), is_run in steps:
        path = world.put(NOTE, name)
        if state is None:
            path.unlink()
        else:
            path.write_text(_version(state))
        if is_run:
            world.run()
    world.run()
    fresh = NotesWorld(world.root)
    fresh.run()
    assert world.everything() == fresh.everything()
    assert world.run().affected_from_on is None


def _days(world: NotesWorld) -> dict[date, list[tuple[Any, ...]]]:
    """The calls that each day knows of."""
    rows = world.rows(
        "select held_on, note_id, sentiment, attended_count from raw_infohub.notes "
        "where not _is_deleted"
    )
    return {
        day: sorted(row for row in rows if row[0] <= day)
        for day in (date(2026, 2, 25) + timedelta(days=n) for n in range(20))
    }


@settings(deadline=None, max_examples=20)
@given(
    before=st.none() | st.integers(0, 9),
    after=st.none() | st.integers(0, 9),
    mood=st.sampled_from(["positive", "negative"]),
)
def test_no_day_before_the_touched_one_reads_differently(
    before: int | None, after: int | None, mood: str
) -> None:
    world = NotesWorld(Path(tempfile.mkdtemp(prefix="notes-")))
    path = world.put(_version(before or 0))
    if before is None:
        path.unlink()
    world.run()
    old = _days(world)
    if after is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(_version(after).replace("positive", mood))
    touched = world.run().affected_from_on
    changed = [day for day, calls in _days(world).items() if calls != old[day]]
    assert touched == min(changed, default=None)
