"""Two independent counts of the same dirt: what the sample put in, and what ingestion found."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from dagster_project.contracts import CONTRACTS
from dagster_project.sampling import SampleOptions, write_sample
from dagster_project.sampling.options import FileFormat
from tests.unit.ingestion_world import World

RULE_OF_KIND = {
    "duplicate": "duplicate_key",
    "bad_enum": "in_list",
    "bad_number": "type",
    "bad_date": "type",
    "negative": "in_range",
    "missing": "required",
}


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_every_dirtied_row_is_found_and_no_other(tmp_path: Path, file_format: FileFormat) -> None:
    landing = tmp_path / "landing"
    write_sample(landing, SampleOptions(accounts=25, days=100, dirt=True, file_format=file_format))
    totals = json.loads((landing / "dirt.json").read_text())["totals"]
    expected: dict[str, Counter[str]] = {}
    for table, kinds in totals.items():
        rules: Counter[str] = Counter()
        for kind, rows in kinds.items():
            if kind in RULE_OF_KIND:
                rules[RULE_OF_KIND[kind]] += rows
        expected[table] = rules
    assert sum(sum(rules.values()) for rules in expected.values()) > 30

    world = World(landing)
    result = world.run()
    found = {
        name: Counter(
            dict(world.rows(f"select rule, count(*) from {contract.rejects_table} group by 1"))
        )
        for name, contract in CONTRACTS.items()
    }
    assert {name: rules for name, rules in found.items() if rules} == {
        name: rules for name, rules in expected.items() if rules
    }
    assert result.rejected_rows == sum(sum(rules.values()) for rules in expected.values())
    latin = sum(kinds.get("latin_1", 0) for kinds in totals.values())
    flags = dict(world.rows("select flag, sum(row_count) from pipeline.quality_flags group by 1"))
    assert flags == ({"decoded_windows_1252": latin} if latin else {})
    assert result.warnings == ("dirt.json: not read: extracts stand in <source>/<table>/",)
    assert result.refused_sources == ()
