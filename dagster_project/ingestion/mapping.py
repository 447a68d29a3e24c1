"""Source mappings: what a mapping file may say, and everything that can be wrong with one.

A mapping names the vendor's files with the columns it reads, and for each canonical table the file
its rows come from, joins for what another file knows, and where each column comes from. It is
checked as a whole, against the contracts and the policy lists, before any data is read. Carrying it
out is `mapped`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dagster_project.contracts import CONTRACTS, Column, Contract, Vocabulary
from dagster_project.errors import ConfigError, Fault
from dagster_project.expressions import (
    Expression,
    ExpressionError,
    Name,
    Names,
    ValueType,
    parse_expression,
)
from dagster_project.expressions.names import nearest
from dagster_project.ingestion.discovery import FORMATS, file_format
from dagster_project.yaml_lines import Document, Place, read_document

SHIPPED = Path(__file__).parent / "sources"

_ValueTypes = Annotated[ValueType, Field()]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ExtractDate(_Model):
    """Where a file's extract date comes from: exactly one of the three."""

    from_name: str | None = Field(
        default=None, description="Pattern with one group that finds YYYY-MM-DD in the file's name."
    )
    constant: date | None = None
    newest_of: tuple[str, ...] | None = Field(
        default=None, description="`file.column` of dates; the newest of all of them."
    )

    @model_validator(mode="after")
    def _one(self) -> ExtractDate:
        given = [self.from_name, self.constant, self.newest_of]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of from_name, constant, newest_of")
        return self


class VendorColumn(_Model):
    """A column of a vendor's file. `format` is strftime-like, for dates that are not ISO."""

    type: _ValueTypes
    format: str = ""


class VendorFile(_Model):
    """One kind of file. `key` columns may not repeat: the first row stands, others are rejected."""

    path: str = Field(description="Pattern below the landing folder, e.g. `export/users_*.csv`.")
    key: tuple[str, ...] = ()
    extracted_on: ExtractDate | None = None
    columns: dict[str, ValueType | VendorColumn]

    def column(self, name: str) -> VendorColumn:
        """A column by its name; an unknown one is a KeyError."""
        found = self.columns[name]
        return VendorColumn(type=found) if isinstance(found, str) else found


class Aggregate(_Model):
    """One value from many joined rows: exactly one of the four, naming a column."""

    min: str | None = None
    max: str | None = None
    any: str | None = Field(default=None, description="Yes when any row says yes; no without rows.")
    count: str | None = Field(default=None, description="Rows with a value; 0 without rows.")

    @model_validator(mode="after")
    def _one(self) -> Aggregate:
        if len(self.chosen()) != 1:
            raise ValueError("give exactly one of min, max, any, count")
        return self

    def chosen(self) -> dict[str, str]:
        """The function and its column."""
        return {k: v for k, v in self.model_dump().items() if v is not None}


class Join(_Model):
    """What another file knows about a row: by equal columns, never multiplying rows."""

    file: str
    by: dict[str, str] = Field(min_length=1, description="This file's column: the other's column.")
    where: str | None = Field(default=None, description="Which of the other file's rows count.")
    take: dict[str, str | Aggregate] = Field(min_length=1)


class ColumnSource(_Model):
    """Where a canonical column comes from: `from` (with `map`), `constant` or `expression`."""

    source: str | None = Field(default=None, alias="from")
    map: dict[str, str] | None = None
    otherwise: str | None = Field(
        default=None, description="For values the map lacks; without it such rows are rejected."
    )
    constant: str | int | float | bool | date | None = None
    expression: str | None = None

    @model_validator(mode="after")
    def _one(self) -> ColumnSource:
        given = [self.source, self.constant, self.expression]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of from, constant, expression")
        if self.map is not None and self.source is None:
            raise ValueError("a map needs from")
        if self.otherwise is not None and self.map is None:
            raise ValueError("otherwise needs a map")
        return self


