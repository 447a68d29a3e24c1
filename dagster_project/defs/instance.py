"""Dagster's own home for this installation: run history, one writer at a time, no telemetry."""

from __future__ import annotations

import os
from pathlib import Path

from dagster_project.settings import Settings

_DAGSTER_YAML = """\
# Written by the pipeline; edit dagster_project/defs/instance.py instead.
telemetry:
  enabled: false
concurrency:
  pools:
    default_limit: 1
    granularity: run
run_monitoring:
  enabled: true
"""


def prepare_home(settings: Settings) -> Path:
    """Create the home, point this process at it, and return it."""
    home = settings.data_dir / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists() or config.read_text() != _DAGSTER_YAML:
        config.write_text(_DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "true"
    return home
