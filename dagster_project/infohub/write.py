"""Write the InfoHub of a day: which files there must be, which of them changed, and why not.

`stage_infohub` reads, renders what changed and stages it; `apply_staged` (in `store`) puts it in
place with renames. Between the two the warehouse is published, so that the folders never show a day
that was not.

Belongs here: the order of things. Does not belong here: SQL, texts, renames.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel

from dagster_project.errors import CspError
from dagster_project.infohub import compose, documents
from dagster_project.infohub.facts import Facts, Row, read_facts, read_openings, read_places
from dagster_project.infohub.paths import ARCHIVE, Folders, PathFault, assign_folders
from dagster_project.infohub.people import BrokenBlockError, merge
from dagster_project.infohub.store import (
    AccountState,
    FileState,
    Stage,
    load_state,
    own_digest,
    recover,
    seen,
)
from dagster_project.infohub.templates import PLAN, PREP, TRIAGE, Templates
from dagster_project.infohub.yaml_text import to_yaml

FILES_TABLE = "pipeline.infohub_files"
FAULTS_TABLE = "pipeline.infohub_faults"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Raised when what a file says changes without its facts, templates or schema.
_FORMAT = 1


@dataclass(frozen=True)
class Artifact:
    """One file of an account's folder: its key, place, what it is made from, and how."""

    key: str
    path: str
    digest: str
    render: Callable[[], bytes | None]
    is_in_doubt: bool = False
    """What it is made from may have changed although its digest did not."""

    @property
    def has_block(self) -> bool:
        """Whether people may write in it."""
        return self.path.endswith(".md")


@dataclass
class StagedHub:
    """What a day's InfoHub will be once it is applied, and what could not be done."""

    files: list[tuple[str, str, str, date | None, str | None, int | None]] = field(
        default_factory=list
    )
    """Account, path within the InfoHub, key, date, call type and slot of every file."""
    faults: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def stage_infohub(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    templates_folder: Path,
    from_date: date,
    as_of: date,
) -> StagedHub:
    """Render what changed and stage it under `root`; nothing a reader sees is touched.

    Args:
        con: the build file of a run whose marts and playbooks are done.
        root: the InfoHub.
        templates_folder: the Markdown templates.
        from_date: first day the run computed; facts of earlier days have not changed.
        as_of: the day.

    Raises:
        ConfigError: a template is missing or wrong.
        CspError: the state of the InfoHub is not readable, or a link leads out of it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        recover(root)
        return _Staging(con, root, Templates(templates_folder), from_date, as_of).run()
    except OSError as error:
        raise CspError(
            f"{root}: the InfoHub could not be staged ({error}) — free space or mend the "
            "permission, then run again; the folders are as they were"
        ) from error


def note_files(con: duckdb.DuckDBPyConnection, staged: StagedHub) -> None:
    """Keep in the build file which files there are, for the queues' links, and what is wrong."""
    con.execute(
        f"create or replace table {FILES_TABLE} (account_id varchar, path varchar, key varchar, "
        "dated_on date, call_type varchar, slot_number bigint)"
    )
    con.execute(f"create or replace table {FAULTS_TABLE} (position integer, message varchar)")
    if staged.files:
        columns: list[list[Any]] = [list(column) for column in zip(*staged.files, strict=True)]
        con.execute(
            f"insert into {FILES_TABLE} select unnest($1::varchar[]), unnest($2::varchar[]), "
            "unnest($3::varchar[]), unnest($4::date[]), unnest($5::varchar[]), "
            "unnest($6::bigint[])",
            columns,
        )
    if staged.faults:
        con.execute(
            f"insert into {FAULTS_TABLE} select unnest($1::integer[]), unnest($2::varchar[])",
            [list(range(len(staged.faults))), staged.faults],
        )


