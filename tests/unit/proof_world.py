"""A small history of scores and losses with a known truth, as the marts hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import duckdb
import numpy as np
import polars as pl

from dagster_project.proof import ProofOptions
from dagster_project.settings import PROJECT_ROOT

FIRST = date(2024, 1, 1)
COMPONENTS = ("engagement", "adoption", "outcomes", "support", "relationship", "commercial")
TODAY = (20, 25, 15, 15, 15, 10)
OPTIONS = ProofOptions(
    horizons_days=(30,),
    confidence_ratio=0.95,
    min_event_accounts=10,
    min_group_accounts=10,
    top_share_ratio=0.1,
    band_count=10,
    contraction_min_ratio=0.05,
    suggest_horizon_days=30,
    suggest_validation_ratio=0.3,
    suggest_min_accounts_per_weight=5,
)
SEEDS = PROJECT_ROOT / "dbt" / "seeds"


@dataclass(frozen=True)
class World:
    """How many accounts, for how long, and what precedes a churn.

    `drop` is the fall, in standard deviations, of each component's score in the days of the horizon
    before churn: with one component that counts, AUC = Phi(drop / sqrt(2)).
    """

    accounts: int = 400
    days: int = 300
    horizon: int = 30
    churn_share: float = 0.5
    drop: tuple[float, ...] = (1.0,) * 6
    seed: int = 11


def true_auc(drop: float) -> float:
    return NormalDist().cdf(drop / 2**0.5)


def zone_of(score: float) -> str:
    """Zones with edges that spread this world's scores (mean 60, spread 4.2) over all four."""
    edges = {"green": 62, "yellow": 57, "orange": 51, "red": 0}
    return next(zone for zone, edge in edges.items() if score >= edge)


@lru_cache
def tables_of(world: World) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Account-days and accounts of a world."""
    rng = np.random.default_rng(world.seed)
    frames: list[pl.DataFrame] = []
    churned: list[date | None] = []
    for number in range(world.accounts):
        gone = int(rng.integers(40, world.days)) if rng.random() < world.churn_share else None
        churned.append(None if gone is None else FIRST + timedelta(days=gone))
        days = np.arange(world.days if gone is None else gone)
        is_near = days >= (world.days if gone is None else gone - world.horizon)
        fall = is_near[:, None] * np.asarray(world.drop)
        scores = np.clip(60 + 10 * (rng.normal(size=(len(days), 6)) - fall), 0, 100)
        total = scores @ np.asarray(TODAY) / 100
        frames.append(
            pl.DataFrame(
                {
                    "account_id": [f"acc-{number:05d}"] * len(days),
                    "as_of_date": [FIRST + timedelta(days=int(day)) for day in days],
                    "tier": ["strategic" if number % 4 == 0 else "commercial"] * len(days),
                    "health_zone": [zone_of(score) for score in total],
                    "health_score": total.tolist(),
                    "days_to_renewal": [365 - int(day) % 365 for day in days],
                    **{f"{c}_score": scores[:, i].tolist() for i, c in enumerate(COMPONENTS)},
                }
            )
        )
    facts = pl.concat(frames).with_columns(
        pl.lit(None, dtype=pl.String).alias("segment"),
        pl.lit("default").alias("profile_id"),
        pl.lit("standard/default/2000-01-01/abcd0123").alias("policy_key"),
        pl.col("health_score").alias("computed_score"),
        pl.lit(1.0).alias("coverage_ratio"),
        pl.lit(1000.0).alias("arr_usd"),
    )
    accounts = pl.DataFrame(
        {
            "account_id": [f"acc-{number:05d}" for number in range(world.accounts)],
            "churned_on": pl.Series(churned, dtype=pl.Date),
        }
    )
    return facts, accounts


def build(con: duckdb.DuckDBPyConnection, world: World) -> None:
    """Write the marts and the policy that the proof reads."""
    write(con, *tables_of(world))


def write(con: duckdb.DuckDBPyConnection, facts: pl.DataFrame, accounts: pl.DataFrame) -> None:
    con.execute("create schema if not exists marts; create schema if not exists policy")
    for table, frame in (("fct_account_health_daily", facts), ("dim_account", accounts)):
        con.register("frame", frame.to_arrow())
        con.execute(f"create or replace table marts.{table} as select * from frame")
        con.unregister("frame")
    con.execute("""
        create or replace table policy.health_zones as
        select * from (values ('green', 1), ('yellow', 2), ('orange', 3), ('red', 4))
            as z(health_zone, zone_rank);
        create or replace table marts.dim_health_policy (
            policy_key varchar, policy_set varchar, profile_id varchar, measure varchar,
            measure_order integer, component varchar, component_weight double,
            measure_weight double
        )
    """)
    con.executemany(
        "insert into marts.dim_health_policy values "
        "('standard/default/2000-01-01/abcd0123', 'standard', 'default', ?, ?, ?, ?, 100)",
        [[f"{c}_m", i, c, w] for i, (c, w) in enumerate(zip(COMPONENTS, TODAY, strict=True))],
    )


def load_proof_seeds(con: duckdb.DuckDBPyConnection, folder: Path = SEEDS / "proof") -> None:
    con.execute("create schema if not exists policy")
    for name in ("proof_policy", "proof_horizons"):
        con.execute(
            f"create or replace table policy.{name} as from read_csv(?)",
            [str(folder / f"{name}.csv")],
        )


def brute_auc(values: Sequence[float], lost: Sequence[bool]) -> float:
    """Mann-Whitney by counting every pair; lower = more risk."""
    events = [v for v, y in zip(values, lost, strict=True) if y]
    others = [v for v, y in zip(values, lost, strict=True) if not y]
    won = sum(1.0 if e < o else 0.5 if e == o else 0.0 for e in events for o in others)
    return won / (len(events) * len(others))


def is_rising(values: Sequence[float]) -> bool:
    return all(a <= b for a, b in pairwise(values))
