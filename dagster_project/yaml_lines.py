"""YAML with the line of every key and value, and without the traps of plain YAML.

Belongs here: text to plain data plus places. Does not belong here: what the data means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dagster_project.errors import Fault

Place = tuple[str | int, ...]

# The parser in C reads the same language and is ten times as fast.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PlainLoader: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Leaves every scalar the text that stands there."""


def load_yaml(text: str) -> Any:
    """The plain data of trusted YAML, such as this project's own dbt files."""
    return yaml.load(text, Loader=_Loader)


@dataclass
class Document:
    """One file's data; `lines` maps the path of every part to its 1-based line."""

    file: str
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, place: Sequence[str | int]) -> int:
        """Line of a part, or of the nearest part around it."""
        path = tuple(place)
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def fault(self, place: Sequence[str | int], message: str, mend: str = "") -> Fault:
        """A fault at a part of this file."""
        return Fault(self.file, self.line(place), write_place(place), message, mend)


def write_place(place: Sequence[str | int]) -> str:
    """A path as people write it: `triggers[0].condition`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(path: Path) -> Document:
    """Read one YAML file. What cannot be read, and keys given twice, are in `faults`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        return Document(path.name, faults=[Fault(path.name, 0, "", f"cannot be read: {reason}")])
    return parse_document(path.name, text)


def parse_document(file: str, text: str, *, is_typed: bool = True) -> Document:
    """Read YAML text as `read_document` does; `file` is how faults name it.

    Without `is_typed` every scalar stays the text that stands there: a date that does not exist is
    then for the reader of the data to refuse, with its line.
    """
    document = Document(file)
    loader = (_Loader if is_typed else PlainLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            document.faults.append(Fault(file, 0, "", "the file is empty"))
            return document
        _note_lines(node, (), document, depth=0)
        if not document.faults:
            document.data = loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error) or "nested too deeply"
        document.faults.append(
            Fault(file, mark.line + 1 if mark else 0, "", f"broken YAML: {problem}")
        )
    finally:
        loader.dispose()
    return document


def _note_lines(node: yaml.Node, path: Place, document: Document, depth: int) -> None:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if depth > 30:
        raise ValueError("nested too deeply")
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = str(key_node.value)
            place = (*path, key)
            if place in document.lines:
                first = document.lines[place]
                document.faults.append(
                    Fault(
                        document.file,
                        key_node.start_mark.line + 1,
                        write_place(place),
                        f"the key `{key}` is given twice (first on line {first})",
                        "keep one",
                    )
                )
            document.lines[place] = key_node.start_mark.line + 1
            _note_lines(value_node, place, document, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, value_node in enumerate(node.value):
            _note_lines(value_node, (*path, index), document, depth + 1)