class _Staging:
    """One staging run; its methods are the steps, in order."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        root: Path,
        templates: Templates,
        from_date: date,
        as_of: date,
    ) -> None:
        self.con = con
        self.root = root
        self.base = f"{root}/"
        self.templates = templates
        self.from_date = from_date
        self.as_of = as_of
        self.state = load_state(root)
        self.staged = StagedHub()
        self.stage = Stage(root, as_of)
        self.unchanged = 0
        self.archive_count = 0
        # Where a folder is now that will be elsewhere once the changes are applied.
        self.now_at: dict[str, str] = {}
        self.markdown_seed = _digest(templates.source, _FORMAT)
        self.yaml_seed = _digest(
            *(body for _, body in sorted(documents.schema_files().items())), _FORMAT
        )

    def run(self) -> StagedHub:
        folders = assign_folders(read_places(self.con, self.as_of))
        folders = self._settle_folders(folders)
        facts = read_facts(self.con, self.as_of, folders.by_account)
        self._move_accounts(folders, facts)
        openings = self._openings(facts, folders)
        for account in facts.accounts:
            self._write_account(facts, account, folders.by_account[account["account_id"]], openings)
        self._write_indexes(facts)
        changes = self.stage.changes
        self.staged.counts = {
            "files written": len(changes.writes),
            "unchanged": self.unchanged,
            "folders moved": len(changes.folders) - self.archive_count,
            "archived": self.archive_count + len(changes.files),
            "copies kept": len(changes.copies),
            "faults": len(self.staged.faults),
        }
        self.stage.finish(self.state)
        return self.staged

    # --- whose folder is where ----------------------------------------------------------------

    def _settle_folders(self, folders: Folders) -> Folders:
        """Leave out what must not be touched: who has no clear place keeps what there is."""
        faults = list(folders.faults)
        unclear = {name for fault in faults for name in fault.account_ids}
        kept = {self.state.accounts[name].folder for name in unclear & set(self.state.accounts)}
        owners = {one.folder for one in self.state.accounts.values()}
        owned: dict[str, str] = {}
        for account_id, folder in folders.by_account.items():
            known = self.state.accounts.get(account_id)
            if folder in kept:
                faults.append(
                    PathFault(
                        (account_id,),
                        f"account {account_id!r} comes to the folder {folder}, which an account "
                        "without a clear place still holds",
                        "mend the other account's realm or node in CRM first",
                    )
                )
            elif (
                known is not None
                and known.folder != folder
                and folder not in owners
                and (self.root / folder).exists()
            ):
                faults.append(
                    PathFault(
                        (account_id,),
                        f"account {account_id!r} moves from {known.folder} to {folder}, where "
                        "somebody has put files",
                        "move those files away, then run again",
                    )
                )
            else:
                owned[account_id] = folder
        self.staged.faults += [str(fault) for fault in sorted(faults)]
        return Folders(owned, tuple(sorted(faults)))

    def _move_accounts(self, folders: Folders, facts: Facts) -> None:
        unclear = {name for fault in folders.faults for name in fault.account_ids}
        for account_id in sorted(set(self.state.accounts) - set(folders.by_account) - unclear):
            reason = facts.left.get(account_id, "no longer in CRM")
            self._archive_account(account_id, reason)
        for account_id, folder in folders.by_account.items():
            known = self.state.accounts.get(account_id)
            if known is not None and known.folder != folder:
                self.stage.changes.folders.append((known.folder, folder))
                self.now_at[folder] = known.folder
                known.folder = folder
            elif known is None:
                self._restore_account(account_id, folder)

    def _archive_account(self, account_id: str, reason: str) -> None:
        account = self.state.accounts.pop(account_id)
        target = self._archive_place(account.folder)
        if (self.root / account.folder).exists():
            self.stage.changes.folders.append((account.folder, target))
            self.archive_count += 1
            self._list_archived(account_id, reason, account.folder, target)
            self.state.archived[account_id] = replace(account, folder=target)

    def _restore_account(self, account_id: str, folder: str) -> None:
        """Give an account that returns its own folder back; a new one gets a new folder."""
        archived = self.state.archived.pop(account_id, None)
        if (
            archived is not None
            and (self.root / archived.folder).exists()
            and not (self.root / folder).exists()
        ):
            self.stage.changes.folders.append((archived.folder, folder))
            self.now_at[folder] = archived.folder
            self._list_archived(account_id, "returned", archived.folder, folder)
            self.state.accounts[account_id] = replace(archived, folder=folder)
        else:
            self.state.accounts[account_id] = AccountState(folder)

    def _archive_place(self, path: str) -> str:
        place = f"{ARCHIVE}/{self.as_of}/{path}"
        taken = {one["moved_to"] for one in self.state.archive}
        stem, dot, suffix = place.rpartition(".") if "." in path else (place, "", "")
        number = 1
        while place in taken or (self.root / place).exists():
            number += 1
            place = f"{stem}-{number}{dot}{suffix}"
        return place

    def _list_archived(self, account_id: str, reason: str, source: str, target: str) -> None:
        self.state.archive.append(
            {
                "archived_on": self.as_of.isoformat(),
                "account_id": account_id,
                "reason": reason,
                "moved_from": source,
                "moved_to": target,
            }
        )

    # --- files ------------------------------------------------------------------------------

    def _openings(self, facts: Facts, folders: Folders) -> Mapping[tuple[str, date], Row]:
        """Read the opening days of the triages that will be rendered, and of no others."""
        wanted: list[tuple[str, date]] = []
        for account in facts.accounts:
            account_id = account["account_id"]
            known = self.state.accounts[account_id].files
            folder = folders.by_account[account_id]
            for triage in facts.triages.get(account_id, []):
                artifact = self._triage_artifact(facts, account, triage, {})
                if self._must_render(artifact, known.get(artifact.key), folder):
                    wanted.append((account_id, triage["opened_on"]))
        return read_openings(self.con, wanted, facts.policy.ledger_days)

    def _must_render(self, artifact: Artifact, known: FileState | None, folder: str) -> bool:
        return (
            known is None
            or artifact.is_in_doubt
            or known.digest != artifact.digest
            or known.path != artifact.path
            or seen(self._on_disk(folder, known.path)) != (known.size, known.mtime_ns)
        )

    def _on_disk(self, folder: str, path: str) -> str:
        return f"{self.base}{self.now_at.get(folder, folder)}/{path}"

    def _write_account(
        self,
        facts: Facts,
        account: Row,
        folder: str,
        openings: Mapping[tuple[str, date], Row],
    ) -> None:
        account_id = account["account_id"]
        known = self.state.accounts[account_id]
        artifacts = self._artifacts(facts, account, openings)
        current = {artifact.key for artifact in artifacts}
        for artifact in artifacts:
            self._take_over(known, artifact, current)
            written = self._write_file(artifact, known.files.get(artifact.key), folder, account_id)
            if written is not None:
                known.files[artifact.key] = written
        self._archive_old_packs(facts, account_id, known, current)
        for key, one in sorted(known.files.items()):
            self.staged.files.append(
                (account_id, f"{folder}/{one.path}", key, *_details(key, one.path))
            )

    def _take_over(self, known: AccountState, artifact: Artifact, current: set[str]) -> None:
        """A file's key may change (slots are renumbered); its name, and what people wrote, stay."""
        for key, one in list(known.files.items()):
            if one.path == artifact.path and key != artifact.key and key not in current:
                known.files.setdefault(artifact.key, one)
                del known.files[key]

    def _write_file(
        self, artifact: Artifact, known: FileState | None, folder: str, account_id: str
    ) -> FileState | None:
        """Stage the file if it changed; what is known of it afterwards, None when it stays out."""
        now = seen(self._on_disk(folder, artifact.path))
        former = known.path if known is not None and known.path != artifact.path else None
        # What must be as it was written, if the file is to be left alone.
        same = known
        if (
            known is None
            or former is not None
            or artifact.is_in_doubt
            or known.digest != artifact.digest
        ):
            same = None
        if same is not None and now == (same.size, same.mtime_ns):
            self.unchanged += 1
            return same
        found_at = artifact.path if now is not None or former is None else former
        current = _read(self._on_disk(folder, found_at))
        shown = f"{folder}/{artifact.path}"
        own_now: str | None = None
        try:
            if current is not None:
                own_now = own_digest(current, has_block=artifact.has_block)
            if same is not None and now is not None and own_now == same.own:
                # Only people's part changed.
                self.unchanged += 1
                return replace(same, size=now[0], mtime_ns=now[1])
            content = artifact.render()
            if content is None:
                return known
            own_new = own_digest(content, has_block=artifact.has_block)
            if current is not None and artifact.has_block:
                content = merge(content, current)
        except BrokenBlockError as error:
            self.staged.faults.append(
                f"{shown}:{error.line}: {error.message} — the file is left as it is; mend the two "
                "lines (or move the file away: it is written anew)"
            )
            return known
        if own_now not in (None, known.own if known else None, own_new):
            self._keep_copy(account_id, f"{folder}/{found_at}")
        if current == content and former is None and now is not None:
            self.unchanged += 1
        else:
            now = self.stage.write(shown, content, now, f"{folder}/{former}" if former else None)
        return FileState(artifact.path, artifact.digest, own_new, *now)

    def _keep_copy(self, account_id: str, shown: str) -> None:
        """Somebody wrote outside people's part: their version is kept aside."""
        target = self._archive_place(shown)
        self.stage.changes.copies.append((shown, target))
        self._list_archived(account_id, "changed by hand", shown, target)

    def _archive_old_packs(
        self, facts: Facts, account_id: str, known: AccountState, current: set[str]
    ) -> None:
        """Packs of calls long past are moved to the archive, with what people wrote in them."""
        limit = self.as_of - timedelta(days=facts.policy.prep_keep_days)
        for key, one in list(known.files.items()):
            if key in current or not key.startswith("prep/"):
                continue
            due_on = _date_in(one.path)
            if due_on is not None and due_on < limit:
                shown = f"{known.folder}/{one.path}"
                target = self._archive_place(shown)
                self.stage.changes.files.append((shown, target))
                self._list_archived(account_id, "the call is long past", shown, target)
                del known.files[key]

    # --- which files there are ----------------------------------------------------------------

    def _artifacts(
        self, facts: Facts, account: Row, openings: Mapping[tuple[str, date], Row]
    ) -> list[Artifact]:
        account_id = account["account_id"]

        def of(*subjects: str) -> list[object]:
            return [getattr(facts, subject).get(account_id) for subject in subjects]

        head = compose.account_name(account)
        name = [head["account_name"]]
        goals = of("objectives")
        way = of("areas", "criteria")
        files = [
            self._document(
                "csp",
                f"{documents.EXTERNAL}/value/csp.yaml",
                [account, *goals, *way],
                partial(compose.success_plan, facts, account),
            ),
            self._document(
                "value_tracking",
                f"{documents.EXTERNAL}/value/value_tracking.yaml",
                [name, *goals, *of("measurements")],
                partial(compose.value_tracking, facts, account),
            ),
            self._document(
                "adoption_journey",
                f"{documents.EXTERNAL}/journey/adoption_journey.yaml",
                [name, *way, *of("blockers", "transitions")],
                partial(compose.adoption_journey, facts, account),
            ),
            self._document(
                "cadence_tracker",
                "meetings/cadence_tracker.yaml",
                [name, account["tier"], account["is_paused"], *of("cadence", "slots")],
                partial(compose.cadence_tracker, facts, account),
            ),
        ]
        if facts.health.get(account_id):
            files.append(
                self._document(
                    "health_score",
                    "internal-infohub/governance/health_score.yaml",
                    [self.as_of, name, *of("health", "measures", "moves", "history", "zone_moves")],
                    partial(compose.health_score, facts, account),
                )
            )
        files += [
            self._triage_artifact(facts, account, triage, openings)
            for triage in facts.triages.get(account_id, [])
        ]
        files += self._plans(facts, account)
        files += self._packs(facts, account)
        return files

    def _document(
        self, key: str, path: str, inputs: list[object], build: Callable[[], BaseModel | None]
    ) -> Artifact:
        def render() -> bytes | None:
            document = build()
            return None if document is None else to_yaml(documents.plain(document)).encode()

        return Artifact(key, path, _digest(self.yaml_seed, inputs), render)

    def _markdown(
        self,
        key: str,
        path: str,
        template: str,
        context: Row | Callable[[], Row],
        digest: str,
        *,
        is_in_doubt: bool = False,
    ) -> Artifact:
        def render() -> bytes:
            return self.templates.render(template, context() if callable(context) else context)

        return Artifact(key, path, digest, render, is_in_doubt)

    def _triage_artifact(
        self, facts: Facts, account: Row, triage: Row, openings: Mapping[tuple[str, date], Row]
    ) -> Artifact:
        """A report follows its action while it is open; once closed it is history and stays.

        Facts of the opening day can only have changed when the run computed that day.
        """
        opened_on: date = triage["opened_on"]
        inputs: list[object] = [triage]
        if triage["closed_on"] is None:
            inputs += [
                self.markdown_seed,
                account["account_name"],
                compose.people_of(account),
                facts.playbooks.get(triage["playbook_id"]),
            ]
        opening = openings.get((account["account_id"], opened_on))
        return self._markdown(
            f"triage/{opened_on}",
            f"internal-infohub/governance/health_triage_{opened_on}.md",
            TRIAGE,
            partial(compose.triage_report, facts, account, triage, opening),
            _digest(inputs),
            is_in_doubt=opened_on >= self.from_date,
        )

    def _plans(self, facts: Facts, account: Row) -> list[Artifact]:
        years = [self.as_of.year]
        if self.as_of.month >= facts.policy.next_plan_month:
            years.append(self.as_of.year + 1)
        plans = []
        for year in years:
            context = compose.account_plan(facts, account, year)
            plans.append(
                self._markdown(
                    f"plan/{year}",
                    f"internal-infohub/actions/account_plan_{year}.md",
                    PLAN,
                    context,
                    _digest(self.markdown_seed, context),
                )
            )
        return plans

    def _packs(self, facts: Facts, account: Row) -> list[Artifact]:
        packs: dict[str, Artifact] = {}
        for call in facts.due_calls.get(account["account_id"], []):
            context = compose.prep_pack(facts, account, call)
            call_type, slot_number = call["call_type"], call["slot_number"]
            path = f"meetings/prep/{call_type}_{call['due_on']}.md"
            if path in packs:
                path = f"meetings/prep/{call_type}_{call['due_on']}_{slot_number}.md"
            packs[path] = self._markdown(
                f"prep/{call_type}/{slot_number}",
                path,
                f"{PREP}/{facts.policy.calls[call_type].template}",
                context,
                _digest(self.markdown_seed, context),
            )
        return list(packs.values())

    # --- lists ------------------------------------------------------------------------------

    def _write_indexes(self, facts: Facts) -> None:
        names = {row["account_id"]: row["account_name"] for row in facts.accounts}
        realms: dict[str, list[documents.IndexedAccount]] = {
            key.removeprefix("index/"): [] for key in self.state.shared if key.startswith("index/")
        }
        for account_id, account in self.state.accounts.items():
            realm, node = account.folder.split("/")
            realms.setdefault(realm, []).append(
                documents.IndexedAccount(
                    node=node,
                    account_id=account_id,
                    account_name=names.get(account_id),
                    files=sorted(one.path for one in account.files.values()),
                )
            )
        for realm, accounts in sorted(realms.items()):
            index = documents.RealmIndex(
                realm=realm, accounts=sorted(accounts, key=lambda one: one.node)
            )
            self._write_shared(f"index/{realm}", f"{realm}/index.yaml", index)
        if self.state.archive:
            items = [
                documents.ArchivedItem(**one | {"archived_on": one["archived_on"]})
                for one in self.state.archive
            ]
            archive = documents.ArchiveList(items=items)
            self._write_shared("archive", f"{ARCHIVE}/archive.yaml", archive)

    def _write_shared(self, key: str, path: str, document: BaseModel) -> None:
        content = to_yaml(documents.plain(document)).encode()
        digest = own_digest(content, has_block=False)
        known = self.state.shared.get(key)
        now = seen(self.base + path)
        if known is not None and known.digest == digest and now == (known.size, known.mtime_ns):
            self.unchanged += 1
            return
        size, mtime_ns = self.stage.write(path, content, now)
        self.state.shared[key] = FileState(path, digest, digest, size, mtime_ns)


def _details(key: str, path: str) -> tuple[date | None, str | None, int | None]:
    """Date, call type and slot number that a file's key and name say; a plan's date is 1 January."""
    kind, _, rest = key.partition("/")
    if kind == "plan":
        return date(int(rest), 1, 1), None, None
    if kind == "prep":
        call_type, _, slot = rest.rpartition("/")
        return _date_in(path), call_type, int(slot)
    return _date_in(path), None, None


def _date_in(path: str) -> date | None:
    found = _DATE.search(path)
    return date.fromisoformat(found.group()) if found else None


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def _digest(*parts: object) -> str:
    """A fingerprint of plain data; equal data, equal fingerprint, on every machine."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(repr(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()
