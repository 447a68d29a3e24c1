"""Where meeting notes land: one table for the notes and one for each list a note carries.

Notes are no extracts: people write them one by one, mend and remove them. So there is no change
log. The tables hold each note as it reads now; a removed note is a tombstone, its words gone.
Every row carries its lineage (`LINEAGE` of `raw_tables`): the file below the InfoHub folder, the
line in it, and the day from which a run sees the note.

Belongs here: the shape of the tables. Does not belong here: what a note must be (`infohub`).
"""

from __future__ import annotations

SOURCE = "infohub"
NOTES = "notes"
SCHEMA = f"raw_{SOURCE}"
NOTES_TABLE = f"{SCHEMA}.{NOTES}"
NOTES_REJECTS_TABLE = f"{SCHEMA}.{NOTES}__rejects"

NOTE_TABLES: dict[str, dict[str, str]] = {
    NOTES_TABLE: {
        "note_id": "varchar",
        "account_id": "varchar",
        "call_type": "varchar",
        "held_on": "date",
        "recorded_on": "date",
        "updated_on": "date",
        "touchpoint_id": "varchar",
        "sentiment": "double",
        "expected_attendee_count": "bigint",
        "attended_count": "bigint",
        "is_executive_present": "boolean",
        "next_call_on": "date",
        "next_call_type": "varchar",
        "is_account_named": "boolean",
        "stated_expected_count": "bigint",
        "stated_executive_present": "boolean",
        "_is_deleted": "boolean",
    },
    f"{SCHEMA}.note_attendees": {
        "note_id": "varchar",
        "position": "bigint",
        "attendee_name": "varchar",
        "role": "varchar",
        "side": "varchar",
        "has_attended": "boolean",
    },
    f"{SCHEMA}.note_actions": {
        "action_item_id": "varchar",
        "note_id": "varchar",
        "account_id": "varchar",
        "position": "bigint",
        "item_key": "varchar",
        "item_text": "varchar",
        "owner": "varchar",
        "due_on": "date",
        "is_done": "boolean",
        "done_on": "date",
    },
    f"{SCHEMA}.note_evidence": {
        "evidence_id": "varchar",
        "note_id": "varchar",
        "account_id": "varchar",
        "position": "bigint",
        "solution_area": "varchar",
        "criterion_id": "varchar",
        "confirmed_on": "date",
        "confirmed_by": "varchar",
        "revoked_on": "date",
    },
    f"{SCHEMA}.note_blockers": {
        "blocker_id": "varchar",
        "note_id": "varchar",
        "account_id": "varchar",
        "position": "bigint",
        "blocker_key": "varchar",
        "solution_area": "varchar",
        "category": "varchar",
        "description": "varchar",
        "opened_on": "date",
        "resolved_on": "date",
    },
}
"""Columns of the tables of notes with their DuckDB types, without the lineage."""
