"""What the published tables that dbt does not describe mean: operations, rejects, lineage."""

from __future__ import annotations

TABLES = {
    "pipeline.files": "Every extract file that was read: how many rows, and what became of them.",
    "pipeline.publications": "The publications before this one, one row each.",
    "pipeline.quality_flags": "What the checks of a source mapping counted; no row was refused.",
    "pipeline.restatements": "Published days that a later run changed: late or corrected records.",
    "pipeline.publication": "The publication this file is: its number and its run's days.",
    "pipeline.health_ledger": "What moved each account's score until the published day, stored: "
    "ask marts.fct_health_change, which reads it.",
    "pipeline.lineage": "Which table is made of which: one row per table and table it reads.",
}
COLUMNS = {
    "pipeline.files": {
        "source": "Source system: crm, usage or support (text).",
        "table_name": "Table of the source (text).",
        "file_name": "File, relative to the landing folder (text).",
        "extracted_on": "Day of the extract (date).",
        "sha256": "Fingerprint of the file's bytes (text, hexadecimal).",
        "size_bytes": "Size of the file (bytes).",
        "row_count": "Rows read.",
        "accepted_count": "Rows accepted.",
        "rejected_count": "Rows refused, listed in the table's rejects.",
        "unchanged_count": "Accepted rows that say what the extract before said.",
        "status": "accepted or refused (text).",
        "message": "Why the whole file was refused (text; null when accepted).",
    },
    "pipeline.publications": {
        "publication_number": "1, 2, … in order of publication.",
        "from_date": "First day that its run computed (date).",
        "as_of_date": "Last day that its run computed (date).",
        "config_sha256": "Fingerprint of the policy and the rules of its run (text, hexadecimal).",
        "is_full_refresh": "Whether its run computed every day anew.",
    },
    "pipeline.quality_flags": {
        "source": "Source system (text).",
        "table_name": "Table of the source (text).",
        "file_name": "File it was found in (text).",
        "flag": "Check of the source mapping (text).",
        "row_count": "Rows it was true for.",
        "message": "What the check says (text).",
        "extracted_on": "Day of the extract (date).",
    },
    "pipeline.restatements": {
        "as_of_date": "Published day that was changed (date).",
        "table_name": "Table it was changed in (text).",
        "changed_row_count": "Rows of the day that went or came; a changed row counts twice.",
        "restated_by_as_of_date": "Last day of the run that changed it (date).",
    },
    "pipeline.publication": {
        "publication_number": "1, 2, … in order of publication.",
        "from_date": "First day that its run computed (date).",
        "as_of_date": "The published day: the last day that its run computed (date).",
    },
    "pipeline.health_ledger": {
        "account_id": "Account (text).",
        "as_of_date": "The published day (date).",
        "compared_to_date": "The earlier day it is compared to (date).",
        "cause_kind": "behaviour, coverage, config or override (text).",
        "cause": "Measure, policy or override that moved the score (text).",
        "points": "Points it moved the score by (null where a score began or ended).",
    },
    "pipeline.lineage": {
        "table_name": "Table, view or exposure, with its schema (text).",
        "kind": "model, seed, source, view or exposure (text).",
        "defined_in": "File of the project that defines it (text).",
        "reads": "Table it is made of (text; null when it reads none).",
    },
}
REJECTS_TABLE = "Rows of {table} that were refused, one row per fault."
REJECTS_COLUMNS = {
    "file": "File of the refused row, relative to the landing folder (text).",
    "line": "Line in the file; the heading is line 1.",
    "rule": "Rule it broke (text).",
    "column": "Column at fault (text; null when it is the whole row).",
    "value": "What stood there (text).",
    "message": "What is wrong and how to mend it (text).",
    "extracted_on": "Day of the extract (date).",
}
_REJECTS = "__rejects"


def table_text(name: str) -> str | None:
    """What an operational table is; None for a table that dbt describes."""
    if name.endswith(_REJECTS):
        return REJECTS_TABLE.format(table=name.removesuffix(_REJECTS).removeprefix("raw_"))
    return TABLES.get(name)


def column_text(name: str, column: str) -> str | None:
    """What a column of an operational table means; None for a table that dbt describes."""
    if name.endswith(_REJECTS):
        return REJECTS_COLUMNS.get(column)
    return COLUMNS.get(name, {}).get(column)
