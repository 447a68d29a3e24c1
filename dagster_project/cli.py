"""`csp`: thin over the same functions as the Dagster assets.

Exit status: 0 done; 1 the run failed; 2 the call or the configuration is wrong, nothing changed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project import __version__
from dagster_project.errors import ConfigError, CspError
from dagster_project.settings import Settings, load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the call, do it, and turn errors into one message and an exit status."""
    parser = _parser()
    call = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = call.command
    try:
        command(call)
    except CspError as error:
        print(f"csp {call.name}: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader (head, less) has seen enough; leave no traceback behind.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"csp {call.name}: stopped; nothing was published", file=sys.stderr)
        return 1
    return 0


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date; write it as 2026-06-30"
        ) from error


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _step(text: str) -> str | int:
    return text if text == "month" else _count(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="csp", description="Customer-success playbooks as a daily data pipeline."
    )
    parser.add_argument("--version", action="version", version=f"csp {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], None], text: str) -> Any:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--data-dir", type=Path, metavar="DIR", help="where results live")
        return sub

    run = add("run", _run, "compute one range of days and publish it")
    run.add_argument(
        "--as-of", type=_date, metavar="DATE", help="last day (default: newest extract)"
    )
    run.add_argument("--from", dest="from_date", type=_date, metavar="DATE", help="first day")
    run.add_argument("--landing", type=Path, metavar="DIR", help="folder of the extracts")
    run.add_argument("--sources", metavar="NAME|FILE", help="source mapping for a vendor's files")
    run.add_argument("--full-refresh", action="store_true", help="rebuild all days from raw")
    run.add_argument(
        "--policy",
        choices=("in-force", "latest"),
        default="in-force",
        help="score each day by the policy of that day, or all by the last day's",
    )

    check = add("check", _check, "check rules, policy seeds and source mappings")
    check.add_argument("--sources", metavar="NAME|FILE", help="also check this source mapping")

    explain = add("explain", _explain, "an account's score: what makes it, what moved it")
    explain.add_argument("account", help="account id or name")
    explain.add_argument("--as-of", type=_date, metavar="DATE", help="default: the published day")
    explain.add_argument("--since", type=_date, metavar="DATE", help="default: 30 days earlier")

    _add_reports(add)
    _add_proof_commands(add)
    _add_rule_commands(add)

    sample = add("sample", _sample, "write seeded synthetic extracts of any size")
    sample.add_argument("--accounts", type=_count, default=60)
    sample.add_argument("--days", type=_count, default=270)
    sample.add_argument("--seed", type=int, default=17)
    sample.add_argument("--until", type=_date, default=None, metavar="DATE", help="last day")
    sample.add_argument("--format", choices=("csv", "jsonl", "parquet"), default="csv")
    sample.add_argument("--extract-every", type=_count, default=30, metavar="DAYS")
    sample.add_argument(
        "--dirt", action="store_true", help="add realistic faults, counted in dirt.json"
    )
    sample.add_argument("--out", type=Path, required=True, metavar="DIR")

    work = add("sample-work", _sample_work, "let people work on a sample's actions of the last run")
    work.add_argument("--landing", type=Path, metavar="DIR", help="the sample's extracts")
    work.add_argument("--seed", type=int, default=17)

    ui = add("ui", _ui, "open Dagster and the dashboard on 127.0.0.1")
    ui.add_argument("--port", type=_count, default=3000, help="Dagster's (default: 3000)")
    ui.add_argument("--app-port", type=_count, default=3001, help="the dashboard's (default: 3001)")
    ui.add_argument("--landing", type=Path, metavar="DIR", help="folder of the extracts")
    return parser


def _add_reports(add: Callable[..., Any]) -> None:
    report = add("report", _report, "report, workbook and dictionary again, from what is published")
    report.add_argument("--as-of", type=_date, metavar="DATE", help="default: the published day")
    add("docs", _docs, "dbt's documentation with its lineage graph, as one file")


