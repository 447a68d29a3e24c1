"""The tables the playbooks write, their columns and what each column means.

Belongs here: table shapes. Public tables are in the schema `playbooks`; what a later run continues
from is in `pipeline`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class TableShape:
    """A table: its grain in words, its key, and (column, SQL type, meaning) in order."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]

    @property
    def column_names(self) -> str:
        """The columns in order, for a select or an insert."""
        return ", ".join(name for name, _, _ in self.columns)


SIGNALS = TableShape(
    "playbooks.signals",
    "signal_id: an immutable fact about an account on a day",
    ("signal_id",),
    (
        ("signal_id", "varchar", "Stable hash of signal, cause, account, scope and day."),
        ("signal", "varchar", "Signal, as in signals.yml."),
        ("cause", "varchar", "Which of the signal's causes."),
        ("account_id", "varchar", "Account."),
        ("scope", "varchar", "What it is about within the account, e.g. area:security."),
        ("solution_area", "varchar", "Solution area; null when it is about none."),
        ("occurred_on", "date", "Day of the fact."),
        ("evidence", "varchar", "JSON object: the names and values that made it."),
    ),
)

RULE_STATES = TableShape(
    "playbooks.rule_states",
    "rule_id, account_id, scope, valid_from_on: days of one verdict; no row is not matched",
    ("rule_id", "account_id", "scope", "valid_from_on"),
    (
        ("rule_id", "varchar", "Rule."),
        ("playbook_id", "varchar", "Playbook of the rule."),
        ("account_id", "varchar", "Account."),
        ("scope", "varchar", "What was judged within the account."),
        ("solution_area", "varchar", "Solution area; null when it is about none."),
        ("valid_from_on", "date", "First day of the verdict."),
        ("valid_to_on", "date", "Day after its last; null while it lasts."),
        ("verdict", "varchar", "matched, suppressed or unknown."),
        ("reason", "varchar", "Matched: the action. Suppressed: why. Unknown: what is missing."),
        ("evidence", "varchar", "JSON object: names and values on the match's first day."),
    ),
)

ACTIONS = TableShape(
    "playbooks.actions",
    "action_id: one piece of work, opened by one episode of one playbook, or promised in a call",
    ("action_id",),
    (
        ("action_id", "varchar", "Stable hash of playbook, account, scope and opening day; of a"
         " meeting's action, of account, note and words."),
        ("playbook_id", "varchar", "Playbook; null, with all that is the rule's, of a meeting's."),
        ("playbook_version", "integer", "Version of the playbook that opened it."),
        ("rule_id", "varchar", "Rule that opened it."),
        ("rule_version", "integer", "Version of that rule."),
        ("account_id", "varchar", "Account."),
        ("scope", "varchar", "What the work is about within the account."),
        ("solution_area", "varchar", "Solution area; null when it is about none."),
        ("owner_role", "varchar", "Role whose queue it is in."),
        ("owner", "varchar", "Person in that role, now or at closing; null when nobody is."),
        ("source", "varchar", "playbook, or meeting: promised in a call, from its note."),
        ("title", "varchar", "What was promised, of a meeting's action; null of a playbook's."),
        ("severity", "varchar", "low, medium, high or critical: the highest so far."),
        ("status", "varchar", "open, in_progress, completed, cancelled or closed."),
        ("close_reason", "varchar", "completed, cancelled, recovered, churned, superseded,"
         " expired or restated; null while open."),
        ("cancel_reason", "varchar", "Reason the feedback gave for cancelling."),
        ("outcome", "varchar", "Outcome the feedback gave on completing."),
        ("intervention", "varchar", "Intervention of the weakest component; null when none."),
        ("escalation_level", "integer", "Steps of the escalation path climbed."),
        ("reraised_count", "integer", "Reminders so far."),
        ("steps_done_count", "integer", "Steps reported done."),
        ("is_unassigned", "boolean", "Nobody holds the owner's role."),
        ("opened_on", "date", "Day the episode began."),
        ("due_on", "date", "Day by which it must be started: opening plus the SLA."),
        ("plan_due_on", "date", "Day by which its last step is due."),
        ("started_on", "date", "Day it was started; null when it was not."),
        ("closed_on", "date", "Day it closed; null while open."),
        ("objective_due_on", "date", "Last day for the objective; null unless completed."),
        ("objective_met_on", "date", "First day the objective held; null when not (yet)."),
        ("objective_status", "varchar", "pending, met or missed; null unless completed."),
        ("evidence", "varchar", "JSON object: names and values that opened it."),
    ),
)  # fmt: skip

