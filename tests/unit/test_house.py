"""The rules of the house that no linter knows: arrows point down, no wall clock, no stray paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from dagster_project.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "dagster_project"

# Floors from the ground; a module imports from lower floors or from its own room only.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "errors",
            "settings",
            "progress",
            "sentences",
            "templating",
            "text_table",
            "yaml_lines",
            "expressions",
        }
    ),
    frozenset({"contracts"}),
    frozenset({"warehouse", "policy"}),
    frozenset({"ingestion", "playbooks", "infohub", "reporting", "proof", "sampling"}),
    frozenset({"checking"}),
    frozenset({"defs", "definitions"}),
    frozenset({"ui"}),
    frozenset({"cli"}),
)
WALL_CLOCK_SQL = re.compile(
    r"\b(current_date|current_timestamp|now\(\)|today\(\)|get_current_timestamp|localtimestamp)\b",
    re.I,
)
WALL_CLOCK_PYTHON = {
    ("date", "today"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("time", "time"),
}
# A signature holds the moment of sending, or it could be replayed; no result reads it.
MAY_READ_THE_CLOCK = {"webhook.py"}


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster_project"):
            parts = (node.module or "").split(".")
            rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("dagster_project.")
            }
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_point_down(path: Path) -> None:
    name = room(path)
    if name == "__init__":
        return
    floor = {r: number for number, rooms in enumerate(FLOORS) for r in rooms}
    assert name in floor, f"{name} has no floor: add it to FLOORS"
    wrong = {r for r in imported_rooms(path) if r != name and floor[r] >= floor[name]}
    if name in FLOORS[0] or name in {"defs", "definitions", "warehouse", "policy"}:
        wrong = {r for r in wrong if floor[r] > floor[name]}
    assert not wrong, f"{path.name} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_defs_and_above_know_dagster(path: Path) -> None:
    if room(path) in {"defs", "definitions", "cli"}:
        return
    tree = ast.parse(path.read_text())
    names = {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    } | {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not names & {"dagster", "dagster_dbt"}


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_wall_clock_in_python(path: Path) -> None:
    if path.name in MAY_READ_THE_CLOCK:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in WALL_CLOCK_PYTHON, f"line {node.lineno}"


def test_no_wall_clock_in_models() -> None:
    found = [
        f"{path}:{number}"
        for folder in ("models", "macros", "tests")
        for path in (PROJECT_ROOT / "dbt" / folder).rglob("*.sql")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if WALL_CLOCK_SQL.search(line)
    ]
    assert not found


def test_every_model_has_a_description_and_so_has_every_column_of_a_public_table() -> None:
    """What leaves is documented; the manifest is not needed to see it, the YAML is enough."""
    described: dict[str, dict[str, str]] = {}
    tables: dict[str, str] = {}
    for path in sorted((PROJECT_ROOT / "dbt" / "models").rglob("*.yml")):
        for model in (yaml.safe_load(path.read_text()) or {}).get("models", []):
            tables[model["name"]] = model.get("description", "")
            described[model["name"]] = {
                column["name"]: column.get("description", "") for column in model.get("columns", [])
            }
    models = {path.stem: path for path in (PROJECT_ROOT / "dbt" / "models").rglob("*.sql")}
    undescribed = [name for name in models if not tables.get(name)]
    assert not undescribed
    public = [name for name, path in models.items() if "marts" in path.parts]
    assert not [name for name in public if not described[name]]
    assert not [
        f"{name}.{column}"
        for name in public
        for column, text in described[name].items()
        if not text
    ]


def test_dbt_folder_is_no_python_package() -> None:
    assert not (PROJECT_ROOT / "dbt" / "__init__.py").exists()
