"""The numbers of the proof, from the seeds `proof_policy` and `proof_horizons`; no defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields

import duckdb

from dagster_project.errors import ConfigError, Fault

_POLICY_FILE = "dbt/seeds/proof/proof_policy.csv"
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
