"""Meeting notes in: found in the accounts' folders, judged, and kept in `raw_infohub`.

What the tables say is a function of the folder, the accounts and the policy as they are now, never
of when a file was written or read: a note corrected later is as if it had been right at once, one
that is gone as if it had never been. One exception, as for extracts: a correction that cannot be
read leaves the version before it standing.

Belongs here: files to raw tables. Does not belong here: the form of a note (`notes_form`), and how
its facts and those of the CRM become one (the staging models).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from dagster_project.contracts import ensure_raw_tables
from dagster_project.contracts.notes import (
    NOTE_TABLES,
    NOTES,
    NOTES_REJECTS_TABLE,
    NOTES_TABLE,
    SOURCE,
)
from dagster_project.errors import CspError, Fault
from dagster_project.infohub.notes_form import (
    MAX_NOTE_BYTES,
    Note,
    NoteWords,
    ReadNote,
    parse_note,
    plain,
)
from dagster_project.infohub.paths import ARCHIVE, AccountPlace, folder_of
from dagster_project.infohub.store import archived_folders

CALLS_FOLDER = ("meetings", "calls")
_LISTS = tuple(name for name in NOTE_TABLES if name != NOTES_TABLE)
_MAX_KEY_LENGTH = 200


@dataclass(frozen=True)
class NotesResult:
    """What one reading of the notes did.

    `found` are all note files, `read` those that were new, changed or not yet good. `waiting` are
    dated after the day asked for. `affected_from_on` is the earliest day whose facts changed, None
    when none did.
    """

    found: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    removed: int = 0
    waiting: int = 0
    affected_from_on: date | None = None
    row_counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def mend(self) -> str:
        """What to do about rejected notes; empty when there are none."""
        if not self.rejected:
            return ""
        return f"{self.rejected} notes were rejected: {NOTES_REJECTS_TABLE} says why"


@dataclass(frozen=True)
class NoteFile:
    """One file in the `meetings/calls` of an account's folder, or of the archive of one."""

    name: str
    folder: str
    is_archived: bool
    path: Path
    size_bytes: int
    modified_ns: int

    @property
    def title(self) -> str:
        """The file's own name."""
        return self.path.name


@dataclass(frozen=True)
class _Stored:
    """A note that stands; `is_named`: it names its account itself."""

    note_id: str
    account_id: str
    is_named: bool


@dataclass(frozen=True)
class _Judged:
    """A note file as read: good with its account, or with faults."""

    file: NoteFile
    sha256: str
    read: ReadNote
    account_id: str | None
    note_id: str | None
    faults: tuple[tuple[str, Fault], ...]
    """Each with the rule it breaks."""

    @property
    def note(self) -> Note | None:
        """The note when it is good."""
        return None if self.faults else self.read.note


def ingest_notes(
    con: duckdb.DuckDBPyConnection, infohub: Path, as_of: date, words: NoteWords
) -> NotesResult:
    """Bring the notes below `infohub` that are dated on or before `as_of` into `raw_infohub`.

    The accounts must be in: a note belongs to the account whose folder it stands in.

    Raises:
        CspError: the rows could not be stored, or the InfoHub's state cannot be read; what was
            there is untouched.
    """
    ensure_raw_tables(con)
    # The state of what was written is large; it is of use only where something was archived.
    archived = archived_folders(infohub) if (infohub / ARCHIVE).is_dir() else {}
    reading = _Reading(con, as_of, words, archived)
    files = list(find_notes(infohub))
    con.execute("begin")
    try:
        result = reading.run(files)
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        con.execute("rollback")
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise CspError(
            f"{SOURCE}/{NOTES}: could not be stored ({why}) — free space or memory and run again; "
            "what was there is untouched"
        ) from error
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")
    return result


def find_notes(infohub: Path) -> Iterator[NoteFile]:
    """The note files below an InfoHub in order of name.

    Links are not followed; a name that begins with a dot or an underscore, and README.md, is no
    note.
    """
    for realm in _folders(infohub):
        if realm.name != ARCHIVE:
            yield from _of_realm(infohub, realm, is_archived=False)
    # What people wrote about an account that left stays true.
    for day in _folders(infohub / ARCHIVE):
        for realm in _folders(day):
            yield from _of_realm(infohub, realm, is_archived=True)


