"""Reading the seeds: every row with its line, every cell in its declared type.

What a seed must look like is said once, in the YAML that dbt reads too: `column_types`, the
`unique_combination` key, `accepted_values`, `relationships` and `not_null`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from dagster_project.errors import Fault
from dagster_project.yaml_lines import load_yaml

_REF = re.compile(r"""ref\(\s*['"]([^'"]+)['"]\s*\)""")
_BOOLEANS = {"true": True, "false": False}
_INTEGERS = {"integer", "int", "bigint", "smallint"}


@dataclass(frozen=True, eq=False)
class PolicyRow(Mapping[str, Any]):
    """One row of a seed: typed values by column (None where the cell is empty), and its line."""

    line: int
    cells: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.cells[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class PolicyTable:
    """One seed. `file` is its place as faults show it."""

    name: str
    file: str
    columns: tuple[str, ...]
    rows: tuple[PolicyRow, ...]


@dataclass(frozen=True)
class Policy:
    """All seeds by name."""

    folder: Path
    tables: Mapping[str, PolicyTable]
    broken: frozenset[str] = frozenset()
    """Seeds of which something could not be read: what is built on them is not judged."""

    def rows(self, name: str) -> tuple[PolicyRow, ...]:
        """The rows of a seed; none when the seed is missing."""
        table = self.tables.get(name)
        return table.rows if table else ()

    def place(self, name: str) -> str:
        """The seed's file as faults show it."""
        table = self.tables.get(name)
        return table.file if table else f"{_shown(self.folder)}/{name}.csv"

    def values(self, name: str, column: str) -> set[Any]:
        """The different values of a column, without empty ones."""
        return {row.get(column) for row in self.rows(name)} - {None}


@dataclass
class _Declaration:
    """What the YAML says of one seed."""

    name: str
    file: str
    types: dict[str, str]
    key: tuple[str, ...] = ()
    required: set[str] = field(default_factory=set)
    accepted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    references: dict[str, tuple[str, str]] = field(default_factory=dict)


def read_tables(folder: Path) -> tuple[Policy, list[Fault]]:
    """Read every seed under `folder`; what cannot be read is a fault and leaves its rows out."""
    faults: list[Fault] = []
    declarations = _declarations(folder, faults)
    tables: dict[str, PolicyTable] = {}
    broken: set[str] = set()
    for path in sorted(folder.rglob("*.csv")):
        shown = _shown(folder, path)
        if path.stem in tables:
            faults.append(
                Fault(
                    shown,
                    0,
                    "",
                    f"{tables[path.stem].file} has the same name",
                    "rename one: a seed's name is a table's name",
                )
            )
            continue
        declaration = declarations.get(path.stem)
        if declaration is None:
            faults.append(
                Fault(
                    shown,
                    0,
                    "",
                    "no YAML beside it declares this seed",
                    "add it to the folder's seeds YAML, with column_types and descriptions",
                )
            )
            continue
        own: list[Fault] = []
        tables[path.stem] = _read_table(path, shown, declaration, own)
        if own:
            broken.add(path.stem)
        faults.extend(own)
    for name, declaration in declarations.items():
        if name not in tables:
            broken.add(name)
            faults.append(
                Fault(
                    declaration.file,
                    0,
                    name,
                    f"there is no file {name}.csv for this declaration",
                    "add the file or remove the declaration",
                )
            )
    policy = Policy(folder, tables, frozenset(broken))
    for name, declaration in declarations.items():
        if name in tables:
            faults.extend(_reference_faults(policy, tables[name], declaration))
    return policy, faults


