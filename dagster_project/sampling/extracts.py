"""Cut the drawn tables into extract files: what each source showed on each extract's day.

A fact dated after the extract is not in it; an undated state is the one of that day.
"""

from __future__ import annotations

import gzip
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from dagster_project.sampling import usage
from dagster_project.sampling.options import FileFormat

_DAILY_TAIL: Final = 2


def extract_dates(first: date, until: date, every_days: int) -> list[date]:
    """Days of the extracts, oldest first: one each `every_days`, and the last three days."""
    days = {until - timedelta(days=n) for n in range(_DAILY_TAIL + 1)}
    day = until
    while day >= first:
        days.add(day)
        day -= timedelta(days=every_days)
    return sorted(day for day in days if day >= first)


def _hide(*columns: str) -> str:
    """Columns dated after the extract, emptied."""
    return ", ".join(f"case when {name} <= e.day then {name} end as {name}" for name in columns)


def _hide_with(date_column: str, *columns: str) -> str:
    """Columns that belong to a date after the extract, emptied."""
    return ", ".join(
        f"case when {date_column} <= e.day then {name} end as {name}" for name in columns
    )


_END_OF_DAY: Final = "e.day + interval 1 day"


def _hide_at(*columns: str) -> str:
    return ", ".join(
        f"case when {name} < {_END_OF_DAY} then {name} end as {name}" for name in columns
    )


_LATEST: Final = "row_number() over (partition by {key} order by valid_from_on desc) = 1"

#: SQL per snapshot table; `e.day` is the extract's day.
_SNAPSHOTS: Final = {
    "crm/accounts": f"""
        select a.account_id, account_name, tier, segment, region, industry, arr_usd, owner_ca,
            owner_sa, owner_ae, owner_ve, owner_governance, customer_since_on,
            {_hide("churned_on")}, realm, node, is_at_risk, {_hide("paused_from_on")},
            {_hide_with("paused_from_on", "paused_until_on")}
        from accounts as a cross join e
        inner join (
            select s.* from account_states as s cross join e where valid_from_on <= e.day
            qualify {_LATEST.format(key="account_id")}
        ) as s on s.account_id = a.account_id
        where customer_since_on <= e.day
        order by a.account_id
    """,
    "crm/contacts": f"""
        select contact_id, account_id, contact_name, email, role,
            departed_on is null or departed_on > e.day as is_active, created_on,
            {_hide("departed_on")}
        from contacts cross join e where created_on <= e.day order by contact_id
    """,
    "crm/subscriptions": f"""
        select subscription_id, account_id, solution_area, started_on, renews_on,
            {_hide("ended_on")}, arr_usd, seats, {_hide("go_live_on")}, previous_subscription_id,
            is_displacement
        from subscriptions cross join e where known_on <= e.day order by subscription_id
    """,
    "crm/opportunities": f"""
        select o.opportunity_id, account_id, kind, solution_area, subscription_id, stage,
            probability_ratio, amount_usd, created_on, expected_close_on, {_hide("closed_on")},
            {_hide_with("closed_on", "is_won")}
        from opportunities as o cross join e
        inner join (
            select s.* from opportunity_states as s cross join e where valid_from_on <= e.day
            qualify {_LATEST.format(key="opportunity_id")}
        ) as s on s.opportunity_id = o.opportunity_id
        where known_on <= e.day
        order by o.opportunity_id
    """,
    "crm/touchpoints": f"""
        select touchpoint_id, account_id, call_type, created_on, scheduled_on,
            {_hide("held_on", "cancelled_on")},
            case
                when held_on <= e.day then 'held'
                when cancelled_on <= e.day then 'cancelled'
                when scheduled_on < e.day and held_on is null then 'missed'
                else 'scheduled'
            end as status,
            {
        _hide_with(
            "held_on",
            "expected_attendee_count",
            "attended_count",
            "is_executive_present",
            "sentiment",
        )
    }
        from touchpoints cross join e where created_on <= e.day order by touchpoint_id
    """,
    "crm/outreach": f"""
        select outreach_id, account_id, contact_id, channel, sent_at, {_hide_at("responded_at")}
        from outreach cross join e where sent_at < {_END_OF_DAY} order by outreach_id
    """,
    "crm/success_objectives": f"""
        select o.objective_id, account_id, solution_area, objective_name, created_on, due_on,
            baseline_value, target_value, current_value, measured_on, {_hide("met_on")},
            planned_value_usd, realised_value_usd
        from success_objectives as o cross join e
        left join (
            select m.* from objective_measures as m cross join e where measured_on <= e.day
            qualify row_number() over (partition by objective_id order by measured_on desc) = 1
        ) as m on m.objective_id = o.objective_id
        where created_on <= e.day
        order by o.objective_id
    """,
    "crm/stage_evidence": f"""
        select evidence_id, account_id, solution_area, criterion_id, confirmed_on, confirmed_by,
            {_hide("revoked_on")}
        from stage_evidence cross join e where confirmed_on <= e.day order by evidence_id
    """,
    "crm/adoption_blockers": f"""
        select blocker_id, account_id, solution_area, category, opened_on, {_hide("resolved_on")},
            description
        from adoption_blockers cross join e where opened_on <= e.day order by blocker_id
    """,
    "crm/invoices": f"""
        select invoice_id, account_id, issued_on, due_on, {_hide("paid_on")}, amount_usd
        from invoices cross join e where issued_on <= e.day order by invoice_id
    """,
    "crm/risk_flags": f"""
        select risk_id, account_id, kind, severity, raised_on, {_hide("cleared_on")}, pulse_score,
            note
        from risk_flags cross join e where raised_on <= e.day order by risk_id
    """,
    "crm/health_overrides": """
        select override_id, account_id, health_score, health_zone, reason, author, starts_on,
            expires_on
        from health_overrides cross join e where starts_on <= e.day order by override_id
    """,
    "support/tickets": f"""
        select ticket_id, account_id, severity, opened_at,
            {_hide_at("first_responded_at", "resolved_at", "escalated_at", "reopened_at")},
            case
                when resolved_at < {_END_OF_DAY} then 'resolved'
                when reopened_at < {_END_OF_DAY} then 'reopened'
                when escalated_at < {_END_OF_DAY} then 'escalated'
                when first_responded_at < {_END_OF_DAY} then 'in_progress'
                else 'open'
            end as status
        from tickets cross join e where opened_at < {_END_OF_DAY} order by ticket_id
    """,
}


