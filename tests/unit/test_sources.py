from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dagster_project.errors import ConfigError, CspError
from dagster_project.ingestion import load_mapping, newest_extract
from dagster_project.ingestion.mapping import shipped_names
from tests.unit.ingestion_world import WORDS, World, summary

VENDOR = """\
version: 1
name: vendor
description: a vendor with dates and words of its own
files:
  people:
    path: export/people_*.csv
    key: [id]
    extracted_on: {from_name: 'people_(.+)\\.csv'}
    columns:
      id: text
      label: text
      plan: text
      joined: {type: date, format: '%d.%m.%Y'}
      worth: number
      gone: boolean
  leavings:
    path: export/leavings_*.csv
    extracted_on: {from_name: '_(.+)\\.csv'}
    columns:
      person: text
      day: {type: date, format: '%d.%m.%Y'}
      counts: boolean
  regions:
    path: regions.csv
    key: [person]
    extracted_on: {constant: 2026-01-01}
    columns: {person: text, region: text}
tables:
  crm/accounts:
    from: people
    where: plan <> 'test'
    join:
      - file: leavings
        by: {id: person}
        where: counts
        take:
          left_on: {max: day}
          times_left: {count: day}
          ever_left: {any: counts}
      - file: regions
        by: {id: person}
        take: {region: region}
    columns:
      account_id: id
      account_name: {expression: "upper(label)"}
      tier: {from: plan, map: {gold: strategic, iron: commercial}}
      segment: {from: plan, map: {gold: big}, otherwise: small}
      industry: {constant: retail}
      region: region
      arr_usd: {expression: "worth * 12"}
      customer_since_on: joined
      churned_on: {expression: case when gone then left_on end}
      is_at_risk: {expression: times_left > 1 or (ever_left and not gone)}
    checks:
      - {flag: left_more_than_once, when: times_left > 1, message: left more than once}
      - {reject: no_worth, when: worth is null and plan = 'gold', message: gold without a worth}
"""

