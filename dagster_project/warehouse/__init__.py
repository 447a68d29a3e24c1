"""The warehouse files: one way to open them, the run's date range, and publication.

No Dagster and no business logic: nothing here knows what a score or a playbook is.
"""

from dagster_project.warehouse.connection import connect, copy_database, run_lock
from dagster_project.warehouse.publish import Publication, publish_snapshot
from dagster_project.warehouse.runs import RunWindow, choose_window, current_window

__all__ = [
    "Publication",
    "RunWindow",
    "choose_window",
    "connect",
    "copy_database",
    "current_window",
    "publish_snapshot",
    "run_lock",
]
