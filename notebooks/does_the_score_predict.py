import marimo

__generated_with = "0.25.2"

app = marimo.App(width="medium", app_title="Does the score predict?")


with app.setup(hide_code=True):
    import marimo as mo
    import polars as pl

    from dagster_project.proof.frames import backtest_frames
    from dagster_project.proof.verdict import predictor_name, verdicts
    from dagster_project.reporting import study_charts, words
    from dagster_project.reporting.published import open_published
    from dagster_project.reporting.showing import literal, small_table


@app.cell(hide_code=True)
def _():
    snapshot = open_published()
    mo.stop(
        snapshot.frame("select count(*) from marts.fct_account_health_daily").item() == 0,
        mo.callout(mo.md("No account is published on any day: there is nothing to hold."), "warn"),
    )
    proof = backtest_frames(snapshot.con, snapshot.as_of)
    mo.md(
        f"""
        # Does the score predict?

        The score as it was known at each month's end, against what became of the account
        afterwards: it left, its ARR fell, or neither. Only windows that were over by
        {literal(words.long_day(proof.as_of_date))} count, and nothing of a day is dated after it.

        A company with few losses learns little here, and the page says so instead of drawing a
        line: a rate needs {proof.options.min_group_accounts} accounts, a ranking
        {proof.options.min_event_accounts} lost and as many kept.
        """
    )
    return proof, snapshot


@app.cell(hide_code=True)
def _(proof):
    _outcomes = {
        "left or shrank": "churn_or_contraction",
        "left": "churn",
        "shrank": "contraction",
    }
    _found = set(proof.summary["outcome"].to_list())
    _offered = {name: value for name, value in _outcomes.items() if value in _found}
    outcome = mo.ui.dropdown(_offered, value=next(iter(_offered)), label="The account")
    _horizons = {words.plural(days, "day"): days for days in proof.options.horizons_days}
    horizon = mo.ui.dropdown(
        _horizons,
        value=words.plural(
            proof.options.suggest_horizon_days
            if proof.options.suggest_horizon_days in proof.options.horizons_days
            else proof.options.horizons_days[-1],
            "day",
        ),
        label="within",
    )
    mo.hstack([outcome, horizon], justify="start", wrap=True)
    return horizon, outcome


@app.cell(hide_code=True)
def _(horizon, outcome, proof):
    said = verdicts(proof, outcome.value, horizon.value)
    mo.md("## What can be said\n\n" + "\n".join(f"- {literal(sentence)}" for sentence in said))
    return (said,)


@app.cell(hide_code=True)
def _(horizon, outcome, proof):
    ranking = proof.summary.filter(
        (pl.col("outcome") == outcome.value)
        & (pl.col("horizon_days") == horizon.value)
        & (pl.col("dimension") == "all")
    )
    _rows = ranking.with_columns(
        pl.col("predictor")
        .map_elements(lambda name: words.sentence(predictor_name(name)), pl.String)
        .alias("label")
    )
    mo.vstack(
        [
            mo.md(
                "## Who ranks the lost below the kept?\n\nThe AUC is the chance that of one lost "
                "and one kept account the lost one had the lower value; a coin gets one half "
                "(dashed). The bar is its interval; an account counts once in it, however many "
                "months it was looked at."
            ),
            study_charts.auc_ladder(_rows)
            if ranking["auc"].count()
            else mo.callout(
                mo.md(
                    "No ranking is shown: "
                    + literal(
                        "; ".join(
                            dict.fromkeys(
                                reason for reason in ranking["reason"].to_list() if reason
                            )
                        )
                        or "no account-day has a score and a known outcome"
                    )
                    + "."
                ),
                kind="warn",
            ),
            mo.md(
                "The renewal date is a strong rival where customers leave when a term ends. It "
                "says when, not who, and nobody can act on it. Whether the score knows who leaves "
                "among those that could, the slices by renewal below tell."
            ),
        ]
    )
    return (ranking,)


@app.cell(hide_code=True)
def _(horizon, outcome, proof):
    zone_rates = proof.zones.filter(
        (pl.col("outcome") == outcome.value)
        & (pl.col("horizon_days") == horizon.value)
        & (pl.col("dimension") == "all")
    )
    _rates = zone_rates.select(
        "health_zone",
        pl.col("event_ratio").alias("ratio"),
        pl.col("event_ratio_low").alias("low"),
        pl.col("event_ratio_high").alias("high"),
        pl.struct("event_ratio", "account_day_count", "account_count")
        .map_elements(
            lambda row: (
                (
                    "no rate, too few: "
                    if row["event_ratio"] is None
                    else f"{words.percent(row['event_ratio'], 1)} of "
                )
                + f"{row['account_day_count']:,} account-days, "
                + words.plural(row["account_count"], "account")
            ),
            pl.String,
        )
        .alias("note"),
    )
    mo.vstack(
        [
            mo.md(
                "## How many are lost in each zone?\n\nRates should rise from the best zone to the "
                "worst. The line across a bar is the interval; where two overlap widely, the "
                "difference may be chance."
            ),
            study_charts.zone_rates(_rates)
            if zone_rates.height
            else mo.md("No account-day has a zone and a known outcome."),
        ]
    )
    return (zone_rates,)


