"""Which extracts a landing folder holds, by the canonical layout, and what it holds besides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from dagster_project.contracts import CONTRACTS
from dagster_project.errors import ConfigError, CspError
from dagster_project.expressions.names import nearest
from dagster_project.ingestion.reading import RawBatch, read_batches

FORMATS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".parquet": "parquet",
}
_NAME = re.compile(r".+_(\d{4}-\d{2}-\d{2})(\.[a-z.]+)")
# Files a person may keep at the top of a landing folder.
_TOP_FILES = re.compile(r"sources\.ya?ml|readme(\..*)?|license(\..*)?", re.IGNORECASE)

Reader = Callable[[duckdb.DuckDBPyConnection], Iterator[RawBatch]]


@dataclass(frozen=True)
class Extract:
    """One file (or one mapped view of files) of one canonical table.

    `name` is its path below the landing folder; `paths` are all files its rows depend on, and
    `salt` whatever else does (a mapping's text), so that a change in any of them is noticed.
    """

    table: str
    name: str
    extracted_on: date
    paths: tuple[Path, ...]
    read: Reader = field(compare=False, repr=False)
    salt: str = ""


@dataclass(frozen=True)
class Discovery:
    """Extracts in order of (table, date, name), and what was not understood."""

    extracts: tuple[Extract, ...]
    warnings: tuple[str, ...]


def check_landing(landing: Path) -> None:
    """Raise ConfigError when the landing folder is not there or is no folder."""
    if not landing.is_dir():
        what = "is not a folder" if landing.exists() else "there is no such landing folder"
        raise ConfigError(f"{landing}: {what} — give --landing, or set CSP_LANDING_DIR")


def file_format(path: Path) -> str | None:
    """csv, jsonl or parquet by the file's name, None for any other."""
    name = path.name.lower()
    return next((kind for end, kind in FORMATS.items() if name.endswith(end)), None)


def discover(landing: Path) -> Discovery:
    """Every extract below `landing`, and a warning for every file that is none.

    Raises:
        ConfigError: there is no such folder.
        CspError: it holds no extract at all.
    """
    check_landing(landing)
    extracts: list[Extract] = []
    warnings: list[str] = []
    for path in sorted(landing.rglob("*")):
        relative = path.relative_to(landing)
        if path.is_dir() or any(part.startswith(".") for part in relative.parts):
            continue
        if len(relative.parts) == 1 and _TOP_FILES.fullmatch(path.name):
            continue
        found = _extract(path, relative)
        if isinstance(found, Extract):
            extracts.append(found)
        else:
            warnings.append(f"{relative.as_posix()}: not read: {found}")
    if not extracts:
        raise CspError(
            f"{landing}: holds no extract — deliver <source>/<table>/<name>_YYYY-MM-DD.csv "
            "(or .csv.gz, .jsonl, .jsonl.gz, .parquet), or name a source mapping with --sources"
            + "".join(f"\n  {warning}" for warning in warnings[:20])
        )
    extracts.sort(key=lambda extract: (extract.table, extract.extracted_on, extract.name))
    return Discovery(tuple(extracts), tuple(warnings))


def _extract(path: Path, relative: Path) -> Extract | str:
    """The extract a file is, or why it is none."""
    if len(relative.parts) != 3:
        return "extracts stand in <source>/<table>/"
    table = "/".join(relative.parts[:2])
    contract = CONTRACTS.get(table)
    if contract is None:
        near = nearest(table, CONTRACTS)
        return f"no table {table}" + (f"; did you mean {near}?" if near else "")
    match = _NAME.fullmatch(path.name)
    if match is None or match[2] not in FORMATS:
        return "its name must end in _YYYY-MM-DD and one of " + ", ".join(FORMATS)
    try:
        extracted_on = date.fromisoformat(match[1])
    except ValueError:
        return f"{match[1]} is no date"
    kind = FORMATS[match[2]]
    wanted = frozenset(contract.column_names)
    return Extract(
        table=table,
        name=relative.as_posix(),
        extracted_on=extracted_on,
        paths=(path,),
        read=lambda con: read_batches(con, path, kind, wanted),
    )
