"""`make bench`: time and memory at three sizes, so that growth is visible; never a test.

For each size: one pass over the raw Parquet (scan, group by account and day) as the yardstick of
this machine at this moment, the backfill of all days but the last, the next single day, and
`dbt build` alone over that day. Results go to `data/bench/bench.json` with the machine's size.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from dagster_project.settings import PROJECT_ROOT, Settings

UNTIL = date(2026, 6, 30)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Measurement:
    """Wall seconds of a step and the peak resident memory (MiB) of its largest process."""

    step: str
    seconds: float
    peak_mib: float


def main() -> None:
    """Measure every size asked for, smallest first, and write the JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--landing", type=Path, help="use these extracts instead of making them")
    parser.add_argument("--work", type=Path, default=PROJECT_ROOT / "data" / "bench")
    call = parser.parse_args()
    call.work.mkdir(parents=True, exist_ok=True)
    report: dict[str, object] = {"machine": _machine(), "days": call.days, "sizes": {}}
    sizes: dict[str, object] = {}
    for accounts in sorted(call.accounts):
        landing = call.landing or _landing(call.work, accounts, call.days)
        sizes[str(accounts)] = _measure(call.work, landing, accounts)
        report["sizes"] = sizes
        (call.work / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def _machine() -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
    }


def _landing(work: Path, accounts: int, days: int) -> Path:
    landing = work / f"landing_{accounts}_{days}"
    if not (landing / "crm").exists():
        _timed(
            "sample",
            [
                str(BIN / "csp"), "sample", "--accounts", str(accounts), "--days", str(days),
                "--until", UNTIL.isoformat(), "--format", "parquet", "--out", str(landing),
            ],
        )  # fmt: skip
    return landing


def _measure(work: Path, landing: Path, accounts: int) -> dict[str, object]:
    data_dir = work / f"run_{accounts}"
    shutil.rmtree(data_dir, ignore_errors=True)
    settings = Settings(data_dir=data_dir, landing_dir=landing)
    day_before = UNTIL - timedelta(days=1)
    run = [str(BIN / "csp"), "run", "--landing", str(landing), "--data-dir", str(data_dir)]
    steps = [_scan(landing)]
    steps.append(_timed("backfill", [*run, "--as-of", day_before.isoformat()]))
    steps.append(_timed("next_day", [*run, "--as-of", UNTIL.isoformat()]))
    steps.append(
        _timed(
            "dbt_build_day",
            [
                str(BIN / "dbt"), "--quiet", "build", "--exclude-resource-type", "unit_test",
                "--profiles-dir", ".",
                "--vars", f'{{"from_date": "{UNTIL}", "as_of_date": "{UNTIL}"}}',
            ],
            cwd=settings.dbt_project,
            environment=settings.dbt_environment(),
        )
    )  # fmt: skip
    by_step = {step.step: step for step in steps}
    return {
        "rows": _row_counts(settings),
        "published_mib": round(settings.published.stat().st_size / 2**20, 1),
        "steps": [asdict(step) for step in steps],
        "backfill_over_scan": round(by_step["backfill"].seconds / by_step["scan"].seconds, 1),
        "next_day_over_backfill": round(
            by_step["next_day"].seconds / by_step["backfill"].seconds, 3
        ),
    }


def _scan(landing: Path) -> Measurement:
    files = str(landing / "usage" / "feature_usage" / "*.parquet")
    code = (
        "import duckdb, sys; con = duckdb.connect(config={'threads': 2}); "
        "con.execute('create table t as select account_id, used_on, sum(usage_count) as n "
        "from read_parquet(?) group by all', [sys.argv[1]])"
    )
    return _timed("scan", [sys.executable, "-c", code, files])


def _timed(
    step: str,
    command: list[str],
    *,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Measurement:
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{step} failed: {' '.join(command)}")
    measurement = Measurement(step, round(seconds, 2), round(usage.ru_maxrss / 1024, 1))
    print(f"{step}: {measurement.seconds} s, {measurement.peak_mib} MiB", file=sys.stderr)
    return measurement


def _row_counts(settings: Settings) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path, tables in (
        (settings.warehouse, ("raw_usage.feature_usage",)),
        (
            settings.published,
            ("marts.fct_account_health_daily", "marts.fct_stage_daily", "playbooks.actions"),
        ),
    ):
        with duckdb.connect(str(path), read_only=True) as con:
            for table in tables:
                row = con.execute(f"select count(*) from {table}").fetchone()
                counts[table] = int(row[0]) if row else 0
    return counts


if __name__ == "__main__":
    main()
