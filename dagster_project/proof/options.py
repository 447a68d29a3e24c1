"""The numbers of the proof, from the seeds `proof_policy` and `proof_horizons`; no defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields

import duckdb

from dagster_project.errors import ConfigError, Fault

_POLICY_FILE = "dbt/seeds/proof/proof_policy.csv"
EFFECT_PREFIX = "effect_"
_HORIZONS_FILE = "dbt/seeds/proof/proof_horizons.csv"


@dataclass(frozen=True)
class ProofOptions:
    """What the seeds say; each field is a parameter of `proof_policy`, described there."""

    horizons_days: tuple[int, ...]
    confidence_ratio: float
    min_event_accounts: int
    min_group_accounts: int
    top_share_ratio: float
    band_count: int
    contraction_min_ratio: float
    suggest_horizon_days: int
    suggest_validation_ratio: float
    suggest_min_accounts_per_weight: int

    def __post_init__(self) -> None:
        faults = [
            Fault(_POLICY_FILE, 0, name, f"{getattr(self, name):g} is not over 0 and under 1")
            for name in (
                "confidence_ratio",
                "top_share_ratio",
                "contraction_min_ratio",
                "suggest_validation_ratio",
            )
            if not 0 < getattr(self, name) < 1
        ]
        faults += [
            Fault(_POLICY_FILE, 0, name, f"{getattr(self, name)} is less than {least}")
            for name, least in (
                # One account has no spread, so no interval could be given.
                ("min_event_accounts", 2),
                ("min_group_accounts", 1),
                ("band_count", 2),
                ("suggest_horizon_days", 1),
                ("suggest_min_accounts_per_weight", 1),
            )
            if getattr(self, name) < least
        ]
        if not self.horizons_days or min(self.horizons_days) < 1:
            faults.append(
                Fault(_HORIZONS_FILE, 0, "horizon_days", "at least one horizon of 1 day or more")
            )
        if faults:
            raise ConfigError("the policy of the proof is wrong:", faults)


def proof_options(con: duckdb.DuckDBPyConnection) -> ProofOptions:
    """The options in the schema `policy` of a build or published file.

    Raises:
        ConfigError: a seed is not loaded, a parameter is missing, unknown or out of range.
    """
    try:
        given = {
            str(name): float(value)
            for name, value in con.execute(
                "select parameter, value from policy.proof_policy order by parameter"
            ).fetchall()
        }
        horizons = con.execute(
            "select horizon_days from policy.proof_horizons order by horizon_days"
        ).fetchall()
    except duckdb.CatalogException as error:
        raise ConfigError(
            "the policy of the proof is not in this file: run `csp run` once, "
            f"so that {_POLICY_FILE} is loaded"
        ) from error
    wanted = {
        field.name: field.type for field in fields(ProofOptions) if field.name != "horizons_days"
    }
    # The effect of playbooks has its own parameters in the same seed; see `effect_options`.
    given = {name: value for name, value in given.items() if not name.startswith(EFFECT_PREFIX)}
    faults = [
        Fault(_POLICY_FILE, 0, name, "this parameter is missing", "add its row")
        for name in wanted
        if name not in given
    ] + [
        Fault(_POLICY_FILE, 0, name, "no such parameter", f"known: {', '.join(wanted)}")
        for name in given
        if name not in wanted
    ]
    faults += [
        Fault(_POLICY_FILE, 0, name, f"{given[name]:g} must be a whole number")
        for name, kind in wanted.items()
        if kind == "int" and name in given and not given[name].is_integer()
    ]
    if faults:
        raise ConfigError("the policy of the proof is wrong:", faults)
    return ProofOptions(
        horizons_days=tuple(int(days) for (days,) in horizons),
        confidence_ratio=given["confidence_ratio"],
        min_event_accounts=int(given["min_event_accounts"]),
        min_group_accounts=int(given["min_group_accounts"]),
        top_share_ratio=given["top_share_ratio"],
        band_count=int(given["band_count"]),
        contraction_min_ratio=given["contraction_min_ratio"],
        suggest_horizon_days=int(given["suggest_horizon_days"]),
        suggest_validation_ratio=given["suggest_validation_ratio"],
        suggest_min_accounts_per_weight=int(given["suggest_min_accounts_per_weight"]),
    )


@dataclass(frozen=True)
class EffectOptions:
    """How alike two accounts must be to be compared; the `effect_` parameters of `proof_policy`."""

    landmark_days: int
    score_caliper_points: float
    trend_caliper_points: float
    arr_ratio_max: float
    comparisons_max: int
    min_matched_ratio: float
    max_imbalance_sd: float


def effect_options(con: duckdb.DuckDBPyConnection) -> EffectOptions:
    """The effect's options in the schema `policy` of a build or published file.

    Raises:
        ConfigError: the seed is not loaded, or a parameter is missing or out of range.
    """
    try:
        given = dict(
            con.execute(
                "select parameter, value from policy.proof_policy"
                f" where starts_with(parameter, '{EFFECT_PREFIX}') order by parameter"
            ).fetchall()
        )
    except duckdb.CatalogException as error:
        raise ConfigError(
            f"the policy of the proof is not in this file: run `csp run` once, so that "
            f"{_POLICY_FILE} is loaded"
        ) from error
    least = {"min_matched_ratio": 0.0, "arr_ratio_max": 1.0}
    faults = []
    values: dict[str, float] = {}
    for field in fields(EffectOptions):
        name = EFFECT_PREFIX + field.name
        if name not in given:
            faults.append(Fault(_POLICY_FILE, 0, name, "this parameter is missing", "add its row"))
            continue
        value = float(given[name])
        values[field.name] = value
        if value <= least.get(field.name, 0.0):
            limit = least.get(field.name, 0.0)
            faults.append(Fault(_POLICY_FILE, 0, name, f"{value:g} must be over {limit:g}"))
        if field.type == "int" and not value.is_integer():
            faults.append(Fault(_POLICY_FILE, 0, name, f"{value:g} must be a whole number"))
    if faults:
        raise ConfigError("the policy of the proof is wrong:", faults)
    return EffectOptions(
        landmark_days=int(values["landmark_days"]),
        score_caliper_points=values["score_caliper_points"],
        trend_caliper_points=values["trend_caliper_points"],
        arr_ratio_max=values["arr_ratio_max"],
        comparisons_max=int(values["comparisons_max"]),
        min_matched_ratio=values["min_matched_ratio"],
        max_imbalance_sd=values["max_imbalance_sd"],
    )
