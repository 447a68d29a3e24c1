"""The words of policy that meeting notes may use, from the seeds."""

from __future__ import annotations

from pathlib import Path

from dagster_project.infohub.notes_form import NoteWords, plain
from dagster_project.policy import OTHER_CALL, load_policy


def load_note_words(seeds: Path) -> NoteWords:
    """Read what notes may say from the policy seeds under `seeds`.

    Raises:
        ConfigError: the seeds have faults; all are named.
    """
    policy = load_policy(seeds)
    said: dict[str, dict[str, str]] = {}
    for row in policy.rows("note_words"):
        said.setdefault(row["subject"], {})[plain(row["word"])] = str(row["meaning"] or "")
    call_types = {plain(OTHER_CALL): OTHER_CALL} | said.get("call_type", {})
    for row in policy.rows("call_types"):
        call_types[plain(row["call_name"] or row["call_type"])] = row["call_type"]
        call_types[plain(row["call_type"])] = row["call_type"]
    return NoteWords(
        call_types=call_types,
        sentiments={word: float(value) for word, value in said.get("sentiment", {}).items()},
        headings=frozenset(said.get("heading", {})),
        executive_roles=frozenset(said.get("executive_role", {})),
        solution_areas=tuple(
            sorted(str(area) for area in policy.values("solution_areas", "solution_area"))
        ),
        blocker_categories=tuple(
            sorted(str(word) for word in policy.values("blocker_categories", "category"))
        ),
        evidence_areas={
            row["criterion_id"]: row["solution_area"]
            for row in policy.rows("stage_criteria")
            if row["kind"] == "evidence"
        },
    )
