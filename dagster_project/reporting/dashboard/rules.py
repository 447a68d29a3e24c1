"""The rule explorer: what a rule says, what it opened, went on with and held back, and whose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

import polars as pl

from dagster_project.reporting import charts, style, svg
from dagster_project.reporting.dashboard.html import render
from dagster_project.reporting.dashboard.publication import Publication
from dagster_project.reporting.queries import Snapshot
from dagster_project.sentences import write_why

Row: TypeAlias = dict[str, Any]
ROLES = ("ca", "sa", "ae", "ve", "governance")
LIST_DAYS = 90
_ACTIONS_SHOWN = 60
_NOW_SHOWN = 60
# What an interval of the engine's verdicts was, in the words of a reader; the first that fits.
_KIND_SQL = """
    case
        when states.verdict = 'matched' then 'continuing'
        when states.verdict = 'unknown' then 'not judged'
        when states.reason like 'same work as %' then 'same work stands'
        when states.reason like 'cooldown until %' then 'cooling down'
        when states.reason like 'handled by %' then 'handled'
        when states.reason = 'superseded' then 'superseded'
        when states.reason like 'waits for %' then 'waits for a playbook'
        when states.reason = 'held out' then 'held out'
        else 'held back'
    end
"""
#: Kinds of a week's episodes, bottom up, with their colours; each is also named in the table.
KINDS = {
    "opened": style.NAVY,
    "continuing": style.STAGE_COLOURS[2],
    "same work stands": style.STAGE_COLOURS[1],
    "handled": style.ZONE_COLOURS["green"],
    "cooling down": style.ZONE_COLOURS["yellow"],
    "superseded": style.ZONE_COLOURS["orange"],
    "waits for a playbook": "#C9BCE0",
    "held out": "#8D7BB5",
    "held back": style.ZONE_COLOURS["unscored"],
}


@dataclass(frozen=True)
class Rule:
    """A rule in force, as the published file knows it."""

    rule_id: str
    playbook_id: str
    playbook_name: str
    scope: str
    signal: str | None
    condition: str | None
    owner_role: str


def rules(publication: Publication) -> dict[str, Rule]:
    """The rules by id, in order of playbook."""

    def read() -> dict[str, Rule]:
        found = publication.snapshot().frame(
            """
            select rules.rule_id, rules.playbook_id,
                coalesce(playbooks.playbook_name, rules.playbook_id) as playbook_name, rules.scope,
                rules.signal, rules.condition, coalesce(playbooks.owner_role, '') as owner_role
            from playbooks.rules as rules
            left join playbooks.playbooks as playbooks
                on playbooks.playbook_id = rules.playbook_id
            order by rules.playbook_id, rules.rule_id
            """
        )
        return {row["rule_id"]: Rule(**row) for row in found.iter_rows(named=True)}

    return publication.once("rules", read)


def rule_list(publication: Publication) -> str:
    """Every rule with its condition and what it did lately."""
    return publication.once("rule list", lambda: _rule_list(publication.snapshot()))


def _rule_list(snapshot: Snapshot) -> str:
    found = snapshot.frame(
        f"""
        with
        opened as (
            select rule_id, count(*) as opened_count, count(*) filter (where closed_on is null)
                as open_count
            from playbooks.actions
            where opened_on > $as_of::date - $days::integer or closed_on is null
            group by rule_id
        ),
        recent as (
            select rule_id, count(*) as recent_count from playbooks.actions
            where opened_on > $as_of::date - $days::integer group by rule_id
        ),
        now_states as (
            select states.rule_id,
                count(*) filter (where states.verdict = 'matched') as matched_count,
                count(*) filter (where states.verdict = 'suppressed') as suppressed_count,
                count(*) filter (where states.verdict = 'unknown') as unknown_count
            from playbooks.rule_states as states
            where {_STANDS_NOW}
            group by states.rule_id
        )
        select rules.playbook_id, playbooks.playbook_name, rules.rule_id, rules.scope, rules.signal,
            rules.condition, rules.severity, rules.why,
            coalesce(recent.recent_count, 0) as recent_count,
            coalesce(opened.open_count, 0) as open_count,
            coalesce(now_states.matched_count, 0) as matched_count,
            coalesce(now_states.suppressed_count, 0) as suppressed_count,
            coalesce(now_states.unknown_count, 0) as unknown_count
        from playbooks.rules as rules
        left join playbooks.playbooks as playbooks on playbooks.playbook_id = rules.playbook_id
        left join opened on opened.rule_id = rules.rule_id
        left join recent on recent.rule_id = rules.rule_id
        left join now_states on now_states.rule_id = rules.rule_id
        order by rules.playbook_id, rules.rule_id
        """,
        days=LIST_DAYS,
    ).to_dicts()
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row["playbook_name"] or row["playbook_id"], []).append(row)
    return render(
        "rules.html.jinja", label="All rules", groups=groups, days=LIST_DAYS, count=len(found)
    )


_STANDS_NOW = (
    "states.valid_from_on <= $as_of and (states.valid_to_on is null or states.valid_to_on > $as_of)"
)


def rule_page(publication: Publication, rule_id: str, *, since: date, until: date) -> str:
    """One rule: what it is, its episodes per week and owner, what is held back, its actions.

    Args:
        publication: the file.
        rule_id: one of `rules`.
        since: the first day reported.
        until: the last day reported.
    """
    return publication.once(
        ("rule", rule_id, since, until),
        lambda: _rule(publication, rules(publication)[rule_id], since, until),
    )


def _rule(publication: Publication, rule: Rule, since: date, until: date) -> str:
    snapshot = publication.snapshot()
    details = snapshot.frame(
        "select rules.*, playbooks.definition, playbooks.status as playbook_status "
        "from playbooks.rules as rules left join playbooks.playbooks as playbooks "
        "on playbooks.playbook_id = rules.playbook_id where rules.rule_id = $rule",
        rule=rule.rule_id,
    ).row(0, named=True)
    weeks = weekly(snapshot, rule, since, until)
    actions = snapshot.frame(
        """
        select actions.action_id, actions.account_id, accounts.account_name, actions.scope,
            actions.owner, actions.severity, actions.status, actions.close_reason,
            actions.opened_on, actions.closed_on, actions.objective_status, actions.evidence
        from playbooks.actions as actions
        left join marts.dim_account as accounts on accounts.account_id = actions.account_id
        where actions.rule_id = $rule and actions.opened_on between $since and $until
        order by actions.opened_on desc, actions.action_id
        """,
        rule=rule.rule_id,
        since=since,
        until=until,
    )
    shown = [
        {**row, "said": write_why(details["why"], json.loads(row["evidence"] or "{}"))}
        for row in actions.head(_ACTIONS_SHOWN).iter_rows(named=True)
    ]
    drawn = weeks.filter(pl.col("kind") != "not judged")
    return render(
        "rule.html.jinja",
        label="The rule",
        rule=details,
        name=rule.playbook_name,
        chain=_chain(details),
        since=since,
        until=until,
        wide=_weeks_drawn(drawn, 560),
        narrow=_weeks_drawn(drawn, 230),
        week_rows=_week_rows(weeks),
        week_kinds=[kind for kind in (*KINDS, "not judged") if kind in set(weeks["kind"])],
        owners=_owners(snapshot, rule, since, until),
        now=_standing(snapshot, rule),
        now_shown=_NOW_SHOWN,
        actions=shown,
        action_count=actions.height,
        totals=dict(_episodes(snapshot, rule, since, until)),
    )


def _chain(details: Mapping[str, Any]) -> str | None:
    """After which playbook the rule comes, in words; None when after none."""
    for trigger in json.loads(details["definition"] or "{}").get("triggers", []):
        after = trigger.get("after")
        if trigger.get("rule") == details["rule_id"] and after:
            days = after.get("min_days")
            lasting = f" for {days} days or more" if days else ""
            return f"{after['playbook']} {after.get('state', 'open')}{lasting}"
    return None


# A verdict lasts from valid_from_on up to, and without, valid_to_on.
_INTERVALS = f"""
    select states.rule_id, states.account_id, states.scope, states.reason, {_KIND_SQL} as kind,
        greatest(states.valid_from_on, $since::date) as from_on,
        least(coalesce(states.valid_to_on - 1, $until::date), $until::date) as upto_on
    from playbooks.rule_states as states
    where states.rule_id = $rule and states.valid_from_on <= $until
        and (states.valid_to_on is null or states.valid_to_on > $since)
