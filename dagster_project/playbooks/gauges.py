"""Gauges as names in conditions: scopes with one more column per gauge that policy names.

A reading counts from its day until the next one, and no longer than the policy's lookback; before
and after that the name is missing, as any other unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dagster_project.errors import Fault
from dagster_project.expressions import Name
from dagster_project.playbooks.model import ScopeName
from dagster_project.playbooks.scopes import SCOPES, Column, Scope, Source, standing_days
from dagster_project.policy.gauges import Gauge

_KEYS: Mapping[ScopeName, tuple[str, ...]] = {
    "account": ("account_id",),
    "solution_area": ("account_id", "solution_area"),
}


def scopes_with(gauges: Iterable[Gauge]) -> tuple[dict[ScopeName, Scope], list[Fault]]:
    """The published scopes with the gauges' names added, and a fault per name that is taken."""
    scopes = dict(SCOPES)
    faults: list[Fault] = []
    for gauge in gauges:
        scope = scopes[gauge.scope]
        if gauge.name in scope.names:
            faults.append(
                Fault(
                    gauge.file,
                    gauge.line,
                    "measure",
                    f"conditions on {gauge.scope} already have a name {gauge.name!r}",
                    "rename the measure",
                )
            )
            continue
        alias = f"gauge_{gauge.name}"
        keys = _KEYS[gauge.scope]
        scopes[gauge.scope] = replace(
            scope,
            sources={**scope.sources, alias: Source(_readings(gauge, keys), (*keys, "as_of_date"))},
            columns=(
                *scope.columns,
                Column(
                    Name(gauge.name, "number", gauge.unit, gauge.meaning),
                    f"{alias}.value",
                    (alias,),
                ),
            ),
        )
    return scopes, faults


def _readings(gauge: Gauge, keys: tuple[str, ...]) -> str:
    """Last value per key and day; areas that report on one day are averaged for an account."""
    columns = ", ".join(keys)
    area = f" and solution_area = {_text(gauge.solution_area)}" if gauge.solution_area else ""
    facts = (
        f"select {columns}, measured_on, avg(value) as value, coalesce(lead(measured_on) over"
        f" (partition by {columns} order by measured_on), date '9999-12-31') as next_on"
        f" from staging.stg_usage__solution_measures"
        f" where value is not null and measure = {_text(gauge.gauge_measure)}{area}"
        f" group by {columns}, measured_on"
    )
    past_day = f"least(fact.next_on, fact.measured_on + {gauge.lookback_days + 1})"
    return (
        f"select {columns}, as_of_date, value"
        f" from ({standing_days(facts, 'fact.measured_on', past_day)})"
    )


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
