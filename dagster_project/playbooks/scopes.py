"""Scopes: what a rule is judged for each day, and the published names of each.

A scope is one wide daily relation with the columns `account_id`, `scope` (text key of the thing
within the account), `solution_area` (or NULL), `as_of_date`, and one column per published name.
It is put together from sources, each joined only when a name that is used needs it. Every source
obeys the one clock: a row of day D reads facts dated on or before D.

Belongs here: the catalogue of names and where each comes from. Does not belong here: rules,
verdicts, episodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from dagster_project.expressions import Name, Names, ValueType
from dagster_project.playbooks.model import ScopeName

COMPONENTS = ("engagement", "adoption", "outcomes", "support", "relationship", "commercial")
ZONES = ("green", "yellow", "orange", "red")
STATUSES = ("scored", "no_data", "stale", "not_applicable", "too_early")
STAGES = ("not_started", "foundation", "operational", "advanced", "optimized")

# Days around a call, a departure or a closing during which the thing is still looked at.
CALL_LEAD_DAYS = 10
CALL_MISSED_DAYS = 30
DEPARTURE_DAYS = 90
CLOSED_OPPORTUNITY_DAYS = 30
SUBSCRIPTION_START_DAYS = 120
CHURN_DAYS = 14


_NO_AREA = "cast(null as varchar)"


@dataclass(frozen=True)
class Source:
    """One relation joined to a scope's base.

    In `sql`, `{from_on}` and `{to_on}` are filled in as dates, `{from_on-N}` and `{to_on-N}` are N
    days earlier. `extra` is one more join condition.
    """

    sql: str
    on: tuple[str, ...] = ("account_id", "as_of_date")
    extra: str = ""


@dataclass(frozen=True)
class Column:
    """A published name, the SQL that gives it and the sources that SQL reads.

    `{known:table}` in the SQL stands for 0 where the landing has that table on that day and NULL
    where it has not: nothing recorded is a zero only if somebody records.
    """

    name: Name
    sql: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """A scope: its base relation, sources and columns. `key_sql` gives the text key."""

    name: ScopeName
    grain: str
    base: str
    key_sql: str
    area_sql: str
    sources: Mapping[str, Source]
    columns: tuple[Column, ...]

    @property
    def names(self) -> Names:
        """The published names of this scope."""
        return Names(column.name for column in self.columns)

    @property
    def has_area(self) -> bool:
        """Whether its things belong to a solution area."""
        return self.area_sql != _NO_AREA

    def sql(
        self, wanted: Iterable[str], from_on: date, to_on: date, known_from: Mapping[str, date]
    ) -> str:
        """The daily relation over [from_on, to_on] with the columns of `wanted`.

        `known_from` says since when each landing table is known (see `Column`).
        """
        by_name = {column.name.name: column for column in self.columns}
        chosen = [by_name[name] for name in dict.fromkeys(wanted)]
        joins = []
        for alias in dict.fromkeys(alias for column in chosen for alias in column.sources):
            source = self.sources[alias]
            conditions = [f"base.{key} = {alias}.{key}" for key in source.on]
            if source.extra:
                conditions.append(source.extra)
            joins.append(f"left join ({source.sql}) as {alias} on {' and '.join(conditions)}")
        selected = [
            "base.account_id",
            f"{self.key_sql} as scope",
            f"{self.area_sql} as solution_area",
            "base.as_of_date",
            *(
                f'{_fill_known(column.sql, known_from)} as "{column.name.name}"'
                for column in chosen
            ),
        ]
        text = f"select {', '.join(selected)} from ({self.base}) as base {' '.join(joins)}"
        return _fill_dates(text, from_on, to_on)


def _fill_known(sql: str, known_from: Mapping[str, date]) -> str:
    while "{known:" in sql:
        head, rest = sql.split("{known:", 1)
        table, tail = rest.split("}", 1)
        since = known_from.get(table)
        zero = (
            "cast(null as integer)"
            if since is None
            else f"(case when base.as_of_date >= date '{since.isoformat()}' then 0 end)"
        )
        sql = head + zero + tail
    return sql


def _fill_dates(sql: str, from_on: date, to_on: date) -> str:
    for word, day in (("from_on", from_on), ("to_on", to_on)):
        sql = sql.replace("{" + word + "}", f"date '{day.isoformat()}'")
        while "{" + word + "-" in sql:
            head, rest = sql.split("{" + word + "-", 1)
            days, tail = rest.split("}", 1)
            earlier = day - timedelta(days=int(days))
            sql = f"{head}date '{earlier.isoformat()}'{tail}"
    return sql


def _column(
    name: str,
    type_: ValueType,
    unit: str,
    meaning: str,
    sql: str,
    *sources: str,
    values: tuple[str, ...] = (),
) -> Column:
    return Column(Name(name, type_, unit, meaning, values=values), sql, sources)


_RANGE = "as_of_date between {from_on} and {to_on}"
_DAYS = (
    "select cast(unnest(generate_series({from_on}, {to_on}, interval 1 day)) as date) as as_of_date"
)


def _range_of(table: str) -> Source:
    return Source(f"select * from {table} where {_RANGE}")


def _days_ago(table: str, days: int, columns: str, on: tuple[str, ...]) -> Source:
    keys = ", ".join(key for key in on if key != "as_of_date")
    return Source(
        f"select {keys}, as_of_date + {days} as as_of_date, {columns} from {table}"
        f" where as_of_date between {{from_on-{days}}} and {{to_on-{days}}}",
        on,
    )


def standing_days(facts: str, first_day: str, past_day: str) -> str:
    """Facts, one row per day of the range on which they stand, with that day as `as_of_date`."""
    return (
        "select fact.*, cast(unnest(generate_series("
        f"greatest({first_day}, {{from_on}}), least({past_day} - 1, {{to_on}}),"
        f" interval 1 day)) as date) as as_of_date from ({facts}) as fact"
        f" where {first_day} <= {{to_on}} and {past_day} > {{from_on}} and {first_day} < {past_day}"
    )


def _sparse(
    facts: str, first_day: str, past_day: str, aggregates: str, keys: str = "account_id"
) -> str:
    """Aggregates per key and day over facts that stand from `first_day` until `past_day`."""
    return (
        f"select {keys}, as_of_date, {aggregates}"
        f" from ({standing_days(facts, first_day, past_day)}) as fact group by all"
    )


_HEALTH = "marts.fct_account_health_daily"
_FAR = "date '9999-12-31'"
_HEALTH_SCORES = ", ".join(f"{component}_score" for component in COMPONENTS)
_ZONE_RANK = (
    "(case {zone} when 'green' then 0 when 'yellow' then 1 when 'orange' then 2"
    " when 'red' then 3 end)"
)


def zone_rank(zone: str) -> str:
    """SQL for the place of a zone: 0 green … 3 red."""
    return _ZONE_RANK.replace("{zone}", zone)


_LOWEST = "least(" + ", ".join(f"health.{c}_score" for c in COMPONENTS) + ")"
_WEAKEST = (
    "case " + " ".join(f"when health.{c}_score = {_LOWEST} then '{c}'" for c in COMPONENTS) + " end"
)

_ACCOUNT_SOURCES: dict[str, Source] = {
    "health": _range_of(_HEALTH),
    "health_7": _days_ago(_HEALTH, 7, "health_score", ("account_id", "as_of_date")),
    "health_30": _days_ago(_HEALTH, 30, _HEALTH_SCORES, ("account_id", "as_of_date")),
    "calls": _range_of("intermediate.int_cadence__tier_adherence_daily"),
    "usage": _range_of("intermediate.int_usage__account_daily"),
    "leavers": Source(
        _sparse(
            "select account_id, role, departed_on from staging.stg_crm__contacts"
            " where departed_on is not null and (removed_on is null or removed_on > departed_on)",
            "fact.departed_on",
            "fact.departed_on + 30",
            "count(*) filter (where fact.role in ('champion', 'technical_champion'))"
            " as champions_left_30d_count,"
            " count(*) filter (where fact.role in ('executive_sponsor', 'business_sponsor'))"
            " as sponsors_left_30d_count",
        )
    ),
    "escalations": Source(
        _sparse(
            "select account_id, cast(escalated_at as date) as from_on,"
            " least(coalesce(cast(resolved_at as date), {far}), coalesce(removed_on, {far}))"
            " as past_on from staging.stg_support__tickets where escalated_at is not null".replace(
                "{far}", _FAR
            ),
            "fact.from_on",
            "fact.past_on",
            "count(*) as open_escalation_count,"
            " max(fact.as_of_date - fact.from_on) as oldest_escalation_age_days",
        )
    ),
    "invoices": Source(
        _sparse(
            "select account_id, due_on, issued_on,"
            " least(coalesce(paid_on, {far}), coalesce(removed_on, {far})) as past_on"
            " from staging.stg_crm__invoices where due_on is not null".replace("{far}", _FAR),
            "greatest(fact.due_on + 1, fact.issued_on)",
            "fact.past_on",
            "max(fact.as_of_date - fact.due_on) as oldest_overdue_invoice_days",
        )
    ),
    "risks": Source(
        _sparse(
            "select account_id, kind, severity, raised_on,"
            " least(coalesce(cleared_on, {far}), coalesce(removed_on, {far})) as past_on"
            " from staging.stg_crm__risk_flags".replace("{far}", _FAR),
            "fact.raised_on",
            "fact.past_on",
            "count(*) filter (where fact.severity = 'high') as open_high_risk_count,"
            " count(*) filter (where fact.kind = 'competitor') as open_competitor_flag_count,"
            " count(*) filter (where fact.kind = 'competitor' and fact.raised_on = fact.as_of_date)"
            " as competitor_flags_raised_count",
        )
    ),
    "blockers": Source(
        _sparse(
            "select account_id, category, opened_on,"
            " least(coalesce(resolved_on, {far}), coalesce(removed_on, {far})) as past_on"
            " from staging.stg_crm__adoption_blockers".replace("{far}", _FAR),
            "fact.opened_on",
            "fact.past_on",
            "count(*) as open_blocker_count,"
            " max(fact.as_of_date - fact.opened_on) as oldest_blocker_age_days",
        )
    ),
    "issues": Source(
        "select account_id, as_of_date, max(same_count) as same_blocker_category_180d_count from ("
        + _sparse(
            "select account_id, category, opened_on from staging.stg_crm__adoption_blockers"
            " where category is not null and (removed_on is null or removed_on > opened_on)",
            "fact.opened_on",
            "fact.opened_on + 180",
            "count(*) as same_count",
            "account_id, category",
        )
        + ") group by all"
    ),
    "objectives": Source(
        _sparse(
            "select account_id, created_on from staging.stg_crm__success_objectives"
            " where created_on is not null and (removed_on is null or removed_on > created_on)",
            "fact.created_on",
            "fact.created_on + 30",
            "count(*) as objectives_recorded_30d_count,"
            " count(*) filter (where fact.created_on = fact.as_of_date) as recorded_count",
        )
    ),
    "expansions": Source(
        _sparse(
            "select account_id, created_on,"
            " least(coalesce(closed_on, {far}), coalesce(removed_on, {far})) as past_on"
            " from staging.stg_crm__opportunities where kind = 'expansion'".replace("{far}", _FAR),
            "fact.created_on",
            "fact.past_on",
            "count(*) as open_expansion_count,"
            " count(*) filter (where fact.created_on = fact.as_of_date) as created_count",
        )
    ),
    "reviews": Source(
        "select account_id, held_on as as_of_date, true as is_held from"
        " staging.stg_crm__touchpoints where call_type = 'executive_review'"
        " and is_executive_present and held_on between {from_on} and {to_on}"
        " and (removed_on is null or removed_on > held_on)"
        " group by all",
    ),
    "renewals": Source(
        "select subscription.account_id, subscription.started_on as as_of_date,"
        " sum(cast(subscription.arr_usd as double)) / nullif(sum(cast(previous.arr_usd as double)),"
        " 0) as arr_ratio from staging.stg_crm__subscriptions as subscription"
        " inner join staging.stg_crm__subscriptions as previous"
        " on subscription.previous_subscription_id = previous.subscription_id"
        " and subscription.account_id = previous.account_id"
        " where subscription.started_on between {from_on} and {to_on}"
        " and (subscription.removed_on is null"
        " or subscription.removed_on > subscription.started_on)"
        " group by all",
    ),
    "areas": Source(
        "select account_id, as_of_date, bool_or(stage = 'optimized') as has_optimized_area,"
        " max(stage_rank) as highest_stage_rank from marts.fct_stage_daily"
        f" where {_RANGE} group by all"
    ),
}

_ACCOUNT_COLUMNS: tuple[Column, ...] = (
    _column("tier", "text", "", "tier on the day", "base.tier"),
    _column("segment", "text", "", "segment on the day", "base.segment"),
    _column("region", "text", "", "region on the day", "base.region"),
    _column("industry", "text", "", "industry on the day", "base.industry"),
    _column("arr_usd", "number", "usd", "annual recurring revenue", "cast(base.arr_usd as double)"),
    _column("seats_licensed", "number", "seats", "seats of active subscriptions",
            "base.seats_licensed"),
    _column("active_area_count", "number", "areas", "solution areas with an active subscription",
            "base.active_area_count"),
    _column("days_to_renewal", "number", "days", "days to the next renewal; missing when none is"
            " known", "base.days_to_renewal"),
    _column("tenure_days", "number", "days", "days as a customer", "base.tenure_days"),
    _column("month_of_year", "number", "1-12", "calendar month of the day",
            "month(base.as_of_date)"),
    _column("is_paused", "boolean", "", "engagement is paused", "base.is_paused"),
    _column("is_at_risk_flagged", "boolean", "", "CRM flags the account at risk",
            "base.is_at_risk_flagged"),
    _column("has_ca", "boolean", "", "a customer architect is named", "base.owner_ca is not null"),
    _column("health_score", "number", "points 0-100", "score that counts (an override wins)",
            "health.health_score", "health"),
    _column("health_zone", "text", "", "zone of the score", "health.health_zone", "health",
            values=ZONES),
    _column("score_status", "text", "", "scored or unscored", "health.score_status", "health"),
    _column("coverage_ratio", "number", "ratio 0-1", "share of the weight that was scored",
            "health.coverage_ratio", "health"),
    _column("previous_health_zone", "text", "", "zone of the day before",
            "health.previous_health_zone", "health", values=ZONES),
    _column("is_zone_changed", "boolean", "", "the zone differs from the day before",
            "health.health_zone <> health.previous_health_zone", "health"),
    _column("is_zone_worsened", "boolean", "", "the zone is worse than the day before",
            f"{zone_rank('health.health_zone')} > {zone_rank('health.previous_health_zone')}",
            "health"),
    _column("score_change_7d", "number", "points", "score against 7 days before",
            "round(health.health_score - health_7.health_score, 9)", "health", "health_7"),
    _column("score_change_30d", "number", "points", "score against 30 days before",
            "round(health.score_change_30d, 9)", "health"),
    *(
        _column(f"{component}_score", "number", "points 0-100", f"score of {component}",
                f"health.{component}_score", "health")
        for component in COMPONENTS
    ),
    *(
        _column(f"{component}_status", "text", "", f"state of {component}",
                f"health.{component}_status", "health", values=STATUSES)
        for component in COMPONENTS
    ),
    *(
        _column(f"{component}_change_30d", "number", "points",
                f"score of {component} against 30 days before",
                f"round(health.{component}_score - health_30.{component}_score, 9)",
                "health", "health_30")
        for component in COMPONENTS
    ),
    _column("weakest_component", "text", "", "the component with the lowest score", _WEAKEST,
            "health", values=COMPONENTS),
    _column("weakest_component_score", "number", "points 0-100", "the lowest component score",
            _LOWEST, "health"),
    _column("cadence_adherence_ratio", "number", "ratio 0-1", "calls met of the tier's cadence",
            "calls.cadence_adherence_ratio", "calls"),
    _column("consecutive_missed_count", "number", "calls", "calls missed in a row",
            "calls.consecutive_missed_count", "calls"),
    _column("days_since_last_call", "number", "days", "days since a call was held; since the start"
            " when none was",
            "base.as_of_date - coalesce(calls.last_held_on,"
            " base.customer_since_on + {known:touchpoints})", "calls"),
    _column("active_users_28d", "number", "users", "users active in 28 days",
            "usage.active_users_28d", "usage"),
    _column("licence_use_ratio", "number", "ratio", "active users per licensed seat",
            "usage.active_users_28d / nullif(cast(base.seats_licensed as double), 0)", "usage"),
    _column("usage_change_28d_ratio", "number", "ratio", "usage against the 28 days before"
            " (-0.3 is 30 % less)",
            "(usage.usage_count_28d - usage.usage_count_prev_28d)"
            " / nullif(cast(usage.usage_count_prev_28d as double), 0)", "usage"),
    _column("champions_left_30d_count", "number", "people", "champions who left in 30 days",
            "coalesce(leavers.champions_left_30d_count, {known:contacts})", "leavers"),
    _column("sponsors_left_30d_count", "number", "people", "sponsors who left in 30 days",
            "coalesce(leavers.sponsors_left_30d_count, {known:contacts})", "leavers"),
    _column("open_escalation_count", "number", "tickets", "escalated tickets not resolved",
            "coalesce(escalations.open_escalation_count, {known:tickets})", "escalations"),
    _column("oldest_escalation_age_days", "number", "days", "age of the oldest open escalation; 0"
            " when none", "coalesce(escalations.oldest_escalation_age_days, {known:tickets})",
            "escalations"),
    _column("oldest_overdue_invoice_days", "number", "days", "days the oldest unpaid invoice is"
            " overdue; 0 when none",
            "coalesce(invoices.oldest_overdue_invoice_days, {known:invoices})", "invoices"),
    _column("open_high_risk_count", "number", "flags", "open risk flags of high severity",
            "coalesce(risks.open_high_risk_count, {known:risk_flags})", "risks"),
    _column("open_competitor_flag_count", "number", "flags", "open competitor flags",
            "coalesce(risks.open_competitor_flag_count, {known:risk_flags})", "risks"),
    _column("competitor_flags_raised_count", "number", "flags", "competitor flags raised that day",
            "coalesce(risks.competitor_flags_raised_count, {known:risk_flags})", "risks"),
    _column("open_blocker_count", "number", "blockers", "open adoption blockers",
            "coalesce(blockers.open_blocker_count, {known:adoption_blockers})", "blockers"),
    _column("oldest_blocker_age_days", "number", "days", "age of the oldest open blocker; 0 when"
            " none", "coalesce(blockers.oldest_blocker_age_days, {known:adoption_blockers})",
            "blockers"),
    _column("same_blocker_category_180d_count", "number", "blockers", "most blockers of one"
            " category opened in 180 days",
            "coalesce(issues.same_blocker_category_180d_count, {known:adoption_blockers})",
            "issues"),
    _column("objectives_recorded_30d_count", "number", "objectives", "success objectives"
            " recorded in 30 days",
            "coalesce(objectives.objectives_recorded_30d_count, {known:success_objectives})",
            "objectives"),
    _column("objectives_recorded_count", "number", "objectives", "success objectives recorded that"
            " day", "coalesce(objectives.recorded_count, {known:success_objectives})",
            "objectives"),
    _column("open_expansion_count", "number", "opportunities", "open expansion opportunities",
            "coalesce(expansions.open_expansion_count, {known:opportunities})", "expansions"),
    _column("expansions_created_count", "number", "opportunities", "expansion opportunities"
            " created that day", "coalesce(expansions.created_count, {known:opportunities})",
            "expansions"),
    _column("is_executive_review_held", "boolean", "", "an executive review with an executive was"
            " held that day", "coalesce(reviews.is_held, {known:touchpoints} = 1)", "reviews"),
    _column("renewal_arr_ratio", "number", "ratio", "revenue of the subscriptions that start that"
            " day and renew earlier ones, against those; missing on any other day",
            "round(renewals.arr_ratio, 9)", "renewals"),
    _column("has_optimized_area", "boolean", "", "any solution area is optimized",
            "areas.has_optimized_area", "areas"),
)  # fmt: skip


def _account_names(*names: str) -> tuple[Column, ...]:
    """The same names in a scope within the account, read through its account-day."""
    by_name = {column.name.name: column for column in _ACCOUNT_COLUMNS}
    return tuple(
        Column(
            by_name[name].name,
            by_name[name].sql.replace("base.", "account."),
            ("account", *by_name[name].sources),
        )
        for name in names
    )


_ACCOUNT_SOURCE = Source(f"select * from intermediate.int_core__account_days where {_RANGE}")
_SHARED_SOURCES = {
    "account": _ACCOUNT_SOURCE,
    **{key: _ACCOUNT_SOURCES[key] for key in ("health", "health_30")},
}
_SHARED_NAMES = _account_names(
    "tier",
    "segment",
    "region",
    "arr_usd",
    "days_to_renewal",
    "tenure_days",
    "is_paused",
    "health_score",
    "health_zone",
    "score_change_30d",
    "adoption_score",
    "adoption_status",
    "adoption_change_30d",
    "weakest_component",
    "has_ca",
)

_AREA_KEYS = ("account_id", "solution_area", "as_of_date")

_AREA_COLUMNS: tuple[Column, ...] = (
    _column("solution_area", "text", "", "the solution area", "base.solution_area"),
    _column("area_seats_licensed", "number", "seats", "seats of the area", "base.seats_licensed"),
    _column("area_arr_usd", "number", "usd", "recurring revenue of the area",
            "cast(base.arr_usd as double)"),
    _column("days_since_start", "number", "days", "days since the first subscription of the area",
            "base.as_of_date - base.subscription_started_on"),
    _column("days_since_go_live", "number", "days", "days since go-live, or since the start",
            "base.days_since_go_live"),
    _column("is_new_customer", "boolean", "", "the account started with this area",
            "base.subscription_started_on <= account.customer_since_on + 30", "account"),
    _column("stage", "text", "", "adoption stage", "stage.stage", "stage", values=STAGES),
    _column("stage_rank", "number", "0-4", "place of the stage in the order", "stage.stage_rank",
            "stage"),
    _column("stage_age_days", "number", "days", "days in the stage", "stage.stage_age_days",
            "stage"),
    _column("readiness_ratio", "number", "ratio 0-1", "share of the next stage's criteria met",
            "stage.readiness_ratio", "stage"),
    _column("readiness_change_90d", "number", "ratio", "readiness against 90 days before, while in"
            " the same stage",
            "case when stage.stage = stage_90.stage"
            " then round(stage.readiness_ratio - stage_90.readiness_ratio, 9) end",
            "stage", "stage_90"),
    _column("pending_criteria_count", "number", "criteria", "criteria of the next stage not met",
            "stage.criteria_pending_count", "stage"),
    _column("is_stalled", "boolean", "", "stalled: long in one stage and not optimized",
            "stage.is_stalled", "stage"),
    _column("is_regressed", "boolean", "", "fell back from a higher stage", "stage.is_regressed",
            "stage"),
    _column("is_stage_changed", "boolean", "", "the stage differs from the day before",
            "moved.to_stage_rank is not null", "moved"),
    _column("is_stage_advanced", "boolean", "", "the stage is higher than the day before",
            "coalesce(moved.to_stage_rank > moved.from_stage_rank, false)", "moved"),
    _column("is_weakest_area", "boolean", "", "least adopted area of the account that day",
            "base.solution_area = weakest.solution_area", "weakest"),
    _column("area_active_users_28d", "number", "users", "users of the area active in 28 days",
            "usage.active_users_28d", "usage"),
    _column("active_users_ratio", "number", "ratio", "active users per licensed seat of the area",
            "usage.active_users_28d / nullif(cast(base.seats_licensed as double), 0)", "usage"),
    _column("area_open_blocker_count", "number", "blockers", "open adoption blockers of the area",
            "coalesce(blockers.open_blocker_count, {known:adoption_blockers})", "blockers"),
    _column("area_objectives_recorded_30d_count", "number", "objectives", "success objectives"
            " of the area recorded in 30 days",
            "coalesce(objectives.recorded_count, {known:success_objectives})", "objectives"),
    *_SHARED_NAMES,
)  # fmt: skip

_AREA_SOURCES: dict[str, Source] = {
    **_SHARED_SOURCES,
    "stage": Source(f"select * from marts.fct_stage_daily where {_RANGE}", _AREA_KEYS),
    "moved": Source(
        "select account_id, solution_area, occurred_on as as_of_date, from_stage_rank,"
        " to_stage_rank from marts.fct_stage_transition"
        " where occurred_on between {from_on} and {to_on}",
        _AREA_KEYS,
    ),
    "stage_90": _days_ago("marts.fct_stage_daily", 90, "stage, readiness_ratio", _AREA_KEYS),
    "usage": Source(f"select * from intermediate.int_usage__area_daily where {_RANGE}", _AREA_KEYS),
    # The lowest stage, then the least ready, then the first by name.
    "weakest": Source(
        "select account_id, as_of_date, min_by(solution_area, place) as solution_area from ("
        "select daily.account_id, daily.as_of_date, daily.solution_area,"
        " cast(daily.stage_rank as bigint) * 1000000000"
        " + cast(round(coalesce(daily.readiness_ratio, 0) * 1000000) as bigint) * 100"
        " + names.place as place from marts.fct_stage_daily as daily inner join ("
        "select solution_area, row_number() over (order by solution_area) as place"
        " from (select distinct solution_area from marts.fct_stage_daily"
        " where as_of_date between {from_on} and {to_on})) as names"
        " on daily.solution_area = names.solution_area"
        " where daily.as_of_date between {from_on} and {to_on}) group by all"
    ),
    "blockers": Source(
        _sparse(
            "select account_id, solution_area, opened_on,"
            " least(coalesce(resolved_on, {far}), coalesce(removed_on, {far})) as past_on"
            " from staging.stg_crm__adoption_blockers".replace("{far}", _FAR),
            "fact.opened_on",
            "fact.past_on",
            "count(*) as open_blocker_count",
            "account_id, solution_area",
        ),
        _AREA_KEYS,
    ),
    "objectives": Source(
        _sparse(
            "select account_id, solution_area, created_on"
            " from staging.stg_crm__success_objectives where created_on is not null"
            " and (removed_on is null or removed_on > created_on)",
            "fact.created_on",
            "fact.created_on + 30",
            "count(*) as recorded_count",
            "account_id, solution_area",
        ),
        _AREA_KEYS,
    ),
}


def _things(facts: str, first_day: str, past_day: str, columns: str) -> str:
    """One row per thing and day it is looked at, on days its account is a customer."""
    return (
        f"select fact.account_id, fact.as_of_date, {columns}"
        f" from ({standing_days(facts, first_day, past_day)}) as fact"
        " semi join intermediate.int_core__account_days as account_day"
        " on account_day.account_id = fact.account_id"
        " and account_day.as_of_date = fact.as_of_date"
    )


_CALL_COLUMNS: tuple[Column, ...] = (
    _column("call_type", "text", "", "kind of call, of seeds/cadence/call_types.csv",
            "base.call_type"),
    _column("slot_number", "number", "", "the slot the call belongs to", "base.slot_number"),
    _column("days_to_due", "number", "days", "days until the call is due; negative once past",
            "base.due_on - base.as_of_date"),
    _column("due_on", "date", "", "when the call is due, as seen that day", "base.due_on"),
    _column("grace_ends_on", "date", "", "last day on which a call still meets the slot; missing"
            " before it is due", "base.grace_ends_on"),
    _column("is_missed", "boolean", "", "the grace has ended and no call was held",
            "base.is_missed"),
    _column("days_since_missed", "number", "days", "days since the slot was missed; missing when it"
            " was not", "case when base.is_missed then base.as_of_date - base.grace_ends_on - 1 end"
            ),
    _column("call_missed_in_row_count", "number", "calls", "calls of the type missed in a row",
            "base.consecutive_missed_count"),
    _column("call_adherence_ratio", "number", "ratio 0-1", "slots of the type met, trailing",
            "base.adherence_ratio"),
    _column("attendance_ratio", "number", "ratio 0-1", "people who came per people expected,"
            " trailing", "base.attendance_ratio"),
    _column("is_call_held", "boolean", "", "a call of the type was held that day",
            "held.account_id is not null", "held"),
    _column("is_slot_met", "boolean", "", "the planned call was held that day, by its grace",
            "base.is_slot_met"),
    *_SHARED_NAMES,
)  # fmt: skip

_CALL_KEYS = ("account_id", "call_type", "as_of_date")

# The slot a day belongs to is the last one opened by then; how it ends is not known that day.
_CALL_BASE = f"""
with planned as (
    -- Without a feed of calls nothing is known about them, and while paused none is planned.
    select account_id, call_type, as_of_date, next_due_on, adherence_ratio, attendance_ratio,
        consecutive_missed_count
    from marts.fct_cadence_daily
    where {_RANGE} and account_state = 'active' and consecutive_missed_count is not null
),
coming as (
    select planned.account_id, planned.call_type, planned.as_of_date, slot.slot_number,
        planned.next_due_on as due_on, cast(null as date) as grace_ends_on, false as is_missed,
        planned.adherence_ratio, planned.attendance_ratio, planned.consecutive_missed_count,
        false as is_slot_met
    from planned
    asof inner join marts.fct_cadence_slot as slot
        on planned.account_id = slot.account_id and planned.call_type = slot.call_type
        and planned.as_of_date >= slot.opened_on
    where planned.next_due_on between planned.as_of_date and planned.as_of_date + {CALL_LEAD_DAYS}
        and planned.as_of_date <= slot.due_on
        and (slot.met_on is null or slot.met_on > planned.as_of_date)
),
past_slots as (
    select account_id, call_type, slot_number, due_on, grace_ends_on,
        least(coalesce(met_on, {_FAR}), grace_ends_on + {1 + CALL_MISSED_DAYS}) as past_on
    from marts.fct_cadence_slot
    where due_on < {{to_on}} and grace_ends_on + {1 + CALL_MISSED_DAYS} > {{from_on}}
),
later_calls as (
    select past_slots.account_id, past_slots.call_type, past_slots.slot_number,
        min(touchpoint.held_on) as held_on
    from past_slots
    inner join staging.stg_crm__touchpoints as touchpoint
        on past_slots.account_id = touchpoint.account_id
        and past_slots.call_type = touchpoint.call_type
        and touchpoint.held_on > past_slots.grace_ends_on
        and touchpoint.held_on <= past_slots.past_on
    where touchpoint.removed_on is null or touchpoint.removed_on > touchpoint.held_on
    group by all
),
late as (
    select past_slots.*, due_on + 1 as late_from_on,
        least(past_slots.past_on, coalesce(later_calls.held_on, {_FAR})) as late_past_on
    from past_slots
    left join later_calls
        on past_slots.account_id = later_calls.account_id
        and past_slots.call_type = later_calls.call_type
        and past_slots.slot_number = later_calls.slot_number
),
past as (
    select account_id, call_type, slot_number, as_of_date, due_on, grace_ends_on,
        as_of_date > grace_ends_on as is_missed
    from ({standing_days("select * from late", "fact.late_from_on", "fact.late_past_on")})
),
-- One more day, so that its being met can be seen.
met as (
    select account_id, call_type, slot_number, met_on as as_of_date, due_on, grace_ends_on
    from marts.fct_cadence_slot
    where met_on between {{from_on}} and {{to_on}}
),
ended as (
    select *, false as is_slot_met from past
    union all
    select account_id, call_type, slot_number, as_of_date, due_on, grace_ends_on, false, true
    from met
)
select * from coming
union all
select past.account_id, past.call_type, past.as_of_date, past.slot_number, past.due_on,
    past.grace_ends_on, past.is_missed, planned.adherence_ratio, planned.attendance_ratio,
    planned.consecutive_missed_count, past.is_slot_met
