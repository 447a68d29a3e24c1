import marimo

__generated_with = "0.25.2"

app = marimo.App(width="medium", app_title="Tour of the warehouse")


with app.setup(hide_code=True):
    import marimo as mo

    from dagster_project.reporting import queries, study_charts, style, words
    from dagster_project.reporting.dictionary import read_dictionary, row_counts
    from dagster_project.reporting.published import open_published
    from dagster_project.reporting.showing import column_formats, literal, small_table


@app.cell(hide_code=True)
def _():
    snapshot = open_published()
    publication = snapshot.frame(
        """
        select
            publication_number,
            (select min(as_of_date) from marts.fct_account_health_daily) as first_on,
            as_of_date as last_on
        from pipeline.publication
        """
    ).row(0, named=True)
    mo.md(
        f"""
        # Tour of the warehouse

        What an analyst finds in `published/analytics.duckdb`, how its tables are meant to be
        read, and ten questions to begin with. Nothing here can change the file.

        This is publication {publication["publication_number"]}. It holds the days from
        {literal(words.day(publication["first_on"]))} to
        **{literal(words.day(publication["last_on"]))}**, the day it is published for.
        """
    )
    return publication, snapshot


@app.cell(hide_code=True)
def _(snapshot):
    dictionary = read_dictionary(snapshot.con)
    _rows = row_counts(snapshot.con)
    _schemas = {
        "marts": "accounts, health, stages, calls: what the business is asked about",
        "metrics": "the metrics with target and sample size, per day and dimension",
        "playbooks": "signals, rules, what they said, the actions and what happened to them",
        "policy": "the weights, lines, targets and words that decided, as they are in force",
        "pipeline": "what was read, when, what was restated; where each table comes from",
    }
    schemas = [
        (
            _schema,
            sum(_table.schema == _schema for _table in dictionary),
            _schemas.get(_schema, "rows that were refused, each with file, line and mend"),
        )
        for _schema in dict.fromkeys(_table.schema for _table in dictionary)
    ]
    tables = [
        {
            "table": _table.full_name,
            "kind": _table.kind,
            "rows": _rows.get(_table.full_name),
            "columns": len(_table.columns),
            "meaning": _table.meaning,
        }
        for _table in dictionary
    ]
    mo.vstack(
        [
            mo.md("## What is here"),
            mo.md(small_table(("schema", "tables", "what it holds"), schemas, right="lr")),
            mo.md(
                "Every table and column carries its meaning as a comment, so any client shows it: "
                "`describe marts.fct_account_health_daily`. Views have no count of rows here, "
                "because counting them means computing them."
            ),
            mo.ui.table(
                tables,
                selection=None,
                page_size=8,
                show_column_summaries=False,
                show_data_types=False,
                wrapped_columns=["meaning"],
                column_widths={"meaning": 380},
                format_mapping={"rows": lambda rows: "–" if rows is None else f"{rows:,}"},
            ),
        ]
    )
    return dictionary, schemas, tables


@app.cell(hide_code=True)
def _(dictionary):
    _names = [table.full_name for table in dictionary]
    _first = "marts.fct_account_health_daily"
    table_name = mo.ui.dropdown(
        _names,
        value=_first if _first in _names else _names[0],
        label="The columns of",
        searchable=True,
    )
    table_name
    return (table_name,)


