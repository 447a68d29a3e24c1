"""Data quality: what is known, what is late, what was refused and why, run by run."""

from __future__ import annotations

from typing import Any, TypeAlias

from dagster_project.reporting import style
from dagster_project.reporting.dashboard.html import render
from dagster_project.reporting.dashboard.portfolio import accounts
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.reporting.plain_words import STATES
from dagster_project.reporting.queries import Snapshot
from dagster_project.reporting.report import sections

Row: TypeAlias = dict[str, Any]
_REFUSED_SHOWN = 30
_RUNS_SHOWN = 20
_EXAMPLES = 3


def quality_page(publication: Publication) -> str:
    """The whole page, for the published day."""
    return publication.once("quality", lambda: _quality(publication))


def _quality(publication: Publication) -> str:
    snapshot = publication.snapshot()
    overview = accounts(publication, publication.as_of)
    known = overview["coverage_ratio"].drop_nulls()
    return render(
        "quality.html.jinja",
        label="The data",
        as_of=publication.as_of,
        number=publication.number,
        quality=sections.quality_section(snapshot, overview),
        coverage=float(known.sum()) / known.len() if known.len() else None,
        scored_count=overview["health_score"].count(),
        account_count=overview.height,
        measures=_measures(snapshot),
        said={"scored": "scored", **STATES},
        state_colours=style.STATE_COLOURS,
        rejects=_rejects(snapshot),
        refused=_refused(snapshot),
        refused_shown=_REFUSED_SHOWN,
        runs=_runs(snapshot),
        unmatched=_unmatched(snapshot),
        feedback=_feedback(snapshot),
    )


def _measures(snapshot: Snapshot) -> list[Row]:
    """Per measure in use how many accounts of the day have it in which state."""
    rows: dict[str, Row] = {}
    for row in snapshot.frame(
        """
        select facts.component, facts.measure, coalesce(names.label, facts.measure) as label,
            names.measure_order, facts.status, count(*) as account_count
        from marts.fct_health_measure_daily as facts
        left join policy.health_measures as names on names.measure = facts.measure
        where facts.as_of_date = $as_of and facts.component is not null
        group by all
        order by names.measure_order nulls last, facts.measure, facts.status
        """
    ).iter_rows(named=True):
        own = rows.setdefault(
            row["measure"],
            {"label": row["label"], "component": row["component"], "counts": {}},
        )
        own["counts"][str(row["status"])] = row["account_count"]
    for own in rows.values():
        own["total"] = sum(own["counts"].values())
    return list(rows.values())


def _rejects(snapshot: Snapshot) -> list[Row]:
    """Refused rows by table, rule and column, with the newest examples of each."""
    tables = snapshot.con.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = current_catalog() and schema_name like 'raw!_%' escape '!' "
        "and table_name like '%!_!_rejects' escape '!' order by all"
    ).fetchall()
    if not tables:
        return []
    # Names of the file itself, quoted; nothing a reader gave.
    parts = " union all ".join(
        f"select '{schema.removeprefix('raw_')}/{table.removesuffix('__rejects')}' as source, "
        f'rule, "column", line, file, message, extracted_on from "{schema}"."{table}"'
        for schema, table in tables
    )
    return snapshot.frame(
        f"""
        select source, rule, "column", count(*) as row_count, count(distinct file) as file_count,
            max(extracted_on) as newest_on, min(message) as message,
            list(file || ':' || line order by extracted_on desc, file, line)[1:{_EXAMPLES}]
                as examples
        from ({parts})
        where extracted_on <= $as_of
        group by all
        order by row_count desc, source, rule, "column"
        """
    ).to_dicts()


def _refused(snapshot: Snapshot) -> list[Row]:
    """Files that were not taken, newest first."""
    return snapshot.frame(
        """
        select source || '/' || table_name as source, file_name, extracted_on, message
        from pipeline.files
        where status <> 'accepted' and extracted_on <= $as_of
        order by extracted_on desc, source, table_name, file_name
        """
    ).to_dicts()


def _runs(snapshot: Snapshot) -> list[Row] | None:
    """The publications, newest first; None where the file does not keep them."""
    if not snapshot.has_table("pipeline.publications"):
        return None
    return snapshot.frame(
        """
        select publication_number, from_date, as_of_date, is_full_refresh
        from (
            select publication_number, from_date, as_of_date, is_full_refresh
            from pipeline.publications
            union all
            select publication_number, from_date, as_of_date, null from pipeline.publication
        )
        qualify row_number() over (
            partition by publication_number order by is_full_refresh nulls last
        ) = 1
        order by publication_number desc
        limit $shown
        """,
        shown=_RUNS_SHOWN,
    ).to_dicts()


def _unmatched(snapshot: Snapshot) -> list[Row] | None:
    """Rows whose account nobody knows, by table; None where the file does not keep them."""
    if not snapshot.has_table("intermediate.int_core__unmatched_keys"):
        return None
    return snapshot.frame(
        """
        select source_table, count(distinct account_id) as account_count,
            sum(row_count)::bigint as row_count, min(first_seen_on) as first_seen_on,
            list(account_id order by row_count desc, account_id)[1:5] as examples
        from intermediate.int_core__unmatched_keys
        group by source_table
        order by row_count desc, source_table
        """
    ).to_dicts()


def _feedback(snapshot: Snapshot) -> list[Row]:
    """Feedback on actions that could not be taken, by reason."""
    return snapshot.frame(
        "select message, count(*) as row_count from playbooks.feedback_rejects "
        "group by message order by row_count desc, message"
    ).to_dicts()
