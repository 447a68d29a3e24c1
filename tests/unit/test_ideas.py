"""Another condition for one rule: its line changes, nothing else of the file does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import ConfigError
from dagster_project.playbooks.ideas import lines_of, stricter, with_condition
from dagster_project.playbooks.loader import load_rules
from dagster_project.policy import read_gauges
from dagster_project.settings import PROJECT_ROOT

RULES = PROJECT_ROOT / "playbook_rules"
FILES = sorted(RULES.glob("PB_*.yml"))
NEW = "a_name < -2.5 and b in ('it''s: #1', \"x\")"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("health_score < 70", "health_score < 63"),
        ("score_change_30d <= -15", "score_change_30d <= -17"),
        ("call_missed_in_row_count >= 2", "call_missed_in_row_count >= 3"),
        ("sponsors_left_30d_count > 0", "sponsors_left_30d_count > 1"),
        ("active_users_ratio < 0.5 and days > 30", "active_users_ratio < 0.45 and days > 30"),
        ("tier = 'a < 5' and tenure_days > 30", "tier = 'a < 5' and tenure_days > 33"),
        ("open_count = 0", None),
        ("health_zone in ('orange', 'red')", None),
        ("is_red", None),
        ("'broken", None),
    ],
)
def test_the_first_line_moves_to_hold_less_often(condition: str, expected: str | None) -> None:
    assert stricter(condition) == expected


def test_lines_are_found_where_they_stand() -> None:
    condition = "a <= -3 and b <> 'c' and d > 0.5"
    found = lines_of(condition)
    assert [(line.name, line.operator, line.value) for line in found] == [
        ("a", "<=", -3.0),
        ("d", ">", 0.5),
    ]
    assert [condition[line.start : line.end] for line in found] == ["-3", "0.5"]


@given(st.integers(-500, 500), st.sampled_from(["<", "<=", ">", ">="]))
def test_stricter_is_stricter_for_every_whole_number(value: int, operator: str) -> None:
    moved = stricter(f"x {operator} {value}")
    assert moved is not None
    (line,) = lines_of(moved)
    assert line.value.is_integer()
    assert (line.value > value) == operator.startswith(">")
    assert line.value != value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_the_condition_of_the_rule_changes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for trigger in yaml.safe_load(text)["triggers"]:
        expected: dict[str, Any] = yaml.safe_load(text)
        own = next(one for one in expected["triggers"] if one["rule"] == trigger["rule"])
        own["condition"] = NEW
        changed = with_condition(text, trigger["rule"], NEW)
        assert yaml.safe_load(changed) == expected
        # Comments and the rest of the layout stay.
        assert len(set(text.splitlines()) - set(changed.splitlines())) <= 6
        own.pop("condition")
        assert yaml.safe_load(with_condition(text, trigger["rule"], "")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "triggers:\n  - {rule: one, scope: account}\n  - rule: two\n",
        "triggers:\n  - rule: one\n    condition: >-\n      a > 1\n      and b\n    why: x\n",
        "triggers:\n- rule: one\n  condition: |\n    a > 1\n",
        "triggers: [{rule: one, condition: a > 1}, {rule: two}]\n",
        "triggers: [{condition: a > 1, rule: one}, {rule: two}]\n",
        "triggers:\n  - condition: a > 1\n    rule: one\n  - rule: two\n",
        "triggers:\n  - rule: one\n    condition: a > 1  # why\n  - rule: two\n",
        "triggers:\n  - rule: one\n    condition: a > 1",
    ],
)
def test_every_form_of_yaml_is_changed(text: str) -> None:
    expected = yaml.safe_load(text)
    expected["triggers"][0]["condition"] = NEW
    assert yaml.safe_load(with_condition(text, "one", NEW)) == expected
    del expected["triggers"][0]["condition"]
    assert yaml.safe_load(with_condition(text, "one", " ")) == expected


@pytest.mark.parametrize("text", ["triggers: []\n", "[]\n", "", "triggers:\n  - rule: two\n"])
def test_a_rule_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no rule one"):
        with_condition(text, "one", NEW)


def test_a_text_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        with_condition("a: [", "one", NEW)


def test_an_idea_is_read_before_its_inline_tests_are_written(tmp_path: Path) -> None:
    gauges = read_gauges(PROJECT_ROOT / "dbt" / "seeds")
    for path in RULES.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    rule = next(one for one in load_rules(RULES, gauges).rules if one.text and stricter(one.text))
    assert rule.text is not None
    own = tmp_path / f"{rule.playbook_id}.yml"
    never = f"({rule.text}) and not ({rule.text})"
    own.write_text(with_condition(own.read_text(encoding="utf-8"), rule.rule_id, never))
    with pytest.raises(ConfigError, match=f"inline test of {rule.rule_id}"):
        load_rules(tmp_path, gauges)
    book = load_rules(tmp_path, gauges, runs_tests=False)
    assert next(one for one in book.rules if one.rule_id == rule.rule_id).text == never