@app.cell(hide_code=True)
def _(horizon, outcome, proof):
    bands = proof.calibration.filter(
        (pl.col("outcome") == outcome.value) & (pl.col("horizon_days") == horizon.value)
    )
    mo.vstack(
        [
            mo.md(
                "## Did a score always mean the same?\n\nThe scores in equal parts, lowest first, "
                "and how many of each were lost: over the whole history, in its earlier and in its "
                "later half."
            ),
            study_charts.calibration(bands)
            if bands["event_ratio"].count()
            else mo.md("No band has accounts enough for a rate."),
        ]
    )
    return (bands,)


@app.cell(hide_code=True)
def _(horizon, outcome, proof):
    _every = proof.summary.filter(
        (pl.col("outcome") == outcome.value)
        & (pl.col("horizon_days") == horizon.value)
        & (pl.col("predictor") == "health_score")
        & (pl.col("dimension") != "all")
    )
    # One value of a dimension says what the whole said.
    slices = _every.filter(pl.len().over("dimension") > 1).with_columns(
        pl.struct("dimension", "dimension_value")
        .map_elements(
            lambda row: (
                f"{words.sentence(row['dimension'])}: {words.words(row['dimension_value'])}"
            ),
            pl.String,
        )
        .alias("label")
    )
    _silent = slices.filter(pl.col("auc").is_null())["label"].to_list()
    mo.vstack(
        [
            mo.md(
                "## Does it hold within groups?\n\nA score that only tells large from small "
                "customers ranks well over all and badly within each."
            ),
            study_charts.auc_ladder(slices.filter(pl.col("auc").is_not_null()))
            if slices["auc"].count()
            else mo.md("No group has losses enough to be ranked."),
            mo.md(f"Too few to say: {literal(', '.join(_silent))}." if _silent else ""),
        ]
    )
    return (slices,)


@app.cell(hide_code=True)
def _(proof):
    lead_time = proof.lead_time
    mo.vstack(
        [
            mo.md(
                "## How early did it warn?\n\nFrom the first day that was not green to the day the "
                "account left. Read it with the last column: warnings are worth little when most "
                "accounts that stayed were warned, too."
            ),
            mo.md(
                small_table(
                    (
                        "accounts",
                        "left",
                        "warned before",
                        "not green from the start",
                        "median days of warning",
                        "stayed",
                        "stayed, warned too",
                    ),
                    [
                        (
                            words.words(row["dimension_value"]),
                            f"{row['churned_count']:,}",
                            f"{row['warned_count']:,}",
                            f"{row['censored_count']:,}",
                            words.number(row["first_warning_days_median"]),
                            f"{row['kept_count']:,}",
                            f"{row['kept_warned_count']:,}",
                        )
                        for row in lead_time.iter_rows(named=True)
                    ],
                    right="lrrrrrr",
                )
            ),
        ]
    )
    return (lead_time,)


@app.cell(hide_code=True)
def _(proof):
    _where = (
        "They are read from `marts.fct_health_backtest_*`, which the monthly job publishes."
        if proof.is_published
        else "They were computed now; the monthly job publishes them as "
        "`marts.fct_health_backtest_*`, and `csp backtest` prints them."
    )
    mo.md(f"""
    ## What this does not show

    - **Not that the score is a cause.** It goes before losses, or it does not. Raising a score by
      hand keeps nobody.
    - **Not what work on an account is worth.** Low scores open playbooks; where these help, the
      score looks worse than it is. `csp effect` asks that question.
    - **Not the future.** Policy, product and customers change; the two halves above are the only
      hint of how much.
    - **Not the accounts without a score.** They are in no ranking; their share is `scored_ratio`.
    - **Not many independent trials.** An account stands in many months, so twice the months is not
      twice the evidence.
    - **On invented customers, nothing about real ones:** only that the pipeline finds a signal
      somebody put there.

    All numbers hold for the day at the top. {_where}
    """)
    return


if __name__ == "__main__":
    app.run()
