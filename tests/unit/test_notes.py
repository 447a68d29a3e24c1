"""Meeting notes: whose they are, what is kept of them, what a change touches, what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from dagster_project.infohub import notes as notes_module
from dagster_project.infohub.notes import find_notes, ingest_notes, read_notes
from dagster_project.infohub.notes_form import Note, parse_note
from dagster_project.settings import PROJECT_ROOT
from tests.unit.notes_world import NOTE, WORDS, NotesWorld, account

DAY = date(2026, 3, 10)


@pytest.fixture
def world(tmp_path: Path) -> NotesWorld:
    return NotesWorld(tmp_path)


def rejects(world: NotesWorld) -> list[tuple[object, ...]]:
    return world.rows('select line, rule, "column", message from raw_infohub.notes__rejects')


def test_a_note_becomes_a_call_with_attendance_mood_and_promises(world: NotesWorld) -> None:
    world.put(NOTE)
    result = world.run()
    assert (result.found, result.accepted, result.affected_from_on) == (1, 1, DAY)
    assert world.rows(
        "select account_id, call_type, held_on, sentiment, expected_attendee_count, "
        "attended_count, is_executive_present, next_call_on from raw_infohub.notes"
    ) == [("A", "technical_checkin", DAY, 0.5, 2, 1, True, date(2026, 3, 24))]
    assert world.rows(
        "select item_text, owner, due_on, is_done, _source_line from raw_infohub.note_actions"
    ) == [
        ("Send the list", "Bo", date(2026, 3, 20), False, 15),
        ("Book the room", None, None, True, 16),
    ]


def test_a_second_reading_changes_nothing(world: NotesWorld) -> None:
    world.put(NOTE)
    world.run()
    before = world.everything()
    result = world.run()
    assert (result.read, result.accepted, result.affected_from_on) == (0, 0, None)
    assert world.everything() == before


@pytest.mark.parametrize(
    ("old", "new", "touched"),
    [
        ("sentiment: positive", "sentiment: negative", DAY),
        ("date: 2026-03-10", "date: 2026-03-04", date(2026, 3, 4)),
        ("date: 2026-03-10", "date: 2026-03-12", DAY),
        # Promises and free text change no day's facts.
        ("- [ ] Send", "- [x] Send", None),
        ("What was said.", "What was meant.", None),
    ],
)
def test_a_correction_touches_the_days_it_changes(
    world: NotesWorld, old: str, new: str, touched: date | None
) -> None:
    world.put(NOTE)
    world.run()
    assert old in NOTE
    world.put(NOTE.replace(old, new))
    result = world.run()
    assert (result.accepted, result.affected_from_on) == (1, touched)
    fresh = NotesWorld(world.root)
    fresh.run()
    assert fresh.everything() == world.everything()


def test_a_removed_note_is_a_tombstone_without_words(world: NotesWorld) -> None:
    path = world.put(NOTE)
    world.run()
    path.unlink()
    result = world.run()
    assert (result.removed, result.affected_from_on) == (1, DAY)
    ((deleted, *words),) = world.rows(
        "select _is_deleted, call_type, sentiment, held_on from raw_infohub.notes"
    )
    assert deleted and words == [None, None, None]
    assert world.rows("select count(*) from raw_infohub.note_actions") == [(0,)]
    assert world.rows("select count(*) from pipeline.files") == [(0,)]
    world.put(NOTE)
    assert world.run().affected_from_on == DAY
    assert world.rows("select _is_deleted from raw_infohub.notes") == [(False,)]


def test_a_broken_note_names_its_lines_and_the_rest_goes_on(world: NotesWorld) -> None:
    world.put(NOTE, "good.md")
    world.put(
        NOTE.replace("call_type: technical", "call_type: tehnical\nrecorded_on: soon"), "b.md"
    )
    result = world.run()
    assert (result.accepted, result.rejected) == (1, 1)
    assert rejects(world) == [
        (3, "note_form", "call_type", "is no known call type — did you mean technical_checkin?"),
        (4, "note_form", "recorded_on", "is not a date like 2026-01-31"),
    ]
    assert world.rows("select distinct value from raw_infohub.notes__rejects") == [(None,)]
    world.put(NOTE, "b.md")
    assert world.run().accepted == 1
    assert rejects(world) == []


def test_a_broken_correction_leaves_what_stood(world: NotesWorld) -> None:
    world.put(NOTE)
    world.run()
    before = world.rows("from raw_infohub.notes")
    world.put("no front matter")
    result = world.run()
    assert (result.rejected, result.removed, result.affected_from_on) == (1, 0, None)
    assert world.rows("from raw_infohub.notes") == before
    assert world.run().rejected == 1, "it is told until it is mended"


def test_a_note_waits_for_its_day(world: NotesWorld) -> None:
    world.put(NOTE.replace("call_type", "recorded_on: 2026-03-12\ncall_type"))
    early = world.run(date(2026, 3, 11))
    assert (early.accepted, early.waiting, early.affected_from_on) == (0, 1, None)
    assert world.rows("select count(*) from pipeline.files") == [(0,)]
    due = world.run(date(2026, 3, 12))
    assert (due.accepted, due.waiting, due.affected_from_on) == (1, 0, DAY)


@pytest.mark.parametrize(
    ("text", "folder", "rule", "line"),
    [
        (NOTE, "emea/nobody", "unknown_account", 1),
        (NOTE.replace("---\ndate", "---\naccount_id: X\ndate"), "emea/acme", "unknown_account", 2),
        (NOTE.replace("---\ndate", "---\naccount_id: B\ndate"), "emea/acme", "other_account", 2),
        (NOTE, "emea/twins", "ambiguous_account", 1),
    ],
)
def test_a_note_that_is_nobodys_is_refused(
    world: NotesWorld, text: str, folder: str, rule: str, line: int
) -> None:
    account(world.con, "T1", "EMEA", "Twins")
    account(world.con, "T2", "emea", "twins")
    world.put(text, folder=folder)
    assert world.run().rejected == 1
    ((found_line, found_rule, _, _),) = rejects(world)
    assert (found_line, found_rule) == (line, rule)


def test_a_named_account_settles_a_shared_or_foreign_folder(world: NotesWorld) -> None:
    account(world.con, "T1", "EMEA", "Twins")
    account(world.con, "T2", "emea", "twins")
    world.put(NOTE.replace("---\ndate", "---\naccount_id: T2\ndate"), folder="emea/twins")
    world.put(NOTE.replace("---\ndate", "---\naccount_id: B\ndate"), folder="misc/inbox")
    assert world.run().accepted == 2
    assert world.rows("select account_id from raw_infohub.notes order by all") == [("B",), ("T2",)]
    assert world.run().read == 0


def test_an_account_that_arrives_later_gets_its_note(world: NotesWorld) -> None:
    world.put(NOTE, folder="apac/new-one")
    assert world.run().rejected == 1
    account(world.con, "N", "APAC", "New One")
    assert world.run().accepted == 1
    assert rejects(world) == []


def test_notes_stay_with_an_account_that_moved(world: NotesWorld) -> None:
    """The folder of old is still the account's, until another account has it."""
    world.put(NOTE)
    world.run()
    account(world.con, "A", "emea", "acme-group", _extracted_on=date(2026, 2, 1))
    assert world.run().read == 0
    account(world.con, "C", "emea", "acme", _extracted_on=date(2026, 2, 1))
    result = world.run()
    assert (result.accepted, result.removed, result.affected_from_on) == (1, 1, DAY)
    assert world.rows("select account_id from raw_infohub.notes where not _is_deleted") == [("C",)]