def _of_realm(infohub: Path, realm: Path, *, is_archived: bool) -> Iterator[NoteFile]:
    for node in _folders(realm):
        calls = node.joinpath(*CALLS_FOLDER)
        if calls.is_symlink() or calls.parent.is_symlink() or not calls.is_dir():
            continue
        with os.scandir(calls) as entries:
            found = sorted(
                (e for e in entries if _is_note(e.name) and e.is_file(follow_symlinks=False)),
                key=lambda entry: entry.name,
            )
        for entry in found:
            stat = entry.stat(follow_symlinks=False)
            path = Path(entry.path)
            yield NoteFile(
                name=path.relative_to(infohub).as_posix(),
                folder=f"{realm.name}/{node.name}",
                is_archived=is_archived,
                path=path,
                size_bytes=stat.st_size,
                modified_ns=stat.st_mtime_ns,
            )


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        )


def _is_note(name: str) -> bool:
    return name.endswith(".md") and name[0] not in "._" and name.lower() != "readme.md"


class _Reading:
    """One reading of all notes, inside a transaction."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        as_of: date,
        words: NoteWords,
        archived: Mapping[str, str],
    ) -> None:
        self.con = con
        self.as_of = as_of
        self.words = words
        # What a note may say is policy: other words, and every note is read again.
        self.salt = json.dumps(asdict(words), sort_keys=True, default=sorted)
        self.accounts = _Accounts(con, as_of, archived)

    def run(self, files: Sequence[NoteFile]) -> NotesResult:
        """Read what is new, settle which notes stand, and store the difference."""
        prints = self._fingerprints(files)
        known = self._known()
        stored = self._stored()
        pending = self._pending(files, prints, known, stored)
        judged = self._judge(pending, prints, stored, {file.name for file in files})
        waiting = [
            one
            for one in judged
            if one.read.seen_from_on is not None and one.read.seen_from_on > self.as_of
        ]
        names_waiting = {one.file.name for one in waiting}
        judged = [one for one in judged if one.file.name not in names_waiting]
        good = [one for one in judged if one.note is not None]
        # Of a note that can be read but is nobody's, or another's twin, nothing stands; one that
        # cannot be read leaves what it said before.
        standing = {file.name for file in files} - names_waiting
        standing -= {one.file.name for one in judged if one.faults and not one.read.faults}
        new_ids = {str(one.note_id) for one in good}
        reread = {one.file.name for one in good}
        gone = {
            note.note_id
            for name, note in stored.items()
            if (name not in standing or name in reread) and note.note_id not in new_ids
        }
        touched = self._affected(good, gone)
        self._store(good, gone)
        self._record(judged, known.keys() - standing)
        return NotesResult(
            found=len(files),
            read=len(judged),
            accepted=len(good),
            rejected=len(judged) - len(good),
            removed=len(gone),
            waiting=len(waiting),
            affected_from_on=touched,
            row_counts={
                name: int(self._scalar(f"select count(*) from {name}")) for name in NOTE_TABLES
            },
        )

    # -- what is known ----------------------------------------------------------------------------

    def _fingerprints(self, files: Iterable[NoteFile]) -> dict[str, str]:
        """SHA-256 of every note with policy's words; a file that looks as before is not hashed."""
        rows = self.con.execute(
            "select path, size_bytes, modified_ns, sha256 from pipeline.file_times"
        ).fetchall()
        known = {(path, size, modified): sha256 for path, size, modified, sha256 in rows}
        fresh: list[tuple[str, int, int, str]] = []
        prints = {}
        for file in files:
            key = (str(file.path.resolve()), file.size_bytes, file.modified_ns)
            sha256 = known.get(key)
            if sha256 is None:
                with file.path.open("rb") as handle:
                    sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
                fresh.append((*key, sha256))
            prints[file.name] = hashlib.sha256(f"{sha256}\n{self.salt}".encode()).hexdigest()
        if fresh:
            rows_ = pl.DataFrame(
                fresh, schema=["path", "size_bytes", "modified_ns", "sha256"], orient="row"
            )
            self.con.execute(
                "delete from pipeline.file_times where path in (select path from rows_)"
            )
            self._insert("pipeline.file_times", rows_)
        return prints

    def _known(self) -> dict[str, str]:
        """Fingerprints of the accepted note files."""
        return dict(
            self.con.execute(
                "select file_name, sha256 from pipeline.files "
                "where source = ? and table_name = ? and status = 'accepted'",
                [SOURCE, NOTES],
            ).fetchall()
        )

    def _stored(self) -> dict[str, _Stored]:
        """The notes that stand, by file."""
        rows = self.con.execute(
            f"select _source_file, note_id, account_id, is_account_named from {NOTES_TABLE} "
            "where not _is_deleted"
        ).fetchall()
        return {name: _Stored(*note) for name, *note in rows}

    def _pending(
        self,
        files: Sequence[NoteFile],
        prints: Mapping[str, str],
        known: Mapping[str, str],
        stored: Mapping[str, _Stored],
    ) -> list[NoteFile]:
        """Files to read: new or changed, not good yet, or of an account that changed."""
        names: dict[tuple[str | None, str], list[str]] = defaultdict(list)
        for file in files:
            account_id = self.accounts.of_folder(file)
            if file.name in stored:
                account_id = stored[file.name].account_id
            names[account_id, file.title].append(file.name)
        twins = {name for group in names.values() if len(group) > 1 for name in group}
        return [
            file
            for file in files
            if known.get(file.name) != prints[file.name]
            or file.name in twins
            or file.name not in stored
            or not self.accounts.still_owns(file, stored[file.name])
        ]

    # -- reading ----------------------------------------------------------------------------------

    def _judge(
        self,
        files: Sequence[NoteFile],
        prints: Mapping[str, str],
        stored: Mapping[str, _Stored],
        present: Collection[str],
    ) -> list[_Judged]:
        """Read the files; of two that would be one note the first by name stands."""
        own = {file.name for file in files}
        taken = {
            note.note_id: name
            for name, note in stored.items()
            if name in present and name not in own
        }
        judged = []
        for file in sorted(files, key=lambda file: file.name):
            read = self._read(file)
            account_id, fault = self.accounts.whose(file, read)
            faults = [("note_form", found) for found in read.faults]
            if fault is not None:
                faults.append(fault)
            note_id = _note_id(account_id, file.title) if account_id is not None else None
            if note_id is not None and not faults:
                if note_id in taken:
                    faults.append(
                        (
                            "duplicate_note",
                            Fault(
                                file.name,
                                1,
                                "",
                                f"the account has a note of this name already, {taken[note_id]}",
                                "rename one of the two",
                            ),
                        )
                    )
                else:
                    taken[note_id] = file.name
            judged.append(
                _Judged(file, prints[file.name], read, account_id, note_id, tuple(faults))
            )
        return judged

    def _read(self, file: NoteFile) -> ReadNote:
        if file.size_bytes > MAX_NOTE_BYTES:
            return ReadNote(
                None, (Fault(file.name, 0, "", "is larger than 1 MiB", "keep files beside it"),)
            )
        try:
            text = file.path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            return ReadNote(None, (Fault(file.name, line, "", "is not UTF-8 text", "save it so"),))
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
            return ReadNote(None, (Fault(file.name, 0, "", why, "check who may read it"),))
        return parse_note(file.name, text, self.words)

    # -- what changes -----------------------------------------------------------------------------

    def _affected(self, good: Sequence[_Judged], gone: Collection[str]) -> date | None:
        """Earliest day that reads differently once the notes are stored.

        Action items are left out: actions are told as of the last day and not day by day.
        """
        ids = [*(str(one.note_id) for one in good), *gone]
        before = {
            note_id: (account_id, note) for note_id, account_id, note in read_notes(self.con, ids)
        }
        days: list[date] = []
        links: set[str] = set()
        blockers: set[str] = set()
        keys: set[str] = set()

        def touch(account_id: str, note_id: str, note: Note) -> None:
            days.extend(note.dates)
            if note.touchpoint_id is not None:
                links.add(note.touchpoint_id)
            for blocker_id, _, blocker in _blockers(account_id, note_id, note):
                blockers.add(blocker_id)
                keys.update({blocker.key} - {None})

        for one in good:
            assert one.note is not None and one.account_id is not None and one.note_id is not None
            old = before.get(one.note_id)
            if old is not None and old[0] == one.account_id:
                if _daily_facts(old[1]) == _daily_facts(one.note):
                    continue
                touch(old[0], one.note_id, old[1])
            touch(one.account_id, one.note_id, one.note)
        for note_id in gone:
            if note_id in before:
                touch(before[note_id][0], note_id, before[note_id][1])
        # A call or blocker of the CRM, or of another note, may read differently for all its days.
        for query, names in (
            (
                "select min(least(scheduled_on, held_on)) from raw_crm.touchpoints "
                "where touchpoint_id in (select unnest($names))",
                links,
            ),
            (
                "select min(least(opened_on, resolved_on)) from raw_crm.adoption_blockers "
                "where blocker_id in (select unnest($names))",
                keys,
            ),
            (
                "select min(least(coalesce(blockers.opened_on, notes.held_on), "
                "blockers.resolved_on, notes.held_on)) from raw_infohub.note_blockers as blockers "
                f"join {NOTES_TABLE} as notes using (note_id) "
                "where blocker_id in (select unnest($names))",
                blockers,
            ),
        ):
            if names and (day := self._scalar(query, {"names": sorted(names)})) is not None:
                days.append(day)
        return min(days, default=None)

    # -- storing ----------------------------------------------------------------------------------

    def _store(self, good: Sequence[_Judged], gone: Collection[str]) -> None:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in good:
            for table, row in _rows(one, self.words):
                rows[table].append(row)
        ids = [*(str(one.note_id) for one in good), *gone]
        # A tombstone keeps no word of the note, only that it was there and until when it counted.
        self.con.execute(
            "create or replace temp table _gone as select note_id, account_id, "
            f"_extracted_on, _source_file from {NOTES_TABLE} "
            "where note_id in (select unnest($ids))",
            {"ids": list(gone)},
        )
        for table in NOTE_TABLES:
            self.con.execute(
                f"delete from {table} where note_id in (select unnest($ids))", {"ids": ids}
            )
            if rows[table]:
                self._insert(table, _frame(table, rows[table]))
        self.con.execute(
            f"insert into {NOTES_TABLE} by name "
            "select note_id, account_id, true as _is_deleted, _extracted_on, _source_file "
            "from _gone"
        )
        self.con.execute("drop table _gone")

    def _record(self, judged: Sequence[_Judged], removed: Collection[str]) -> None:
        """Files, rejects and flags of what was read, in place of what stood there before."""
        names = [*(one.file.name for one in judged), *removed]
        accepted = [one.file.name for one in judged if one.note is not None]
        self.con.execute(
            "delete from pipeline.files where source = $source and table_name = $table and ("
            "  file_name in (select unnest($accepted)) or file_name in (select unnest($removed))"
            "  or (status = 'refused' and file_name in (select unnest($names))))",
            {
                "source": SOURCE,
                "table": NOTES,
                "accepted": accepted,
                "removed": list(removed),
                "names": names,
            },
        )
        self.con.execute(
            f"delete from {NOTES_REJECTS_TABLE} where file in (select unnest($names))",
            {"names": names},
        )
        self.con.execute(
            "delete from pipeline.quality_flags where source = $source and table_name = $table "
            "and file_name in (select unnest($names))",
            {"source": SOURCE, "table": NOTES, "names": names},
        )
        files: list[dict[str, Any]] = []
        rejects: list[dict[str, Any]] = []
        flags: list[dict[str, Any]] = []
        for one in judged:
            place: dict[str, Any] = {
                "source": SOURCE,
                "table_name": NOTES,
                "file_name": one.file.name,
            }
            day = one.read.seen_from_on
            is_good = one.note is not None
            files.append(
                place
                | {
                    "extracted_on": day,
                    "sha256": one.sha256,
                    "size_bytes": one.file.size_bytes,
                    "row_count": 1,
                    "accepted_count": int(is_good),
                    "rejected_count": int(not is_good),
                    "unchanged_count": 0,
                    "status": "accepted" if is_good else "refused",
                    "message": None
                    if is_good
                    else f"{len(one.faults)} faults: {NOTES_REJECTS_TABLE} names the lines",
                }
            )
            rejects += [
                {
                    "file": one.file.name,
                    "line": fault.line,
                    "rule": rule,
                    "column": fault.column,
                    # People's words stay in the note.
                    "value": None,
                    "message": fault.message + (f" — {fault.mend}" if fault.mend else ""),
                    "extracted_on": day,
                }
                for rule, fault in one.faults
            ]
            if one.read.unknown_keys:
                shown = ", ".join(key[:60] for key in one.read.unknown_keys[:10])
                flags.append(
                    place
                    | {
                        "flag": "unknown_key",
                        "row_count": len(one.read.unknown_keys),
                        "message": f"means nothing here and was not read: {shown}"[
                            :_MAX_KEY_LENGTH
                        ],
                        "extracted_on": day,
                    }
                )
        for table, rows in (
            ("pipeline.files", files),
            (NOTES_REJECTS_TABLE, rejects),
            ("pipeline.quality_flags", flags),
        ):
            if rows:
                self._insert(table, pl.DataFrame(rows, infer_schema_length=None))

    def _insert(self, table: str, rows: pl.DataFrame) -> None:
        # The engine finds `rows` by its Python name; registering would keep it until the commit.
        self.con.execute(f"insert into {table} by name from rows")

    def _scalar(self, query: str, params: dict[str, Any] | None = None) -> Any:
        return self.con.execute(query, params).fetchall()[0][0]


