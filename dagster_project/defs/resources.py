"""What every asset is given: the settings, and dbt."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from dagster_project.defs.dbt_project import dbt_executable
from dagster_project.errors import WarehouseBusyError
from dagster_project.settings import Settings
from dagster_project.warehouse import RunWindow

# Every asset that writes the build file takes a place in this pool, and it has one.
WRITER_POOL = "duckdb_write"
# Where the dbt macro `run_variable` finds what a run gives it.
RUN_VARIABLES = "CSP_RUN_VARIABLES"


class Installation(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The settings of one installation, as a resource."""

    settings_json: str
    # A night's run waits for a busy warehouse; a person at a terminal is told at once.
    waits_when_busy: bool = True

    @classmethod
    def of(cls, settings: Settings, *, waits_when_busy: bool) -> Installation:
        """Wrap a settings object."""
        return cls(settings_json=settings.model_dump_json(), waits_when_busy=waits_when_busy)

    @property
    def settings(self) -> Settings:
        """The settings object."""
        return Settings.model_validate_json(self.settings_json)

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Turn a busy warehouse into a retry, three times a minute apart, when told to wait."""
        try:
            yield
        except WarehouseBusyError as error:
            if not self.waits_when_busy:
                raise
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=60) from error


class Dbt(DbtCliResource):
    """dbt of this environment.

    The library starts dbt once more per step to ask its version, and reads all macros to be able to
    ask the warehouse for columns and row counts. Both cost seconds each night: here the environment
    is asked for the version, and nothing is asked of the warehouse while dbt holds it.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def dbt_resource(settings: Settings) -> DbtCliResource:
    """dbt on this installation's project and target."""
    os.environ.update(settings.dbt_environment())
    return Dbt(
        project_dir=str(settings.dbt_project),
        profiles_dir=str(settings.dbt_project),
        dbt_executable=dbt_executable(),
    )


def build_variables(window: RunWindow, policy_set: str) -> str:
    """The dbt variables of a run as JSON, as dbt's `--vars` takes them."""
    return json.dumps(
        {
            "from_date": window.from_date.isoformat(),
            "as_of_date": window.as_of_date.isoformat(),
            "health_policy_set": policy_set,
            "health_policy_mode": window.policy_mode,
        }
    )


def build_arguments(window: RunWindow) -> list[str]:
    """Arguments of the two `dbt build` calls of a run. Unit tests are for CI, not for the night."""
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    return [*arguments, "--full-refresh"] if window.is_full_refresh else arguments


def stream_dbt(
    dbt: DbtCliResource,
    context: dg.AssetExecutionContext,
    settings: Settings,
    window: RunWindow,
) -> Iterator[Any]:
    """Run dbt over the window and pass its results on as asset events and check results.

    The variables go through the environment: with `--vars` dbt would parse the whole project again
    each night, because the dates differ (macro `run_variable`).
    """
    os.environ[RUN_VARIABLES] = build_variables(window, settings.policy_set)
    try:
        call = dbt.cli(build_arguments(window), context=context, target_path=settings.dbt_target)
    finally:
        del os.environ[RUN_VARIABLES]
    yield from call.stream()