ACTION_EVENTS = TableShape(
    "playbooks.action_events",
    "action_id, event_number: what happened to an action, in order",
    ("action_id", "event_number"),
    (
        ("action_id", "varchar", "Action."),
        ("event_number", "integer", "1, 2, … in order of day."),
        ("event", "varchar", "opened, reassigned, severity_raised, re_raised, started, step_done,"
         " escalated, completed, cancelled, closed, objective_met, objective_missed, restated."),
        ("occurred_on", "date", "Day it happened."),
        ("detail", "varchar", "JSON object; its names depend on the event."),
    ),
)  # fmt: skip

FEEDBACK_REJECTS = TableShape(
    "playbooks.feedback_rejects",
    "action_id, event, step_id, occurred_on: reports about actions that cannot be true",
    ("action_id", "event", "step_id", "occurred_on"),
    (
        ("action_id", "varchar", "Action as reported."),
        ("event", "varchar", "Event as reported."),
        ("step_id", "varchar", "Step as reported; empty when none."),
        ("occurred_on", "date", "Day as reported."),
        ("message", "varchar", "Why it is not believed."),
    ),
)

PLAYBOOKS = TableShape(
    "playbooks.playbooks",
    "playbook_id: the playbooks as they were checked for the last run",
    ("playbook_id",),
    (
        ("playbook_id", "varchar", "Playbook."),
        ("playbook_name", "varchar", "Name for people."),
        ("playbook_version", "integer", "Version."),
        ("status", "varchar", "deployed, draft or retired."),
        ("category", "varchar", "Family."),
        ("owner_role", "varchar", "Role whose queue its actions go to."),
        ("definition", "varchar", "JSON object: the whole file."),
    ),
)

RULES = TableShape(
    "playbooks.rules",
    "rule_id: the rules of deployed playbooks as they were checked for the last run",
    ("rule_id",),
    (
        ("rule_id", "varchar", "Rule."),
        ("rule_version", "integer", "Version."),
        ("playbook_id", "varchar", "Its playbook."),
        ("scope", "varchar", "What it is judged for."),
        ("signal", "varchar", "Signal it needs; null when none."),
        ("condition", "varchar", "Condition as written; null when none."),
        ("severity", "varchar", "low, medium, high or critical."),
        ("priority", "integer", "The lowest opens the action."),
        ("sla_days", "integer", "Days from opening to due."),
        ("cooldown_days", "integer", "Days without a new action after closing."),
        ("hysteresis_days", "integer", "Days it must be clear before the episode ends."),
        ("why", "varchar", "Sentence with {names} for people."),
    ),
)

CONDITION_SPANS = TableShape(
    "pipeline.condition_spans",
    "condition_id, account_id, scope, from_on: days of one raw verdict",
    ("condition_id", "account_id", "scope", "from_on"),
    (
        ("condition_id", "varchar", "Rule, cause, objective or auto-close condition."),
        ("account_id", "varchar", "Account."),
        ("scope", "varchar", "What was judged."),
        ("solution_area", "varchar", "Solution area; null when it is about none."),
        ("from_on", "date", "First day."),
        ("to_on", "date", "Day after the last; null while it lasts."),
        ("verdict", "varchar", "matched or unknown."),
        ("missing", "varchar", "Names that were missing, when unknown."),
        ("evidence", "varchar", "JSON object of the first day."),
    ),
)