def test_moving_a_folder_leaves_its_notes_the_same(world: NotesWorld) -> None:
    account(world.con, "A", "emea", "acme-group", _extracted_on=date(2026, 2, 1))
    path = world.put(NOTE)
    world.run()
    before = world.rows("select note_id from raw_infohub.notes")
    path.unlink()
    world.put(NOTE, folder="emea/acme-group")
    result = world.run()
    assert (result.removed, result.affected_from_on) == (0, None)
    assert world.rows("select note_id from raw_infohub.notes") == before


def test_the_notes_of_an_account_that_left_stay_its_own(world: NotesWorld) -> None:
    """Its folder is archived, and another account comes into its place."""
    path = world.put(NOTE)
    world.run()
    before = world.rows("select note_id, account_id from raw_infohub.notes")
    archive = world.root / "archive" / "2026-03-20"
    archive.mkdir(parents=True)
    (path.parents[2]).rename(archive / "acme")
    (archive / "emea").mkdir()
    (archive / "acme").rename(archive / "emea" / "acme")
    left = {"churned_on": date(2026, 3, 19), "_extracted_on": date(2026, 3, 20)}
    account(world.con, "A", "emea", "acme", **left)
    account(world.con, "C", "emea", "acme", _extracted_on=date(2026, 3, 20))
    world.put(NOTE, "of_the_next.md")
    result = world.run()
    assert (result.removed, result.rejected) == (0, 0)
    assert set(before) < set(world.rows("select note_id, account_id from raw_infohub.notes"))
    assert world.rows("select distinct account_id from raw_infohub.notes order by all") == [
        ("A",),
        ("C",),
    ]


