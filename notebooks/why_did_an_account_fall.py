import marimo

__generated_with = "0.25.2"

app = marimo.App(width="medium", app_title="Why did an account fall?")


with app.setup(hide_code=True):
    import html
    from datetime import timedelta

    import marimo as mo
    import polars as pl

    from dagster_project.reporting import (
        charts,
        falls,
        plain_words,
        queries,
        story,
        study_charts,
        style,
        words,
    )
    from dagster_project.reporting.explain import explain_account
    from dagster_project.reporting.published import open_published
    from dagster_project.reporting.showing import by_name, column_formats, literal


@app.cell(hide_code=True)
def _():
    snapshot = open_published()
    _days = falls.look_backs(snapshot)
    look_back = mo.ui.dropdown(
        {words.plural(days, "day"): days for days in _days},
        value=words.plural(min(_days, key=lambda days: abs(days - queries.CHANGE_DAYS)), "day"),
        label="Compare with the score before",
    )
    mo.vstack(
        [
            mo.md(
                f"""
                # Why did an account fall?

                The score of one account on {literal(words.long_day(snapshot.as_of))} against an
                earlier day: what moved it, down to the last tenth of a point, and what happened
                around it. It opens with the account that fell most.
                """
            ),
            look_back,
        ]
    )
    return look_back, snapshot


@app.cell(hide_code=True)
def _(look_back, snapshot):
    since = snapshot.as_of - timedelta(days=look_back.value)
    moves = falls.moves(snapshot, look_back.value)
    fallen = moves.filter(pl.col("move") < 0)
    # A list of thousands is no list: the falls first, then the largest of the rest.
    _offered = moves.head(500)
    _choices = by_name(_offered.select("account_id", "account_name").rows())
    account = mo.ui.dropdown(
        dict(_choices),
        value=next(iter(_choices), None),
        label="The account",
        searchable=True,
    )
    _whole = moves.height
    _judged = moves["move"].count()
    _sentence = (
        f"{words.plural(fallen.height, 'account')} of {_judged:,} fell in this time; "
        f"{_whole - _judged:,} had no score on one of the two days."
        if fallen.height
        else (
            f"No account fell: {_judged:,} of {_whole:,} had a score on both days. "
            + ("Shown is the one that rose least." if _judged else "Shown is the largest by ARR.")
        )
    )
    mo.vstack(
        [
            mo.md(literal(_sentence)),
            account,
            mo.ui.table(
                fallen.drop("account_id"),
                selection=None,
                page_size=5,
                show_column_summaries=False,
                show_data_types=False,
                format_mapping=column_formats(
                    fallen,
                    score_before=lambda score: words.number(score, 1),
                    score_now=lambda score: words.number(score, 1),
                    move=lambda points: words.signed(points, 1),
                ),
            )
            if fallen.height
            else mo.md(""),
        ]
    )
    return account, fallen, moves, since


@app.cell(hide_code=True)
def _(account, moves, since, snapshot):
    mo.stop(
        account.value is None,
        mo.callout(
            mo.md("No account is a customer on the published day, so none can have fallen."),
            kind="warn",
        ),
    )
    account_id = account.value
    chosen = moves.row(by_predicate=pl.col("account_id") == account_id, named=True)
    line = falls.score_line(snapshot, account_id)
    _mark = style.ZONE_MARKS.get(chosen["zone_now"], "")
    _verdict = (
        f"moved by **{literal(words.signed(chosen['move'], 1))} points** since "
        f"{literal(words.day(since))}, from {literal(words.number(chosen['score_before'], 1))} "
        f"({literal(chosen['zone_before'])}) to {literal(words.number(chosen['score_now'], 1))} "
        f"({_mark} {literal(chosen['zone_now'])})"
        if chosen["move"] is not None
        else (
            "has no score on either day"
            if chosen["score_before"] is None and chosen["score_now"] is None
            else "has no score on one of the two days, so its move has no size"
        )
    )
    mo.vstack(
        [
            mo.md(
                f"## {literal(chosen['account_name'])}\n\n"
                f"ARR {literal(words.money(chosen['arr_usd']))}. It {_verdict}."
            ),
            charts.score_history(line, queries.zone_lines(snapshot), since, width=640)
            if line["health_score"].count()
            else mo.callout(
                mo.md(
                    "No score on any of these days: "
                    + literal(words.percent(line["coverage_ratio"].max()))
                    + " of the weight could be scored at best. What was measured stands below."
                ),
                kind="info",
            ),
        ]
    )
    return account_id, chosen, line