class Check(_Model):
    """A condition worth counting (`flag`) or keeping out (`reject`), named by either."""

    flag: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    reject: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    when: str
    message: str

    @model_validator(mode="after")
    def _one(self) -> Check:
        if (self.flag is None) == (self.reject is None):
            raise ValueError("give exactly one of flag, reject")
        return self

    @property
    def name(self) -> str:
        """The flag's or the rule's name."""
        return self.flag or self.reject or ""


class TableMap(_Model):
    """One canonical table from one vendor file."""

    source: str = Field(alias="from")
    join: tuple[Join, ...] = ()
    where: str | None = Field(default=None, description="Which of the file's rows are rows here.")
    columns: dict[str, str | ColumnSource]
    checks: tuple[Check, ...] = ()

    def column(self, name: str) -> ColumnSource:
        """A canonical column's source; plain text names the vendor's column."""
        found = self.columns[name]
        return ColumnSource.model_validate({"from": found}) if isinstance(found, str) else found


class MappingModel(_Model):
    """A whole mapping file."""

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    credit: str = ""
    extracted_on: ExtractDate | None = None
    files: dict[str, VendorFile] = Field(min_length=1)
    tables: dict[str, TableMap] = Field(min_length=1)


@dataclass(frozen=True)
class CheckedCondition:
    """A check with its condition compiled."""

    check: Check
    condition: Expression


@dataclass(frozen=True)
class MappedTable:
    """A table's mapping with every expression compiled."""

    contract: Contract
    source: str
    joins: tuple[tuple[Join, Expression | None], ...]
    where: Expression | None
    columns: dict[str, ColumnSource]
    expressions: dict[str, Expression]
    checks: tuple[CheckedCondition, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The vendor files it reads, its own first, each once."""
        return tuple(dict.fromkeys([self.source, *(join.file for join, _ in self.joins)]))


@dataclass(frozen=True)
class SourceMapping:
    """A checked mapping. `salt` changes with its text, so that its tables are then read anew."""

    name: str
    model: MappingModel
    tables: tuple[MappedTable, ...]
    salt: str


def shipped_names() -> tuple[str, ...]:
    """Names of the mappings that come with the project."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yml")))


def load_mapping(
    sources: str | None, landing: Path, vocabulary: Vocabulary
) -> SourceMapping | None:
    """The mapping to read a landing folder with; None when it is in the canonical layout.

    `sources` is a shipped name or a file; without it `<landing>/sources.yml` is used if there.

    Raises:
        ConfigError: there is no such mapping, or it has faults (all of them are listed).
    """
    path = _find(sources, landing)
    if path is None:
        return None
    document = read_document(path)
    faults = list(document.faults)
    if not faults:
        try:
            model = MappingModel.model_validate(document.data)
        except ValidationError as error:
            faults += _model_faults(document, error)
        else:
            checker = _Checker(document, model, vocabulary)
            tables = checker.tables()
            faults += checker.faults
            if not faults:
                salt = hashlib.sha256(path.read_bytes()).hexdigest()
                return SourceMapping(model.name, model, tables, salt)
    raise ConfigError(f"{path}: the source mapping has {len(faults)} fault(s)", faults)


def _find(sources: str | None, landing: Path) -> Path | None:
    if sources is None:
        own = landing / "sources.yml"
        return own if own.is_file() else None
    if sources in shipped_names():
        return SHIPPED / f"{sources}.yml"
    path = Path(sources).expanduser()
    if path.is_file():
        return path
    near = nearest(sources, shipped_names())
    raise ConfigError(
        f"--sources {sources}: no such file, and no shipped mapping of that name — "
        + (f"did you mean {near}? " if near else "")
        + f"shipped: {', '.join(shipped_names())}"
    )


