"""Policy seeds: the shipped ones are sound, and every kind of fault is found at its place."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts import CONTRACTS
from dagster_project.errors import ConfigError, Fault
from dagster_project.policy import (
    PolicyRow,
    check_policy,
    load_policy,
    require_policy_set,
    vocabulary,
)
from dagster_project.policy.rules import (
    CONTACT_ROLES,
    HEALTH_DEFINITIONS,
    METRIC_TABLES,
    MODEL_MEASURES,
    range_faults,
)
from dagster_project.settings import PROJECT_ROOT, Settings
from tests.unit.ingestion_world import WORDS

SEEDS = PROJECT_ROOT / "dbt" / "seeds"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """The shipped seeds with their first policy set alone, so that one edit makes one fault."""
    folder = tmp_path / "dbt" / "seeds"
    shutil.copytree(SEEDS, folder)
    for path in folder.rglob("*.csv"):
        head, *rows = path.read_text().splitlines(keepends=True)
        if head.startswith("policy_set,"):
            first = rows[0].partition(",")[0]
            path.write_text(head + "".join(row for row in rows if row.startswith(f"{first},")))
    return folder


def path_of(folder: Path, table: str) -> Path:
    (path,) = folder.rglob(f"{table}.csv")
    return path


def edit(folder: Path, table: str, change: Callable[[list[dict[str, str]]], object]) -> None:
    """Change the rows of a seed in place; every record of the shipped seeds is one line."""
    path = path_of(folder, table)
    with path.open(newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
        columns = list(reader.fieldnames or [])
    change(rows)
    columns += [column for column in (rows[0] if rows else {}) if column not in columns]
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def set_cell(folder: Path, table: str, column: str, value: str, **where: str) -> int:
    """Set a cell of the first row that matches; its line."""
    lines: list[int] = []

    def change(rows: list[dict[str, str]]) -> None:
        for line, row in enumerate(rows, start=2):
            if all(row[key] == wanted for key, wanted in where.items()):
                row[column] = value
                lines.append(line)
                return
        raise AssertionError(f"no row {where} in {table}")

    edit(folder, table, change)
    return lines[0]


def only(faults: list[Fault], table: str, line: int, column: str) -> Fault:
    """The one fault there is, which must stand at this place."""
    assert len(faults) == 1, "\n".join(map(str, faults))
    (fault,) = faults
    assert Path(fault.file).stem == table
    assert (fault.line, fault.column) == (line, column)
    assert fault.mend
    return fault


def test_a_policy_set_that_is_not_there_is_refused_with_the_nearest() -> None:
    for row in load_policy(SEEDS).rows("health_profiles"):
        require_policy_set(SEEDS, row["policy_set"])
    with pytest.raises(ConfigError, match="did you mean 'standard'"):
        require_policy_set(SEEDS, "standart")


def test_no_code_knows_a_policy_set_but_the_default() -> None:
    names = load_policy(SEEDS).values("health_profiles", "policy_set")
    default = Settings.model_fields["policy_set"].default
    assert default in names and len(names) > 1
    code = [
        path
        for folder in ("dagster_project", "dbt/models", "dbt/macros", "playbook_rules")
        for path in (PROJECT_ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".yml"}
    ]
    assert code
    for path in code:
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names - {default} if name in text], path


def test_shipped_seeds_are_sound() -> None:
    assert check_policy(SEEDS) == []
    policy = load_policy(SEEDS)
    assert policy.values("metric_definitions", "metric_id") == set(METRIC_TABLES)


def test_vocabulary_is_in_order_of_policy() -> None:
    lists = vocabulary(SEEDS)
    assert lists.tiers == ("strategic", "enterprise", "commercial")
    assert lists.solution_areas == ("security", "observability", "search")
    assert lists.call_types == (
        "technical_checkin",
        "business_review",
        "executive_review",
        "renewal_planning",
        "other",
    )


def test_vocabulary_needs_only_its_own_lists(seeds: Path) -> None:
    path_of(seeds, "health_zones").write_text("nonsense\n")
    assert vocabulary(seeds).tiers
    path_of(seeds, "tiers").unlink()
    with pytest.raises(ConfigError, match="tiers"):
        vocabulary(seeds)


def test_places_are_the_same_on_every_machine(seeds: Path) -> None:
    set_cell(seeds, "health_zones", "score_from", "x", health_zone="green")
    (fault,) = check_policy(seeds)
    assert fault.file == "dbt/seeds/health/health_zones.csv"


def test_unknown_column_is_named_with_the_nearest(seeds: Path) -> None:
    path = path_of(seeds, "health_zones")
    path.write_text(path.read_text().replace("score_from", "score_form", 1))
    faults = check_policy(seeds)
    places = {(fault.line, fault.column) for fault in faults}
    assert places == {(1, "score_form"), (1, "score_from")}
    assert any("score_from" in fault.mend for fault in faults)


def _drop(rows: list[dict[str, str]], **where: str) -> None:
    rows[:] = [row for row in rows if any(row[name] != value for name, value in where.items())]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("health_measure_policy", "weight", "much"),
        ("health_measure_policy", "expiry_days", "1.5"),
        ("health_measure_policy", "effective_from", "01/01/2026"),
        ("health_measure_policy", "floor_value", "nan"),
        ("stage_criteria", "is_mandatory", "yes"),
        ("stage_policy", "required_ratio", "0.80001"),
        ("health_measure_policy", "method", "curve"),
        ("health_measure_policy", "measure", "active_user_ration"),
        ("health_measures", "component", "adaption"),
        ("stage_criteria", "stage", "operation"),
        ("stage_criteria", "solution_area", "securities"),
        ("stage_criteria", "measure", "dashboards"),
        ("cadence_intervals", "call_type", "check_in"),
        ("cadence_intervals", "tier", "enterprize"),
        ("health_measure_policy", "component", "adaption"),
        ("metric_definitions", "owner", "Nobody"),
        ("metric_definitions", "metric_id", "execution_rates"),
        ("note_words", "meaning", "check_in"),
        ("note_words", "subject", "mood"),
        ("call_types", "call_type", "Business Review"),
        ("call_types", "call_type", "other"),
        ("metric_matrix_lags", "lag_days", "0"),
    ],
)
def test_bad_cell_is_found_at_its_place(seeds: Path, table: str, column: str, value: str) -> None:
    def first_filled(rows: list[dict[str, str]]) -> None:
        row = rows[1] if table != "stage_policy" else rows[0]
        row[column] = value

    edit(seeds, table, first_filled)
    line = 2 if table == "stage_policy" else 3
    faults = check_policy(seeds)
    assert (f"{table}.csv", line, column) in {
        (Path(fault.file).name, fault.line, fault.column) for fault in faults
    }, "\n".join(map(str, faults))


def test_a_mood_is_a_number(seeds: Path) -> None:
    line = set_cell(seeds, "note_words", "meaning", "2", subject="sentiment", word="positive")
    only(check_policy(seeds), "note_words", line, "meaning")


def test_one_call_type_stands_before_renewals(seeds: Path) -> None:
    edit(seeds, "cadence_intervals", lambda rows: _drop(rows, call_type="executive_review"))
    line = set_cell(seeds, "call_types", "slot_kind", "renewal", call_type="executive_review")
    # The first of the two stands; the later one is told.
    (fault,) = check_policy(seeds)
    assert (fault.line, fault.column) == (line + 1, "slot_kind")


def test_one_bad_cell_is_one_fault(seeds: Path) -> None:
    """A row that cannot be read must not look like a gap as well."""
    line = set_cell(seeds, "health_zones", "score_from", "sixty", health_zone="yellow")
    only(check_policy(seeds), "health_zones", line, "score_from")


def test_line_is_the_files_own_when_a_cell_spans_lines(seeds: Path) -> None:
    path = path_of(seeds, "health_zones")
    text = path.read_text()
    assert "Healthy" in text
    path.write_text(text.replace("Healthy", "Healthy\nindeed").replace("yellow,2", "yellow,two"))
    only(check_policy(seeds), "health_zones", 4, "zone_rank")


def test_short_row_is_found(seeds: Path) -> None:
    path = path_of(seeds, "tiers")
    path.write_text(path.read_text() + "small,4\n")
    only(check_policy(seeds), "tiers", 5, "")


def test_duplicate_key_names_the_first_row(seeds: Path) -> None:
    edit(seeds, "health_profiles", lambda rows: rows.append({**rows[0], "priority": "5"}))
    faults = check_policy(seeds)
    assert any("on line 2" in f.message and f.line == 5 for f in faults), faults


def test_missing_seed_and_undeclared_seed_are_found(seeds: Path) -> None:
    path_of(seeds, "cadence_grace").rename(seeds / "cadence" / "cadence_graces.csv")
    messages = [str(fault) for fault in check_policy(seeds)]
    assert any("cadence_graces.csv" in message and "declare" in message for message in messages)
    assert any("no file cadence_grace.csv" in message for message in messages)


def test_profile_without_effective_from(seeds: Path) -> None:
    line = set_cell(seeds, "health_profiles", "effective_from", "", profile_id="default")
    only(check_policy(seeds), "health_profiles", line, "effective_from")


def test_zone_gap_and_overlap(seeds: Path) -> None:
    line = set_cell(seeds, "health_zones", "score_from", "61", health_zone="yellow")
    fault = only(check_policy(seeds), "health_zones", line, "score_from")
    assert "gap" in fault.message
    set_cell(seeds, "health_zones", "score_from", "59.5", health_zone="yellow")
    fault = only(check_policy(seeds), "health_zones", line, "score_from")
    assert "overlap" in fault.message


def test_zones_must_reach_0_and_100(seeds: Path) -> None:
    top = set_cell(seeds, "health_zones", "score_to", "100", health_zone="green")
    only(check_policy(seeds), "health_zones", top, "score_to")
    set_cell(seeds, "health_zones", "score_to", "100.5", health_zone="green")
    assert check_policy(seeds) == []
    bottom = set_cell(seeds, "health_zones", "score_from", "1", health_zone="red")
    only(check_policy(seeds), "health_zones", bottom, "score_from")


def test_band_gap(seeds: Path) -> None:
    line = set_cell(
        seeds, "health_bands", "band_from", "0.03", measure="expansion_pipeline_ratio", score="80"
    )
    assert "gap" in only(check_policy(seeds), "health_bands", line, "band_from").message


def test_floor_equal_to_ceiling(seeds: Path) -> None:
    line = set_cell(seeds, "health_measure_policy", "floor_value", "20", measure="active_days")
    fault = only(check_policy(seeds), "health_measure_policy", line, "ceiling_value")
    assert "slope" in fault.message


def test_line_against_the_better_direction(seeds: Path) -> None:
    line = set_cell(seeds, "health_measure_policy", "floor_value", "30", measure="active_days")
    only(check_policy(seeds), "health_measure_policy", line, "ceiling_value")


def test_component_weights_that_sum_to_nothing(seeds: Path) -> None:
    def zero(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row["weight"] = "0"

    edit(seeds, "health_component_weights", zero)
    faults = check_policy(seeds)
    assert {fault.file.rsplit("/", 1)[-1] for fault in faults} == {"health_component_weights.csv"}
    assert all("sum to 0" in fault.message for fault in faults)
    assert faults


def test_weighted_component_without_weighted_measures(seeds: Path) -> None:
    def zero(rows: list[dict[str, str]]) -> None:
        for row in rows:
            if row["measure"] in {
                "objectives_met_ratio",
                "objective_progress_ratio",
                "value_realised_ratio",
            }:
                row["weight"] = "0"

    edit(seeds, "health_measure_policy", zero)
    faults = check_policy(seeds)
    assert faults
    assert all("'outcomes'" in fault.message for fault in faults), faults


def test_cadence_row_missing_for_a_tier(seeds: Path) -> None:
    edit(seeds, "cadence_intervals", lambda rows: rows.pop(4))
    fault = only(check_policy(seeds), "cadence_intervals", 0, "tier")
    assert "'enterprise'" in fault.message
    assert "'business_review'" in fault.message


def test_grace_gap(seeds: Path) -> None:
    line = set_cell(seeds, "cadence_grace", "interval_from_days", "11", rhythm="biweekly")
    only(check_policy(seeds), "cadence_grace", line, "interval_from_days")


def test_criterion_without_a_stage(seeds: Path) -> None:
    line = set_cell(seeds, "stage_criteria", "stage", "", criterion_id="sec_alerting_tuned")
    only(check_policy(seeds), "stage_criteria", line, "stage")


def test_stage_nobody_could_reach(seeds: Path) -> None:
    edit(
        seeds,
        "stage_criteria",
        lambda rows: rows.__setitem__(
            slice(None), [row for row in rows if not row["criterion_id"].startswith("srch_rag")]
        ),
    )
    edit(
        seeds,
        "stage_criteria",
        lambda rows: rows.__setitem__(
            slice(None),
            [r for r in rows if (r["solution_area"], r["stage"]) != ("search", "optimized")],
        ),
    )
    faults = check_policy(seeds)
    assert any("nobody could reach it" in fault.message for fault in faults), faults


def test_stage_order(seeds: Path) -> None:
    line = set_cell(seeds, "stages", "stage_rank", "5", stage="optimized")
    only(check_policy(seeds), "stages", line, "stage_rank")


def test_alert_on_the_good_side_of_its_target(seeds: Path) -> None:
    line = set_cell(seeds, "metric_definitions", "alert", "0.95", metric_id="response_rate")
    only(check_policy(seeds), "metric_definitions", line, "alert")


def test_missing_metric(seeds: Path) -> None:
    def drop(rows: list[dict[str, str]]) -> None:
        rows[:] = [row for row in rows if row["metric_id"] != "response_rate"]

    edit(seeds, "metric_definitions", drop)
    edit(seeds, "metric_dimensions", drop)
    fault = only(check_policy(seeds), "metric_definitions", 0, "metric_id")
    assert "response_rate" in fault.message


def test_all_faults_come_at_once_in_order_of_place(seeds: Path) -> None:
    set_cell(seeds, "cadence_grace", "interval_from_days", "11", rhythm="biweekly")
    set_cell(seeds, "health_zones", "score_from", "61", health_zone="yellow")
    set_cell(seeds, "stages", "stage_rank", "5", stage="optimized")
    with pytest.raises(ConfigError) as caught:
        load_policy(seeds)
    assert caught.value.exit_status == 2
    assert [Path(fault.file).stem for fault in caught.value.faults] == [
        "cadence_grace",
        "health_zones",
        "stages",
    ]


# Property: any gap or overlap put into sound ranges is found, and sound ranges are never blamed.

edges = st.lists(
    st.decimals(-1000, 1000, places=2, allow_nan=False), min_size=2, max_size=8, unique=True
).map(sorted)


def ranges(limits: list[tuple[Decimal | None, Decimal | None]]) -> list[PolicyRow]:
    return [
        PolicyRow(line, {"low": low, "high": high})
        for line, (low, high) in enumerate(limits, start=2)
    ]


def partition(points: list[Decimal]) -> list[tuple[Decimal | None, Decimal | None]]:
    inner: list[Decimal | None] = [None, *points, None]
    return list(zip(inner, inner[1:], strict=False))


@given(edges, st.randoms(use_true_random=False))
def test_sound_ranges_have_no_fault(points: list[Decimal], random: object) -> None:
    rows = ranges(partition(points))
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert not list(range_faults("bands.csv", rows, "low", "high"))


@given(edges, st.data())
def test_any_injected_gap_or_overlap_is_found(points: list[Decimal], data: st.DataObject) -> None:
    limits = partition(points)
    index = data.draw(st.integers(0, len(limits) - 1))
    low, high = limits[index]
    width = data.draw(st.decimals("0.01", 500, places=2, allow_nan=False))
    kind = data.draw(st.sampled_from(["gap below", "gap above", "overlap", "dropped"]))
    if kind == "gap below":
        start = low + width if low is not None else (high or Decimal(0)) - width
        limits[index] = (start, high)
    elif kind == "gap above":
        end = high - width if high is not None else (low or Decimal(0)) + width
        limits[index] = (low, end)
    elif kind == "overlap":
        limits.append(limits[index])
    else:
        limits.pop(index)
    faults = list(range_faults("bands.csv", ranges(limits), "low", "high"))
    assert faults
    assert all(fault.file == "bands.csv" and fault.line >= 2 and fault.mend for fault in faults)


small_edge = st.none() | st.integers(-4, 4).map(Decimal)


@given(st.lists(st.tuples(small_edge, small_edge), min_size=1, max_size=4))
def test_ranges_pass_exactly_when_every_value_is_in_one_of_them(
    limits: list[tuple[Decimal | None, Decimal | None]],
) -> None:
    """The check against its meaning: what passes is what scoring needs, and nothing else passes."""

    def holding(value: Decimal) -> int:
        return sum(
            (low is None or low <= value) and (high is None or value < high) for low, high in limits
        )

    halves = [Decimal(number) / 2 for number in range(-12, 13)]
    is_sound = all(low is None or high is None or low < high for low, high in limits) and all(
        holding(value) == 1 for value in halves
    )
    faults = list(range_faults("bands.csv", ranges(limits), "low", "high"))
    assert (not faults) == is_sound


def add_row(folder: Path, table: str, **cells: str) -> int:
    """One more row, the other cells as in the last; its line."""
    lines: list[int] = []

    def change(rows: list[dict[str, str]]) -> None:
        rows.append({**rows[-1], **cells})
        lines.append(len(rows) + 1)

    edit(folder, table, change)
    return lines[0]


def test_what_the_code_knows_of_the_models_is_what_they_say() -> None:
    models = PROJECT_ROOT / "dbt" / "models" / "intermediate" / "health"
    measured = (models / "int_health__measures_daily.sql").read_text()
    assert tuple(re.findall(r"as (\w+)_is_applicable", measured)) == MODEL_MEASURES
    asked = {
        parameter
        for folder in ("models", "macros")
        for path in (PROJECT_ROOT / "dbt" / folder).rglob("*.sql")
        for parameter in re.findall(
            r"health_(?:windows|definition_on)\(\s*'(\w+)'", path.read_text()
        )
    }
    assert asked == set(HEALTH_DEFINITIONS)
    roles = CONTRACTS["crm/contacts"].allowed_values("role", WORDS)
    assert set(roles) == set(CONTACT_ROLES)


@pytest.mark.parametrize(
    ("table", "word", "column"),
    [
        ("health_definitions", {"parameter": "ticket_window_days"}, "parameter"),
        ("support_targets", {"severity": "high"}, "severity"),
        ("health_contact_roles", {"role": "user"}, "role"),
    ],
)
def test_what_a_measure_counts_by_holds_from_the_first_day(
    seeds: Path, table: str, word: dict[str, str], column: str
) -> None:
    line = set_cell(seeds, table, "effective_from", "2026-01-01", **word)
    fault = only(check_policy(seeds), table, line, "effective_from")
    assert "gap" in fault.message
    set_cell(seeds, table, "effective_from", "2000-01-01", **word)
    # A later row beside the first is how it changes.
    add_row(seeds, table, **word, effective_from="2026-01-01", **(
        {"value": "30"} if table == "health_definitions" else {}
    ))  # fmt: skip
    assert check_policy(seeds) == []
    (wrong,) = word
    add_row(seeds, table, **{wrong: "nonsense"}, effective_from="2000-01-01")
    assert column in {fault.column for fault in check_policy(seeds)}


def test_expectations_of_one_day_are_whole(seeds: Path) -> None:
    table = "health_renewal_expectations"
    add_row(seeds, table, days_from="", days_to="60", expected_probability_ratio="0.8",
            effective_from="2026-01-01")  # fmt: skip
    (fault,) = check_policy(seeds)
    assert "gap: nothing holds from 60" in fault.message
    add_row(seeds, table, days_from="60", days_to="", expected_probability_ratio="0.5",
            effective_from="2026-01-01")  # fmt: skip
    assert check_policy(seeds) == []


def test_a_champion_must_be_possible_on_every_day(seeds: Path) -> None:
    for role in ("champion", "technical_champion"):
        add_row(seeds, "health_contact_roles", role=role, is_champion="false",
                is_sponsor="false", effective_from="2026-01-01")  # fmt: skip
    (fault,) = check_policy(seeds)
    assert "from 2026-01-01 no role makes a champion" in fault.message


def test_a_profile_that_no_account_can_match(seeds: Path) -> None:
    line = add_row(seeds, "health_profiles", profile_id="big_and_young", priority="15",
                   tier="strategic", max_tenure_days="90")  # fmt: skip
    fault = only(check_policy(seeds), "health_profiles", line, "priority")
    assert "'tier_strategic' on line 2 takes them all" in fault.message
    set_cell(seeds, "health_profiles", "priority", "5", profile_id="big_and_young")
    assert check_policy(seeds) == []


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ({"measure": "active_hours"}, "measure", "nothing computes 'active_hours'"),
        ({"measure": "Seats"}, "measure", "cannot be a column"),
        ({"measure": "a__b"}, "measure", "cannot be a column"),
        ({"measure": "adoption", "source": "gauge", "gauge_measure": "g"}, "measure", "something"),
        ({"measure": "seats", "source": "gauge"}, "gauge_measure", "needs its name"),
        ({"measure": "seats", "source": "gauge", "gauge_measure": "g", "defined_by": "tickets"},
         "defined_by", "unknown definition"),
        ({"measure": "seats", "source": "gauge", "gauge_measure": "g",
          "gauge_solution_area": "serch"}, "gauge_solution_area", "unknown solution area"),
    ],
)  # fmt: skip
def test_a_measure_that_could_not_be_scored(
    seeds: Path, cells: dict[str, str], column: str, said: str
) -> None:
    line = add_row(seeds, "health_measures", **{"gauge_measure": "", "source": "model", **cells})
    assert said in only(check_policy(seeds), "health_measures", line, column).message