def _add_proof_commands(add: Callable[..., Any]) -> None:
    backtest = add("backtest", _backtest, "did the score, as known then, see churn coming")
    backtest.add_argument("--from", dest="from_date", type=_date, metavar="DATE")
    backtest.add_argument("--as-of", type=_date, metavar="DATE", help="default: the published day")
    backtest.add_argument(
        "--step", type=_step, default="month", metavar="month|DAYS", help="between cohorts"
    )

    suggest = add("policy-suggest", _policy_suggest, "weights fitted on past outcomes, for review")
    suggest.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    suggest.add_argument("--level", choices=("component", "measure"), default="component")
    suggest.add_argument("--outcome", default="churn_or_contraction")
    suggest.add_argument("--horizon", type=_count, default=None, metavar="DAYS")
    suggest.add_argument("--effective-from", type=_date, default=None, metavar="DATE")

    diff = add("policy-diff", _policy_diff, "who would change zone under another health policy")
    what = "folder of seeds (laid over today's), git revision, or set:NAME"
    diff.add_argument("old", metavar="OLD", help=what)
    diff.add_argument("new", metavar="NEW", help=what)
    diff.add_argument(
        "--as-of", type=_date, metavar="DATE", help="a day of the last run (default: published day)"
    )
    diff.add_argument("--csv", type=Path, metavar="FILE", help="also write every account there")

    effect = add("effect", _effect, "what worked actions changed, against alike ones not worked")
    effect.add_argument("--as-of", type=_date, metavar="DATE", help="default: the published day")


def _add_rule_commands(add: Callable[..., Any]) -> None:
    replay = add("replay", _replay, "what a rule would have opened, without opening it")
    replay.add_argument(
        "rules", metavar="RULE_ID|FILE|FOLDER", help="rule, playbook, edited file or folder"
    )
    _add_range(replay, "reported")
    replay.add_argument("--out", type=Path, metavar="DIR", help="also write CSV files and a chart")

    rules = add("rules-diff", _rules_diff, "what two rule sets open differently, with examples")
    what = "folder or file of rules (laid over today's unless whole), or git revision"
    rules.add_argument("old", metavar="OLD", help=what)
    rules.add_argument("new", metavar="NEW", help=what)
    _add_range(rules, "compared")
    rules.add_argument("--csv", type=Path, metavar="FILE", help="also write every opening there")


def _add_range(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--from",
        dest="from_date",
        type=_date,
        metavar="DATE",
        help=f"first day {what} (default: 90 days up to --to)",
    )
    parser.add_argument(
        "--to",
        dest="to_date",
        type=_date,
        metavar="DATE",
        help=f"last day {what} (default: the published day)",
    )


def _settings(call: argparse.Namespace) -> Settings:
    given: dict[str, Any] = {}
    if getattr(call, "data_dir", None) is not None:
        given["data_dir"] = call.data_dir
    if getattr(call, "landing", None) is not None:
        given["landing_dir"] = call.landing
    if getattr(call, "sources", None) is not None:
        given["sources"] = call.sources
    return load_settings(**given)


def _run(call: argparse.Namespace) -> None:
    # Dagster and dbt take seconds to import; only the commands that run them pay for it.
    from dagster_project.defs.ingest import RunRequest
    from dagster_project.defs.runner import run_daily
    from dagster_project.reporting.summary import run_summary
    from dagster_project.warehouse import connect

    settings = _settings(call)
    run_daily(
        settings,
        RunRequest(
            as_of=call.as_of.isoformat() if call.as_of else None,
            from_date=call.from_date.isoformat() if call.from_date else None,
            full_refresh=call.full_refresh,
            policy_mode=call.policy.replace("-", "_"),
        ),
    )
    with connect(settings.warehouse, settings, read_only=True) as con:
        print(run_summary(con))


def _check(call: argparse.Namespace) -> None:
    from dagster_project.checking import check_configuration

    print(check_configuration(_settings(call)))


def _explain(call: argparse.Namespace) -> None:
    from dagster_project.reporting.explain import explain_account
    from dagster_project.warehouse import connect

    settings = _settings(call)
    with connect(settings.published, settings, read_only=True) as con:
        print(explain_account(con, call.account, as_of=call.as_of, since=call.since))


def _report(call: argparse.Namespace) -> None:
    from dagster_project.progress import listening
    from dagster_project.reporting.day import report_day

    with listening():
        print(report_day(_settings(call), call.as_of))


def _docs(call: argparse.Namespace) -> None:
    from dagster_project.defs.dbt_docs import write_dbt_docs

    print(write_dbt_docs(_settings(call)))


def _backtest(call: argparse.Namespace) -> None:
    from dagster_project.proof import backtest, render_backtest
    from dagster_project.warehouse import connect

    settings = _settings(call)
    with connect(settings.published, settings, read_only=True) as con:
        print(render_backtest(backtest(con, call.from_date, call.as_of, step=call.step)))


