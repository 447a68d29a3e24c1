"""What is on the disk: what we wrote, what people changed, and one safe way to change it.

A change is staged whole beside the folders (`.staged`), committed with one rename (`.applying`) and
then carried out by renames alone. A run that dies before the commit changed nothing; one that dies
after it is finished by the next. Nothing is ever deleted: what goes is moved to `archive/`.

Belongs here: state, staging, applying, archiving. Does not belong here: what a file says.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project.errors import CspError
from dagster_project.infohub.paths import ARCHIVE, inside
from dagster_project.infohub.people import BrokenBlockError, merge, split

STATE = ".state.json"
_STAGED = ".staged"
_APPLYING = ".applying"
NOWHERE = f"{_STAGED}/nowhere"
"""Stands for a folder that is not there."""
_STATE_VERSION = 1


@dataclass
class FileState:
    """What we know of one file we wrote."""

    path: str
    """Relative to the account's folder (to the InfoHub for files that are no account's)."""
    digest: str
    """Of everything the file was made from."""
    own: str
    """Of what it says outside people's part."""
    size: int = -1
    mtime_ns: int = -1


@dataclass
class AccountState:
    """An account's folder and the files we wrote there, by key."""

    folder: str
    files: dict[str, FileState] = field(default_factory=dict)


@dataclass
class HubState:
    """Everything we wrote and where it is."""

    accounts: dict[str, AccountState] = field(default_factory=dict)
    shared: dict[str, FileState] = field(default_factory=dict)
    """Indexes and the list of the archive."""
    archived: dict[str, AccountState] = field(default_factory=dict)
    """Folders of accounts that left, newest per account, so that one that returns gets its own."""
    as_of: str | None = None
    """The day that was written last."""
    archive: list[dict[str, Any]] = field(default_factory=list)
    """Every item of the archive's list, in the order they were moved."""


@dataclass
class Write:
    """One file to be put in place."""

    number: int
    path: str
    seen: tuple[int, int] | None
    """Size and change time of the file it replaces, as staged; None when there was none."""
    instead_of: str | None = None
    """The same file's former name, which goes."""


@dataclass
class Changes:
    """A staged set of changes, in the order they are carried out."""

    as_of: date
    folders: list[tuple[str, str]] = field(default_factory=list)
    """Folders to move (an account's new place, the archive, or back from it)."""
    files: list[tuple[str, str]] = field(default_factory=list)
    """Files to move."""
    copies: list[tuple[str, str]] = field(default_factory=list)
    """Files to keep a copy of before they are overwritten."""
    writes: list[Write] = field(default_factory=list)


@dataclass(frozen=True)
class Applied:
    """What carrying out a staged set of changes did."""

    written: int = 0
    faults: tuple[str, ...] = ()


