"""Texts that data cannot break: people's part, YAML, Markdown, schemas."""

from __future__ import annotations

import json
from datetime import date

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from dagster_project.infohub import documents
from dagster_project.infohub.people import BEGIN, END, BrokenBlockError, merge, split
from dagster_project.infohub.templates import bar, markdown_text, number, signed, spark
from dagster_project.infohub.yaml_text import to_yaml

NEW = b"# Title\n\n" + BEGIN + b"\n\n" + END + b"\n\nafter\n"


def has_marker(block: bytes) -> bool:
    try:
        split(b"x\n" + block)
    except BrokenBlockError as error:
        return "are missing" not in error.message
    return True


@given(st.binary(max_size=200), st.text(max_size=60), st.text(max_size=60))
def test_what_people_wrote_survives_every_rewrite(block: bytes, before: str, after: str) -> None:
    assume(not has_marker(block + b"\n"))
    for text in (before, after):
        assume(not has_marker(text.encode("utf-8", "replace") + b"\n"))
    block += b"\n"
    current = before.encode("utf-8", "replace") + b"\n" + BEGIN + b"\n" + block + END + b"\n"
    current += after.encode("utf-8", "replace")
    once = merge(NEW, current)
    assert split(once).block == block
    assert split(once).own == split(NEW).own
    assert merge(NEW, once) == once


def test_an_editor_may_change_line_ends_and_shorten_the_marker() -> None:
    current = b"# Old\r\n<!-- people: begin -->\r\nmine\r\n  <!-- people: end -->\r\n"
    assert split(merge(NEW, current)).block == b"mine\r\n"
    assert split(NEW.replace(b"\n", b"\r\n")).own == split(NEW).own


@pytest.mark.parametrize(
    ("current", "line"),
    [
        (b"nothing\n", 1),
        (b"\n" + BEGIN + b"\ntext\n", 2),
        (b"\n\n" + END + b"\n", 3),
        (END + b"\n" + BEGIN + b"\n", 1),
        (BEGIN + b"\n" + BEGIN + b"\n" + END + b"\n", 3),
        (BEGIN + b"\na\n" + END + b"\n" + END + b"\n", 4),
    ],
)
def test_broken_markers_are_refused_with_their_line(current: bytes, line: int) -> None:
    with pytest.raises(BrokenBlockError) as caught:
        merge(NEW, current)
    assert caught.value.line == line


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=("Cs",)))
    | st.dates(min_value=date(1900, 1, 1))
)
DATA = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text("ab:#- ", max_size=5), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=5,
)


@given(DATA)
def test_yaml_reads_back_what_was_written(data: dict[str, object]) -> None:
    assert yaml.safe_load(to_yaml(data)) == (data or None)


@pytest.mark.parametrize(
    "text",
    ["yes", "No", "null", "~", "1", "1e3", "0x1f", "1_000", "2026-01-01", "12:30:00", "a: b", "- a",
     "!!python/object:os.system", "&a", "*a", "# no", "a #b", "'", '"', "|", ">", "%TAG", "@", "`",
     "{a: b}", "[a]", "line\nbreak", "tab\t", "\u2028", "\x85", "\x07", "=", "<<", "---", "..."],
)  # fmt: skip
def test_no_text_becomes_something_else_in_yaml(text: str) -> None:
    document = to_yaml({"key": text, "list": [text], text: "value"})
    assert yaml.safe_load(document) == {"key": text, "list": [text], text: "value"}


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_text_stays_one_line_of_markdown_without_marks(text: str) -> None:
    shown = markdown_text(text)
    assert "\n" not in shown and "\r" not in shown
    assert "<" not in shown and ">" not in shown
    plain = shown.replace("\\\\", "")
    for mark in "`*_[]|~":
        assert plain.count(mark) == plain.count("\\" + mark)
    assert not shown.startswith(("#", "+", "=", "- ", "  "))
    with pytest.raises(BrokenBlockError, match="are missing"):
        split(shown.encode())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Acme Corp.", "Acme Corp."),
        ("# head", "\\# head"),
        ("1. one", "1\\. one"),
        ("- item", "\\- item"),
        ("a | b", "a \\| b"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("[x](http://evil.example)", "\\[x\\](http:\\/\\/evil.example)"),
        ("see www.evil.example", "see www\\.evil.example"),
        ("<!-- people: end -->", "&lt;!-- people: end --&gt;"),
        ("two\nlines\u202e", "two lines"),
        ("**bold** `code`", "\\*\\*bold\\*\\* \\`code\\`"),
    ],
)
def test_markdown_of_known_tricks(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


def test_numbers_are_short_and_unknown_is_a_dash() -> None:
    assert [number(value) for value in (None, 0.04, -0.04, 1234.56, 70.0)] == [
        "—", "0", "0", "1,234.6", "70",
    ]  # fmt: skip
    assert [signed(value) for value in (2.0, -2.0, 0.0)] == ["+2", "-2", "0"]
    assert bar(0.5, 4) == "`██░░` 50 %"
    assert bar(1.5, 4) == "`████` 150 %"
    assert spark([1.0, None, 3.0]) == "`▁·█`"
    assert spark([5.0, 5.0]) == "`▄▄`"
    assert spark([None]) == "—"


def test_committed_schemas_are_what_the_models_give() -> None:
    committed = {
        path.name: path.read_text(encoding="utf-8")
        for path in documents.SCHEMA_FOLDER.glob("*.json")
    }
    assert committed == documents.schema_files()
    for text in committed.values():
        assert json.loads(text)["additionalProperties"] is False


def fields(model: type[documents.BaseModel]) -> set[str]:
    """Every field name of a model and of the models in it."""
    names = set(model.model_fields)
    schema = model.model_json_schema()
    for part in schema.get("$defs", {}).values():
        names |= set(part.get("properties", {}))
    return names


def test_external_models_have_no_field_for_internal_facts() -> None:
    """A new field there is a decision about what a customer may read: it is made here, too."""
    external = fields(documents.SuccessPlan)
    external |= fields(documents.ValueTracking) | fields(documents.AdoptionJourney)
    assert external == {
        "account", "account_id", "account_name", "activity", "activity_status", "agreed_on",
        "baseline_value", "blocker_id", "blockers", "category", "criteria", "criterion",
        "criterion_id", "current_value", "customer_since_on", "due_on", "effort_hours", "format",
        "from_stage", "history", "is_mandatory", "is_reached", "is_regressed", "kind",
        "live_since_on", "measured_on", "measurements", "met_count", "met_on", "met_since_on",
        "next_renewal_on", "next_stage", "next_steps", "objective", "objective_count",
        "objective_id", "objectives", "observed_value", "occurred_on", "opened_on", "person",
        "planned_value_usd", "progress_ratio", "readiness_ratio", "realised_value_usd",
        "renews_on", "resolved_on", "role", "schema_version", "seats", "solution_area",
        "solution_areas", "stage", "stage_entered_on", "stages", "status", "target_value", "team",
        "threshold", "to_stage", "totals", "value",
    }  # fmt: skip
