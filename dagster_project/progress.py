"""What a person sees while a run works: lines on the real stderr, whatever else is redirected.

Times shown here are for the eyes only; no result depends on them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_listening = False
stage_seconds: dict[str, float] = {}


def say(text: str) -> None:
    """Print a line of progress, when somebody asked for progress."""
    if _listening and sys.__stderr__ is not None:
        print(text, file=sys.__stderr__, flush=True)


@contextmanager
def listening() -> Iterator[None]:
    """Show progress and collect the seconds of each stage while the context lasts."""
    global _listening  # noqa: PLW0603 - one process, one terminal
    _listening = True
    stage_seconds.clear()
    try:
        yield
    finally:
        _listening = False


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Announce a stage and, when it is done, how long it took."""
    say(f"… {name}")
    started = time.perf_counter()
    yield
    stage_seconds[name] = time.perf_counter() - started
    say(f"  {name}: {stage_seconds[name]:.1f} s")
