"""The account folders of the real job, read through: whole, true, and nothing internal outside."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from pathlib import Path

import duckdb
import icalendar
import pytest
import yaml

from dagster_project.infohub import documents
from dagster_project.infohub.people import split
from dagster_project.infohub.store import apply_staged
from dagster_project.infohub.write import stage_infohub
from dagster_project.reporting.summary import run_summary
from tests.integration.conftest import FIRST_DAY, LAST_DAY, Installation
from tests.unit.infohub.hub_world import contents

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hub(backfilled: Installation) -> Path:
    return backfilled.settings.infohub


@pytest.fixture(scope="module")
def con(backfilled: Installation) -> duckdb.DuckDBPyConnection:
    """The build file, copied, so that the session's own is never held."""
    # Of the same name: the ledger's function names its catalogue.
    copy = backfilled.data_dir / "copied" / backfilled.settings.warehouse.name
    copy.parent.mkdir()
    shutil.copyfile(backfilled.settings.warehouse, copy)
    return duckdb.connect(str(copy))


def test_every_customer_has_a_whole_folder(hub: Path, con: duckdb.DuckDBPyConnection) -> None:
    places = dict(
        con.execute(
            "select days.account_id, account.realm || '/' || account.node "
            "from intermediate.int_core__account_days as days "
            "inner join marts.dim_account as account on days.account_id = account.account_id "
            "where days.as_of_date = ?",
            [LAST_DAY],
        ).fetchall()
    )
    assert len(places) >= 6
    files: defaultdict[str, set[str]] = defaultdict(set)
    for path in contents(hub):
        realm, _, rest = path.partition("/")
        node, _, name = rest.partition("/")
        if name:
            files[f"{realm}/{node}"].add(name)
    assert set(files) == set(places.values())
    triages = con.execute(
        "select account_id, opened_on from playbooks.actions "
        "where playbook_id = 'PB_CS_301_health_triage'"
    ).fetchall()
    calls = con.execute(
        "select slot.account_id, slot.call_type, slot.due_on "
        "from marts.fct_cadence_slot as slot "
        "inner join policy.infohub_calls as setting on slot.call_type = setting.call_type "
        "where status = 'open' and slot.due_on - setting.prep_lead_days::integer <= ? "
        "and grace_ends_on >= ?",
        [LAST_DAY, LAST_DAY],
    ).fetchall()
    assert triages and calls
    for account_id, folder in places.items():
        assert files[folder] == {
            "external-infohub/value/csp.yaml",
            "external-infohub/value/value_tracking.yaml",
            "external-infohub/journey/adoption_journey.yaml",
            "internal-infohub/governance/health_score.yaml",
            f"internal-infohub/actions/account_plan_{LAST_DAY.year}.md",
            "meetings/cadence_tracker.yaml",
            *(
                f"internal-infohub/governance/health_triage_{opened_on}.md"
                for of, opened_on in triages
                if of == account_id
            ),
            *(
                f"meetings/prep/{call_type}_{due_on}.md"
                for of, call_type, due_on in calls
                if of == account_id
            ),
        }


def test_every_document_follows_its_schema_and_tells_the_published_facts(
    hub: Path, con: duckdb.DuckDBPyConnection
) -> None:
    scores = dict(
        con.execute(
            "select account_id, health_score from marts.fct_account_health_daily "
            "where as_of_date = ?",
            [LAST_DAY],
        ).fetchall()
    )
    stages = {
        (account_id, area): stage
        for account_id, area, stage in con.execute(
            "select account_id, solution_area, stage from marts.fct_stage_daily "
            "where as_of_date = ?",
            [LAST_DAY],
        ).fetchall()
    }
    seen_scores, seen_stages = {}, {}
    for path, content in contents(hub).items():
        if path.endswith(".md"):
            assert split(content).block == b"\n"
            assert b"\n\n\n" not in content
            continue
        document = yaml.safe_load(content)
        model = documents.DOCUMENTS[Path(path).stem]
        model.model_validate(document)
        if path.endswith("health_score.yaml"):
            seen_scores[document["account"]["account_id"]] = document["score"]
            if document["change"]:
                moves = sum(move["points"] for move in document["change"]["moves"])
                assert moves == pytest.approx(document["change"]["points"], abs=0.3)
        if path.endswith("adoption_journey.yaml"):
            for area in document["solution_areas"]:
                key = (document["account"]["account_id"], area["solution_area"])
                seen_stages[key] = area["stage"]
    assert seen_stages == stages
    assert seen_scores == {
        account_id: score if score is None else pytest.approx(score, abs=0.005)
        for account_id, score in scores.items()
    }