def test_the_archives_list_says_whose_a_folder_was(
    world: NotesWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder archived twice a day has another name there, and only the list knows whose it is."""
    place = "archive/2026-03-20/emea/acme-2"
    world.put(NOTE, folder=place)
    assert world.run().rejected == 1
    monkeypatch.setattr(notes_module, "archived_folders", lambda _: {place: "A"})
    assert world.run().accepted == 1
    assert world.rows("select account_id from raw_infohub.notes") == [("A",)]
    assert world.run().read == 0


@pytest.mark.parametrize("is_first_there", [True, False])
def test_of_two_folders_of_one_account_the_first_note_of_a_name_stands(
    world: NotesWorld, is_first_there: bool
) -> None:
    account(world.con, "A", "emea", "zeta", _extracted_on=date(2026, 2, 1))
    world.put(NOTE, folder="emea/acme" if is_first_there else "emea/zeta")
    world.run()
    world.put(NOTE, folder="emea/zeta" if is_first_there else "emea/acme")
    assert world.run().rejected == 1
    assert world.rows("select _source_file from raw_infohub.notes") == [
        ("emea/acme/meetings/calls/technical_2026_03_10.md",)
    ]
    assert world.rows("select file, rule from raw_infohub.notes__rejects") == [
        ("emea/zeta/meetings/calls/technical_2026_03_10.md", "duplicate_note")
    ]


def test_a_link_to_a_call_of_the_crm_touches_that_calls_days(world: NotesWorld) -> None:
    world.con.execute(
        "insert into raw_crm.touchpoints (touchpoint_id, held_on) values ('T-1', '2026-02-20')"
    )
    world.put(NOTE.replace("sentiment", "touchpoint_id: T-1\nsentiment"))
    assert world.run().affected_from_on == date(2026, 2, 20)


def test_a_blocker_named_again_touches_all_its_days(world: NotesWorld) -> None:
    blockers = "blockers:\n  - {id: sso, solution_area: security, category: technical}\n---\n\nWhat"
    world.put(NOTE.replace("---\n\nWhat", blockers), "first.md")
    world.run()
    later = "date: 2026-03-28"
    closing = "blockers:\n  - {id: sso, resolved_on: 2026-03-20}\n---\n\nWhat"
    world.put(
        NOTE.replace("date: 2026-03-10", later)
        .replace("next_call: 2026-03-24\n", "")
        .replace("---\n\nWhat", closing),
        "second.md",
    )
    assert world.run().affected_from_on == DAY
    assert len(world.rows("select distinct blocker_id from raw_infohub.note_blockers")) == 1


def test_an_item_with_an_id_is_one_over_all_notes(world: NotesWorld) -> None:
    world.put(NOTE.replace("due: 2026-03-20)", "id: list)"), "first.md")
    world.put(NOTE.replace("due: 2026-03-20)", "id: list)"), "second.md")
    world.run()
    assert world.rows(
        "select item_key, count(distinct action_item_id) from raw_infohub.note_actions "
        "group by all order by all"
    ) == [("list", 1), (None, 2)]


def test_links_and_other_files_are_no_notes(world: NotesWorld, tmp_path: Path) -> None:
    path = world.put(NOTE)
    outside = tmp_path / "outside.md"
    outside.write_text(NOTE)
    (path.parent / "linked.md").symlink_to(outside)
    (path.parent / "README.md").write_text("How to write a note")
    (path.parent / "_template.md").write_text(NOTE)
    (path.parent / "notes.txt").write_text(NOTE)
    (tmp_path / "emea" / "beta").mkdir(parents=True)
    (tmp_path / "emea" / "beta" / "meetings").symlink_to(path.parent.parent)
    assert [file.path for file in find_notes(tmp_path)] == [path]


def test_other_words_of_policy_are_other_notes(world: NotesWorld) -> None:
    world.put(NOTE)
    world.run()
    moods = dict(WORDS.sentiments) | {"positive": 0.7}
    words = replace(WORDS, sentiments=moods)
    result = ingest_notes(world.con, world.root, date(2026, 3, 31), words)
    assert result.affected_from_on == DAY
    assert world.rows("select sentiment from raw_infohub.notes") == [(0.7,)]


def test_an_unknown_key_is_told_and_does_no_harm(world: NotesWorld) -> None:
    world.put(NOTE.replace("sentiment:", "sentimnt:"))
    assert world.run().accepted == 1
    assert world.rows("select flag, row_count, message from pipeline.quality_flags") == [
        (
            "unknown_key",
            1,
            "means nothing here and was not read: sentimnt (did you mean sentiment?)",
        )
    ]


def test_what_is_stored_reads_back_as_it_was(world: NotesWorld) -> None:
    world.put(NOTE)
    world.run()
    ((_, account_id, note),) = read_notes(world.con)
    assert account_id == "A"
    assert note == parse_note("n", NOTE, WORDS).note


def test_the_example_of_the_reference_is_a_good_note() -> None:
    text = (PROJECT_ROOT / "dbt" / "seeds" / "infohub" / "README.md").read_text()
    example = text.split("```markdown\n")[1].split("```")[0]
    read = parse_note("example", example, WORDS)
    assert read.faults == () and read.unknown_keys == ()
    assert read.note is not None and len(read.note.action_items) == 2
    keys = {info.alias or name for name, info in Note.model_fields.items()}
    told = set(re.findall(r"`(\w+)`", text.split("| key | meaning |")[1].split("\n\n")[0]))
    assert keys <= told