class _Accounts:
    """Which account a folder belongs to, by every realm and node an account ever had.

    `archived` says of folders in the archive whose they are (`archived_folders`).
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, as_of: date, archived: Mapping[str, str]
    ) -> None:
        self._listed = archived
        rows = con.execute(
            """
            select account_id, realm, node, region, _is_deleted, churned_on,
                _extracted_on = max(_extracted_on) over (partition by account_id) as is_newest
            from raw_crm.accounts
            order by all
            """
        ).fetchall()
        self.ids = {str(row[0]) for row in rows}
        gone = {
            account_id
            for account_id, _, _, _, is_deleted, churned_on, is_newest in rows
            if is_newest and (is_deleted or (churned_on is not None and churned_on <= as_of))
        }
        here: dict[str, set[str]] = defaultdict(set)
        left: dict[str, set[str]] = defaultdict(set)
        ever: dict[str, set[str]] = defaultdict(set)
        for account_id, realm, node, region, is_deleted, _, is_newest in rows:
            folder = None
            if not is_deleted:
                folder = folder_of(AccountPlace(account_id, realm, node, region))
            if folder is not None:
                ever[folder].add(account_id)
                if account_id in gone:
                    left[folder].add(account_id)
                elif is_newest:
                    here[folder].add(account_id)
        # Who has the folder now comes before who had it once; in the archive it is the other way.
        self._owners = {name: sorted(here.get(name) or ids) for name, ids in ever.items()}
        self._archived = {name: sorted(left.get(name) or ids) for name, ids in ever.items()}

    def _candidates(self, file: NoteFile) -> list[str]:
        if not file.is_archived:
            return self._owners.get(file.folder, [])
        listed = self._listed.get("/".join(file.name.split("/")[:4]))
        if listed is not None and listed in self.ids:
            return [listed]
        return self._archived.get(file.folder, [])

    def of_folder(self, file: NoteFile) -> str | None:
        """The account of the file's folder; None when it is nobody's, or more than one's."""
        candidates = self._candidates(file)
        return candidates[0] if len(candidates) == 1 else None

    def still_owns(self, file: NoteFile, note: _Stored) -> bool:
        """Whether a note that stands would come to the same account if it were read again."""
        if not note.is_named:
            return self.of_folder(file) == note.account_id
        candidates = self._candidates(file)
        return note.account_id in self.ids and (not candidates or note.account_id in candidates)

    def whose(self, file: NoteFile, read: ReadNote) -> tuple[str | None, tuple[str, Fault] | None]:
        """The account a note belongs to, or the rule it breaks."""
        candidates = self._candidates(file)
        named = read.note.account_id if read.note is not None else None
        line = read.lines.get(("account_id",), 1)

        def broken(rule: str, message: str, mend: str) -> tuple[None, tuple[str, Fault]]:
            return None, (rule, Fault(file.name, line, "account_id", message, mend))

        if named is not None:
            if named not in self.ids:
                return broken(
                    "unknown_account", "no account has this id", "mend it, or leave it out"
                )
            if candidates and named not in candidates:
                return broken(
                    "other_account",
                    f"the folder {file.folder} is another account's",
                    "move the note into the folder of its account, or mend account_id",
                )
            return named, None
        if len(candidates) > 1:
            return broken(
                "ambiguous_account",
                f"the folder {file.folder} belongs to accounts {', '.join(candidates)}",
                "say which with account_id, and give each its own realm or node in CRM",
            )
        if not candidates:
            return broken(
                "unknown_account",
                f"no account has the folder {file.folder}",
                "move the note into an account's folder, or name the account with account_id",
            )
        return candidates[0], None


