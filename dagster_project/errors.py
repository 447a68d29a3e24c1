"""The errors a user may see, and nothing else: each names the place and the mend.

`CspError` ends a run with exit status 1, `ConfigError` with 2 (nothing was changed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong in one place, and how to mend it.

    `line` and `column` are 1-based; 0 means the whole file. `mend` is a short instruction.
    """

    file: str
    line: int
    column: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        place = self.file if not self.line else f"{self.file}:{self.line}"
        if self.column:
            place = f"{place} [{self.column}]"
        return f"{place}: {self.message}" + (f" — {self.mend}" if self.mend else "")


class CspError(Exception):
    """The run failed; what was published before is untouched. Exit status 1."""

    exit_status = 1


class WarehouseBusyError(CspError):
    """Another process holds the warehouse; trying again later may succeed."""


class ConfigError(CspError):
    """The call or the configuration is wrong; nothing was changed. Exit status 2.

    `faults` lists every fault found, in order of place.
    """

    exit_status = 2

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        self.faults: tuple[Fault, ...] = tuple(sorted(faults))
        lines = [message, *(f"  {fault}" for fault in self.faults)]
        super().__init__("\n".join(lines))
