"""Rule files: the shipped catalogue is sound, and every fault is found at its line, all at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.errors import ConfigError, Fault
from dagster_project.playbooks import load_rules
from dagster_project.playbooks.loader import PLAYBOOK_SIGNALS
from dagster_project.playbooks.reference import generated_files
from tests.unit.playbook_world import FOLLOW, RULE_FILES, TRIAGE, playbook_text, write_rules

SHIPPED = Path(__file__).resolve().parents[2] / "playbook_rules"
CATALOGUE = {
    "PB_CS_101_security_stage_adoption", "PB_CS_102_observability_stage_adoption",
    "PB_CS_103_search_stage_adoption", "PB_CS_201_discovery_engagement",
    "PB_CS_202_cadence_calls", "PB_CS_203_executive_review", "PB_CS_301_health_triage",
    "PB_CS_302_risk_intervention", "PB_CS_303_renewal_protection",
    "PB_CS_401_technical_workshop", "PB_CS_402_migration", "PB_CS_403_pov_execution",
    "PB_CS_501_handoff_presales_postsales", "PB_CS_502_expansion", "PB_105_five_whys_analysis",
    "PB_601_retrospective", "PB_602_account_planning", "PB_401_customer_health_score",
}  # fmt: skip
SIGNAL_CATALOGUE = {
    "SIG_LC_002", "SIG_LC_003", "SIG_HLT_001", "SIG_COM_002", "SIG_STK_002", "SIG_TECH_001",
    "SIG_PB_001", "SIG_PB_002", "SIG_GOV_001", "cadence_call_due", "cadence_call_missed",
    "adoption_blocker_aged", "stage_changed", "zone_changed", "component_declining",
}  # fmt: skip


def faults_of(folder: Path) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        load_rules(folder)
    return caught.value.faults


def line_of(text: str, part: str) -> int:
    """1-based line of the first line that holds `part`."""
    return next(i for i, line in enumerate(text.splitlines(), start=1) if part in line)


def changed(tmp_path: Path, name: str, old: str, new: str) -> tuple[Path, str]:
    """The small rule set with one text replaced in one file; the folder and that file's text."""
    text = RULE_FILES[name].replace(old, new, 1)
    assert text != RULE_FILES[name]
    return write_rules(tmp_path, {**RULE_FILES, name: text}), text


def test_the_shipped_catalogue_is_whole() -> None:
    book = load_rules(SHIPPED)
    assert set(book.playbooks) == CATALOGUE
    assert set(book.signals) | set(PLAYBOOK_SIGNALS) == SIGNAL_CATALOGUE
    by_rule = {rule.rule_id: rule for rule in book.rules}
    # What the source document writes.
    assert by_rule["security_new_area"].text == "solution_area == 'security'"
    assert by_rule["security_new_area"].signal == "SIG_LC_002"
    assert by_rule["triage_score_under_line"].text == "health_score < 70"
    assert by_rule["triage_component_red"].signal == "SIG_HLT_001"
    assert by_rule["renewal_window"].text == "days_to_renewal <= 180"
    assert by_rule["renewal_window"].signal == "SIG_LC_003"
    assert by_rule["call_due"].signal == "cadence_call_due"
    declining = by_rule["security_adoption_declining"].after
    assert declining is not None
    assert declining.playbook == "PB_CS_301_health_triage"


def test_every_shipped_rule_says_why_and_every_playbook_what_to_do() -> None:
    book = load_rules(SHIPPED)
    for playbook in book.playbooks.values():
        assert playbook.steps
        assert playbook.checklist
        assert playbook.escalation
        assert playbook.owner_role not in playbook.supporting_roles
        for path in playbook.infohub:
            assert not path.startswith("/")
            assert ".." not in path


