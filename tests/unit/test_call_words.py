"""Call types are policy: rule files are held against the list, each wrong word with its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_project.playbooks import call_type_faults, load_rules
from dagster_project.policy import vocabulary
from dagster_project.settings import PROJECT_ROOT

RULES = PROJECT_ROOT / "playbook_rules"
FILE = "PB_CS_202_cadence_calls.yml"
KNOWN = vocabulary(PROJECT_ROOT / "dbt" / "seeds").call_types


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


def test_the_shipped_rules_speak_of_known_calls() -> None:
    assert call_type_faults(RULES, load_rules(RULES), KNOWN) == []


def test_a_further_type_of_policy_may_be_spoken_of(rules: Path) -> None:
    path = rules / FILE
    path.write_text(
        path.read_text().replace("- call_type: renewal_planning", "- call_type: success_planning")
    )
    book = load_rules(rules)
    assert call_type_faults(rules, book, [*KNOWN, "success_planning"]) == []
    (fault,) = call_type_faults(rules, book, KNOWN)
    assert fault.file == FILE
    assert "success_planning" in path.read_text().splitlines()[fault.line - 1]


def test_a_misspelt_type_in_a_condition_is_told_with_its_line() -> None:
    book = load_rules(RULES)
    playbook = book.playbooks["PB_CS_203_executive_review"]
    without = [name for name in KNOWN if name != "executive_review"]
    faults = [
        fault
        for fault in call_type_faults(RULES, book, without)
        if fault.file == f"{playbook.id}.yml" and "condition" in fault.column
    ]
    assert len(faults) == len(playbook.triggers)
    lines = (RULES / faults[0].file).read_text().splitlines()
    for fault in faults:
        assert "condition: " in lines[fault.line - 1]
        assert "is never 'executive_review'" in fault.message
