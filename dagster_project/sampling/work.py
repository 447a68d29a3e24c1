"""People's work on the actions of a run: who starts when, which steps get done, what ends how.

A sample cannot hold this from the start, because only the pipeline opens actions; so it is drawn
afterwards, from the actions themselves. Each action's fate hangs on its id, its owner and the seed
alone: whatever else is opened, the same action is worked on in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from dagster_project.sampling import extracts
from dagster_project.sampling.options import FileFormat

TABLE: Final = "crm/playbook_runs"
_ENDINGS: Final[dict[str, FileFormat]] = {
    ".csv.gz": "csv",
    ".jsonl.gz": "jsonl",
    ".parquet": "parquet",
}
_REASONS: Final = (
    "invalid",
    "customer declined",
    "handled in another call",
    "account is being handed over",
)
#: What people do, as shares and days. Owners differ: each has a diligence of their own.
_NEVER_STARTED: Final = 0.05
_LATE_START: Final = 0.06
_CANCELLED: Final = 0.09
_LEFT_HALFWAY: Final = 0.05


def _chance(key: str, salt: str, seed: int) -> str:
    """SQL: a number in [0, 1) of the column `key`; equal on every version of the engine."""
    return (
        f"(('0x' || left(md5(concat_ws('|', '{salt}', {int(seed)}, {key})), 12))::bigint"
        " / 281474976710656.0)"
    )


def draw_work(con: duckdb.DuckDBPyConnection, seed: int, first: date, until: date) -> pl.DataFrame:
    """What people report of the actions opened in [first, until], up to `until`.

    Reads `playbooks.actions` and `playbooks.playbooks` of `con`. One row per event, in the columns
    of the extract, by day. No event lies before its action opened or after it closed by itself.
    """
    reasons = ", ".join(f"'{reason}'" for reason in _REASONS)
    work: pl.DataFrame = con.sql(
        f"""
        with steps as (
            select playbook_id, step ->> 'id' as step_id, cast(step ->> 'day' as integer) as at_day
            from (
                select playbook_id,
                    unnest(cast(json_extract(definition, '$.steps') as json[])) as step
                from playbooks.playbooks
            )
        ),
        drawn as (
            select actions.*,
                -- Between 0.6 (busy, forgetful) and 1.4 (diligent).
                0.6 + 0.8 * {_chance("coalesce(owner, '')", "owner", seed)} as diligence,
                {_chance("action_id", "start", seed)} as start_draw,
                {_chance("action_id", "lag", seed)} as lag_draw,
                {_chance("action_id", "end", seed)} as end_draw,
                {_chance("action_id", "pace", seed)} as pace_draw,
                {_chance("action_id", "reason", seed)} as reason_draw
            from playbooks.actions as actions
            where opened_on between $first and $until
                and close_reason is distinct from 'restated' and owner is not null
        ),
        begun as (
            select *,
                opened_on + cast(case
                    when start_draw < ({_NEVER_STARTED} + {_LATE_START}) / diligence
                        then (due_on - opened_on) + 1 + floor(14 * lag_draw)
                    else floor((due_on - opened_on + 1) * lag_draw * lag_draw)
                end as integer) as starts_on,
                case
                    when end_draw < {_CANCELLED} then 'cancelled'
                    when end_draw < {_CANCELLED} + {_LEFT_HALFWAY} / diligence then 'left'
                    else 'completed'
                end as ending,
                -- Days behind the plan; a few are ahead of it.
                cast(floor(9 * pace_draw * pace_draw / diligence) as integer) - 1 as behind_days
            from drawn
            where start_draw >= {_NEVER_STARTED} / diligence
        ),
        planned as (
            select begun.*, steps.step_id, steps.at_day,
                greatest(starts_on, opened_on + steps.at_day + behind_days) as done_on,
                row_number() over (
                    partition by action_id order by steps.at_day, steps.step_id
                ) as step_number,
                count(*) over (partition by action_id) as step_count,
                max(greatest(starts_on, opened_on + steps.at_day + behind_days)) over (
                    partition by action_id
                ) as ends_on
            from begun
            inner join steps on begun.playbook_id = steps.playbook_id
        ),
        events as (
            select action_id, 'started' as event, starts_on as occurred_on,
                cast(null as varchar) as step_id, cast(null as varchar) as reason,
                cast(null as varchar) as outcome, owner as actor, close_reason, closed_on
            from begun
            union all
            select action_id, 'step_done', done_on, step_id, null, null, owner, close_reason,
                closed_on
            from planned
            where ending = 'completed' or (step_number * 2 <= step_count and done_on < ends_on)
            union all
            select distinct action_id, ending, ends_on, null,
                case when ending = 'cancelled' then
                    list_extract([{reasons}], 1 + cast(floor(4 * reason_draw) as integer)) end,
                case when ending = 'completed' then
                    case when pace_draw < 0.7 then 'done as planned' else 'done, with delay' end
                end,
                owner, close_reason, closed_on
            from planned
            where ending in ('completed', 'cancelled')
        )
        select action_id, event, occurred_on, step_id, reason, outcome, actor
        from events
        where occurred_on <= $until
            -- What the data closed first, nobody works on any more.
            and (
                closed_on is null or close_reason in ('completed', 'cancelled')
                or occurred_on < closed_on
            )
        order by occurred_on, action_id, event, step_id nulls first
        """,
        params={"first": first, "until": until},
    ).pl()
    return work


def extract_files(landing: Path) -> dict[date, Path]:
    """The sample's files of the table by their day, oldest first.

    Raises:
        FileNotFoundError: the folder holds none, so it is not a sample's.
    """
    found: dict[date, Path] = {}
    for path in sorted((landing / TABLE).glob("playbook_runs_*")):
        stem, _, ending = path.name.removeprefix("playbook_runs_").partition(".")
        if f".{ending}" in _ENDINGS:
            found[date.fromisoformat(stem)] = path
    if not found:
        raise FileNotFoundError(f"{landing / TABLE} holds no extract; write a sample there first")
    return found


def write_work(
    landing: Path, work: pl.DataFrame, progress: Callable[[str], None] | None = None
) -> int:
    """Cut the events into the sample's extract files, each with what happened since the one before.

    Files keep their names; returns how many rows were written.
    """
    written = 0
    after = date.min
    for day, path in extract_files(landing).items():
        part = work.filter((pl.col("occurred_on") > after) & (pl.col("occurred_on") <= day))
        file_format = _ENDINGS["." + path.name.partition(".")[2]]
        extracts.write(path, extracts.encode(part, file_format), file_format)
        written += part.height
        if progress is not None:
            progress(f"{path.name}: {part.height} rows")
        after = day
    return written