@app.cell(hide_code=True)
def _(dictionary, table_name):
    _table = next(table for table in dictionary if table.full_name == table_name.value)
    columns = [
        {
            "column": column.name,
            "type": column.data_type,
            "unit": column.unit,
            "meaning": column.meaning,
        }
        for column in _table.columns
    ]
    _made_of = ", ".join(f"`{name}`" for name in _table.reads) or "nothing published"
    mo.vstack(
        [
            mo.md(f"{literal(_table.meaning)}\n\nMade of {_made_of}."),
            mo.ui.table(
                columns,
                selection=None,
                page_size=8,
                show_column_summaries=False,
                show_data_types=False,
                wrapped_columns=["meaning"],
                column_widths={"meaning": 480},
            ),
        ]
    )
    return (columns,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Where to begin: three views

    They put side by side what is otherwise joined from many tables, for the published day.

    | view | one row per | ask it |
    |:--|:--|:--|
    | `marts.account_overview` | account | how it is, who holds it, what is open |
    | `marts.my_week` | piece of work due or overdue | what is mine this week |
    | `marts.why_changed` | account, look-back and cause | what moved the score, back to 90 days |
    """)
    return


@app.cell(hide_code=True)
def _(snapshot):
    def first_rows(view):
        rows = snapshot.frame(f"from {view} limit 50")
        return mo.ui.table(
            rows,
            selection=None,
            page_size=5,
            show_column_summaries=False,
            show_data_types=False,
            format_mapping=column_formats(rows),
        )

    mo.ui.tabs(
        {
            "account_overview": first_rows("marts.account_overview"),
            "my_week": first_rows("marts.my_week"),
            # Asked when opened: over all accounts it takes a while.
            "why_changed": mo.lazy(lambda: first_rows("marts.why_changed")),
        }
    )
    return


@app.cell(hide_code=True)
def _(snapshot):
    grain = snapshot.frame(
        """
        select
            count(*) as rows,
            count(distinct account_id) as accounts,
            coalesce(sum(arr_usd) filter (where as_of_date = $as_of), 0) as arr_of_the_day,
            coalesce(sum(arr_usd), 0) as arr_of_all_rows
        from marts.fct_account_health_daily
        """
    ).row(0, named=True)
    mo.md(
        f"""
        ## The grain: what one row is

        The comment of every table begins with it. Five kinds of tables cover all of them:

        | kind | for example | how to ask it |
        |:--|:--|:--|
        | daily | `marts.fct_account_health_daily` | fix the day: `where as_of_date = …` |
        | interval | `playbooks.rule_states` | what stood on D: from D or before, to after D |
        | event | `marts.fct_zone_transition` | count between two days |
        | state | `marts.dim_account`, `playbooks.actions` | as it stands on the published day |
        | ratio | `metrics.mtr_*` | fix `dimension`; add numerators and denominators, then divide |

        An interval's last day is open while it lasts: `valid_from_on <= D and
        coalesce(valid_to_on, date '9999-12-31') > D`. A mean of ratios is no ratio: never average
        `value`.

        The first rule is the one that is broken most: **fix the day before you add up.** The
        health table has {grain["rows"]:,} rows for {grain["accounts"]:,} accounts. ARR of the
        published day is {literal(words.money(grain["arr_of_the_day"]))}; added over all rows it
        would be {literal(words.money(grain["arr_of_all_rows"]))}, which means nothing.
        """
    )
    return (grain,)


@app.cell(hide_code=True)
def _(snapshot):
    component_states = queries.component_coverage(snapshot)
    statuses = snapshot.frame(
        "select status, description from policy.health_statuses order by status_code"
    )
    coverage = snapshot.frame(
        """
        select
            count(*) as account_count,
            count(health_score) as scored_count,
            avg(coverage_ratio) as mean_coverage_ratio,
            mode(unscored_reason) as usual_reason,
            (
                select max(coverage_floor) from marts.dim_health_policy
                where policy_key in (
                    select policy_key from marts.fct_account_health_daily
                    where as_of_date = $as_of
                )
            ) as coverage_floor
        from marts.fct_account_health_daily
        where as_of_date = $as_of
        """
    ).row(0, named=True)
    mo.vstack(
        [
            mo.md("## Missing is not zero"),
            mo.md(
                "A measure without data is not counted as bad, or as good: its weight goes to the "
                "other measures of its component, then to the other components. What it was "
                "instead of a number stands in its status:"
            ),
            mo.md(small_table(("status", "what it means"), statuses.rows())),
            mo.md("Accounts of the published day, by the state of each component:"),
            study_charts.component_states(component_states),
        ]
    )
    return component_states, coverage, statuses


@app.cell(hide_code=True)
def _(coverage):
    _scored, _all = coverage["scored_count"], coverage["account_count"]
    _floor = words.percent(coverage["coverage_floor"])
    _unscored = (
        ""
        if _scored == _all
        else f" {words.plural(_all - _scored, 'account has', 'accounts have')} no score"
        + (
            f", mostly for {literal(words.words(coverage['usual_reason']))}."
            if coverage["usual_reason"]
            else "."
        )
    )
    mo.md(
        f"""
        `coverage_ratio` is the share of the original weight that was scored. Under the floor of
        the policy ({literal(_floor)} here) an account is `unscored`: it has no zone rather than a
        wrong one. On this day {_scored:,} of {words.plural(_all, "account")} have a score, mean
        coverage {literal(words.percent(coverage["mean_coverage_ratio"]))}.{_unscored}

        Three habits follow. Count accounts with and without a score, side by side. Give the mean
        score with its count. And filter on `status = 'scored'`, not on `value is not null`: a
        value may be there and be too old to count.
        """
    )
    return


@app.cell(hide_code=True)
def _(publication):
    earlier_day = mo.ui.date(
        value=publication["last_on"],
        start=publication["first_on"] or publication["last_on"],
        stop=publication["last_on"],
        label="The zones as they were on",
    )
    mo.vstack(
        [
            mo.md("""
            ## The past as it was known

            A row of day D holds what was known on day D: an account's tier, owner and ARR of that
            day, a policy of that day (`policy_key`). A renewal signed later does not change the
            health of the week before it. So a trend is a plain query over `as_of_date`, and a
            model trained on day D sees nothing of what came after.

            Two things do change a past day. An extract that arrives late or corrects a date
            computes the days it touches again; they are listed in `pipeline.restatements`. And
            `csp run --from D --policy latest` scores days from D on by the newest policy, when
            somebody decides so. A policy row with a later `effective_from` changes nothing before
            it.
            """),
            earlier_day,
        ]
    )
    return (earlier_day,)


@app.cell(hide_code=True)
def _(earlier_day, snapshot):
    zones_then = snapshot.frame(
        """
        select
            coalesce(health_zone, 'unscored') as health_zone,
            count(*) as account_count,
            coalesce(sum(arr_usd), 0) as arr_usd
        from marts.fct_account_health_daily
        where as_of_date = $day
        group by all order by count(*) desc, 1
        """,
        day=earlier_day.value,
    )
    restated = queries.restatements(snapshot)
    mo.vstack(
        [
            mo.md(
                small_table(
                    ("zone", "accounts", "ARR"),
                    [
                        (
                            f"{style.ZONE_MARKS.get(zone, '')} {zone}",
                            count,
                            words.money(arr_usd),
                        )
                        for zone, count, arr_usd in zones_then.rows()
                    ],
                    right="lrr",
                )
            ),
            mo.md(
                "No day was restated in the last 30 days."
                if restated.is_empty()
                else "Restated in the last 30 days:"
            ),
            *(
                []
                if restated.is_empty()
                else [mo.ui.table(restated, selection=None, show_column_summaries=False)]
            ),
        ]
    )
    return (zones_then,)


@app.cell(hide_code=True)
def _(snapshot):
    def ask(question, sql):
        """The answer as a frame, and question, SQL and answer to look at."""
        answer = snapshot.frame(sql)
        view = mo.vstack(
            [
                mo.md(f"### {question}"),
                mo.md(f"```sql\n{sql.strip()}\n```"),
                mo.ui.table(
                    answer,
                    selection=None,
                    page_size=6,
                    show_column_summaries=False,
                    show_data_types=False,
                    format_mapping=column_formats(answer),
                )
                if answer.height
                else mo.md("*No rows: there is nothing of this kind in the published file.*"),
            ]
        )
        return answer, view

    mo.md("""
    ## Ten questions to begin with

    Each is short SQL for any DuckDB client. Copy it, change it. Where a large view is asked about
    one day or one account, these are set as variables first, so that it reads those rows alone.
    """)
    return (ask,)


@app.cell
def _(ask):
    accounts_to_look_at, _view = ask(
        "1. Which accounts should I look at first?",
        """
select account_name, owner_ca, arr_usd, health_zone, health_score, score_change_30d,
    costliest_component, days_to_renewal, overdue_action_count
from marts.account_overview
where health_zone in ('orange', 'red')
order by arr_usd desc nulls last, account_id
""",
    )
    _view
    return (accounts_to_look_at,)


@app.cell
def _(ask):
    arr_by_zone, _view = ask(
        "2. How much ARR stands in each zone, and how much 30 days ago?",
        """
select coalesce(health_zone, 'unscored') as zone,
    count(*) filter (as_of_date = last_on) as accounts_now,
    count(*) filter (as_of_date < last_on) as accounts_before,
    sum(arr_usd) filter (as_of_date = last_on) as arr_now,
    sum(arr_usd) filter (as_of_date < last_on) as arr_before
from marts.fct_account_health_daily, (select as_of_date as last_on from pipeline.publication)
where as_of_date in (last_on, last_on - 30)
group by zone
order by arr_now desc nulls last, zone
""",
    )
    _view
    return (arr_by_zone,)


@app.cell
def _(ask):
    movers, _view = ask(
        "3. What moved the scores in 30 days?",
        """
set variable day = (select as_of_date from pipeline.publication);
select m.component, c.cause_kind, c.cause, round(sum(c.points), 1) as points,
    count(*) filter (c.points < 0) as accounts_down, count(*) filter (c.points > 0) as accounts_up
from marts.health_change(getvariable('day') - 30, getvariable('day')) as c
left join policy.health_measures as m on m.measure = c.cause
where c.points is not null
group by all
order by sum(c.points), c.cause
""",
    )
    _view
    return (movers,)


@app.cell
def _(ask):
    made_of, _view = ask(
        "4. What is the score of the lowest account made of?",
        """
set variable day = (select as_of_date from pipeline.publication);
set variable account = (
    select account_id from marts.account_overview
    order by health_score nulls last, account_id limit 1
);
select component, measure, status, value, measure_score, effective_weight, contribution
from marts.fct_health_measure_daily
where as_of_date = getvariable('day') and account_id = getvariable('account')
order by effective_weight desc nulls last, measure
""",
    )
    _view
    return (made_of,)


@app.cell
def _(ask):
    renewals_due, _view = ask(
        "5. Which renewals come in the next 90 days, and how healthy are they?",
        """
select account_name, next_renewal_on, days_to_renewal, arr_usd, health_zone, health_score,
    open_action_count
from marts.account_overview
where days_to_renewal between 0 and 90
order by next_renewal_on, arr_usd desc nulls last, account_id
""",
    )
    _view
    return (renewals_due,)


@app.cell
def _(ask):
    work_by_owner, _view = ask(
        "6. Who has how much work this week, and how much of it is late?",
        """
select owner, count(*) as due, count(*) filter (is_overdue) as overdue,
    count(*) filter (kind = 'call') as calls, count(distinct account_id) as accounts
from marts.my_week
group by owner
order by overdue desc, due desc, owner
""",
    )
    _view
    return (work_by_owner,)


@app.cell
def _(ask):
    calls_missed, _view = ask(
        "7. Which calls are missed?",
        """
select call_type, count(*) as decided_slots, count(*) filter (status = 'missed') as missed,
    round(count(*) filter (status = 'met') / count(*), 3) as adherence_ratio
from marts.fct_cadence_slot
where status in ('met', 'missed')
    and decided_on > (select as_of_date - 90 from pipeline.publication)
group by call_type
order by missed desc, call_type
""",
    )
    _view
    return (calls_missed,)


@app.cell
def _(ask):
    stages_now, _view = ask(
        "8. How far is adoption, and where does it stand still?",
        """
select solution_area, stage, count(*) as accounts, count(*) filter (is_stalled) as stalled,
    count(*) filter (is_regressed) as regressed, round(median(stage_age_days)) as median_days
from marts.fct_stage_daily
where as_of_date = (select as_of_date from pipeline.publication)
group by solution_area, stage, stage_rank
order by solution_area, stage_rank
""",
    )
    _view
    return (stages_now,)


@app.cell
def _(ask):
    metrics_now, _view = ask(
        "9. Are we on target?",
        """
select d.name, d.unit, m.value, m.target, m.status, m.denominator as sample, m.reason
from (
    from metrics.mtr_engagement union all by name
    from metrics.mtr_stage_adoption union all by name
    from metrics.mtr_playbook_effectiveness
) as m
join policy.metric_definitions as d using (metric_id)
where m.dimension = 'all' and m.as_of_date = (select as_of_date from pipeline.publication)
order by d.metric_order
""",
    )
    _view
    return (metrics_now,)


@app.cell
def _(ask):
    inputs, _view = ask(
        "10. What was read, and what was refused?",
        """
select source, table_name, max(extracted_on) filter (status = 'accepted') as newest_extract,
    count(*) as files, sum(row_count)::bigint as rows, sum(rejected_count)::bigint as refused
from pipeline.files
group by source, table_name
order by refused desc nulls last, source, table_name
""",
    )
    _view
    return (inputs,)


@app.cell(hide_code=True)
def _():
    own_sql = mo.ui.code_editor(
        value=(
            "select owner_ca, count(*) as accounts, sum(arr_usd) as arr_usd,\n"
            "    round(avg(health_score), 1) as mean_score, count(health_score) as scored\n"
            "from marts.account_overview\n"
            "group by owner_ca\n"
            "order by arr_usd desc nulls last, owner_ca"
        ),
        language="sql",
        min_height=120,
    )
    mo.vstack([mo.md("## Your own question"), own_sql])
    return (own_sql,)


@app.cell(hide_code=True)
def _(own_sql, snapshot):
    try:
        own_answer = snapshot.frame(own_sql.value)
        _shown = mo.ui.table(own_answer, selection=None, show_column_summaries=False)
    except Exception as _error:  # noqa: BLE001 - whatever the text in the box does, it is said here
        own_answer = None
        _shown = mo.callout(mo.plain_text(str(_error)), kind="warn")
    _shown
    return (own_answer,)


if __name__ == "__main__":
    app.run()
