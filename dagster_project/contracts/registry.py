"""The list of all contracts."""

from __future__ import annotations

from dagster_project.contracts import crm, support, usage
from dagster_project.contracts.model import Contract

CONTRACTS: dict[str, Contract] = {
    contract.name: contract for module in (crm, usage, support) for contract in module.CONTRACTS
}
"""Every canonical table by `source/table`."""