def _effect(call: argparse.Namespace) -> None:
    from dagster_project.proof import playbook_effect, render_effect
    from dagster_project.proof.cohorts import find_span
    from dagster_project.warehouse import connect

    settings = _settings(call)
    with connect(settings.published, settings, read_only=True) as con:
        as_of = find_span(con, None, call.as_of).as_of
        print(render_effect(playbook_effect(con, as_of)), end="")


def _policy_suggest(call: argparse.Namespace) -> None:
    from dagster_project.proof import policy_suggest, render_suggestion
    from dagster_project.warehouse import connect

    settings = _settings(call)
    with connect(settings.published, settings, read_only=True) as con:
        suggestion = policy_suggest(
            con,
            seeds=settings.seeds / "health",
            out=call.out,
            level=call.level,
            outcome=call.outcome,
            horizon_days=call.horizon,
            effective_from=call.effective_from,
        )
    print(render_suggestion(suggestion))


def _policy_diff(call: argparse.Namespace) -> None:
    from dagster_project.defs.policy_diff import policy_diff
    from dagster_project.policy.compare import render_diff, write_diff
    from dagster_project.progress import listening

    with listening():
        result = policy_diff(_settings(call), call.old, call.new, as_of=call.as_of)
    if call.csv is not None:
        write_diff(result.diff, call.csv)
    print(
        render_diff(
            result.diff,
            as_of=result.as_of,
            old_name=call.old,
            new_name=call.new,
            notes=result.notes,
        )
    )


def _replay(call: argparse.Namespace) -> None:
    from dagster_project.defs.replay import replay_rules
    from dagster_project.playbooks.replay_text import render_replay, write_replay
    from dagster_project.progress import listening

    with listening():
        result = replay_rules(_settings(call), call.rules, call.from_date, call.to_date)
    print(render_replay(result), end="")
    if call.out is not None:
        from dagster_project.reporting.replay_chart import write_replay_chart

        paths = write_replay(result, call.out)
        weeks = [(week.week_on, week.rule_id, week.opened) for week in result.weeks]
        title = f"{result.name}, {result.range.from_date} to {result.range.to_date}"
        paths.append(write_replay_chart(weeks, title, call.out / "openings.svg"))
        print(f"\n{len(paths)} files in {call.out}")


def _rules_diff(call: argparse.Namespace) -> None:
    from dagster_project.defs.replay import rules_diff
    from dagster_project.playbooks.replay_text import render_rules_diff, write_rules_diff
    from dagster_project.progress import listening

    with listening():
        diff = rules_diff(_settings(call), call.old, call.new, call.from_date, call.to_date)
    if call.csv is not None:
        write_rules_diff(diff, call.csv)
    print(render_rules_diff(diff), end="")


def _sample(call: argparse.Namespace) -> None:
    from dagster_project.sampling import DEFAULT_UNTIL, SampleOptions, write_sample

    options = SampleOptions(
        accounts=call.accounts,
        days=call.days,
        seed=call.seed,
        until=call.until or DEFAULT_UNTIL,
        dirt=call.dirt,
        file_format=call.format,
        extract_every_days=call.extract_every,
    )
    try:
        summary = write_sample(
            call.out, options, progress=lambda text: print(text, file=sys.stderr)
        )
    except FileExistsError as error:
        raise ConfigError(str(error)) from error
    print(f"{summary.files:,} files, {summary.bytes / 2**20:,.1f} MiB in {call.out}")
    for table, rows in summary.rows.items():
        print(f"  {table:<26}{rows:>12,} rows")
    for kind, count in summary.dirt.items():
        print(f"  dirt: {kind:<20}{count:>12,}")


def _sample_work(call: argparse.Namespace) -> None:
    from dagster_project.defs.sample_work import add_work

    events = add_work(
        _settings(call), seed=call.seed, tell=lambda text: print(text, file=sys.stderr)
    )
    print(f"{events:,} events of playbook runs")


def _ui(call: argparse.Namespace) -> None:
    from dagster_project.ui.processes import run_ui

    run_ui(
        _settings(call), call.port, call.app_port, tell=lambda text: print(text, file=sys.stderr)
    )


if __name__ == "__main__":
    sys.exit(main())