def _model_faults(document: Document, error: ValidationError) -> Iterator[Fault]:
    """Pydantic's findings at their lines; of alternatives that all failed, the likely one."""
    seen: set[tuple[Place, str]] = set()
    for detail in error.errors(include_url=False, include_context=False):
        # Pydantic puts the tried alternative's name into the path; the file knows nothing of it.
        place: Place = ()
        for part in detail["loc"]:
            is_added = detail["type"] == "missing" and part == detail["loc"][-1]
            if is_added or detail["type"] == "extra_forbidden" or (*place, part) in document.lines:
                place = (*place, part)
        message, mend = detail["msg"].removeprefix("Value error, "), ""
        if detail["type"] == "extra_forbidden":
            known = _fields_beside(place)
            near = nearest(str(place[-1]), known)
            message = f"unknown key `{place[-1]}`"
            mend = f"did you mean `{near}`?" if near else f"known: {', '.join(known)}"
        elif detail["type"] == "missing":
            message = f"`{detail['loc'][-1]}` is missing"
        value = _value_at(document.data, place)
        if detail["type"] in ("string_type", "literal_error") and isinstance(value, dict):
            # The text alternative of a place where the file has a mapping: not what was meant.
            continue
        if (place, message) not in seen:
            seen.add((place, message))
            yield document.fault(place, message, mend)


def _value_at(data: Any, place: Place) -> Any:
    for part in place:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


_FIELDS: tuple[tuple[str, type[_Model]], ...] = (
    (r"[^.]+", MappingModel),
    (r"(.*\.)?extracted_on\.[^.]+", ExtractDate),
    (r"files\.[^.]+\.[^.]+", VendorFile),
    (r"files\.[^.]+\.columns\.[^.]+\.[^.]+", VendorColumn),
    (r"tables\.[^.]+\.[^.]+", TableMap),
    (r"tables\.[^.]+\.columns\.[^.]+\.[^.]+", ColumnSource),
    (r"tables\.[^.]+\.join\.\d+\.[^.]+", Join),
    (r"tables\.[^.]+\.join\.\d+\.take\.[^.]+\.[^.]+", Aggregate),
    (r"tables\.[^.]+\.checks\.\d+\.[^.]+", Check),
)


def _fields_beside(place: Place) -> list[str]:
    """The keys that may stand where `place` stands."""
    text = ".".join(str(part) for part in place)
    for pattern, model in _FIELDS:
        if re.fullmatch(pattern, text):
            return [field.alias or name for name, field in model.model_fields.items()]
    return []


def value_type(column: Column) -> ValueType:
    """The grammar's type of a contract column."""
    kinds: dict[str, ValueType] = {
        "varchar": "text",
        "date": "date",
        "timestamp": "timestamp",
        "boolean": "boolean",
    }
    return kinds.get(column.duckdb_type, "number")


