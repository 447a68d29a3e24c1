"""The notebooks' charts draw, also from nothing, and carry their meaning in words and shapes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
import vl_convert

from dagster_project.reporting import charts, study_charts
from dagster_project.reporting.charts import AnyChart

DAY = date(2026, 3, 31)
LINES = {"green": 80.0, "yellow": 60.0, "orange": 40.0, "red": 0.0}


def texts(chart: AnyChart) -> str:
    return vl_convert.vegalite_to_svg(chart.to_dict())


def score_days(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "as_of_date": [DAY - timedelta(days=back) for back in range(count)],
            "health_score": [50.0 + back if back % 3 else None for back in range(count)],
        },
        schema={"as_of_date": pl.Date, "health_score": pl.Float64},
    )


def ledger(*points: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"label": [f"cause {place}" for place in range(len(points))], "points": list(points)},
        schema={"label": pl.String, "points": pl.Float64},
    )


def test_a_line_names_its_zones() -> None:
    drawn = texts(charts.score_history(score_days(10), LINES, DAY - timedelta(days=5)))
    assert all(zone in drawn for zone in LINES)


def test_steps_lead_from_one_score_to_the_other() -> None:
    chart = study_charts.ledger_steps(ledger(-5.04, 2.0, -3.0), 70.04, 64.0)
    drawn = texts(chart)
    assert all(text in drawn for text in ("−5.0", "+2.0", "−3.0", "70.0", "64.0"))
    (data,) = [rows for rows in chart.to_dict()["datasets"].values() if len(rows) == 5]
    bars = sorted(data, key=lambda row: row["place"])
    level = bars[0]["high"]
    for bar in bars[1:-1]:
        assert level in (pytest.approx(bar["low"]), pytest.approx(bar["high"]))
        level = bar["low"] if bar["kind"] == "down" else bar["high"]
    assert level == pytest.approx(bars[-1]["high"])


def test_many_causes_end_in_one_bar_of_the_rest() -> None:
    points = [-1.0] * 20
    drawn = texts(study_charts.ledger_steps(ledger(*points), 60.0, 40.0, shown=6))
    assert "15 more" in drawn
    assert "−15.0" in drawn


def test_a_rate_that_is_missing_is_said_in_words() -> None:
    rates = pl.DataFrame(
        {
            "health_zone": ["green", "red"],
            "ratio": [0.1, None],
            "low": [0.05, None],
            "high": [0.2, None],
            "note": ["10% of 50", "too few"],
        },
        schema_overrides={"ratio": pl.Float64, "low": pl.Float64, "high": pl.Float64},
    )
    drawn = texts(study_charts.zone_rates(rates))
    assert "10% of 50" in drawn
    assert "too few" in drawn
    assert "● green" in drawn and "■ red" in drawn


def test_states_are_named_in_their_parts() -> None:
    states = pl.DataFrame(
        {
            "position": [1, 1, 2],
            "component": ["support", "support", "adoption"],
            "status": ["scored", "a_new_state", "no_data"],
            "account_count": [6, 4, 10],
        }
    )
    drawn = texts(study_charts.component_states(states))
    assert all(text in drawn for text in ("6 scored", "4 a new state", "10 no data"))


def test_two_sides_differ_by_width() -> None:
    weeks = pl.DataFrame({"week_on": [date(2026, 3, 2)], "in_force": [3], "proposed": [2]})
    drawn = texts(charts.two_sides_by_week(weeks))
    assert "in force (wide)" in drawn and "proposed (narrow)" in drawn


def empty(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(schema=columns)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: study_charts.component_states(
            empty(
                position=pl.Int64,
                component=pl.String,
                status=pl.String,
                account_count=pl.Int64,
            )
        ),
        lambda: charts.score_history(score_days(0), LINES, DAY),
        lambda: charts.score_history(score_days(5), {}, DAY),
        lambda: study_charts.ledger_steps(ledger(), 50.0, 50.0),
        lambda: study_charts.happening_lanes(
            empty(occurred_on=pl.Date, kind=pl.String, what=pl.String), DAY
        ),
        lambda: study_charts.auc_ladder(
            empty(label=pl.String, auc=pl.Float64, auc_low=pl.Float64, auc_high=pl.Float64)
        ),
        lambda: study_charts.zone_rates(
            empty(
                health_zone=pl.String,
                ratio=pl.Float64,
                low=pl.Float64,
                high=pl.Float64,
                note=pl.String,
            )
        ),
        lambda: study_charts.calibration(
            empty(
                band=pl.Int32,
                score_from=pl.Float64,
                score_to=pl.Float64,
                event_ratio=pl.Float64,
                event_ratio_low=pl.Float64,
                event_ratio_high=pl.Float64,
                earlier_event_ratio=pl.Float64,
                later_event_ratio=pl.Float64,
            )
        ),
        lambda: study_charts.expected_renewals(
            empty(
                renewal_month=pl.Date,
                arr_usd=pl.Float64,
                expected_usd=pl.Float64,
                low_usd=pl.Float64,
                high_usd=pl.Float64,
            )
        ),
        lambda: charts.two_sides_by_week(
            empty(week_on=pl.Date, in_force=pl.Int64, proposed=pl.Int64)
        ),
    ],
)
def test_nothing_makes_an_empty_picture(draw: Any) -> None:
    assert texts(draw()).startswith("<svg")


@pytest.mark.parametrize("top", [0.5, 1, 3, 9, 17, 42, 80, 100])
def test_marks_reach_to_the_top_and_are_few(top: float) -> None:
    steps = study_charts._steps(top)
    assert steps[0] == 0
    assert len(steps) <= 9
    assert steps[-1] <= top
    assert top - steps[-1] < (steps[1] - steps[0] if len(steps) > 1 else 1)