def test_no_internal_fact_is_in_any_external_file(
    hub: Path, con: duckdb.DuckDBPyConnection
) -> None:
    """Walks every external file: no internal word, no note of ours, no person of theirs."""
    words = {"risk", "score", "zone", "health", "triage", "pulse", "sentiment", "churn", "tier",
             "override", "stalled", "governance", "escalation"}  # fmt: skip
    secrets = {
        str(text)
        for (text,) in con.execute(
            """
            select note from staging.stg_crm__risk_flags where note is not null
            union all select description from staging.stg_crm__adoption_blockers
            union all select contact_name from staging.stg_crm__contacts
            union all select email from staging.stg_crm__contacts
            union all select owner_governance from marts.dim_account
            union all select action_id from playbooks.actions
            """
        ).fetchall()
        if text
    }
    names = {
        str(name)
        for (name,) in con.execute("select account_name from marts.dim_account").fetchall()
    }
    walked = 0
    for path, content in contents(hub).items():
        if "/external-infohub/" not in path:
            continue
        walked += 1
        text = content.decode()
        assert not {secret for secret in secrets if secret in text}, path
        for name in names:
            text = text.replace(name, "")
        keys = set(re.findall(r"^[ -]*([a-z_]+):", text, re.M))
        assert not {key for key in keys if set(key.split("_")) & words}, path
        values = set(re.findall(r"[a-z]+", text.lower())) & {"orange", "yellow", "red", "green"}
        assert not values, path
    assert walked % 3 == 0 and walked >= 18


def test_written_again_nothing_changes(
    backfilled: Installation, con: duckdb.DuckDBPyConnection, hub: Path, tmp_path: Path
) -> None:
    settings = backfilled.settings
    again = tmp_path / "again"
    shutil.copytree(hub, again)
    staged = stage_infohub(con, again, settings.templates, LAST_DAY, LAST_DAY)
    assert staged.counts["files written"] == 0
    apply_staged(again, LAST_DAY)
    assert contents(again) == contents(hub)
    fresh = tmp_path / "fresh"
    stage_infohub(con, fresh, settings.templates, FIRST_DAY, LAST_DAY)
    apply_staged(fresh, LAST_DAY)
    assert contents(fresh) == contents(hub)


def test_the_queues_link_to_files_that_are_there(backfilled: Installation, hub: Path) -> None:
    links = []
    for path in sorted((backfilled.settings.exports / str(LAST_DAY) / "actions").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            # A change carries the record as its data.
            links += record.get("data", record).get("infohub", [])
    assert len(links) > 10
    assert not [link for link in links if not (hub / link).is_file()]
    assert {link.rpartition("/")[2].split("_")[0] for link in links} >= {"health", "adoption"}


def test_the_calendars_hold_the_next_call_of_every_account(
    backfilled: Installation, con: duckdb.DuckDBPyConnection
) -> None:
    expected = {
        (str(name), due_on)
        for name, due_on in con.execute(
            "select days.account_name, slot.due_on from marts.fct_cadence_slot as slot "
            "inner join intermediate.int_core__account_days as days "
            "on slot.account_id = days.account_id and days.as_of_date = $day "
            "where slot.status = 'open' and slot.due_on between $day and $day::date + 30 "
            "and not days.is_paused",
            {"day": LAST_DAY},
        ).fetchall()
    }
    assert expected
    found = set()
    folder = backfilled.settings.exports / str(LAST_DAY) / "calendar"
    for path in folder.glob("*.ics"):
        calendar = icalendar.Calendar.from_ical(path.read_bytes())
        uids = [str(event["UID"]) for event in calendar.walk("VEVENT")]
        assert len(set(uids)) == len(uids)
        for event in calendar.walk("VEVENT"):
            if str(event["STATUS"]) == "CONFIRMED" and "overdue" not in str(event["SUMMARY"]):
                found.add((str(event["SUMMARY"]).split(": ", 1)[1], event.decoded("DTSTART")))
    assert found == expected


def test_the_summary_counts_the_files(con: duckdb.DuckDBPyConnection, hub: Path) -> None:
    line = next(line for line in run_summary(con).splitlines() if "infohub" in line)
    assert f"{len(contents(hub)):,} files written, 0 unchanged" in line
    assert "0 faults" in line