"""


def weekly(snapshot: Snapshot, rule: Rule, since: date, until: date) -> pl.DataFrame:
    """Per week (from Monday) and kind the things the rule was about: week_on, kind, count.

    A thing (account and scope) counts once per week and kind. What opened in a week is not also
    counted as continuing in it.
    """
    return snapshot.frame(
        f"""
        with
        weeks as (
            select unnest(generate_series(
                date_trunc('week', $since::date), $until::date, interval 7 day
            ))::date as week_on
        ),
        intervals as ({_INTERVALS}),
        opened as (
            select date_trunc('week', opened_on)::date as week_on, 'opened' as kind, account_id,
                scope
            from playbooks.actions
            where rule_id = $rule and opened_on between $since and $until
        ),
        lasting as (
            select distinct weeks.week_on, intervals.kind, intervals.account_id, intervals.scope
            from weeks
            inner join intervals
                on intervals.from_on < weeks.week_on + 7 and intervals.upto_on >= weeks.week_on
        ),
        counted as (
            select week_on, kind, account_id, scope from opened
            union all
            select lasting.week_on, lasting.kind, lasting.account_id, lasting.scope
            from lasting
            left join opened
                on opened.week_on = lasting.week_on and opened.account_id = lasting.account_id
                and opened.scope = lasting.scope
            where lasting.kind <> 'continuing' or opened.account_id is null
        )
        select weeks.week_on, counted.kind, count(*) as count
        from weeks inner join counted on counted.week_on = weeks.week_on
        group by all order by all
        """,
        rule=rule.rule_id,
        since=since,
        until=until,
    )


def _episodes(snapshot: Snapshot, rule: Rule, since: date, until: date) -> list[tuple[str, int]]:
    """How many actions opened, and how many intervals of each other kind there were."""
    found = snapshot.frame(
        f"""
        select kind, count(*) as count from ({_INTERVALS}) where kind <> 'continuing' group by kind
        union all
        select 'opened', count(*) from playbooks.actions
        where rule_id = $rule and opened_on between $since and $until
        order by all
        """,
        rule=rule.rule_id,
        since=since,
        until=until,
    )
    return [(row["kind"], row["count"]) for row in found.iter_rows(named=True)]


def _owners(snapshot: Snapshot, rule: Rule, since: date, until: date) -> list[Row]:
    """Per person who has the account in the rule's role: opened, open now, held back, unjudged."""
    has_person = rule.owner_role in ROLES
    owner = f"accounts.owner_{rule.owner_role}" if has_person else "null::varchar"
    return snapshot.frame(
        f"""
        with
        intervals as ({_INTERVALS}),
        opened as (
            select owner, count(*) as opened_count,
                count(*) filter (where closed_on is null) as open_count
            from playbooks.actions
            where rule_id = $rule and opened_on between $since and $until
            group by owner
        ),
        held as (
            select {owner} as owner,
                count(*) filter (where intervals.kind not in ('continuing', 'not judged'))
                    as suppressed_count,
                count(*) filter (where intervals.kind = 'not judged') as unknown_count
            from intervals
            left join marts.dim_account as accounts on accounts.account_id = intervals.account_id
            group by 1
        )
        select coalesce(opened.owner, held.owner) as owner,
            coalesce(opened.opened_count, 0) as opened_count,
            coalesce(opened.open_count, 0) as open_count,
            coalesce(held.suppressed_count, 0) as suppressed_count,
            coalesce(held.unknown_count, 0) as unknown_count
        from opened full join held on opened.owner is not distinct from held.owner
        order by opened_count desc, suppressed_count desc, owner nulls last
        """,
        rule=rule.rule_id,
        since=since,
        until=until,
    ).to_dicts()


