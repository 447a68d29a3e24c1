"""The InfoHub on the disk: what is written when, what people keep, what a crash does."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.errors import ConfigError, CspError
from dagster_project.infohub import documents, specimen
from dagster_project.infohub.facts import FactReader
from dagster_project.infohub.people import BEGIN, END
from dagster_project.infohub.store import STATE, apply_staged, archived_folders, load_state
from dagster_project.infohub.templates import Templates
from dagster_project.infohub.write import stage_infohub
from tests.unit.infohub.hub_world import (
    DAY,
    TEMPLATES,
    add,
    add_customer,
    add_day,
    add_triage,
    contents,
    open_hub_world,
    write,
)

TRIAGE_FILE = "emea/a/internal-infohub/governance/health_triage_2026-06-01.md"
PACK = "emea/a/meetings/prep/technical_checkin_2026-07-02.md"
PLAN = "emea/a/internal-infohub/actions/account_plan_2026.md"
SCORE = "emea/a/internal-infohub/governance/health_score.yaml"
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = open_hub_world()
    add_customer(con, "a")
    add_customer(con, "b")
    yield con
    con.close()


def parsed(root: Path, path: str) -> Any:
    return yaml.safe_load((root / path).read_text(encoding="utf-8"))


def note(path: Path, text: str) -> None:
    """Somebody writes into people's part of a file."""
    content = path.read_bytes()
    path.write_bytes(content.replace(END, text.encode() + b"\n" + END))