# Facts to rows and back ---------------------------------------------------------------------------


def _digest(*parts: object) -> str:
    return hashlib.md5(json.dumps(parts, default=str).encode(), usedforsecurity=False).hexdigest()[
        :24
    ]


def _note_id(account_id: str, title: str) -> str:
    """The note by account and file name: moving the whole folder leaves it the same note."""
    return "note_" + _digest(account_id, title)


def _item_ids(account_id: str, note_id: str, note: Note) -> list[str]:
    """An item with an id is one over all notes; another is known by its words within its note."""
    counts: Counter[str] = Counter()
    ids = []
    for item in note.action_items:
        if item.key is not None:
            ids.append("act_" + _digest("meeting", account_id, item.key))
            continue
        words = plain(item.text)
        counts[words] += 1
        ids.append("act_" + _digest("meeting", account_id, note_id, words, counts[words]))
    return ids


def _blockers(account_id: str, note_id: str, note: Note) -> Iterator[tuple[str, int, Any]]:
    """(id, position, blocker): by its id, else by its words, else one of this note only."""
    for position, blocker in enumerate(note.blockers):
        if blocker.key is not None:
            parts: tuple[object, ...] = (account_id, blocker.key)
        elif blocker.description is not None:
            parts = (
                account_id,
                blocker.solution_area,
                blocker.category,
                plain(blocker.description),
            )
        else:
            parts = (account_id, note_id, position)
        yield "note_" + _digest("blocker", *parts), position, blocker