def query(table: str, seed: int, after: date | None, day: date) -> str:
    """SQL of one extract: `after` is the day of the extract before, None for the first."""
    if table in _SNAPSHOTS:
        return f"with e as (select date '{day}' as day) {_SNAPSHOTS[table]}"
    first_on = str(after + timedelta(days=1)) if after is not None else "1970-01-01"
    if table == "usage/feature_usage":
        return usage.feature_usage(seed, first_on, str(day))
    if table == "usage/solution_measures":
        return usage.solution_measures(first_on, str(day))
    if table == "support/surveys":
        return f"""
            select survey_id, account_id, kind, responded_on, score, ticket_id from surveys
            where responded_on between date '{first_on}' and date '{day}'
            order by responded_on, survey_id
        """
    # Runs of playbooks name actions, and only the pipeline opens those.
    return """
        select ''::varchar as action_id, ''::varchar as event, null::date as occurred_on,
            ''::varchar as step_id, ''::varchar as reason, ''::varchar as outcome,
            ''::varchar as actor
        where false
    """


def file_name(table: str, day: date, file_format: FileFormat) -> str:
    """Path of one extract below the landing folder."""
    ending = {"csv": "csv.gz", "parquet": "parquet", "jsonl": "jsonl.gz"}[file_format]
    return f"{table}/{table.split('/')[1]}_{day}.{ending}"


def encode(frame: pl.DataFrame, file_format: FileFormat) -> bytes:
    """One extract's bytes, not yet compressed for csv and jsonl. Times are UTC with a Z."""
    buffer = io.BytesIO()
    if file_format == "parquet":
        frame.write_parquet(buffer, compression="zstd", row_group_size=262_144)
    elif file_format == "csv":
        frame.write_csv(buffer, datetime_format="%Y-%m-%dT%H:%M:%SZ", line_terminator="\n")
    else:
        as_json = frame.with_columns(
            pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            pl.col(pl.Decimal).cast(pl.Float64),
        )
        as_json.write_ndjson(buffer)
    return buffer.getvalue()


def write(path: Path, data: bytes, file_format: FileFormat) -> int:
    """Write one file, gzip without name or time for text; returns its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if file_format != "parquet":
        data = gzip.compress(data, compresslevel=9 if len(data) < 1_000_000 else 5, mtime=0)
    path.write_bytes(data)
    return len(data)
