"""Policy as data: the seeds, read with their line numbers and checked before anything is computed.

Belongs here: reading the seeds, what each must satisfy alone (columns, types, keys, references:
said by the YAML beside them) and together (no gap, no overlap, a target for every metric). Does
not belong here: applying policy to data, which is dbt's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import ConfigError, Fault
from dagster_project.policy.gauges import Gauge, read_gauges
from dagster_project.policy.rules import OTHER_CALL, find_faults
from dagster_project.policy.tables import Policy, PolicyRow, PolicyTable, nearest, read_tables

__all__ = [
    "OTHER_CALL",
    "Gauge",
    "Lists",
    "Policy",
    "PolicyRow",
    "PolicyTable",
    "check_policy",
    "read_gauges",
    "load_policy",
    "require_policy_set",
    "vocabulary",
]


def check_policy(folder: Path) -> list[Fault]:
    """Every fault of the seeds under `folder`, in order of place; empty when all is well."""
    policy, faults = read_tables(folder)
    return sorted({*faults, *find_faults(policy)})


def load_policy(folder: Path) -> Policy:
    """The seeds under `folder`.

    Raises:
        ConfigError: with all faults at once, each with file, line, column and mend.
    """
    policy, faults = read_tables(folder)
    faults = sorted({*faults, *find_faults(policy)})
    if faults:
        raise ConfigError(f"the policy seeds have {len(faults)} fault(s)", faults)
    return policy


@dataclass(frozen=True)
class Lists:
    """What extracts may name, each in the order of policy. Calls may also be `other`."""

    tiers: tuple[str, ...]
    solution_areas: tuple[str, ...]
    call_types: tuple[str, ...]


def vocabulary(folder: Path) -> Lists:
    """The tiers, solution areas and call types that extracts may name.

    Raises:
        ConfigError: one of the lists is missing, unreadable or empty.
    """
    policy, faults = read_tables(folder)
    lists = ("tiers", "solution_areas", "call_types")
    own = [fault for fault in faults if Path(fault.file).stem in lists]
    own += [
        Fault(policy.place(name), 0, "", "the list is missing or empty", "give it one row at least")
        for name in lists
        if not policy.rows(name) and not own
    ]
    if own:
        raise ConfigError("the lists that extracts may use cannot be read", own)
    return Lists(
        tiers=_in_order(policy, "tiers", "tier", "tier_rank"),
        solution_areas=_in_order(policy, "solution_areas", "solution_area", "area_order"),
        call_types=(*_in_order(policy, "call_types", "call_type", "call_order"), OTHER_CALL),
    )


def require_policy_set(folder: Path, policy_set: str) -> None:
    """Refuse a policy set that the seeds under `folder` do not have.

    Raises:
        ConfigError: no profile is in the set; the nearest set is named.
    """
    policy, _ = read_tables(folder)
    known = policy.values("health_profiles", "policy_set")
    if policy_set not in known:
        raise ConfigError(
            f"there is no policy set {policy_set!r} — {nearest(policy_set, known)} (setting "
            f"CSP_POLICY_SET; the sets are in {policy.place('health_profiles')})"
        )


def _in_order(policy: Policy, table: str, column: str, order: str) -> tuple[str, ...]:
    rows = sorted(policy.rows(table), key=lambda row: (row[order] is None, row[order], row.line))
    return tuple(str(row[column]) for row in rows)