PEOPLE = """\
ID;label;plan;joined;worth;gone
p1;one;gold;01.02.2025;10.5;no
p2;two;iron;02.02.2025;;yes
p2;again;iron;02.02.2025;;yes
p3;three;lead;02.02.2025;1;no
p4;four;gold;02.02.2025;;no
p5;five;gold;2025-02-02;1;no
p6;six;test;02.02.2025;1;no
p7;seven;iron;02.02.2025;1;no;7
"""
LEAVINGS = """\
person,day,counts
p2,01.03.2025,yes
p2,05.03.2025,yes
p2,09.03.2025,no
p1,01.04.2025,yes
p9,never,yes
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "landing")
    world.put("sources.yml", VENDOR)
    world.put("export/people_2026-01-02.csv", PEOPLE)
    world.put("export/leavings_2026-01-01.csv", LEAVINGS)
    world.put("regions.csv", "person,region\np1,EMEA\np1,APAC\n")
    world.mapping = load_mapping(None, world.landing, WORDS)
    return world


def test_a_vendor_s_files_become_canonical_rows(world: World) -> None:
    result = world.run()
    assert newest_extract(world.landing, world.mapping) == date(2026, 1, 2)
    assert world.rows(
        "select account_id, account_name, tier, segment, industry, region, "
        "cast(arr_usd as double), customer_since_on, churned_on, is_at_risk, _extracted_on, "
        "_source_file, _source_line from raw_crm.accounts order by all"
    ) == [
        ("p1", "ONE", "strategic", "big", "retail", "EMEA", 126.0, date(2025, 2, 1), None, True,
         date(2026, 1, 2), "export/people_2026-01-02.csv", 2),
        ("p2", "TWO", "commercial", "small", "retail", None, None, date(2025, 2, 2),
         date(2025, 3, 5), True, date(2026, 1, 2), "export/people_2026-01-02.csv", 3),
    ]  # fmt: skip
    assert world.rows(
        'select line, rule, "column", value, message from raw_crm.accounts__rejects order by all'
    ) == [
        (4, "duplicate_key", "id", "p2",
         "repeats id of line 3; the first row was kept, deliver each row once"),
        (5, "not_mapped", "plan", "lead", "plan has no canonical tier; add it to the map"),
        (6, "no_worth", "worth, plan", "gold", "gold without a worth"),
        (7, "type", "joined", "2025-02-02", "joined is not a date"),
        (9, "ragged_line", None, "p7;seven;iron;02.02.2025;1;no;7",
         "the line has 7 cells, the header 6"),
    ]  # fmt: skip
    assert world.rows("select flag, row_count from pipeline.quality_flags order by all") == [
        ("left_more_than_once", 2),
        ("unreadable_leavings_row", 1),
    ]
    accounts = summary(result, "crm/accounts")
    assert (accounts.read_rows, accounts.accepted_rows, accounts.rejected_rows) == (7, 2, 5)


def test_a_change_in_any_file_or_in_the_mapping_is_read(world: World) -> None:
    world.run()
    assert world.run().file_count == 0
    world.put("regions.csv", "person,region\np1,APAC\n")
    assert world.run().file_count == 1
    assert ("APAC",) in world.rows("select region from raw_crm.accounts")
    world.put("sources.yml", VENDOR.replace("retail", "steel"))
    world.mapping = load_mapping(None, world.landing, WORDS)
    assert world.run().file_count == 1
    assert set(world.rows("select industry from raw_crm.accounts")) == {("steel",)}


def test_a_joined_file_of_a_later_day_is_not_known_yet(world: World) -> None:
    world.put("export/leavings_2026-01-03.csv", "person,day,counts\np2,09.09.2025,yes\n")
    world.run()
    assert (date(2025, 3, 5),) in world.rows("select churned_on from raw_crm.accounts")
    world.put("export/people_2026-01-03.csv", PEOPLE)
    world.run()
    assert (date(2025, 9, 9),) in world.rows("select churned_on from raw_crm.accounts")


def test_a_missing_joined_file_refuses_the_table(world: World) -> None:
    (world.landing / "regions.csv").unlink()
    result = world.run()
    (refusal,) = summary(result, "crm/accounts").refusals
    assert "needs regions.csv" in refusal
    assert any("regions.csv: no such file" in warning for warning in result.warnings)


def test_a_column_the_vendor_dropped_refuses_the_file(world: World) -> None:
    world.put("export/people_2026-01-02.csv", PEOPLE.replace("plan", "product"))
    (refusal,) = summary(world.run(), "crm/accounts").refusals
    assert "has no column plan" in refusal


def test_files_outside_the_mapping_are_named(world: World) -> None:
    world.put("export/other.csv", "x\n")
    assert world.run().warnings == ("export/other.csv: not read: no file of the mapping vendor",)


def test_a_folder_without_the_vendor_s_files_is_said(world: World, tmp_path: Path) -> None:
    world.landing = tmp_path / "empty"
    with pytest.raises(ConfigError, match="no such landing folder"):
        world.run()
    world.landing.mkdir()
    with pytest.raises(CspError, match="holds none of the files of the mapping vendor"):
        world.run()


def test_a_name_without_a_date_is_said(world: World) -> None:
    world.put("export/people_today.csv", PEOPLE)
    with pytest.raises(CspError, match=r"people_today\.csv: its name gives no extract date"):
        world.run()


# -- faults ---------------------------------------------------------------------------------------


def _faults(tmp_path: Path, text: str) -> list[tuple[int, str, str]]:
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_mapping(str(path), tmp_path, WORDS)
    assert error.value.faults
    assert all(fault.file == "bad.yml" for fault in error.value.faults)
    return [(fault.line, fault.message, fault.mend) for fault in error.value.faults]


def _line(fragment: str, text: str = VENDOR) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if fragment in line)


@pytest.mark.parametrize(
    ("old", "new", "message", "mend"),
    [
        ("description: a", "descripton: a", "unknown key `descripton`",
         "did you mean `description`?"),
        ("    key: [id]", "    kei: [id]", "unknown key `kei`", "did you mean `key`?"),
        ("version: 1", "version: 2", "Input should be 1", ""),
        ("worth: number", "worth: money", "Input should be", ""),
        ("key: [id]", "key: [idd]", "people has no column idd here", "did you mean `id`?"),
        ("      label: text", "      Label: text", "column names are read in lower case", "label"),
        ("path: regions.csv", "path: ../regions.csv", "leaves the landing folder", "below it"),
        ("path: regions.csv", "path: regions.xlsx", "is no known format", ".csv"),
        ("'people_(.+)\\.csv'", "'people_.+'", "needs one group", "(\\d{4}"),
        ("'people_(.+)\\.csv'", "'people_(('", "is no pattern", ""),
        ("{constant: 2026-01-01}", "{newest_of: [people.label]}", "is a text, not a date", ""),
        ("{constant: 2026-01-01}", "{constant: 2026-01-01, newest_of: [people.joined]}",
         "give exactly one of from_name, constant, newest_of", ""),
        ("  crm/accounts:", "  crm/acounts:", "there is no table crm/acounts",
         "did you mean `crm/accounts`?"),
        ("    from: people", "    from: peple", "there is no file peple", "did you mean `people`?"),
        ("where: plan <> 'test'", "where: plann <> 'test'", "unknown name `plann`",
         "did you mean `plan`?"),
        ("where: counts", "where: counts + 1", "boolean + number has no meaning", ""),
        ("by: {id: person}", "by: {worth: person}", "worth is a number, person a text",
         "one type"),
        ("left_on: {max: day}", "plan: {max: day}", "the name plan is taken", "another name"),
        ("left_on: {max: day}", "left_on: day", "leavings may have several rows here", "max"),
        ("left_on: {max: day}", "left_on: {max: day, min: day}",
         "give exactly one of min, max", ""),
        ("ever_left: {any: counts}", "ever_left: {any: day}", "any needs a boolean, day is a date",
         ""),
        ("      account_id: id", "      account_idd: id", "crm/accounts has no column account_idd",
         "did you mean `account_id`?"),
        ("      customer_since_on: joined", "", "nothing feeds the required customer_since_on",
         "map it"),
        ("customer_since_on: joined", "customer_since_on: label",
         "customer_since_on is a date, this gives a text", "cast it"),
        ("gold: strategic", "gold: platinum", "tier is never 'platinum'", "strategic"),
        ("map: {gold: big}, otherwise: small", "otherwise: small", "otherwise needs a map", ""),
        ("industry: {constant: retail}", "industry: {constant: 7}",
         "industry is a text, not 7", ""),
        ("tier: {from: plan, map: {gold: strategic, iron: commercial}}",
         "tier: {constant: platinum}", "tier is never 'platinum'", "strategic"),
        ("worth * 12", "worht * 12", "unknown name `worht`", "did you mean `worth`?"),
        ("worth * 12", "sleep(12)", "the function sleep is not part of the grammar", "known"),
        ("{reject: no_worth, when", "{reject: left_more_than_once, when",
         "two checks are called left_more_than_once", "rename one"),
        ("{flag: left_more_than_once, when", "{flag: x, reject: y, when",
         "give exactly one of flag, reject", ""),
        ("{flag: left_more_than_once, when: times_left > 1",
         "{flag: left_more_than_once, when: times_left", "a boolean is needed", "comparison"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line_and_the_mend(
    tmp_path: Path, old: str, new: str, message: str, mend: str
) -> None:
    text = VENDOR.replace(old, new, 1)
    assert text != VENDOR
    faults = _faults(tmp_path, text)
    found = [fault for fault in faults if message in fault[1] and mend in fault[2]]
    assert found, faults
    if new:
        assert _line(new.strip(), text) in {line for line, *_ in found}


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    text = (
        VENDOR.replace("key: [id]", "key: [idd]")
        .replace("gold: strategic", "gold: platinum")
        .replace("worth * 12", "worht * 12")
    )
    assert [line for line, *_ in _faults(tmp_path, text)] == [
        _line("key: [id]"),
        _line("gold: strategic"),
        _line("worth * 12"),
    ]


def test_broken_yaml_is_a_fault(tmp_path: Path) -> None:
    assert "broken YAML" in _faults(tmp_path, "version: [1\n")[0][1]
    assert _faults(tmp_path, "just text\n")


def test_an_unknown_mapping_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean ravenstack"):
        load_mapping("ravenstak", tmp_path, WORDS)
    assert load_mapping(None, tmp_path, WORDS) is None


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_mappings_are_whole(name: str, tmp_path: Path) -> None:
    mapping = load_mapping(name, tmp_path, WORDS)
    assert mapping is not None
    assert mapping.name == name