def nearest(word: object, known: Sequence[object] | set[Any]) -> str:
    """`did you mean …`, or the known words when nothing is close."""
    words = sorted(str(entry) for entry in known)
    close = get_close_matches(str(word), words, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "use one of: " + ", ".join(words) if words else "none is defined yet"


def _shown(folder: Path, path: Path | None = None) -> str:
    """The place of a file from the project's root on, the same on every machine."""
    start = Path(folder.parent.name) / folder.name
    return (start / path.relative_to(folder) if path else start).as_posix()


def _declarations(folder: Path, faults: list[Fault]) -> dict[str, _Declaration]:
    found: dict[str, _Declaration] = {}
    for path in sorted(folder.rglob("*.yml")):
        shown = _shown(folder, path)
        try:
            parsed = load_yaml(path.read_text(encoding="utf-8")) or {}
            seeds = [_declaration(seed, shown) for seed in parsed.get("seeds") or []]
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 0
            faults.append(Fault(shown, line, "", f"not readable as YAML: {error}", "mend the YAML"))
            continue
        except (AttributeError, KeyError, TypeError, OSError, UnicodeDecodeError) as error:
            faults.append(
                Fault(shown, 0, "", f"not a list of dbt seeds ({error!r})", "mend the YAML")
            )
            continue
        found.update((seed.name, seed) for seed in seeds)
    return found


def _declaration(seed: Mapping[str, Any], shown: str) -> _Declaration:
    types = (seed.get("config") or {}).get("column_types") or {}
    made = _Declaration(
        str(seed["name"]), shown, {str(k): str(v).lower() for k, v in types.items()}
    )
    for test in seed.get("data_tests") or []:
        if isinstance(test, Mapping) and "unique_combination" in test:
            made.key = tuple(test["unique_combination"]["arguments"]["columns"])
    for column in seed.get("columns") or []:
        name = str(column["name"])
        for test in column.get("data_tests") or []:
            if test == "not_null":
                made.required.add(name)
            elif isinstance(test, Mapping) and "accepted_values" in test:
                values = test["accepted_values"]["arguments"]["values"]
                made.accepted[name] = tuple(str(value) for value in values)
            elif isinstance(test, Mapping) and "relationships" in test:
                arguments = test["relationships"]["arguments"]
                target = _REF.search(str(arguments["to"]))
                if target:
                    made.references[name] = (target.group(1), str(arguments["field"]))
    # A row without its key, or without the date from which it holds, is no row.
    made.required |= set(made.key)
    if "effective_from" in made.types:
        made.required.add("effective_from")
    return made


def _read_table(
    path: Path, shown: str, declaration: _Declaration, faults: list[Fault]
) -> PolicyTable:
    columns: tuple[str, ...] = ()
    rows: list[PolicyRow] = []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            columns = tuple(next(reader, []))
            faults.extend(_header_faults(shown, columns, declaration))
            start = reader.line_num + 1
            for cells in reader:
                line, start = start, reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(columns):
                    faults.append(
                        Fault(
                            shown,
                            line,
                            "",
                            f"{len(cells)} cells where the head has {len(columns)} columns",
                            "quote a cell that holds a comma; write an empty cell as nothing",
                        )
                    )
                    continue
                row, own = _read_row(shown, line, columns, cells, declaration)
                faults.extend(own)
                if row is not None:
                    rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(
            Fault(shown, 0, "", f"not readable as CSV in UTF-8: {error}", "mend the file")
        )
    table = PolicyTable(declaration.name, shown, columns, tuple(rows))
    faults.extend(_key_faults(table, declaration))
    return table


def _header_faults(
    shown: str, columns: Sequence[str], declaration: _Declaration
) -> Iterator[Fault]:
    for index, column in enumerate(columns):
        if column in columns[:index]:
            yield Fault(shown, 1, column, "the column is there twice", "remove one")
        elif column not in declaration.types:
            yield Fault(
                shown, 1, column, "unknown column", nearest(column, list(declaration.types))
            )
    for column in declaration.types:
        if column not in columns:
            yield Fault(
                shown, 1, column, "the column is missing", "add it to the head and the rows"
            )


def _read_row(
    shown: str,
    line: int,
    columns: Sequence[str],
    cells: Sequence[str],
    declaration: _Declaration,
) -> tuple[PolicyRow | None, list[Fault]]:
    faults: list[Fault] = []
    values: dict[str, Any] = dict.fromkeys(declaration.types)
    for column, cell in zip(columns, cells, strict=True):
        kind = declaration.types.get(column)
        if kind is None:
            continue
        if cell == "":
            if column in declaration.required:
                faults.append(Fault(shown, line, column, "the cell is empty", "give it a value"))
            continue
        value = _typed(cell, kind)
        if value is None:
            faults.append(
                Fault(shown, line, column, f"{cell!r} is not of type {kind}", _example(kind))
            )
            continue
        accepted = declaration.accepted.get(column)
        if accepted is not None and cell not in accepted:
            faults.append(
                Fault(shown, line, column, f"unknown value {cell!r}", nearest(cell, accepted))
            )
            continue
        values[column] = value
    return (None if faults else PolicyRow(line, values)), faults


def _typed(cell: str, kind: str) -> Any:
    """The cell in the declared type; None when it is not of that type."""
    try:
        if kind in _INTEGERS:
            return int(cell) if re.fullmatch(r"[+-]?\d+", cell) else None
        if kind == "date":
            return date.fromisoformat(cell) if re.fullmatch(r"\d{4}-\d\d-\d\d", cell) else None
        if kind == "double" or kind.startswith(("decimal", "numeric")):
            number = Decimal(cell)
            return number if number.is_finite() and _fits(number, kind) else None
    except (ValueError, InvalidOperation):
        return None
    return _BOOLEANS.get(cell.lower()) if kind == "boolean" else cell


def _fits(number: Decimal, kind: str) -> bool:
    """Whether the number keeps all its digits in `decimal(p, s)`."""
    digits = re.fullmatch(r"(?:decimal|numeric)\(\s*(\d+)\s*,\s*(\d+)\s*\)", kind)
    if not digits:
        return True
    precision, scale = int(digits.group(1)), int(digits.group(2))
    return number == round(number, scale) and abs(number) < Decimal(10) ** (precision - scale)


def _example(kind: str) -> str:
    if kind in _INTEGERS:
        return "write a whole number, such as 14"
    if kind == "boolean":
        return "write true or false"
    if kind == "date":
        return "write a date as YYYY-MM-DD"
    return "write a number with a point, such as 0.5" + ("" if kind == "double" else f" ({kind})")


def _key_faults(table: PolicyTable, declaration: _Declaration) -> Iterator[Fault]:
    first: dict[tuple[Any, ...], int] = {}
    if not declaration.key:
        return
    for row in table.rows:
        key = tuple(row.get(column) for column in declaration.key)
        if key in first:
            shown = ", ".join(str(value) for value in key)
            yield Fault(
                table.file,
                row.line,
                declaration.key[-1],
                f"({shown}) is there already, on line {first[key]}",
                "remove one of the two rows",
            )
        else:
            first[key] = row.line


def _reference_faults(
    policy: Policy, table: PolicyTable, declaration: _Declaration
) -> Iterator[Fault]:
    for column, (target, target_column) in declaration.references.items():
        if target in policy.broken:
            continue
        known = policy.values(target, target_column)
        for row in table.rows:
            value = row.get(column)
            if value is not None and value not in known:
                yield Fault(
                    table.file,
                    row.line,
                    column,
                    f"{value!r} is not in {target}",
                    nearest(value, known),
                )
