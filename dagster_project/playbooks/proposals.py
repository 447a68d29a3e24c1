"""An edited rule set as a folder of its own: files laid over the rules in force.

Belongs here: which files a proposal is made of and which playbooks it is about. Does not belong
here: git (`defs`), checking the files (`loader`) and running them (`replay`).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import ConfigError
from dagster_project.expressions.names import nearest
from dagster_project.playbooks.loader import RETIRED_FILE, SIGNALS_FILE, load_rules
from dagster_project.playbooks.rulebook import RuleBook
from dagster_project.policy.gauges import Gauge

_NOT_PLAYBOOKS = (SIGNALS_FILE, RETIRED_FILE)


@dataclass(frozen=True)
class Proposal:
    """A checked rule set and what of it the caller asked about.

    `rule_ids` are the rules asked about, in order. `notes` are what a reader must know.
    """

    name: str
    rules: RuleBook
    rule_ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


def lay_rules_over(current: Path, given: Path, out: Path) -> tuple[str, ...]:
    """Make `out` the rule set that `given` proposes; the ids of the playbooks it brings.

    A folder with a signals.yml is a whole rule set and is taken as it is. Any other folder, and a
    single file, is laid over `current` by file name.
    """
    out.mkdir(parents=True)
    files = sorted(given.glob("*.y*ml")) if given.is_dir() else [given]
    is_whole = given.is_dir() and (given / SIGNALS_FILE).exists()
    if not is_whole:
        for path in sorted(current.glob("*.y*ml")):
            shutil.copyfile(path, out / path.name)
    for path in files:
        shutil.copyfile(path, out / path.name)
    return tuple(path.stem for path in files if path.name not in _NOT_PLAYBOOKS)


def propose(
    current: Path,
    given: str,
    work: Path,
    gauges: Collection[Gauge] = (),
    *,
    runs_tests: bool = True,
) -> Proposal:
    """The rule set a caller names: a rule or playbook of `current`, a YAML file, or a folder.

    `gauges` are the names that policy adds to those of the rules. With `runs_tests` false the
    inline tests of the files are not held against them.

    Drafts that are asked about are taken as deployed, in memory only: what they would open is the
    question. The rest of the rule set stays as it is, because chains and priorities decide too.

    Raises:
        ConfigError: nothing has this name, or the rules have faults (all of them).
    """
    path = Path(given)
    if path.exists():
        folder = work / "rules"
        playbook_ids = lay_rules_over(current, path, folder)
        book = load_rules(folder, gauges, deployed=playbook_ids, runs_tests=runs_tests)
        # Signals alone are about every rule.
        wanted = playbook_ids or tuple(sorted(book.playbooks))
    elif path.suffix in (".yml", ".yaml") or len(path.parts) > 1:
        raise ConfigError(f"{given}: there is no such file or folder")
    else:
        wanted = (_playbook_of(load_rules(current, gauges), given),)
        book = load_rules(current, gauges, deployed=wanted)
    rule_ids = tuple(
        rule.rule_id
        for rule in book.rules
        if rule.playbook_id in wanted and (path.exists() or given in (rule.rule_id, wanted[0]))
    )
    notes = [
        f"{playbook_id} is a draft; it is taken as deployed"
        for playbook_id in wanted
        if playbook_id in book.drafts_taken
    ]
    if not rule_ids:
        raise ConfigError(f"{given}: no rule of it would run (retired playbooks open nothing)")
    return Proposal(given, book, rule_ids, tuple(notes))


def _playbook_of(book: RuleBook, name: str) -> str:
    """The playbook that is called `name` or has a rule called so."""
    owners = {
        trigger.rule: playbook.id
        for playbook in book.playbooks.values()
        for trigger in playbook.triggers
    }
    if name in book.playbooks:
        return name
    if name in owners:
        return owners[name]
    near = nearest(name, [*owners, *book.playbooks])
    mend = f"did you mean {near}?" if near else "see playbooks.rules, or name a file or folder"
    raise ConfigError(f"{name!r} is no rule, no playbook, no file and no folder — {mend}")