@app.cell(hide_code=True)
def _(account_id, chosen, since, snapshot):
    ledger = falls.ledger(snapshot, account_id, since)
    ledger_points = ledger["points"].sum()
    mo.vstack(
        [
            mo.md(
                "## What moved it\n\nEvery point of the move has one cause: a measure that changed "
                "(behaviour), data that came or went (coverage), another policy (config) or a "
                "person (override)."
            ),
            study_charts.ledger_steps(
                ledger.filter(pl.col("points").is_not_null()),
                chosen["score_before"],
                chosen["score_now"],
            )
            if chosen["move"] is not None
            else mo.md(
                "There is nothing to add up: "
                + (
                    "the score began or ended, which is one cause without points."
                    if ledger.height
                    else "it had no score on either day."
                )
            ),
        ]
    )
    return ledger, ledger_points


@app.cell(hide_code=True)
def _(chosen, ledger_points):
    # The ledger is not believed, it is added up.
    ledger_error = None if chosen["move"] is None else abs(ledger_points - chosen["move"])
    ledger_is_whole = None if ledger_error is None else ledger_error < 1e-6
    (
        mo.md("")
        if ledger_is_whole is None
        else mo.callout(
            mo.md(
                f"The causes add up to {literal(words.signed(ledger_points, 4))} points, the score "
                f"moved by {literal(words.signed(chosen['move'], 4))}: "
                + ("✓ every point has its cause." if ledger_is_whole else "✗ points are missing.")
            ),
            kind="success" if ledger_is_whole else "danger",
        )
    )
    return ledger_error, ledger_is_whole


@app.cell(hide_code=True)
def _(account_id, since, snapshot):
    measures = falls.measure_pairs(snapshot, account_id, since)

    def _said(value, status, unit):
        if status == "scored" and value is not None:
            return plain_words.value_text(value, unit)
        return plain_words.STATES.get(status, "not measured" if status is None else status)

    _rows = [
        {
            "component": words.sentence(row["component"]),
            "measure": row["label"],
            "before": _said(row["value_before"], row["status_before"], row["unit"]),
            "now": _said(row["value_now"], row["status_now"], row["unit"]),
            "score before": row["score_before"],
            "score now": row["score_now"],
            "weight": row["weight_now"],
            "points": row["points_now"],
        }
        for row in measures.iter_rows(named=True)
    ]
    mo.vstack(
        [
            mo.md(
                "## All its measures\n\nValues in their units, scores 0 to 100. The weight is the "
                "share of the score after missing measures gave theirs away, points are what the "
                "measure gives the score now."
            ),
            mo.ui.table(
                _rows,
                selection=None,
                page_size=10,
                show_column_summaries=False,
                show_data_types=False,
                format_mapping={
                    "score before": lambda score: words.number(score, 0),
                    "score now": lambda score: words.number(score, 0),
                    "weight": lambda weight: words.percent(weight, 1),
                    "points": lambda points: words.number(points, 1),
                },
            ),
        ]
    )
    return (measures,)


@app.cell(hide_code=True)
def _(account_id, ledger, measures, since, snapshot):
    _causes = [
        cause for cause in ledger["cause"].to_list() if cause in set(measures["measure"].to_list())
    ]
    # Without a ledger, what is measured at all.
    _known = measures.filter(pl.col("value_now").is_not_null())["measure"].to_list()
    usual_suspects = (_causes or _known)[:6]
    suspect_lines = falls.measure_lines(snapshot, account_id, usual_suspects)
    _rank = {name: place for place, name in enumerate(usual_suspects)}
    mo.vstack(
        [
            mo.md(
                "## The measures behind it, over time\n\n"
                + (
                    "Those that moved the score most, the compared day dashed."
                    if _causes
                    else "Those that are measured, the compared day dashed."
                )
            ),
            study_charts.measure_lines(
                suspect_lines.sort(
                    pl.col("measure").replace_strict(_rank, return_dtype=pl.Int64), "as_of_date"
                ),
                since,
            )
            if suspect_lines["value"].count()
            else mo.md("None of its measures has a value."),
        ]
    )
    return suspect_lines, usual_suspects


