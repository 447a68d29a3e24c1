"""Names from CRM become folders and nothing else: laws, look-alikes, collisions, links."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import CspError
from dagster_project.infohub.paths import (
    ARCHIVE,
    MAX_NAME_LENGTH,
    AccountPlace,
    assign_folders,
    folder_name,
    folder_of,
    inside,
)

ANY_TEXT = st.text(st.characters(), max_size=120)


@given(ANY_TEXT)
def test_a_name_is_plain_short_and_stays_itself(text: str) -> None:
    name = folder_name(text, reserved=(ARCHIVE,))
    if name is not None:
        assert re.fullmatch(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", name)
        assert len(name) <= MAX_NAME_LENGTH
        assert folder_name(name, reserved=(ARCHIVE,)) == name
        assert name != ARCHIVE


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_leaves_the_infohub(account: str, realm: str, node: str, region: str) -> None:
    folder = folder_of(AccountPlace(account, realm, node, region))
    if folder is not None:
        root = Path("/hub")
        path = inside(root, f"{folder}/external-infohub/value/csp.yaml")
        assert path.is_relative_to(root)
        assert len(path.relative_to(root).parts) == 5


@given(ANY_TEXT)
def test_spellings_that_unicode_holds_equal_are_one_folder(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC"):
        assert folder_name(unicodedata.normalize(form, text)) == folder_name(text)


@given(st.text(st.characters(categories=("Ll", "Lu", "Lo")), min_size=1, max_size=12))
def test_letters_are_never_lost(text: str) -> None:
    """Two names that differ in their letters must not meet because letters were dropped."""
    assert folder_name(text) is not None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("..", None),
        ("/", None),
        ("   ", None),
        ("___", None),
        ("\U0001f600", None),
        ("C:\\temp", "c-temp"),
        ("CON", "con-folder"),
        ("lpt1", "lpt1-folder"),
        ("nul\0byte", "nul-byte"),
        ("ＡＣＭＥ", "acme"),
        ("Münsterländer Ärzte", "munsterlander-arzte"),
        ("Straße", "strasse"),
        ("Łódź Ørsted", "lodz-orsted"),
        ("right\u202eleft", "right-left"),
        ("zero\u200bwidth", "zero-width"),
        ("a\nb", "a-b"),
        (".hidden", "hidden"),
        ("trailing.", "trailing"),
        ("~root", "root"),
        ("$(rm -rf)", "rm-rf"),
    ],
)
def test_known_tricks(text: str, name: str | None) -> None:
    assert folder_name(text) == name


def test_look_alikes_neither_meet_nor_look_alike() -> None:
    cyrillic = "\u0430\u0441me"
    assert folder_name(cyrillic) == "u0430u0441me"
    assert folder_name(cyrillic) != folder_name("acme")


def test_long_names_stay_apart() -> None:
    one, other = folder_name("a" * 200 + "x"), folder_name("a" * 200 + "y")
    assert one is not None and other is not None
    assert len(one) == len(other) == MAX_NAME_LENGTH
    assert one != other


def test_what_crm_leaves_out() -> None:
    assert folder_of(AccountPlace("A-1", None, None, "EMEA")) == "emea/a-1"
    assert folder_of(AccountPlace("A-1", "", "", None)) == "unassigned/a-1"
    assert folder_of(AccountPlace("A-1", "archive", "index.yaml")) == "archive-folder/index-yaml"
    assert folder_of(AccountPlace("///", None, None)) is None


def test_two_accounts_of_one_folder_are_both_named_and_get_none() -> None:
    folders = assign_folders(
        [
            AccountPlace("A-1", "EMEA", "Acme & Co"),
            AccountPlace("A-2", "emea", "acme/co"),
            AccountPlace("A-3", "emea", "other"),
            AccountPlace("...", None, None),
        ]
    )
    assert folders.by_account == {"A-3": "emea/other"}
    unnamed, shared = folders.faults
    assert unnamed.account_ids == ("...",)
    assert shared.account_ids == ("A-1", "A-2")
    assert str(shared) == (
        "accounts 'A-1' and 'A-2' come to one folder emea/acme-co — give each its own realm or "
        "node in CRM; until then neither is written"
    )


@given(
    st.lists(
        st.builds(AccountPlace, ANY_TEXT, ANY_TEXT, ANY_TEXT),
        unique_by=lambda place: place.account_id,
    )
)
def test_every_account_has_its_own_folder_or_is_named(places: list[AccountPlace]) -> None:
    folders = assign_folders(places)
    assert len(set(folders.by_account.values())) == len(folders.by_account)
    named = {account_id for fault in folders.faults for account_id in fault.account_ids}
    assert named.isdisjoint(folders.by_account)
    assert named | set(folders.by_account) == {place.account_id for place in places}


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a//b", "a/./b", "", "a/\0"])
def test_paths_that_lead_away_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(CspError, match="no path of the InfoHub"):
        inside(tmp_path, path)


def test_a_link_on_the_way_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "hub"
    root.mkdir()
    (root / "emea").symlink_to(outside)
    with pytest.raises(CspError, match="is a link"):
        inside(root, "emea/acme/x.yaml")
    assert inside(root, "apac/acme/x.yaml") == root / "apac" / "acme" / "x.yaml"