@pytest.mark.parametrize("path", sorted(generated_files(SHIPPED)), ids=lambda path: path.name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated_files(SHIPPED)[path], (
        "run python -m dagster_project.playbooks.reference"
    )


@pytest.mark.parametrize(
    ("old", "new", "near", "message", "mend"),
    [
        ("owner_role: ca", "owner_roll: ca", "owner_roll", "unknown key `owner_roll`",
         "did you mean `owner_role`?"),
        ("owner_role: ca", "owner_role: cd", "owner_role", "'cd' is not known here",
         "one of ca, sa"),
        ("signal: SIG_HLT_001", "signal: SIG_HLT_01", "SIG_HLT_01", "unknown signal SIG_HLT_01",
         "did you mean SIG_HLT_001?"),
        ("signal: SIG_HLT_001", "signal: SIG_PB_001", "signal: SIG_PB_001",
         "SIG_PB_001 is made by the playbooks themselves", "write `after:`"),
        ("condition: health_zone = 'red'", "condition: health_zoen = 'red'", "health_zoen",
         "unknown name `health_zoen`", "did you mean `health_zone`?"),
        ("condition: health_zone = 'red'", "condition: health_zone = 'rod'", "'rod'",
         "`health_zone` is never 'rod'", "did you mean 'red'?"),
        ("condition: health_zone = 'red'", "condition: health_score < '2025-01-01'",
         "'2025-01-01'", "a number is compared with a text", ""),
        ("condition: health_zone = 'red'", "condition: health_score + 1 < 3", "+ 1",
         "'+' is not part of the grammar", "published name"),
        ("why: The score is {health_score}.", "why: The score is {health_scare}.",
         "health_scare", "unknown name `health_scare`", "did you mean `health_score`?"),
        ("expect: matched", "expect: not_matched", "given: {health_score: 69}",
         "the inline test of under_line expects not_matched, the rule says matched", "mend"),
        ("{health_score: 69}", "{health_score: low}", "{health_score: low}",
         "`health_score` is a number, not 'low'", ""),
        ("  - {rule: under_line, given: {health_score: 70}, expect: not_matched}\n", "",
         "rule: under_line", "has no inline test that expects not_matched", "add one"),
        ("severity: medium, ", "", "rule: under_line", "the rule under_line has no severity",
         "defaults"),
        ("rule: in_red\n    scope: account", "rule: in_red\n    scope: call",
         "condition: health_zone = 'red'", "", ""),
        (f"id: {TRIAGE}", "id: PB_1_other", "PB_1_other", "is not the file's name", "rename"),
        ("days_past_due: 5", "days_past_due: 2", "escalation:",
         "each step must come later than the one before it", ""),
        ("{id: act,", "{id: look,", "{id: look, owner: ca, day: 10", "the step look is given twice",
         ""),
        ("rule: in_red\n", "rule: under_line\n", "rule: under_line", "also in", "own id"),
        ("auto_close: {when: trigger_clears}", "auto_close: {}", "auto_close: {}",
         "auto_close needs either `when` or `condition`", ""),
        ("name: A playbook", "name: A playbook\nname: Another", "name: Another",
         "the key `name` is given twice", "keep one"),
        ("name: A playbook", "name: [A", "", "broken YAML", ""),
        ("version: 1\n", "version: one\n", "version: one", "valid integer", ""),
        ("sla_days: 3", "sla_days: -3", "sla_days: -3", "greater than or equal to 0", ""),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_line_and_mend(
    tmp_path: Path, old: str, new: str, near: str, message: str, mend: str
) -> None:
    name = f"{TRIAGE}.yml"
    if old.startswith("rule: in_red\n    scope"):
        # `health_zone` is known for calls too; the signal of the other rule is not.
        old, new = "rule: under_line\n    scope: account", "rule: under_line\n    scope: call"
        near, message = "scope: call", "SIG_HLT_001 is about a account, the rule about a call"
        mend = "write scope: account"
    folder, text = changed(tmp_path, name, old, new)
    found = [fault for fault in faults_of(folder) if fault.file == name]
    matching = [fault for fault in found if message in fault.message]
    assert matching, [str(fault) for fault in found]
    assert any(mend in fault.mend for fault in matching)
    if near:
        lines = {fault.line for fault in matching}
        expected = {i for i, line in enumerate(text.splitlines(), start=1) if near in line}
        assert lines & expected, (lines, expected)


def test_all_faults_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    files = {
        **RULE_FILES,
        "signals.yml": RULE_FILES["signals.yml"].replace("health_score < 70", "health_scor < 70"),
        f"{FOLLOW}.yml": RULE_FILES[f"{FOLLOW}.yml"]
        .replace("health_score < 60", "health_score < 'x'")
        .replace(f"playbook: {TRIAGE}", "playbook: PB_1_triag"),
        "PB_9_broken.yml": "id: [",
        "PB_8_old.yaml": "id: PB_8_old",
    }
    found = {(fault.file, fault.message) for fault in faults_of(write_rules(tmp_path, files))}
    told = "\n".join(f"{file}: {message}" for file, message in sorted(found))
    for expected in (
        "signals.yml: unknown name `health_scor`",
        f"{FOLLOW}.yml: a number is compared with a text",
        f"{FOLLOW}.yml: unknown playbook PB_1_triag",
        "PB_9_broken.yml: broken YAML",
        "PB_8_old.yaml: rule files end in .yml",
    ):
        assert expected in told


def test_chains_that_go_round_are_refused_with_the_path(tmp_path: Path) -> None:
    folder, _ = changed(
        tmp_path,
        f"{TRIAGE}.yml",
        "    scope: account\n    signal: SIG_HLT_001\n",
        f"    scope: account\n    signal: SIG_HLT_001\n    after: {{playbook: {FOLLOW}}}\n",
    )
    [fault] = faults_of(folder)
    assert "go round" in fault.message
    assert f"{TRIAGE} -> {FOLLOW}" in fault.message or f"{FOLLOW} -> {TRIAGE}" in fault.message


def test_a_playbook_in_its_own_wake_is_refused(tmp_path: Path) -> None:
    folder, _ = changed(tmp_path, f"{FOLLOW}.yml", f"playbook: {TRIAGE}", f"playbook: {FOLLOW}")
    assert any("go round" in fault.message for fault in faults_of(folder))


def test_a_retired_id_is_not_used_again(tmp_path: Path) -> None:
    retired = f'retired:\n  - {{id: {FOLLOW}, retired_on: "2025-01-01", reason: Old.}}\n'
    folder = write_rules(tmp_path, {**RULE_FILES, "retired.yml": retired})
    [fault] = faults_of(folder)
    assert (fault.file, fault.message) == (f"{FOLLOW}.yml", f"{FOLLOW} is retired")


def test_one_rule_id_in_two_files_is_refused(tmp_path: Path) -> None:
    twin = playbook_text(
        "PB_7_twin",
        "  - {rule: still_low, scope: account, condition: health_score < 1, why: Low.}\n",
        "  - {rule: still_low, given: {health_score: 0}, expect: matched}\n"
        "  - {rule: still_low, given: {health_score: 1}, expect: not_matched}\n",
    )
    found = faults_of(write_rules(tmp_path, {**RULE_FILES, "PB_7_twin.yml": twin}))
    assert ["the rule id still_low is also in " in fault.message for fault in found] == [True]


def test_work_of_a_one_day_signal_cannot_close_when_it_clears(tmp_path: Path) -> None:
    folder, _ = changed(
        tmp_path,
        "PB_3_calls.yml",
        "auto_close: {condition: \"health_zone = 'green' and not is_zone_changed\"}",
        "auto_close: {when: trigger_clears}",
    )
    [fault] = faults_of(folder)
    assert "lasts one day" in fault.message


def test_a_draft_is_checked_and_does_not_run(tmp_path: Path) -> None:
    folder, _ = changed(tmp_path, f"{FOLLOW}.yml", "status: deployed", "status: draft")
    book = load_rules(folder)
    assert FOLLOW in book.playbooks
    assert "still_low" not in {rule.rule_id for rule in book.rules}
    assert all(FOLLOW not in layer for layer in book.strata)


def test_a_missing_folder_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    assert "no such folder" in faults_of(tmp_path / "nowhere")[0].message
    assert any("no playbook" in fault.message for fault in faults_of(tmp_path))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_cut_or_scramble_of_a_file_is_told_or_loads(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = RULE_FILES[f"{TRIAGE}.yml"]
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, 12))
    put = data.draw(st.text(alphabet="abc:{}[]'\"-#&*!|>%@ \n\t0", max_size=6))
    broken = text[:at] + put + text[at + length :]
    folder = write_rules(
        tmp_path_factory.mktemp("scrambled"), {**RULE_FILES, f"{TRIAGE}.yml": broken}
    )
    try:
        load_rules(folder)
    except ConfigError as error:
        assert error.faults
        assert all(re.match(r"\S", fault.message) for fault in error.faults)


def test_a_broken_signals_file_is_one_fault_and_no_crash(tmp_path: Path) -> None:
    folder = write_rules(tmp_path, {**RULE_FILES, "signals.yml": "signals: [\n"})
    with pytest.raises(ConfigError) as refused:
        load_rules(folder)
    assert {fault.file for fault in refused.value.faults} == {"signals.yml"}