def own_digest(content: bytes, *, has_block: bool) -> str:
    """Fingerprint of what a file says outside people's part.

    Raises:
        BrokenBlockError: the file should have such a part and its markers are broken.
    """
    text = split(content).own if has_block else content
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def load_state(root: Path) -> HubState:
    """What we wrote so far; empty where there is no InfoHub yet.

    Raises:
        CspError: the state file is not readable as such.
    """
    path = root / STATE
    if not path.exists():
        return HubState()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != _STATE_VERSION:
            raise ValueError(f"version {data['version']} is not {_STATE_VERSION}")
        return HubState(
            accounts={name: _account(one) for name, one in data["accounts"].items()},
            shared={key: FileState(*one) for key, one in data["shared"].items()},
            archived={name: _account(one) for name, one in data["archived"].items()},
            as_of=data["as_of"],
            archive=data["archive"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CspError(
            f"{path}: cannot be read ({error}) — restore it from a backup, or move it away: every "
            "file is then compared anew, and what was changed by hand is copied to the archive"
        ) from error


def _account(data: Mapping[str, Any]) -> AccountState:
    return AccountState(
        data["folder"], {key: FileState(*one) for key, one in data["files"].items()}
    )


def _dumped(state: HubState) -> str:
    def files(of: Mapping[str, FileState]) -> dict[str, list[object]]:
        return {
            key: [one.path, one.digest, one.own, one.size, one.mtime_ns]
            for key, one in sorted(of.items())
        }

    def accounts(of: Mapping[str, AccountState]) -> dict[str, object]:
        return {
            name: {"folder": one.folder, "files": files(one.files)}
            for name, one in sorted(of.items())
        }

    return json.dumps(
        {
            "version": _STATE_VERSION,
            "as_of": state.as_of,
            "accounts": accounts(state.accounts),
            "shared": files(state.shared),
            "archived": accounts(state.archived),
            "archive": state.archive,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def archived_folders(root: Path) -> dict[str, str]:
    """Folders in the archive and whose they are: what people wrote there is still theirs to read.

    Raises:
        CspError: the state file is not readable as such.
    """
    return {
        item["moved_to"]: item["account_id"]
        for item in load_state(root).archive
        if item["moved_from"].count("/") == 1
        and (root / item["moved_to"]).is_dir()
        and item["moved_to"].startswith(f"{ARCHIVE}/")
    }


def seen(path: str) -> tuple[int, int] | None:
    """Size and change time of a file; None when there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - a Path per file costs more than the look
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


class Stage:
    """Collects changes in `.staged`; nothing else of the InfoHub is touched."""

    def __init__(self, root: Path, as_of: date) -> None:
        self.root = root
        self.changes = Changes(as_of)
        self._folder = root / _STAGED
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "files").mkdir(parents=True)
        self._prefix = str(self._folder / "files") + os.sep

    def write(
        self, path: str, content: bytes, replaces: tuple[int, int] | None, former: str | None = None
    ) -> tuple[int, int]:
        """Stage a file; its size and change time, which it will keep."""
        number = len(self.changes.writes)
        name = f"{self._prefix}{number}"
        with open(name, "xb") as handle:  # noqa: PTH123 - see `seen`
            handle.write(content)
        self.changes.writes.append(Write(number, path, replaces, former))
        stat = os.stat(name)  # noqa: PTH116
        return stat.st_size, stat.st_mtime_ns

    def finish(self, state: HubState) -> None:
        """Write down what is to be done; from here on it can be committed."""
        changes = self.changes
        state.as_of = changes.as_of.isoformat()
        journal = {
            "as_of": changes.as_of.isoformat(),
            "folders": changes.folders,
            "files": changes.files,
            "copies": changes.copies,
            "writes": [[one.number, one.path, one.seen, one.instead_of] for one in changes.writes],
        }
        (self._folder / "state.json").write_text(_dumped(state), encoding="utf-8")
        temporary = self._folder / ".journal"
        temporary.write_text(json.dumps(journal, ensure_ascii=False), encoding="utf-8")
        temporary.replace(self._folder / "journal.json")


def recover(root: Path) -> Applied:
    """Finish what a killed run had committed."""
    return _carry_out(root) if (root / _APPLYING).exists() else Applied()


def apply_staged(root: Path, as_of: date) -> Applied:
    """Commit what is staged for the day and carry it out; a day done already is left alone.

    Raises:
        CspError: nothing is staged for that day, or the disk refused; the next run finishes it.
    """
    recover(root)
    journal = root / _STAGED / "journal.json"
    staged_for = json.loads(journal.read_text())["as_of"] if journal.exists() else None
    if staged_for is None and load_state(root).as_of == as_of.isoformat():
        return Applied()
    if staged_for != as_of.isoformat():
        raise CspError(
            f"{root}: no change of the InfoHub is staged for {as_of} — run the day again"
        )
    try:
        (root / _STAGED).rename(root / _APPLYING)
        return _carry_out(root)
    except OSError as error:
        raise CspError(
            f"{root}: the InfoHub could not be written ({error}) — free space or mend the "
            "permission; the next run finishes what is missing"
        ) from error


def _carry_out(root: Path) -> Applied:
    work = root / _APPLYING
    journal = json.loads((work / "journal.json").read_text(encoding="utf-8"))
    _move_folders(root, work, journal["folders"])
    for source, target in journal["files"]:
        if (root / source).exists() and not (root / target).exists():
            _place(root, target)
            (root / source).rename(root / target)
    for source, target in journal["copies"]:
        if (root / source).exists() and not (root / target).exists():
            copied = work / "copy"
            shutil.copyfile(root / source, copied)
            _place(root, target)
            copied.replace(root / target)
    applied = _put_files(root, work, journal["writes"])
    if (work / "state.json").exists():
        (work / "state.json").replace(root / STATE)
    shutil.rmtree(work)
    return applied


def _move_folders(root: Path, work: Path, moves: list[tuple[str, str]]) -> None:
    """Move all folders at once: first out of the way, then into place, so that two can swap.

    The markers tell a repeated call which half was done.
    """
    holding, placing, moved = work / "holding", work / "placing", work / "moved"
    if moved.exists():
        return
    holding.mkdir(exist_ok=True)
    if not placing.exists():
        for number, (source, _) in enumerate(moves):
            if (root / source).exists() and not (holding / str(number)).exists():
                (root / source).rename(holding / str(number))
        placing.touch()
    for number, (_, target) in enumerate(moves):
        held = holding / str(number)
        if held.exists():
            _place(root, target)
            held.rename(root / target)
    moved.touch()


def _place(root: Path, relative: str) -> None:
    """Make the folder a file or folder will stand in; never through a link that leads away."""
    inside(root, relative).parent.mkdir(parents=True, exist_ok=True)
    inside(root, relative)


def _put_files(root: Path, work: Path, writes: list[list[Any]]) -> Applied:
    faults: list[str] = []
    made: set[str] = set()
    written = 0
    base = str(root) + os.sep
    staged = str(work / "files") + os.sep
    for number, path, was, former in writes:
        source = f"{staged}{number}"
        if seen(source) is None:
            continue
        folder = path.rpartition("/")[0]
        if folder not in made:
            _place(root, path)
            made.add(folder)
        target = base + path
        now = seen(target)
        origin = target
        if now is None and former is not None:
            origin, now = base + former, seen(base + former)
        if path.endswith(".md") and now is not None and list(now) != was:
            # Somebody wrote in it while the run worked: take what they wrote.
            try:
                merged = merge(Path(source).read_bytes(), Path(origin).read_bytes())
            except BrokenBlockError as error:
                faults.append(f"{path}:{error.line}: {error.message}")
                Path(source).unlink()
                continue
            Path(source).write_bytes(merged)
        os.replace(source, target)  # noqa: PTH105 - see `seen`
        written += 1
        if former is not None and former != path:
            (root / former).unlink(missing_ok=True)
    return Applied(written, tuple(faults))
