"""`csp docs`: dbt's own documentation site, lineage graph included, as one file without a server.

It costs a start of dbt, and models change seldom, so the nightly job does not write it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from dagster_project.defs.dbt_project import dbt_executable, prepare_manifest
from dagster_project.errors import CspError
from dagster_project.settings import Settings
from dagster_project.warehouse import connect, current_window, run_lock

FILE_NAME = "dbt_docs.html"


def write_dbt_docs(settings: Settings) -> Path:
    """Write `<exports>/dbt_docs.html` from the models and the tables of the build file.

    Raises:
        CspError: there is no build file yet, a run is at work, or dbt fails.
    """
    with connect(settings.warehouse, settings, read_only=True) as con:
        window = current_window(con)
    target = settings.exports / FILE_NAME
    with run_lock(settings):
        prepare_manifest(settings)
        days = {"as_of_date": str(window.as_of_date), "from_date": str(window.from_date)}
        done = subprocess.run(
            [
                dbt_executable(),
                "--quiet",
                "docs",
                "generate",
                "--static",
                "--no-compile",
                "--profiles-dir",
                str(settings.dbt_project),
                "--vars",
                json.dumps(days),
            ],
            cwd=settings.dbt_project,
            env={**os.environ, **settings.dbt_environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CspError(f"dbt could not write its documentation:\n{done.stdout.strip()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{FILE_NAME}")
        fresh.write_bytes((settings.dbt_target / "static_index.html").read_bytes())
        fresh.replace(target)
    return target
