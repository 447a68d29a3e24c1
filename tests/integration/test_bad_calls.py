"""What goes wrong is told clearly, and yesterday's publication stays as it was."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from dagster_project.cli import main
from dagster_project.settings import PROJECT_ROOT, Settings
from tests.integration.conftest import Installation

Edit = Callable[[Path], None]


@dataclass
class Site:
    """A published installation of its own, and what its files were before a call."""

    installation: Installation
    before: dict[str, str]

    def call(self, *arguments: str) -> int:
        return main(
            ["run", "--landing", str(self.installation.landing), *self.data_dir, *arguments]
        )

    @property
    def data_dir(self) -> tuple[str, str]:
        return ("--data-dir", str(self.installation.data_dir))


def fingerprints(installation: Installation) -> dict[str, str]:
    settings = installation.settings
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (settings.published.parent, settings.exports)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def shared_site(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Site:
    installation = backfilled.copy_to(tmp_path_factory.mktemp("bad"))
    return Site(installation, fingerprints(installation))


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    yield shared_site
    assert fingerprints(shared_site.installation) == shared_site.before


def test_a_landing_folder_that_is_missing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    missing = site.installation.data_dir / "nowhere"
    assert main(["run", "--landing", str(missing), *site.data_dir]) == 2
    assert "there is no such landing folder" in capsys.readouterr().err


def test_a_landing_folder_that_is_empty(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--landing", str(tmp_path), *site.data_dir]) == 1
    assert "holds no extract — deliver" in capsys.readouterr().err


def test_a_range_that_ends_before_it_starts(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.call("--from", "2026-04-01", "--as-of", "2026-03-31") == 2
    assert "before it starts (2026-04-01)" in capsys.readouterr().err


def test_a_date_that_is_none(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        site.call("--as-of", "2026-02-30")
    assert stopped.value.code == 2
    assert "'2026-02-30' is not a date" in capsys.readouterr().err


def test_a_warehouse_that_another_process_holds(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('held'); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(site.installation.settings.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert site.call() == 1
    finally:
        holder.communicate()
    message = capsys.readouterr().err
    assert "build.duckdb" in message and "another process" in message


def replace_text(name: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


TRIAGE = "PB_CS_301_health_triage.yml"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (replace_text(TRIAGE, "health_score", "helth_score"), ("helth_score", "health_score")),
        (replace_text(TRIAGE, "owner_role: ", "owner_roll: "), ("owner_roll",)),
        (
            lambda folder: shutil.copyfile(folder / TRIAGE, folder / "PB_CS_399_copy.yml"),
            ("PB_CS_399_copy.yml", "PB_CS_301_health_triage"),
        ),
    ],
    ids=["unknown name", "unknown key", "two rules with one id"],
)
def test_rules_with_a_fault_are_refused_before_anything_is_computed(
    site: Site,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    edit: Edit,
    told: tuple[str, ...],
) -> None:
    rules = tmp_path / "playbook_rules"
    shutil.copytree(PROJECT_ROOT / "playbook_rules", rules)
    edit(rules)
    monkeypatch.setattr(Settings, "rules", property(lambda _: rules))
    warehouse = site.installation.settings.warehouse
    stamp = warehouse.stat().st_mtime_ns
    assert site.call() == 2
    message = capsys.readouterr().err
    assert ".yml:" in message, "the place is named as file:line"
    for word in told:
        assert word in message
    assert warehouse.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (replace_text("health/health_zones.csv", "zone", "zoned"), ("health_zones.csv", "zoned")),
        (
            replace_text("health/health_zones.csv", "yellow,2,60,80", "yellow,2,61,80"),
            ("health_zones.csv:3 [score_from]", "gap: nothing holds from 60 to 61", "start at 60"),
        ),
        (
            replace_text("health/health_zones.csv", "yellow,2,60,80", "yellow,2,59,80"),
            ("health_zones.csv:3 [score_from]", "overlap: line 4 already holds up to 60"),
        ),
    ],
    ids=["unknown column", "gap", "overlap"],
)
def test_policy_with_a_fault_is_refused_before_anything_is_computed(
    site: Site,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    edit: Edit,
    told: tuple[str, ...],
) -> None:
    seeds = tmp_path / "dbt" / "seeds"
    shutil.copytree(PROJECT_ROOT / "dbt" / "seeds", seeds)
    edit(seeds)
    monkeypatch.setattr(Settings, "seeds", property(lambda _: seeds))
    warehouse = site.installation.settings.warehouse
    stamp = warehouse.stat().st_mtime_ns
    assert site.call() == 2
    assert warehouse.stat().st_mtime_ns == stamp
    message = capsys.readouterr().err
    for word in told:
        assert word in message


PUBLISH_ON_A_FULL_DISK = """
set -e
mount -t tmpfs -o size=2m tmpfs "$1"
cp "$2" "$1/analytics.duckdb"
exec "$3" -c '
import sys
from pathlib import Path
from dagster_project.errors import CspError
from dagster_project.settings import Settings
from dagster_project.warehouse import connect, current_window, publish_snapshot
from dagster_project.warehouse.publish import Dictionary
settings = Settings(data_dir=Path(sys.argv[1]))
before = settings.published.read_bytes()
with connect(settings.warehouse, settings, read_only=True) as con:
    window = current_window(con)
try:
    publish_snapshot(settings, window, daily_tables=[], dictionary=Dictionary({}, {}),
                     config_sha256="x")
except CspError as error:
    print(error, file=sys.stderr)
    assert settings.published.read_bytes() == before
    assert [path.name for path in settings.published.parent.iterdir()] == ["analytics.duckdb"]
    sys.exit(1)
' "$4"
"""


def test_a_disk_that_is_full_while_publishing(backfilled: Installation, tmp_path: Path) -> None:
    """On a real file system of 2 MiB, mounted in a name space of its own."""
    unshare = shutil.which("unshare")
    private = ["--user", "--map-root-user", "--mount"]
    if unshare is None or subprocess.run([unshare, *private, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small file system (unshare)")
    data_dir = tmp_path / "data"
    shutil.copytree(backfilled.data_dir / "warehouse", data_dir / "warehouse")
    (data_dir / "published").mkdir()
    yesterday = tmp_path / "yesterday.duckdb"
    with duckdb.connect(str(yesterday)) as con:
        con.execute("create table what_analysts_have as select 1 as one")
    done = subprocess.run(
        [
            unshare, *private, "sh", "-c", PUBLISH_ON_A_FULL_DISK, "sh",
            str(data_dir / "published"), str(yesterday), sys.executable, str(data_dir),
        ],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "space" in done.stderr.lower()