from ended as past
inner join planned on past.account_id = planned.account_id
    and past.call_type = planned.call_type and past.as_of_date = planned.as_of_date
"""

_CALL_SOURCES: dict[str, Source] = {
    **_SHARED_SOURCES,
    "held": Source(
        "select distinct account_id, call_type, held_on as as_of_date"
        " from staging.stg_crm__touchpoints where held_on between {from_on} and {to_on}"
        " and (removed_on is null or removed_on > held_on)",
        _CALL_KEYS,
    ),
}

_BLOCKER_COLUMNS: tuple[Column, ...] = (
    _column("blocker_id", "text", "", "the blocker", "base.thing_id"),
    _column("solution_area", "text", "", "its solution area", "base.area"),
    _column("category", "text", "", "technical, resource, skill or organisational",
            "base.category"),
    _column("blocker_age_days", "number", "days", "days open", "base.as_of_date - base.opened_on"),
    *_SHARED_NAMES,
)  # fmt: skip

_CONTACT_COLUMNS: tuple[Column, ...] = (
    _column("contact_id", "text", "", "the person who left", "base.thing_id"),
    _column("contact_role", "text", "", "their role", "base.role"),
    _column("days_since_departed", "number", "days", "days since they left",
            "base.as_of_date - base.departed_on"),
    *_SHARED_NAMES,
)  # fmt: skip

_SUBSCRIPTION_COLUMNS: tuple[Column, ...] = (
    _column("subscription_id", "text", "", "the subscription", "base.thing_id"),
    _column("solution_area", "text", "", "its solution area", "base.area"),
    _column("is_displacement", "boolean", "", "it displaces a competitor", "base.is_displacement"),
    _column("days_since_subscription_start", "number", "days", "days since it started",
            "base.as_of_date - base.started_on"),
    _column("is_live", "boolean", "", "it has gone live by that day",
            "coalesce(base.go_live_on <= base.as_of_date, false)"),
    _column("is_renewal", "boolean", "", "it follows an earlier subscription",
            "base.previous_subscription_id is not null"),
    *_SHARED_NAMES,
)  # fmt: skip

_OPPORTUNITY_COLUMNS: tuple[Column, ...] = (
    _column("opportunity_id", "text", "", "the opportunity", "base.thing_id"),
    _column("solution_area", "text", "", "its solution area; missing when it has none",
            "base.area"),
    _column("opportunity_kind", "text", "", "new, renewal, expansion or evaluation", "base.kind",
            values=("new", "renewal", "expansion", "evaluation")),
    _column("opportunity_stage", "text", "", "stage on the day; missing before the first extract"
            " that carried it", "version.stage", "version",
            values=("discovery", "proof", "proposal", "negotiation", "closed_won",
                    "closed_lost")),
    _column("opportunity_amount_usd", "number", "usd", "amount on the day",
            "cast(version.amount_usd as double)", "version"),
    _column("probability_ratio", "number", "ratio 0-1", "probability on the day",
            "version.probability_ratio", "version"),
    _column("opportunity_age_days", "number", "days", "days since it was created",
            "base.as_of_date - base.created_on"),
    _column("is_closed", "boolean", "", "it is closed by that day",
            "coalesce(base.closed_on <= base.as_of_date, false)"),
    _column("days_since_closed", "number", "days", "days since it closed; missing while open",
            "case when base.closed_on <= base.as_of_date then base.as_of_date - base.closed_on end"
            ),
    _column("is_won", "boolean", "", "it was won; missing while open",
            "case when base.closed_on <= base.as_of_date then base.is_won end"),
    _column("has_objectives", "boolean", "", "the account has recorded a success objective since"
            " the opportunity was created",
            "coalesce(objective.first_recorded_on <= base.as_of_date,"
            " {known:success_objectives} = 1)", "objective"),
    _column("is_new_customer", "boolean", "", "the account became a customer at most 30 days before"
            " the closing; missing while open",
            "case when base.closed_on <= base.as_of_date"
            " then account.customer_since_on >= base.closed_on - 30 end", "account"),
    _column("days_since_last_call", "number", "days", "days since any call was held; since the"
            " start when none was",
            "base.as_of_date - coalesce(calls.last_held_on,"
            " account.customer_since_on + {known:touchpoints})",
            "account", "calls"),
    _column("is_called_since_closed", "boolean", "", "a call was held on the day it closed or"
            " later; missing while open",
            "case when base.closed_on <= base.as_of_date then"
            " coalesce(calls.last_held_on >= base.closed_on, {known:touchpoints} = 1) end",
            "calls"),
    *_SHARED_NAMES,
)  # fmt: skip

_OPPORTUNITY_SOURCES: dict[str, Source] = {
    **_SHARED_SOURCES,
    "calls": _ACCOUNT_SOURCES["calls"],
    "version": Source(
        "select *, opportunity_id as thing_id from staging.stg_crm__opportunity_versions",
        ("thing_id",),
        "version.valid_from_on <= base.as_of_date"
        " and (version.valid_to_on is null or version.valid_to_on > base.as_of_date)",
    ),
    "objective": Source(
        "select fact.opportunity_id as thing_id, min(objective.created_on) as first_recorded_on"
        " from staging.stg_crm__opportunities as fact"
        " inner join staging.stg_crm__success_objectives as objective"
        " on fact.account_id = objective.account_id and objective.created_on >= fact.created_on"
        " group by all",
        ("thing_id",),
    ),
}

_TICKET_COLUMNS: tuple[Column, ...] = (
    _column("ticket_id", "text", "", "the ticket", "base.thing_id"),
    _column("ticket_severity", "text", "", "critical, high, medium or low", "base.severity",
            values=("critical", "high", "medium", "low")),
    _column("ticket_age_days", "number", "days", "days open",
            "base.as_of_date - cast(base.opened_at as date)"),
    _column("is_escalated", "boolean", "", "it was escalated by that day",
            "coalesce(cast(base.escalated_at as date) <= base.as_of_date, false)"),
    _column("escalation_age_days", "number", "days", "days since it was escalated; missing when it"
            " was not",
            "case when cast(base.escalated_at as date) <= base.as_of_date"
            " then base.as_of_date - cast(base.escalated_at as date) end"),
    *_SHARED_NAMES,
)  # fmt: skip

_DEPARTURE_COLUMNS: tuple[Column, ...] = (
    _column("days_since_churn", "number", "days", "days since the account left",
            "base.as_of_date - base.churned_on"),
    _column("customer_days", "number", "days", "how long it had been a customer",
            "base.churned_on - base.customer_since_on"),
)  # fmt: skip


def _key(prefix: str, column: str = "base.thing_id") -> str:
    return f"'{prefix}:' || {column}"


SCOPES: dict[ScopeName, Scope] = {
    scope.name: scope
    for scope in (
        Scope(
            "account",
            "an account, every day it is a customer",
            f"select * from intermediate.int_core__account_days where {_RANGE}",
            "'account'",
            _NO_AREA,
            _ACCOUNT_SOURCES,
            _ACCOUNT_COLUMNS,
        ),
        Scope(
            "solution_area",
            "a solution area of an account, every day a subscription is active",
            f"select * from intermediate.int_core__area_days where {_RANGE}",
            _key("area", "base.solution_area"),
            "base.solution_area",
            _AREA_SOURCES,
            _AREA_COLUMNS,
        ),
        Scope(
            "call",
            f"a call the cadence plans, from {CALL_LEAD_DAYS} days before it is due until the day"
            f" it is held, or {CALL_MISSED_DAYS} days after it was missed",
            _CALL_BASE,
            _key("call", "base.call_type || ':' || base.slot_number"),
            _NO_AREA,
            _CALL_SOURCES,
            _CALL_COLUMNS,
        ),
        Scope(
            "blocker",
            "an adoption blocker, every day it is open",
            _things(
                "select *, least(coalesce(resolved_on, {far}), coalesce(removed_on, {far}))"
                " as past_on from staging.stg_crm__adoption_blockers".replace("{far}", _FAR),
                "fact.opened_on",
                "fact.past_on",
                "fact.blocker_id as thing_id, fact.solution_area as area, fact.category,"
                " fact.opened_on",
            ),
            _key("blocker"),
            "base.area",
            _SHARED_SOURCES,
            _BLOCKER_COLUMNS,
        ),
        Scope(
            "contact",
            f"a contact who left, for {DEPARTURE_DAYS} days",
            _things(
                "select *, least(departed_on + {days}, coalesce(removed_on, {far})) as past_on"
                " from staging.stg_crm__contacts where departed_on is not null".replace(
                    "{far}", _FAR
                ).replace("{days}", str(DEPARTURE_DAYS)),
                "fact.departed_on",
                "fact.past_on",
                "fact.contact_id as thing_id, fact.role, fact.departed_on",
            ),
            _key("contact"),
            _NO_AREA,
            _SHARED_SOURCES,
            _CONTACT_COLUMNS,
        ),
        Scope(
            "subscription",
            f"a subscription, for {SUBSCRIPTION_START_DAYS} days after it started",
            _things(
                "select *, least(started_on + {days}, coalesce(ended_on, {far}),"
                " coalesce(removed_on, {far})) as past_on"
                " from staging.stg_crm__subscriptions".replace("{far}", _FAR).replace(
                    "{days}", str(SUBSCRIPTION_START_DAYS + 1)
                ),
                "fact.started_on",
                "fact.past_on",
                "fact.subscription_id as thing_id, fact.solution_area as area, fact.started_on,"
                " fact.go_live_on, fact.is_displacement, fact.previous_subscription_id",
            ),
            _key("subscription"),
            "base.area",
            _SHARED_SOURCES,
            _SUBSCRIPTION_COLUMNS,
        ),
        Scope(
            "opportunity",
            f"an opportunity, until {CLOSED_OPPORTUNITY_DAYS} days after it closed",
            _things(
                "select *, least(coalesce(closed_on + {days}, {far}), coalesce(removed_on, {far}))"
                " as past_on from staging.stg_crm__opportunities".replace("{far}", _FAR).replace(
                    "{days}", str(CLOSED_OPPORTUNITY_DAYS)
                ),
                "fact.created_on",
                "fact.past_on",
                "fact.opportunity_id as thing_id, fact.solution_area as area, fact.kind,"
                " fact.created_on, fact.closed_on, fact.is_won",
            ),
            _key("opportunity"),
            "base.area",
            _OPPORTUNITY_SOURCES,
            _OPPORTUNITY_COLUMNS,
        ),
        Scope(
            "ticket",
            "a support ticket, every day it is open",
            _things(
                "select *, cast(opened_at as date) as opened_on,"
                " least(coalesce(cast(resolved_at as date), {far}), coalesce(removed_on, {far}))"
                " as past_on from staging.stg_support__tickets".replace("{far}", _FAR),
                "fact.opened_on",
                "fact.past_on",
                "fact.ticket_id as thing_id, fact.severity, fact.opened_at, fact.escalated_at",
            ),
            _key("ticket"),
            _NO_AREA,
            _SHARED_SOURCES,
            _TICKET_COLUMNS,
        ),
        Scope(
            "departure",
            f"an account that left, for {CHURN_DAYS} days",
            "select fact.*, day.as_of_date from marts.dim_account as fact"
            f" inner join ({_DAYS}) as day on fact.churned_on <= day.as_of_date"
            f" and day.as_of_date < fact.churned_on + {CHURN_DAYS}",
            "'account:left'",
            _NO_AREA,
            {},
            _DEPARTURE_COLUMNS,
        ),
    )
}