def _daily_facts(note: Note) -> Note:
    return note.model_copy(update={"action_items": (), "updated_on": None})


def _rows(one: _Judged, words: NoteWords) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, row) for everything a good note states."""
    note, account_id, note_id = one.note, one.account_id, one.note_id
    assert note is not None and account_id is not None and note_id is not None

    def lineage(*place: str | int) -> dict[str, Any]:
        return {
            "_extracted_on": note.seen_from_on,
            "_source_file": one.file.name,
            "_source_line": one.read.line(*place),
        }

    yield (
        NOTES_TABLE,
        {
            "note_id": note_id,
            "account_id": account_id,
            "call_type": note.call_type,
            "held_on": note.held_on,
            "recorded_on": note.recorded_on,
            "updated_on": note.updated_on,
            "touchpoint_id": note.touchpoint_id,
            "sentiment": note.sentiment,
            "expected_attendee_count": note.expected_attendees(),
            "attended_count": note.attended(),
            "is_executive_present": note.has_executive(words),
            "next_call_on": note.next_call.planned_on if note.next_call else None,
            "next_call_type": note.next_call.call_type if note.next_call else None,
            "is_account_named": note.account_id is not None,
            "stated_expected_count": note.expected_count,
            "stated_executive_present": note.is_executive_present,
            "_is_deleted": False,
            **lineage("date"),
        },
    )
    for position, attendee in enumerate(note.attendees):
        yield (
            "raw_infohub.note_attendees",
            {
                "note_id": note_id,
                "position": position,
                "attendee_name": attendee.name,
                "role": attendee.role,
                "side": attendee.side,
                "has_attended": attendee.has_attended,
                **lineage("attendees", position),
            },
        )
    for position, item_id in enumerate(_item_ids(account_id, note_id, note)):
        item = note.action_items[position]
        yield (
            "raw_infohub.note_actions",
            {
                "action_item_id": item_id,
                "note_id": note_id,
                "account_id": account_id,
                "position": position,
                "item_key": item.key,
                "item_text": item.text,
                "owner": item.owner,
                "due_on": item.due_on,
                "is_done": item.is_done,
                "done_on": item.done_on,
                **lineage("action_items", position),
            },
        )
    for position, evidence in enumerate(note.stage_evidence):
        yield (
            "raw_infohub.note_evidence",
            {
                "evidence_id": "note_"
                + _digest("evidence", note_id, evidence.criterion_id, position),
                "note_id": note_id,
                "account_id": account_id,
                "position": position,
                **evidence.model_dump(),
                **lineage("stage_evidence", position),
            },
        )
    for blocker_id, position, blocker in _blockers(account_id, note_id, note):
        facts = blocker.model_dump()
        yield (
            "raw_infohub.note_blockers",
            {
                "blocker_id": blocker_id,
                "note_id": note_id,
                "account_id": account_id,
                "position": position,
                "blocker_key": facts.pop("key"),
                **facts,
                **lineage("blockers", position),
            },
        )


_POLARS: Mapping[str, type[pl.DataType]] = {
    "varchar": pl.String,
    "date": pl.Date,
    "double": pl.Float64,
    "bigint": pl.Int64,
    "boolean": pl.Boolean,
}


def _frame(table: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    columns = NOTE_TABLES[table] | {
        "_extracted_on": "date",
        "_source_file": "varchar",
        "_source_line": "bigint",
    }
    return pl.DataFrame(rows, schema={name: _POLARS[kind] for name, kind in columns.items()})


def read_notes(
    con: duckdb.DuckDBPyConnection, note_ids: Collection[str] | None = None
) -> list[tuple[str, str, Note]]:
    """(note, account, facts) of the notes that stand, all or some, from the raw tables."""
    chosen = "where note_id in (select unnest($ids))" if note_ids is not None else ""
    params = {"ids": list(note_ids)} if note_ids is not None else None

    def rows(table: str, order: str) -> list[dict[str, Any]]:
        cursor = con.execute(f"select * from {table} {chosen} order by {order}", params)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    lists: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for table in _LISTS:
        by_note: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows(table, "note_id, position"):
            by_note[row["note_id"]].append(row)
        lists[table.partition(".")[2]] = by_note
    found = []
    for row in rows(NOTES_TABLE, "note_id"):
        if row["_is_deleted"]:
            continue
        note_id = row["note_id"]
        next_call = None
        if row["next_call_on"] is not None:
            next_call = {"planned_on": row["next_call_on"], "call_type": row["next_call_type"]}
        note = Note.model_validate(
            {
                "held_on": row["held_on"],
                "call_type": row["call_type"],
                "account_id": row["account_id"] if row["is_account_named"] else None,
                "touchpoint_id": row["touchpoint_id"],
                "recorded_on": row["recorded_on"],
                "updated_on": row["updated_on"],
                "sentiment": row["sentiment"],
                "expected_count": row["stated_expected_count"],
                "is_executive_present": row["stated_executive_present"],
                "attendees": [
                    {"name": one["attendee_name"], **_some(one, "role", "side", "has_attended")}
                    for one in lists["note_attendees"][note_id]
                ],
                "action_items": [
                    {
                        "text": one["item_text"],
                        "key": one["item_key"],
                        "done": one["done_on"] or one["is_done"],
                        **_some(one, "owner", "due_on"),
                    }
                    for one in lists["note_actions"][note_id]
                ],
                "next_call": next_call,
                "stage_evidence": [
                    _some(
                        one,
                        "criterion_id",
                        "solution_area",
                        "confirmed_on",
                        "confirmed_by",
                        "revoked_on",
                    )
                    for one in lists["note_evidence"][note_id]
                ],
                "blockers": [
                    {
                        "key": one["blocker_key"],
                        **_some(
                            one,
                            "solution_area",
                            "category",
                            "description",
                            "opened_on",
                            "resolved_on",
                        ),
                    }
                    for one in lists["note_blockers"][note_id]
                ],
            }
        )
        found.append((note_id, row["account_id"], note))
    return found


def _some(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
