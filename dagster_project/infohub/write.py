"""Write the InfoHub of a day: which files there must be, which of them changed, and why not.

`stage_infohub` reads, renders what changed and stages it; `apply_staged` (in `store`) puts it in
place with renames. Between the two the warehouse is published, so that the folders never show a day
that was not.

Belongs here: the order of things. Does not belong here: SQL, texts, renames.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel

from dagster_project.errors import ConfigError, CspError
from dagster_project.infohub import compose, documents
from dagster_project.infohub.facts import FactReader, Facts, Row, read_openings, read_places
from dagster_project.infohub.paths import ARCHIVE, Folders, PathFault, assign_folders, inside
from dagster_project.infohub.people import BrokenBlockError, merge
from dagster_project.infohub.store import (
    NOWHERE,
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
    subjects: tuple[str, ...]
    render: Callable[[Facts], bytes | None]
    is_in_doubt: bool = False
    """What it is made from may have changed although its digest did not."""
    opened_on: date | None = None
    """Of a triage: the day whose analysis it shows."""

    @property
    def has_block(self) -> bool:
        """Whether people may write in it."""
        return self.path.endswith(".md")


# Key, path, columns of the account, subjects, and what builds the document.
_DOCUMENTS: tuple[
    tuple[
        str, str, tuple[str, ...], tuple[str, ...], Callable[[Facts, Row], BaseModel | None]
    ],
    ...,
] = (
    (
        "csp",
        f"{documents.EXTERNAL}/value/csp.yaml",
        (
            "account_name", "customer_since_on", "next_renewal_on", "owner_ca", "owner_sa",
            "owner_ae", "owner_ve",
        ),
        ("objectives", "areas", "criteria"),
        compose.success_plan,
    ),
    (
        "value_tracking",
        f"{documents.EXTERNAL}/value/value_tracking.yaml",
        ("account_name",),
        ("objectives", "measurements"),
        compose.value_tracking,
    ),
    (
        "adoption_journey",
        f"{documents.EXTERNAL}/journey/adoption_journey.yaml",
        ("account_name",),
        ("areas", "criteria", "blockers", "transitions"),
        compose.adoption_journey,
    ),
    (
        "cadence_tracker",
        "meetings/cadence_tracker.yaml",
        ("account_name", "tier", "is_paused"),
        ("cadence", "slots"),
        compose.cadence_tracker,
    ),
    # Last: an account may have no health.
    (
        "health_score",
        "internal-infohub/governance/health_score.yaml",
        ("account_name",),
        ("health", "measures", "moves", "history", "zone_moves"),
        compose.health_score,
    ),
)  # fmt: skip
_PLAN_SUBJECTS = (
    "areas", "criteria", "objectives", "contacts", "risks", "blockers", "opportunities", "actions",
)  # fmt: skip
_PACK_SUBJECTS = (
    *_PLAN_SUBJECTS, "health", "moves", "history", "cadence", "usage", "usage_areas", "signals",
    "tickets", "last_calls",
)  # fmt: skip


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
        self.no_links: set[str] = set()
        # Account and key of the files whose facts were read.
        self.loaded: set[tuple[str, str]] = set()
        # Where a folder is now that will be elsewhere once the changes are applied.
        self.now_at: dict[str, str] = {}
        self.markdown_seed = _digest(templates.source, _FORMAT)
        self.yaml_seed = _digest(
            *(body for _, body in sorted(documents.schema_files().items())), _FORMAT
        )

    def run(self) -> StagedHub:
        folders = self._settle_folders(assign_folders(read_places(self.con, self.as_of)))
        self.reader = FactReader(self.con, self.as_of, folders.by_account)
        self.playbook_seeds = {
            name: _digest(playbook) for name, playbook in self.reader.playbooks.items()
        }
        self.calls_seed = _digest(self.playbook_seeds, self.reader.policy)
        self._move_accounts(folders)
        accounts = self.reader.accounts()
        artifacts = self._list_artifacts(accounts)
        self._load_facts(artifacts, folders)
        for account in accounts:
            account_id = account["account_id"]
            self._write_account(
                account_id, folders.by_account[account_id], artifacts.get(account_id, [])
            )
        self._write_indexes(self.reader.names())
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
        """Leave out what must not be touched: who has no clear place keeps what there is.

        One account that stays where it is may stand in another's way, and so on.
        """
        faults = list(folders.faults)
        owned = dict(folders.by_account)
        owners = {one.folder for one in self.state.accounts.values()}
        while True:
            unclear = {name for fault in faults for name in fault.account_ids}
            kept = {one.folder for name, one in self.state.accounts.items() if name in unclear}
            found = [
                fault
                for account_id, folder in owned.items()
                if (fault := self._in_the_way(account_id, folder, kept, owners)) is not None
            ]
            if not found:
                break
            faults += found
            for fault in found:
                del owned[fault.account_ids[0]]
        self.staged.faults += [str(fault) for fault in sorted(faults)]
        return Folders(owned, tuple(sorted(faults)))

    def _in_the_way(
        self, account_id: str, folder: str, kept: set[str], owners: set[str]
    ) -> PathFault | None:
        known = self.state.accounts.get(account_id)
        if folder in kept:
            return PathFault(
                (account_id,),
                f"account {account_id!r} comes to the folder {folder}, which an account without a "
                "clear place still holds",
                "mend the other account's realm or node in CRM first",
            )
        is_move = known is not None and known.folder != folder
        if is_move and folder not in owners and (self.root / folder).exists():
            return PathFault(
                (account_id,),
                f"account {account_id!r} moves to {folder}, where somebody has put files",
                "move those files away, then run again",
            )
        return None

    def _move_accounts(self, folders: Folders) -> None:
        left = self.reader.left()
        unclear = {name for fault in folders.faults for name in fault.account_ids}
        for account_id in sorted(set(self.state.accounts) - set(folders.by_account) - unclear):
            self._archive_account(account_id, left.get(account_id, "no longer in CRM"))
        for account_id, folder in folders.by_account.items():
            known = self.state.accounts.get(account_id)
            if known is not None and known.folder != folder:
                self.stage.changes.folders.append((known.folder, folder))
                self.now_at[folder] = known.folder
                known.folder = folder
            elif known is None:
                self._restore_account(account_id, folder)
        # Who comes into a folder that another leaves finds it empty.
        for source, _ in self.stage.changes.folders:
            self.now_at.setdefault(source, NOWHERE)

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

    def _list_artifacts(self, accounts: list[Row]) -> dict[str, list[Artifact]]:
        """Every file there must be, with its digest; nothing is rendered yet."""
        due_calls, triages = self.reader.due_calls(), self.reader.triage_days()
        return {
            account["account_id"]: [
                *self._documents(account),
                *self._triages(account, triages.get(account["account_id"], [])),
                *self._plans(account),
                *self._packs(account, due_calls.get(account["account_id"], [])),
            ]
            for account in accounts
        }

    def _load_facts(self, artifacts: Mapping[str, list[Artifact]], folders: Folders) -> None:
        """Read the rows of what will be rendered, and of no other account or subject."""
        wanted: defaultdict[str, set[str]] = defaultdict(set)
        openings: list[tuple[str, date]] = []
        for account_id, of_account in artifacts.items():
            known = self.state.accounts[account_id].files
            folder = folders.by_account[account_id]
            for artifact in of_account:
                if self._must_render(artifact, known.get(artifact.key), folder):
                    self.loaded.add((account_id, artifact.key))
                    for subject in artifact.subjects:
                        wanted[subject].add(account_id)
                    if artifact.opened_on is not None:
                        openings.append((account_id, artifact.opened_on))
        self.facts = self.reader.load(wanted)
        self.openings = read_openings(self.con, openings, self.reader.policy.ledger_days)

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

    def _write_account(self, account_id: str, folder: str, artifacts: list[Artifact]) -> None:
        known = self.state.accounts[account_id]
        current = {artifact.key for artifact in artifacts}
        for artifact in artifacts:
            self._take_over(known, artifact, current)
            written = self._write_file(artifact, known.files.get(artifact.key), folder, account_id)
            if written is not None:
                known.files[artifact.key] = written
        self._forget_removed(known, current, folder)
        self._archive_old_packs(account_id, known, current)
        for key, one in sorted(known.files.items()):
            self.staged.files.append(
                (account_id, f"{folder}/{one.path}", key, *_details(key, one.path))
            )

    def _forget_removed(self, known: AccountState, current: set[str], folder: str) -> None:
        """A file of the past that somebody has taken away is not written again, nor linked to."""
        for key, one in list(known.files.items()):
            if key not in current and seen(self._on_disk(folder, one.path)) is None:
                del known.files[key]

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
        is_same = (
            known is not None
            and known.path == artifact.path
            and known.digest == artifact.digest
            and not artifact.is_in_doubt
        )
        if known is not None and is_same and now == (known.size, known.mtime_ns):
            self.unchanged += 1
            return known
        place = f"{folder}/{artifact.path}"
        try:
            inside(self.root, f"{self.now_at.get(folder, folder)}/{artifact.path}", self.no_links)
            return self._rewrite(artifact, known, folder, account_id, is_same)
        except BrokenBlockError as error:
            self.staged.faults.append(
                f"{place}:{error.line}: {error.message} — the file is left as it is; mend the two "
                "lines (or move the file away: it is written anew)"
            )
        except CspError as error:
            if isinstance(error, ConfigError):
                raise
            self.staged.faults.append(str(error))
        return known

    def _rewrite(
        self,
        artifact: Artifact,
        known: FileState | None,
        folder: str,
        account_id: str,
        is_same: bool,
    ) -> FileState | None:
        """Render a file and put people's part into it; staged when it says something else.

        Raises:
            BrokenBlockError: nobody can say which part of the file is people's.
        """
        now = seen(self._on_disk(folder, artifact.path))
        former = known.path if known is not None and known.path != artifact.path else None
        found_at = artifact.path if now is not None or former is None else former
        current = _read(self._on_disk(folder, found_at))
        own_now = None
        if current is not None:
            own_now = own_digest(current, has_block=artifact.has_block)
        if known is not None and is_same and now is not None and own_now == known.own:
            # Only people's part changed.
            self.unchanged += 1
            return replace(known, size=now[0], mtime_ns=now[1])
        # Changed by hand in this very moment, its facts were not read: the next run looks.
        content = None
        if (account_id, artifact.key) in self.loaded:
            content = artifact.render(self.facts)
        if content is None:
            return known
        own_new = own_digest(content, has_block=artifact.has_block)
        if current is not None and artifact.has_block:
            content = merge(content, current)
        if own_now not in (None, known.own if known else None, own_new):
            self._keep_copy(account_id, f"{folder}/{found_at}")
        if current == content and former is None and now is not None:
            self.unchanged += 1
        else:
            now = self.stage.write(
                f"{folder}/{artifact.path}", content, now, f"{folder}/{former}" if former else None
            )
        return FileState(artifact.path, artifact.digest, own_new, *now)

    def _keep_copy(self, account_id: str, shown: str) -> None:
        """Somebody wrote outside people's part: their version is kept aside."""
        target = self._archive_place(shown)
        self.stage.changes.copies.append((shown, target))
        self._list_archived(account_id, "changed by hand", shown, target)

    def _archive_old_packs(self, account_id: str, known: AccountState, current: set[str]) -> None:
        """Packs of calls long past are moved to the archive, with what people wrote in them."""
        limit = self.as_of - timedelta(days=self.reader.policy.prep_keep_days)
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

    def _documents(self, account: Row) -> list[Artifact]:
        account_id = account["account_id"]
        documents_of = _DOCUMENTS if account["has_health"] else _DOCUMENTS[:-1]
        artifacts = []
        for key, path, columns, subjects, build in documents_of:
            inputs = [account[column] for column in columns]
            if key == "health_score":
                inputs.append(self.as_of)
            artifacts.append(
                Artifact(
                    key,
                    path,
                    _digest(self.yaml_seed, inputs, self.reader.fingerprints(account_id, subjects)),
                    subjects,
                    partial(_render_document, build, account),
                )
            )
        return artifacts

    def _render_markdown(
        self, template: str, compose_context: Callable[[Facts], Row], facts: Facts
    ) -> bytes:
        return self.templates.render(template, compose_context(facts))

    def _triages(self, account: Row, triages: list[Row]) -> list[Artifact]:
        """A report follows its action while it is open; once closed it is history and stays.

        Facts of the opening day can only have changed when the run computed that day.
        """
        artifacts = []
        for triage in triages:
            opened_on: date = triage["opened_on"]
            inputs: list[object] = [triage["fingerprint"]]
            if triage["closed_on"] is None:
                inputs += [
                    self.markdown_seed,
                    account["account_name"],
                    compose.people_of(account),
                    self.playbook_seeds.get(triage["playbook_id"]),
                ]
            artifacts.append(
                Artifact(
                    f"triage/{opened_on}",
                    f"internal-infohub/governance/health_triage_{opened_on}.md",
                    _digest(inputs),
                    ("triages",),
                    partial(
                        self._render_markdown, TRIAGE, partial(self._triage, account, opened_on)
                    ),
                    is_in_doubt=opened_on >= self.from_date,
                    opened_on=opened_on,
                )
            )
        return artifacts

    def _triage(self, account: Row, opened_on: date, facts: Facts) -> Row:
        [triage] = [
            row for row in compose.rows_of(facts.triages, account) if row["opened_on"] == opened_on
        ]
        opening = self.openings.get((account["account_id"], opened_on))
        return compose.triage_report(facts, account, triage, opening)

    def _plans(self, account: Row) -> list[Artifact]:
        years = [self.as_of.year]
        if self.as_of.month >= self.reader.policy.next_plan_month:
            years.append(self.as_of.year + 1)
        inputs = [account, self.reader.fingerprints(account["account_id"], _PLAN_SUBJECTS)]
        return [
            Artifact(
                f"plan/{year}",
                f"internal-infohub/actions/account_plan_{year}.md",
                _digest(self.markdown_seed, inputs),
                _PLAN_SUBJECTS,
                partial(
                    self._render_markdown,
                    PLAN,
                    partial(compose.account_plan, account=account, year=year),
                ),
            )
            for year in years
        ]

    def _packs(self, account: Row, calls: list[Row]) -> list[Artifact]:
        packs: dict[str, Artifact] = {}
        for call in calls:
            call_type, slot_number = call["call_type"], call["slot_number"]
            path = f"meetings/prep/{call_type}_{call['due_on']}.md"
            if path in packs:
                path = f"meetings/prep/{call_type}_{call['due_on']}_{slot_number}.md"
            packs[path] = Artifact(
                f"prep/{call_type}/{slot_number}",
                path,
                _digest(
                    self.markdown_seed,
                    self.as_of,
                    account,
                    call,
                    self.calls_seed,
                    self.reader.fingerprints(account["account_id"], _PACK_SUBJECTS),
                ),
                _PACK_SUBJECTS,
                partial(
                    self._render_markdown,
                    f"{PREP}/{self.reader.policy.calls[call_type].template}",
                    partial(compose.prep_pack, account=account, call=call),
                ),
            )
        return list(packs.values())

    # --- lists ------------------------------------------------------------------------------

    def _write_indexes(self, names: Mapping[str, str | None]) -> None:
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
        current = _read(self.base + path)
        if current is not None and own_digest(current, has_block=False) not in (
            known.own if known else None,
            digest,
        ):
            self._keep_copy("", path)
        size, mtime_ns = self.stage.write(path, content, now)
        self.state.shared[key] = FileState(path, digest, digest, size, mtime_ns)


def _render_document(
    build: Callable[[Facts, Row], BaseModel | None], account: Row, facts: Facts
) -> bytes | None:
    document = build(facts, account)
    return None if document is None else to_yaml(documents.plain(document)).encode()


def _details(key: str, path: str) -> tuple[date | None, str | None, int | None]:
    """Date, call type and slot number that a key and a name say; a plan's date is 1 January."""
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