class _Checker:
    """Compiles a mapping and collects what is wrong with it."""

    def __init__(self, document: Document, model: MappingModel, vocabulary: Vocabulary) -> None:
        self.document = document
        self.model = model
        self.vocabulary = vocabulary
        self.faults: list[Fault] = []

    def _fault(self, place: Iterable[str | int], message: str, mend: str = "") -> None:
        self.faults.append(self.document.fault(tuple(place), message, mend))

    def _near(self, wanted: str, known: Iterable[str]) -> str:
        names = list(known)
        near = nearest(wanted, names)
        return f"did you mean `{near}`?" if near else f"known: {', '.join(names)}"

    def tables(self) -> tuple[MappedTable, ...]:
        """Every table that could be compiled; complete only when there are no faults."""
        self._check_dates(("extracted_on",), self.model.extracted_on)
        for name, file in self.model.files.items():
            self._check_file(name, file)
        compiled = []
        for name, table in self.model.tables.items():
            place = ("tables", name)
            if name not in CONTRACTS:
                self._fault(place, f"there is no table {name}", self._near(name, CONTRACTS))
                continue
            found = self._table(place, CONTRACTS[name], table)
            if found is not None:
                compiled.append(found)
        return tuple(compiled)

    # -- files ------------------------------------------------------------------------------------

    def _check_file(self, name: str, file: VendorFile) -> None:
        place = ("files", name)
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            self._fault((*place, "path"), "leaves the landing folder", "write a path below it")
        elif file_format(Path(path.name)) is None:
            self._fault((*place, "path"), "is no known format", f"end it in {', '.join(FORMATS)}")
        for column in file.key:
            self._known_column((*place, "key"), name, column)
        for column in file.columns:
            if column != column.strip().lower():
                self._fault(
                    (*place, "columns", column),
                    "column names are read in lower case",
                    f"write {column.strip().lower()}",
                )
        self._check_dates((*place, "extracted_on"), file.extracted_on)
        if file.extracted_on is None and self.model.extracted_on is None:
            self._fault(place, "nothing says its extract date", "add extracted_on here or on top")

    def _check_dates(self, place: Place, dates: ExtractDate | None) -> None:
        if dates is None:
            return
        if dates.from_name is not None:
            try:
                groups = re.compile(dates.from_name).groups
            except re.error as error:
                self._fault((*place, "from_name"), f"is no pattern: {error}")
            else:
                if groups != 1:
                    self._fault(
                        (*place, "from_name"), "needs one group", r"write (\d{4}-\d{2}-\d{2})"
                    )
        for reference in dates.newest_of or ():
            file, _, column = reference.partition(".")
            if self._known_file((*place, "newest_of"), file) and self._known_column(
                (*place, "newest_of"), file, column
            ):
                kind = self.model.files[file].column(column).type
                if kind not in ("date", "timestamp"):
                    self._fault((*place, "newest_of"), f"{reference} is a {kind}, not a date")

    def _known_file(self, place: Place, name: str) -> bool:
        if name in self.model.files:
            return True
        self._fault(place, f"there is no file {name}", self._near(name, self.model.files))
        return False

    def _known_column(self, place: Place, file: str, column: str) -> bool:
        columns = self.model.files[file].columns
        if column in columns:
            return True
        self._fault(place, f"{file} has no column {column} here", self._near(column, columns))
        return False

    # -- tables -----------------------------------------------------------------------------------

    def _table(self, place: Place, contract: Contract, table: TableMap) -> MappedTable | None:
        if not self._known_file((*place, "from"), table.source):
            return None
        file = self.model.files[table.source]
        types: dict[str, ValueType] = {name: file.column(name).type for name in file.columns}
        joins = []
        for index, join in enumerate(table.join):
            at = (*place, "join", index)
            if not self._known_file((*at, "file"), join.file):
                return None
            joins.append((join, self._join(at, table.source, join, types)))
        names = Names(Name(name, kind) for name, kind in types.items())
        where = None
        if table.where is not None:
            where = self._expression((*place, "where"), table.where, names, "boolean")
        expressions: dict[str, Expression] = {}
        columns = {column.name: column for column in contract.columns}
        for name in table.columns:
            at = (*place, "columns", name)
            if name not in columns:
                self._fault(at, f"{contract.name} has no column {name}", self._near(name, columns))
                continue
            expression = self._column(at, columns[name], contract, table.column(name), names)
            if expression is not None:
                expressions[name] = expression
        missing = [name for name in contract.required_columns if name not in table.columns]
        if missing:
            self._fault(
                (*place, "columns"),
                f"nothing feeds the required {', '.join(missing)}",
                "map it to a column, a constant or an expression",
            )
        checks = self._checks(place, table, names)
        return MappedTable(
            contract=contract,
            source=table.source,
            joins=tuple(joins),
            where=where,
            columns={name: table.column(name) for name in table.columns},
            expressions=expressions,
            checks=checks,
        )

    def _checks(self, place: Place, table: TableMap, names: Names) -> tuple[CheckedCondition, ...]:
        found: dict[str, CheckedCondition] = {}
        for index, check in enumerate(table.checks):
            at = (*place, "checks", index)
            if check.name in found:
                self._fault(at, f"two checks are called {check.name}", "rename one")
            condition = self._expression((*at, "when"), check.when, names, "boolean")
            if condition is not None:
                found[check.name] = CheckedCondition(check, condition)
        return tuple(found.values())

    def _join(
        self, place: Place, main: str, join: Join, types: dict[str, ValueType]
    ) -> Expression | None:
        """Check a join and add what it takes to `types`; the compiled `where`."""
        other = self.model.files[join.file]
        for left, right in join.by.items():
            if left not in types:
                self._fault((*place, "by"), f"{main} has no column {left}", self._near(left, types))
            elif (
                self._known_column((*place, "by"), join.file, right)
                and types[left] != other.column(right).type
            ):
                self._fault(
                    (*place, "by"),
                    f"{left} is a {types[left]}, {right} a {other.column(right).type}",
                    "give both one type under files",
                )
        for name, taken in join.take.items():
            at = (*place, "take", name)
            if name in types:
                self._fault(at, f"the name {name} is taken", "take it under another name")
                continue
            function, column = (
                ("", taken) if isinstance(taken, str) else (next(iter(taken.chosen().items())))
            )
            if not self._known_column(at, join.file, column):
                continue
            kind = other.column(column).type
            if not function and set(other.key) != set(join.by.values()):
                self._fault(
                    at,
                    f"{join.file} may have several rows here",
                    f"make {', '.join(join.by.values())} its key, or take min, max, any or count",
                )
            if function == "any" and kind != "boolean":
                self._fault(at, f"any needs a boolean, {column} is a {kind}")
            types[name] = "number" if function == "count" else kind
        if join.where is None:
            return None
        names = Names(Name(name, other.column(name).type) for name in other.columns)
        return self._expression((*place, "where"), join.where, names, "boolean")

    def _expression(
        self, place: Place, text: str, names: Names, result: ValueType | None
    ) -> Expression | None:
        try:
            return parse_expression(text, names, result=result, derived=True)
        except ExpressionError as error:
            line = self.document.line(place)
            # A block of text begins on the line after its key.
            line += error.line - 1
            fault = self.document.fault(place, error.message, error.mend)
            self.faults.append(Fault(fault.file, line, fault.column, fault.message, fault.mend))
            return None

    def _column(
        self, place: Place, column: Column, contract: Contract, source: ColumnSource, names: Names
    ) -> Expression | None:
        allowed = contract.allowed_values(column.name, self.vocabulary)
        if source.constant is not None:
            self._check_constant(place, column, source.constant, allowed)
            return None
        if source.map is not None:
            for key, value in [*source.map.items(), ("otherwise", source.otherwise)]:
                if value is not None and allowed and value not in allowed:
                    at = (*place, "map", key) if key != "otherwise" else (*place, key)
                    self._fault(
                        at, f"{column.name} is never {value!r}", f"one of {', '.join(allowed)}"
                    )
            if value_type(column) != "text":
                self._fault(place, "a map gives text", "write an expression for this column")
        if source.expression is not None:
            expression = self._expression((*place, "expression"), source.expression, names, None)
        else:
            expression = self._expression(place, f'"{source.source}"', names, None)
        if expression is None or source.map is not None:
            return expression
        wanted = value_type(column)
        if expression.type != wanted and {expression.type, wanted} != {"date", "timestamp"}:
            self._fault(
                place, f"{column.name} is a {wanted}, this gives a {expression.type}", "cast it"
            )
        return expression

    def _check_constant(
        self, place: Place, column: Column, value: object, allowed: tuple[str, ...]
    ) -> None:
        kinds: dict[str, tuple[type, ...]] = {
            "text": (str,),
            "number": (int, float),
            "boolean": (bool,),
            "date": (date,),
            "timestamp": (date,),
        }
        wanted = value_type(column)
        if not isinstance(value, kinds[wanted]) or (
            isinstance(value, bool) != (wanted == "boolean")
        ):
            self._fault((*place, "constant"), f"{column.name} is a {wanted}, not {value!r}")
        elif allowed and value not in allowed:
            self._fault(
                (*place, "constant"),
                f"{column.name} is never {value!r}",
                f"one of {', '.join(allowed)}",
            )