@app.cell(hide_code=True)
def _(account_id, measures, since, snapshot, usual_suspects):
    usage_and_support = [
        row["measure"]
        for row in measures.iter_rows(named=True)
        if row["component"] in ("adoption", "support")
        and row["value_now"] is not None
        and row["measure"] not in usual_suspects
    ]
    usage_lines = falls.measure_lines(snapshot, account_id, usage_and_support)
    mo.vstack(
        [
            mo.md("### The rest of usage and support"),
            study_charts.measure_lines(usage_lines, since, height=80),
        ]
        if usage_lines["value"].count()
        else [mo.md("")]
    )
    return (usage_and_support,)


@app.cell(hide_code=True)
def _(account_id, since, snapshot):
    # A fall has a run-up: as long again before the compared day is shown, too.
    shown_from = since - (snapshot.as_of - since)
    happenings = falls.happenings(snapshot, account_id, shown_from)
    mo.vstack(
        [
            mo.md(
                f"## What happened around it\n\nCalls, zones, stages, signals and work from "
                f"{literal(words.day(shown_from))} on; the compared day is dashed."
            ),
            study_charts.happening_lanes(happenings, since)
            if happenings.height
            else mo.md("Nothing is recorded in this time."),
            mo.ui.table(
                happenings,
                selection=None,
                page_size=10,
                show_column_summaries=False,
                show_data_types=False,
                column_widths={"what": 560},
            )
            if happenings.height
            else mo.md(""),
        ]
    )
    return happenings, shown_from


@app.cell(hide_code=True)
def _(happenings):
    _calls = happenings.filter(pl.col("kind") == story.KINDS["call"])["what"].to_list()
    calls_missed = sum(" missed" in call for call in _calls)
    calls_met = len(_calls) - calls_missed
    _left = [
        what
        for what in happenings.filter(pl.col("kind") == story.KINDS["people"])["what"].to_list()
        if what.endswith(" left")
    ]
    _calls_said = (
        f"{words.plural(calls_met, 'call was', 'calls were')} held and {calls_missed:,} missed"
        if calls_met + calls_missed
        else "no call is recorded, held or missed"
    )
    _people_said = (
        ", ".join(sorted(set(_left)))
        if _left
        else "of no champion or sponsor is it recorded that they left"
    )
    mo.md(literal(f"In this time {_calls_said}; {_people_said}."))
    return calls_met, calls_missed


@app.cell(hide_code=True)
def _(account_id, shown_from, snapshot):
    work = falls.work(snapshot, account_id, shown_from)
    _open = work.filter(pl.col("closed_on").is_null()).height
    mo.vstack(
        [
            mo.md(
                "## What was done about it\n\n"
                + literal(
                    f"{words.plural(work.height, 'action')} stood in this time, {_open:,} "
                    f"of them {'is' if _open == 1 else 'are'} open still."
                    if work.height
                    else "No action stood in this time."
                )
            ),
            mo.ui.table(
                work,
                selection=None,
                page_size=8,
                show_column_summaries=False,
                show_data_types=False,
                format_mapping=column_formats(work),
            )
            if work.height
            else mo.md(""),
        ]
    )
    return (work,)


@app.cell(hide_code=True)
def _(account_id, since, snapshot):
    explanation = explain_account(snapshot.con, account_id, as_of=snapshot.as_of, since=since)
    mo.vstack(
        [
            mo.md("## In words\n\nWhat `csp explain` says in a terminal, to copy into a mail."),
            mo.Html(f"<pre style='white-space: pre-wrap'>{html.escape(explanation)}</pre>"),
        ]
    )
    return (explanation,)


if __name__ == "__main__":
    app.run()