def _standing(snapshot: Snapshot, rule: Rule) -> list[Row]:
    """What the rule says on the published day: matched, held back and why, not judged and why."""
    return snapshot.frame(
        f"""
        select states.account_id, accounts.account_name, states.scope, states.verdict,
            {_KIND_SQL} as kind, states.reason, states.valid_from_on
        from playbooks.rule_states as states
        left join marts.dim_account as accounts on accounts.account_id = states.account_id
        where states.rule_id = $rule and {_STANDS_NOW}
        order by states.verdict, states.valid_from_on, states.account_id, states.scope
        """,
        rule=rule.rule_id,
    ).to_dicts()


def _weeks_drawn(weeks: pl.DataFrame, width: int) -> Any:
    if weeks.is_empty():
        return None
    kinds = {kind: colour for kind, colour in KINDS.items() if kind in set(weeks["kind"])}
    return svg.chart_svg(charts.weekly_bars(weeks, kinds, width=width), f"rule-{width}")


def _week_rows(weeks: pl.DataFrame) -> list[Row]:
    """A row per week, newest first, with a count per kind."""
    rows: dict[date, Row] = {}
    for row in weeks.iter_rows(named=True):
        rows.setdefault(row["week_on"], {"week_on": row["week_on"], "counts": {}})["counts"][
            row["kind"]
        ] = row["count"]
    return [rows[week] for week in sorted(rows, reverse=True)]


def default_range(publication: Publication) -> tuple[date, date]:
    """The last 90 days that the file holds."""
    last = publication.as_of
    return max(publication.first_on, last - timedelta(days=LIST_DAYS - 1)), last
