"""Where an account's folder is: names from CRM data become `{realm}/{node}` and nothing else.

Belongs here: what a name may become, whose folder it is, and that no path leaves the InfoHub. Does
not belong here: what stands in the folder.

A folder name holds `a` to `z`, digits, `_` and `-` only. Accents are dropped (`é` -> `e`). Any
other letter or digit is written as its code point (Cyrillic `a` -> `u0430`), so that two names that
look alike can never be one folder, nor look like one. All else becomes `-`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import CspError

MAX_NAME_LENGTH = 64
ARCHIVE = "archive"
DEFAULT_REALM = "unassigned"
# Windows opens a device under these names; the folders are copied to laptops.
_DEVICES = frozenset({"con", "prn", "aux", "nul"}) | {
    f"{device}{number}" for device in ("com", "lpt") for number in range(10)
}
# Letters that Unicode does not take apart although everybody reads them as these.
_SPELLED = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i",
    "ħ": "h", "ŧ": "t", "ŋ": "ng", "ĸ": "k",
}  # fmt: skip


@dataclass(frozen=True)
class AccountPlace:
    """What CRM says about an account's place; texts as they came."""

    account_id: str
    realm: str | None
    node: str | None
    region: str | None = None


@dataclass(frozen=True, order=True)
class PathFault:
    """Accounts that cannot have a folder, why, and how to mend it."""

    account_ids: tuple[str, ...]
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.message} — {self.mend}"


@dataclass(frozen=True)
class Folders:
    """Folder of each account (`realm/node`), and the accounts that could get none."""

    by_account: dict[str, str]
    faults: tuple[PathFault, ...] = ()


def folder_name(text: str | None, *, reserved: Iterable[str] = ()) -> str | None:
    """A safe folder name for a text, or None when nothing of it is left.

    Equal texts give equal names, and a name gives itself. A name that is longer than
    `MAX_NAME_LENGTH` is cut and ends in a digest of the whole, so that long names stay apart.
    """
    if text is None:
        return None
    parts: list[str] = []
    for char in unicodedata.normalize("NFKC", text).casefold():
        for piece in unicodedata.normalize("NFKD", _SPELLED.get(char, char)):
            if ("a" <= piece <= "z") or ("0" <= piece <= "9") or piece == "_":
                parts.append(piece)
            elif unicodedata.combining(piece):
                continue
            elif unicodedata.category(piece)[0] in "LN":
                parts.append(f"u{ord(piece):04x}")
            else:
                parts.append("-")
    name = re.sub("-+", "-", "".join(parts)).strip("-")
    if not name.strip("_"):
        return None
    if name in _DEVICES or name in set(reserved):
        name = f"{name}-folder"
    if len(name) > MAX_NAME_LENGTH:
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        name = f"{name[: MAX_NAME_LENGTH - 11].rstrip('-')}-{digest}"
    return name


def folder_of(place: AccountPlace) -> str | None:
    """`realm/node` of one account; None when not even its id leaves a name.

    Without a realm in CRM it is the region's, else `unassigned`; without a node, the account's id.
    """
    reserved = (ARCHIVE,)
    realm = (
        folder_name(place.realm, reserved=reserved)
        or folder_name(place.region, reserved=reserved)
        or DEFAULT_REALM
    )
    node = folder_name(place.node) or folder_name(place.account_id)
    return f"{realm}/{node}" if node else None


def assign_folders(places: Iterable[AccountPlace]) -> Folders:
    """Give every account its own folder.

    Accounts that would share one get none: which of them is right only CRM can say, and the facts
    of one must not be written over those of the other.
    """
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    faults: list[PathFault] = []
    for place in places:
        folder = folder_of(place)
        if folder is None:
            faults.append(
                PathFault(
                    (place.account_id,),
                    f"account {place.account_id!r} has no name that a folder could have",
                    "give it a node of letters or digits in CRM",
                )
            )
        else:
            wanted[folder].append(place.account_id)
    for folder, account_ids in wanted.items():
        if len(account_ids) > 1:
            names = " and ".join(repr(account_id) for account_id in sorted(account_ids))
            faults.append(
                PathFault(
                    tuple(sorted(account_ids)),
                    f"accounts {names} come to one folder {folder}",
                    "give each its own realm or node in CRM; until then neither is written",
                )
            )
    owned = {ids[0]: folder for folder, ids in sorted(wanted.items()) if len(ids) == 1}
    return Folders(owned, tuple(sorted(faults)))


def inside(root: Path, relative: str, checked: set[str] | None = None) -> Path:
    """The absolute path of `relative` under `root`.

    Args:
        root: the InfoHub; it may itself be a link, what is in it may not.
        relative: the path, parts joined by `/`.
        checked: folders known to be no links; the ones looked at are added.

    Raises:
        CspError: it would lie outside, by its parts or through a link on the way.
    """
    parts = relative.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise CspError(f"{relative!r} is no path of the InfoHub")
    folder = str(root)
    for part in parts[:-1]:
        folder = f"{folder}/{part}"
        if checked is not None and folder in checked:
            continue
        if Path(folder).is_symlink():
            raise CspError(
                f"{folder} is a link, and the InfoHub writes only into its own folder — replace "
                "the link with a folder"
            )
        if checked is not None:
            checked.add(folder)
    return root / relative