def test_an_account_has_every_file_of_the_law(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    staged, applied = write(con, tmp_path)
    assert not staged.faults
    files = contents(tmp_path)
    assert {path for path in files if path.startswith("emea/a/")} == {
        "emea/a/external-infohub/value/csp.yaml",
        "emea/a/external-infohub/value/value_tracking.yaml",
        "emea/a/external-infohub/journey/adoption_journey.yaml",
        "emea/a/meetings/cadence_tracker.yaml",
        SCORE, TRIAGE_FILE, PLAN, PACK,
    }  # fmt: skip
    assert applied.written == len(files) == 17
    for name, model in documents.DOCUMENTS.items():
        for path in files:
            if path.endswith(f"/{name}.yaml"):
                model.model_validate(parsed(tmp_path, path))


def test_what_the_files_say(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(con, tmp_path)
    plan = parsed(tmp_path, "emea/a/external-infohub/value/csp.yaml")
    assert plan["team"] == [{"role": "customer_architect", "person": "ann@example.com"}]
    assert plan["solution_areas"][0]["next_steps"] == [
        {"criterion": "20 or more detection rules active",
         "activity": "Detection rule rollout", "format": "workshop", "effort_hours": 8.0}
    ]  # fmt: skip
    value = parsed(tmp_path, "emea/a/external-infohub/value/value_tracking.yaml")
    assert value["totals"]["realised_value_usd"] == 10000.0
    assert value["objectives"][0]["progress_ratio"] == 0.5
    journey = parsed(tmp_path, "emea/a/external-infohub/journey/adoption_journey.yaml")
    area = journey["solution_areas"][0]
    assert area["is_regressed"] is True
    assert [move["kind"] for move in area["history"]] == ["demotion"]
    assert area["stages"][0]["criteria"][0]["activity_status"] == "proposed"
    score = parsed(tmp_path, SCORE)
    assert (score["score"], score["zone"], score["change"]["points"]) == (55.0, "orange", -4.5)
    assert score["components"][1]["measures"][0]["contribution"] == 30.0
    tracker = parsed(tmp_path, "emea/a/meetings/cadence_tracker.yaml")
    assert tracker["calls"][0]["interval_days"] == 14.0
    assert tracker["calls"][0]["slots"][0]["due_on"] == date(2026, 7, 2)
    triage = (tmp_path / TRIAGE_FILE).read_text(encoding="utf-8")
    for text in (
        "The score is 55.", "**adoption** (weakest)", "Adoption acceleration", "4 to 6 weeks",
        "from 2026-06-29 to 2026-07-13", "- [ ] Win back users",
        "| Look. | ann@example.com (ca) | 2026-06-02 | — | Seen. |",
    ):  # fmt: skip
        assert text in triage
    pack = (tmp_path / PACK).read_text(encoding="utf-8")
    for text in (
        "# Technical check-in with Name a, due 2026-07-02", "## Agenda (30 minutes)",
        "- [ ] Kim Secret (technical champion)", "Score **55** (orange), -4.5 points since",
        "4 people on 3 of 28 days", "says the lazy admin", "## Questions",
        "- [ ] Cause written down",
    ):  # fmt: skip
        assert text in pack
    index = parsed(tmp_path, "emea/index.yaml")
    assert [one["account_id"] for one in index["accounts"]] == ["a", "b"]
    assert "external-infohub/value/csp.yaml" in index["accounts"][0]["files"]


def test_written_twice_is_the_same_bytes_and_nothing_is_written(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path / "one")
    first = contents(tmp_path / "one")
    times = {path: (tmp_path / "one" / path).stat().st_mtime_ns for path in first}
    staged, applied = write(con, tmp_path / "one")
    assert (applied.written, staged.counts["unchanged"]) == (0, len(first))
    assert contents(tmp_path / "one") == first
    assert times == {path: (tmp_path / "one" / path).stat().st_mtime_ns for path in first}
    write(con, tmp_path / "other")
    assert contents(tmp_path / "other") == first


def test_a_days_run_rewrites_only_what_the_day_changed(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    before = contents(tmp_path)
    for account in ("a", "b"):
        add_day(con, account, NEXT, name=f"Name {account}", score=54.0)
    _, applied = write(con, tmp_path, NEXT)
    after = contents(tmp_path)
    changed = {path for path in after if before.get(path) != after[path]}
    assert changed == {
        path.replace("emea/a", f"emea/{one}") for path in (SCORE, PACK) for one in "ab"
    }
    assert applied.written == 4


def test_people_keep_their_part_and_only_it_changing_is_no_change(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    for path in (TRIAGE_FILE, PACK, PLAN):
        note(tmp_path / path, f"Mine: {path} | <b> ünïcode")
    staged, applied = write(con, tmp_path)
    assert applied.written == 0 and staged.counts["copies kept"] == 0
    add_day(con, "a", NEXT, name="Renamed", score=20.0)
    con.execute("update playbooks.actions set severity = 'critical' where account_id = 'a'")
    write(con, tmp_path, NEXT)
    for path in (TRIAGE_FILE, PACK, PLAN):
        text = (tmp_path / path).read_text(encoding="utf-8")
        assert f"Mine: {path} | <b> ünïcode\n" in text
        assert "Renamed" in text
    assert not [path for path in contents(tmp_path) if path.startswith("archive/2026-07-01/emea/a")]


def test_broken_markers_leave_the_file_and_are_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    broken = (tmp_path / PACK).read_bytes().replace(END, b"precious words")
    (tmp_path / PACK).write_bytes(broken)
    add_day(con, "a", NEXT, name="Renamed", score=20.0)
    add_day(con, "b", NEXT, name="Name b", score=20.0)
    staged, _ = write(con, tmp_path, NEXT)
    assert (tmp_path / PACK).read_bytes() == broken
    line = broken.count(b"\n", 0, broken.index(BEGIN)) + 1
    [fault] = staged.faults
    assert fault.startswith(f"{PACK}:{line}: expected one begin and one end")
    assert con.execute("select message from pipeline.infohub_faults").fetchall() == [(fault,)]
    assert b"Renamed" in (tmp_path / PLAN).read_bytes()
    # Mended, it is written again.
    (tmp_path / PACK).write_bytes(broken + b"\n" + END + b"\n")
    staged, _ = write(con, tmp_path, NEXT)
    assert not staged.faults
    assert b"Renamed" in (tmp_path / PACK).read_bytes()
    assert b"precious words" in (tmp_path / PACK).read_bytes()


def test_what_is_changed_by_hand_outside_is_kept_aside_and_listed(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    ours = contents(tmp_path)
    for path in (SCORE, PLAN):
        (tmp_path / path).write_bytes(ours[path] + b"# by hand\n")
    (tmp_path / PACK).unlink()
    staged, _ = write(con, tmp_path)
    after = contents(tmp_path)
    assert {path: after[path] for path in ours} == ours
    assert staged.counts["copies kept"] == 2
    for path in (SCORE, PLAN):
        assert after[f"archive/{DAY}/{path}"] == ours[path] + b"# by hand\n"
    listed = parsed(tmp_path, "archive/archive.yaml")["items"]
    assert sorted(one["moved_from"] for one in listed) == sorted((SCORE, PLAN))
    assert {one["reason"] for one in listed} == {"changed by hand"}


def test_two_accounts_of_one_folder_keep_what_they_had_and_the_rest_is_written(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    before = contents(tmp_path)
    add_customer(con, "c")
    con.execute("update marts.dim_account set node = 'A!' where account_id = 'b'")
    staged, _ = write(con, tmp_path)
    after = contents(tmp_path)
    assert "accounts 'a' and 'b' come to one folder emea/a" in staged.faults[0]
    assert {path: after[path] for path in before if "index" not in path} == {
        path: text for path, text in before.items() if "index" not in path
    }
    assert "emea/c/external-infohub/value/csp.yaml" in after


def test_an_account_that_left_is_archived_whole_listed_and_can_return(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    note(tmp_path / PLAN, "kept for ever")
    call = tmp_path / "emea/a/meetings/calls/2026-06-01.md"
    call.parent.mkdir()
    call.write_text("# notes of a person")
    add_day(con, "b", NEXT, name="Name b")
    con.execute("update marts.dim_account set churned_on = ? where account_id = 'a'", [NEXT])
    staged, _ = write(con, tmp_path, NEXT)
    files = contents(tmp_path)
    assert staged.counts["archived"] == 1
    assert not [path for path in files if path.startswith("emea/a/")]
    assert b"kept for ever" in files[f"archive/{NEXT}/{PLAN}"]
    assert files[f"archive/{NEXT}/emea/a/meetings/calls/2026-06-01.md"] == b"# notes of a person"
    assert parsed(tmp_path, "archive/archive.yaml")["items"] == [
        {"archived_on": NEXT, "account_id": "a", "reason": f"left on {NEXT}",
         "moved_from": "emea/a", "moved_to": f"archive/{NEXT}/emea/a"}
    ]  # fmt: skip
    assert [one["node"] for one in parsed(tmp_path, "emea/index.yaml")["accounts"]] == ["b"]
    assert archived_folders(tmp_path) == {f"archive/{NEXT}/emea/a": "a"}
    # The churn was a mistake: the folder comes back with all that stood in it.
    add_day(con, "a", NEXT, name="Name a")
    con.execute("update marts.dim_account set churned_on = null")
    write(con, tmp_path, NEXT)
    assert "kept for ever" in (tmp_path / PLAN).read_text(encoding="utf-8")
    assert call.read_text() == "# notes of a person"
    assert not (tmp_path / f"archive/{NEXT}/emea/a").exists()
    assert archived_folders(tmp_path) == {}
    reasons = [one["reason"] for one in parsed(tmp_path, "archive/archive.yaml")["items"]]
    assert reasons == [f"left on {NEXT}", "returned"]


def test_a_folder_follows_its_account_and_two_can_swap(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    note(tmp_path / PLAN, "of a")
    con.execute(
        "update marts.dim_account set node = case account_id when 'a' then 'b' else 'a' end"
    )
    staged, _ = write(con, tmp_path)
    assert staged.counts["folders moved"] == 2 and not staged.faults
    assert "of a" in (tmp_path / PLAN.replace("emea/a", "emea/b")).read_text(encoding="utf-8")
    owners = {
        one["node"]: one["account_id"] for one in parsed(tmp_path, "emea/index.yaml")["accounts"]
    }
    assert owners == {"a": "b", "b": "a"}
    con.execute("update marts.dim_account set realm = 'apac', node = 'x' where account_id = 'a'")
    write(con, tmp_path)
    assert "of a" in (tmp_path / PLAN.replace("emea/a", "apac/x")).read_text(encoding="utf-8")
    assert not (tmp_path / "emea/b").exists()
    assert (
        parsed(tmp_path, "apac/x/external-infohub/value/csp.yaml")["account"]["account_id"] == "a"
    )


def test_a_folder_is_not_moved_onto_somebodys_files(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    (tmp_path / "emea/new").mkdir()
    (tmp_path / "emea/new/mine.txt").write_text("mine")
    con.execute("update marts.dim_account set node = 'new' where account_id = 'a'")
    before = contents(tmp_path)
    staged, _ = write(con, tmp_path)
    assert "where somebody has put files" in staged.faults[0]
    assert contents(tmp_path) == before


def test_who_stays_stands_in_the_way_of_who_comes(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    add_customer(con, "c")
    write(con, tmp_path)
    before = contents(tmp_path)
    (tmp_path / "emea/new").mkdir()
    (tmp_path / "emea/new/mine.txt").write_text("mine")
    for account, node in (("a", "new"), ("b", "a"), ("c", "b")):
        con.execute("update marts.dim_account set node = ? where account_id = ?", [node, account])
    staged, _ = write(con, tmp_path)
    assert len(staged.faults) == 3
    assert contents(tmp_path) == before | {"emea/new/mine.txt": b"mine"}


_DAYS = "intermediate.int_core__account_days"


@cache
def _shared_world() -> duckdb.DuckDBPyConnection:
    return open_hub_world()


@settings(max_examples=6, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3),
        min_size=2, max_size=5,
    )
)  # fmt: skip
def test_words_follow_their_account_wherever_it_goes(days: list[dict[str, str]]) -> None:
    """Accounts come, go, swap and collide; nobody's words are lost or come to another."""
    con = _shared_world()
    with tempfile.TemporaryDirectory() as name:
        root, noted = Path(name), set[str]()
        for number, nodes in enumerate(days):
            day = DAY + timedelta(days=number)
            for table in ("marts.dim_account", "marts.fct_account_health_daily", _DAYS):
                con.execute(f"delete from {table}")
            for account, node in nodes.items():
                add(con, "marts.dim_account", account_id=account, realm="r", node=node)
                add_day(con, account, day, name=account)
            write(con, root, day)
            for path in root.glob("r/*/internal-infohub/actions/*.md"):
                owner = path.read_text(encoding="utf-8").split("\n", 1)[0][-1]
                if owner not in noted:
                    note(path, f"words of {owner}")
                    noted.add(owner)
            found = {
                (path.split("/")[-4], text.split(b"\n", 1)[0][-1:].decode(), word.decode())
                for path, text in contents(root).items()
                if path.endswith(".md")
                for word in re.findall(rb"words of (\w)", text)
            }
            assert {word for *_, word in found} == noted
            assert all(owner == word for _, owner, word in found)
            folders = [one.folder for one in load_state(root).accounts.values()]
            assert len(set(folders)) == len(folders)


def test_a_pack_follows_its_call_and_is_archived_long_after(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    note(tmp_path / PACK, "ask about the migration")
    con.execute("update marts.fct_cadence_slot set due_on = '2026-07-01' where account_id = 'a'")
    write(con, tmp_path)
    moved = PACK.replace("07-02", "07-01")
    assert not (tmp_path / PACK).exists()
    assert "ask about the migration" in (tmp_path / moved).read_text(encoding="utf-8")
    con.execute("update marts.fct_cadence_slot set status = 'met'")
    # The other account's pack is taken away by hand: no list speaks of it any more.
    (tmp_path / PACK.replace("emea/a", "emea/b")).unlink()
    frozen = (tmp_path / moved).read_bytes()
    for later, is_there in ((NEXT, True), (DAY + timedelta(days=70), False)):
        for account in ("a", "b"):
            add_day(con, account, later, name=f"Name {account}", score=1.0)
        write(con, tmp_path, later)
        assert (tmp_path / moved).exists() is is_there
        packs = [
            path
            for account in parsed(tmp_path, "emea/index.yaml")["accounts"]
            for path in account["files"]
            if "prep" in path
        ]
        assert packs == ([moved.removeprefix("emea/a/")] if is_there else [])
    assert (tmp_path / f"archive/{later}/{moved}").read_bytes() == frozen
    reasons = {one["reason"] for one in parsed(tmp_path, "archive/archive.yaml")["items"]}
    assert reasons == {"the call is long past"}


def test_an_open_report_follows_its_action_and_a_closed_one_is_history(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    con.execute(
        "update playbooks.actions set status = 'closed', close_reason = 'recovered', closed_on = ? "
        "where account_id = 'a'", [DAY]
    )  # fmt: skip
    write(con, tmp_path)
    closed = (tmp_path / TRIAGE_FILE).read_text(encoding="utf-8")
    assert f"closed, recovered on {DAY}" in closed
    con.execute("update intermediate.int_core__account_days set owner_ca = 'new@example.com'")
    write(con, tmp_path)
    assert (tmp_path / TRIAGE_FILE).read_text(encoding="utf-8") == closed
    other = (tmp_path / TRIAGE_FILE.replace("emea/a", "emea/b")).read_text(encoding="utf-8")
    assert "new@example.com" not in other.split("## Plan")[0].split("| Owner |")[0]


def test_a_report_of_a_restated_day_is_rewritten(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    opened_on = date(2026, 6, 29)
    add_day(con, "a", opened_on, name="Name a", score=50.0)
    add_triage(con, "a", opened_on)
    write(con, tmp_path)
    path = tmp_path / f"emea/a/internal-infohub/governance/health_triage_{opened_on}.md"
    assert "Score 50 (orange)" in path.read_text(encoding="utf-8")
    con.execute(
        "update marts.fct_account_health_daily set health_score = 44 where as_of_date = ?",
        [opened_on],
    )
    # A run that did not compute the day has no reason to look.
    write(con, tmp_path, from_date=DAY)
    assert "Score 50 (orange)" in path.read_text(encoding="utf-8")
    write(con, tmp_path, from_date=opened_on)
    assert "Score 44 (orange)" in path.read_text(encoding="utf-8")


def test_next_years_plan_is_written_from_the_fourth_quarter_on(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    con.execute("update intermediate.int_core__account_days set as_of_date = '2026-10-01'")
    write(con, tmp_path, date(2026, 10, 1))
    plans = [path for path in contents(tmp_path) if "account_plan" in path and "/a/" in path]
    assert [path[-7:-3] for path in plans] == ["2026", "2027"]


def test_nothing_internal_is_in_any_external_file(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    external = {
        path: text for path, text in contents(tmp_path).items() if "external-infohub/" in path
    }
    assert len(external) == 6
    for text in external.values():
        for word in (
            b"Secret", b"frozen", b"secretly", b"lazy", b"orange", b"55.0", b"-4.5", b"triage",
            b"enterprise", b"120000", b"risk", b"score", b"zone",
        ):  # fmt: skip
            assert word not in text.lower() if word.islower() else word not in text


def test_a_name_cannot_break_out_of_its_file(tmp_path: Path) -> None:
    con = open_hub_world()
    name = 'Evil\n# Heading | <!-- people: end --> [x](http://e.example) "quoted: &anchor'
    add_customer(con, "a", name=name)
    staged, _ = write(con, tmp_path)
    assert not staged.faults
    csp = parsed(tmp_path, "emea/a/external-infohub/value/csp.yaml")
    assert csp["account"]["account_name"] == name
    for path in (TRIAGE_FILE, PACK, PLAN):
        text = (tmp_path / path).read_text(encoding="utf-8")
        assert "\n# Heading" not in text
        assert text.count("<!-- people: end -->") == 1
        assert "](http://" not in text and "\\[x\\]" in text


def test_a_linked_folder_is_named_and_nothing_is_written_through_it(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    outside, root = tmp_path / "outside", tmp_path / "hub"
    outside.mkdir()
    (root / "emea/a").mkdir(parents=True)
    (root / "emea/a/external-infohub").symlink_to(outside)
    staged, _ = write(con, root)
    assert len(staged.faults) == 3 and all("is a link" in fault for fault in staged.faults)
    assert not list(outside.iterdir())
    assert (root / "emea/b/external-infohub/value/csp.yaml").exists()


def test_staging_alone_changes_nothing_and_a_day_that_was_not_staged_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    stage_infohub(con, tmp_path, TEMPLATES, DAY, DAY)
    assert contents(tmp_path) == {}
    with pytest.raises(CspError, match="no change of the InfoHub is staged for 2026-07-01"):
        apply_staged(tmp_path, NEXT)
    assert contents(tmp_path) == {}
    apply_staged(tmp_path, DAY)
    assert len(contents(tmp_path)) == 17
    assert apply_staged(tmp_path, DAY).written == 0


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("survives", range(0, 24, 3))
def test_a_killed_run_is_finished_by_the_next(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, survives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any of its renames, the folders are whole, old or new, after the next run."""
    add_customer(con, "gone")
    for root in (tmp_path / "killed", tmp_path / "spared"):
        write(con, root)
        note(root / PLAN, "words")
    con.execute(
        "update marts.dim_account set node = case account_id when 'a' then 'b' else 'a' end "
        "where account_id in ('a', 'b')"
    )
    con.execute("delete from intermediate.int_core__account_days where account_id = 'gone'")
    con.execute("update marts.fct_account_health_daily set health_score = 12")
    write(con, tmp_path / "spared")

    stage_infohub(con, tmp_path / "killed", TEMPLATES, DAY, DAY)
    left = survives
    real_replace, real_rename = os.replace, os.rename

    def dying(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying(real_replace))
        patch.setattr(os, "rename", dying(real_rename))
        try:
            apply_staged(tmp_path / "killed", DAY)
        except Killed:
            assert left == 0
    write(con, tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "spared")
    assert not (tmp_path / "killed" / ".applying").exists()


def test_words_written_while_the_run_works_are_kept(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(con, tmp_path)
    add_day(con, "a", NEXT, name="Renamed")
    stage_infohub(con, tmp_path, TEMPLATES, NEXT, NEXT)
    note(tmp_path / PACK, "just now")
    apply_staged(tmp_path, NEXT)
    text = (tmp_path / PACK).read_text(encoding="utf-8")
    assert "just now" in text and "Renamed" in text


def test_a_lost_state_keeps_every_word(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(con, tmp_path)
    note(tmp_path / PLAN, "words")
    (tmp_path / SCORE).write_text("by: hand\n")
    before = contents(tmp_path)
    (tmp_path / STATE).unlink()
    write(con, tmp_path)
    after = contents(tmp_path)
    assert after[f"archive/{DAY}/{SCORE}"] == b"by: hand\n"
    assert {path for path in before if before[path] != after[path]} == {SCORE}
    (tmp_path / STATE).write_text('{"version": 99}')
    with pytest.raises(CspError, match="restore it from a backup"):
        load_state(tmp_path)


def test_the_specimen_has_the_columns_of_the_queries(con: duckdb.DuckDBPyConnection) -> None:
    """Templates are checked on the specimen: it must not promise what a run does not give."""
    FactReader(con, DAY, ["a"])
    for subject, rows in {**specimen.ROWS, "accounts": [specimen.ACCOUNT]}.items():
        columns = {name for name, *_ in con.execute(f"describe hub_{subject}").fetchall()}
        if subject == "health":
            assert set(rows[0]) <= columns
            continue
        why = {"why"} if subject in {"actions", "triages"} else set()
        assert set(rows[0]) - why == columns - why, subject


def test_shipped_templates_are_whole_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    names = [path.name for path in sorted((TEMPLATES / "prep").glob("[a-z]*.j2"))]
    assert len(names) == 4
    assert specimen.check_templates(TEMPLATES, names) == []
    folder = tmp_path / "playbook_rules" / "templates"
    for name, text in {
        "health_triage.md.j2": "{{ triage.why }}\n\n{{ nothing.at_all }}\n{{ people_block() }}\n",
        "account_plan.md.j2": "# {{ account.account_id }}\n",
        "prep/one.md.j2": "ok\n{% if %}\n",
        "prep/two.md.j2": "{{ ''.__class__.__mro__ }}{{ people_block() }}\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    faults = specimen.check_templates(folder, ["one.md.j2", "two.md.j2", "missing.md.j2"])
    assert [(fault.file, fault.line) for fault in faults] == [
        ("playbook_rules/templates/account_plan.md.j2", 0),
        ("playbook_rules/templates/health_triage.md.j2", 3),
        ("playbook_rules/templates/prep/missing.md.j2", 0),
        ("playbook_rules/templates/prep/one.md.j2", 2),
        ("playbook_rules/templates/prep/two.md.j2", 1),
    ]
    with pytest.raises(ConfigError, match="health_triage.md.j2:3"):
        Templates(folder).render("health_triage.md.j2", {"triage": {"why": "x"}})


def test_what_was_promised_in_a_call_stands_in_its_own_words(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    add(con, "playbooks.actions", action_id="act_m", source="meeting", account_id="a",
        title="Send <b>the list</b> | [now](http://x)", owner_role="meeting_notes", owner="Bo",
        severity="medium", status="open", escalation_level=0, opened_on=DAY, due_on=DAY,
        plan_due_on=DAY,
        evidence=f'{{"held_on": "{DAY}", "call_type": "business_review"}}')  # fmt: skip
    write(con, tmp_path)
    for path in (PLAN, PACK):
        text = (tmp_path / path).read_text(encoding="utf-8")
        (line,) = [line for line in text.splitlines() if "Send" in line]
        assert "<b>" not in line and "\\[now\\](" in line
        assert "Promised in the call of" in line and "None" not in line
    for path, content in contents(tmp_path).items():
        assert "external-infohub" not in path or b"the list" not in content, path