WORK_SPANS = TableShape(
    "pipeline.work_spans",
    "playbook_id, account_id, scope, from_on: days the rules of a playbook call for work",
    ("playbook_id", "account_id", "scope", "from_on"),
    (
        ("playbook_id", "varchar", "Playbook."),
        ("account_id", "varchar", "Account."),
        ("scope", "varchar", "What the work is about."),
        ("from_on", "date", "First day any rule matched."),
        ("to_on", "date", "Day all rules have been clear long enough; null while one matches."),
    ),
)

PUBLIC_TABLES = (
    SIGNALS,
    RULE_STATES,
    ACTIONS,
    ACTION_EVENTS,
    FEEDBACK_REJECTS,
    PLAYBOOKS,
    RULES,
)
STATE_TABLES = (CONDITION_SPANS, WORK_SPANS)


def create_playbook_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the playbook tables that do not exist yet, with their comments."""
    for schema in ("playbooks", "pipeline"):
        con.execute(f"create schema if not exists {schema}")
    for table in (*PUBLIC_TABLES, *STATE_TABLES):
        columns = ", ".join(f"{name} {type_}" for name, type_, _ in table.columns)
        con.execute(f"create table if not exists {table.name} ({columns})")
        # A column that a release added: what stands reads null in it.
        for name, type_, _ in table.columns:
            con.execute(f"alter table {table.name} add column if not exists {name} {type_}")


def replace_changed(
    con: duckdb.DuckDBPyConnection, shape: TableShape, new: str, within: str, order: str
) -> None:
    """Make the rows of a table that satisfy `within` those of the table `new`, writing as little.

    Most rows of a day are as they were the day before; to write them anew would make the file, its
    journal and what is published of it larger for nothing.

    Args:
        con: the build file, inside a transaction.
        shape: the table; its key is unique among the rows of `new`.
        new: a table with at least the columns of the shape.
        within: condition on rows of the table, as SQL.
        order: columns that new rows are written in the order of.
    """
    name = shape.name
    same_key = " and ".join(f"old.{column} = new.{column}" for column in shape.key)
    same_rest = " and ".join(
        f"old.{column} is not distinct from new.{column}"
        for column, _, _ in shape.columns
        if column not in shape.key
    )
    con.execute(
        f"delete from {name} as old where ({within})"
        f" and not exists (select 1 from {new} as new where {same_key} and {same_rest})"
    )
    # What still stands within is equal to its new row.
    con.execute(
        f"""
        insert into {name} ({shape.column_names})
        select {", ".join(f"new.{column}" for column, _, _ in shape.columns)}
        from {new} as new
        anti join (select {", ".join(shape.key)} from {name} where {within}) as old on {same_key}
        order by {order}
        """
    )


def close_restated(con: duckdb.DuckDBPyConnection, listed: str, reason: str, today: str) -> int:
    """Close as `restated` the actions that the table `listed` names by `action_id`; how many.

    Each gets one more event that says why, so that who has seen the action finds out.

    Args:
        con: the build file, inside a transaction.
        listed: a table of this module's callers with a column `action_id`.
        reason: why it no longer stands, in plain words.
        today: the day it is closed on, as SQL.
    """
    con.execute(
        f"""
        insert into {ACTION_EVENTS.name} ({ACTION_EVENTS.column_names})
        select listed.action_id, coalesce(max(events.event_number), 0) + 1, 'restated', {today},
            ?
        from {listed} as listed
        left join {ACTION_EVENTS.name} as events on listed.action_id = events.action_id
        group by listed.action_id
        """,
        [json.dumps({"reason": reason}, separators=(",", ":"))],
    )
    con.execute(
        f"""
        update {ACTIONS.name} set status = 'closed', close_reason = 'restated',
            closed_on = {today}, objective_due_on = null, objective_met_on = null,
            objective_status = null
        where action_id in (select action_id from {listed})
        """
    )
    return int(con.execute(f"select count(*) from {listed}").fetchall()[0][0])
