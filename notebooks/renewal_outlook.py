import marimo

__generated_with = "0.25.2"

app = marimo.App(width="medium", app_title="Renewal outlook")


with app.setup(hide_code=True):
    import marimo as mo
    import polars as pl

    from dagster_project.proof.options import proof_options
    from dagster_project.proof.renewals import expect_renewals, past_renewals, upcoming_renewals
    from dagster_project.reporting import charts, queries, study_charts, style, words
    from dagster_project.reporting.published import open_published
    from dagster_project.reporting.showing import column_formats, literal, small_table


@app.cell(hide_code=True)
def _():
    snapshot = open_published()
    options = proof_options(snapshot.con)
    days_ahead = mo.ui.slider(
        30, 360, step=30, value=queries.RENEWAL_DAYS, label="Days ahead", show_value=True
    )
    lead_days = mo.ui.dropdown(
        {words.plural(days, "day"): days for days in options.horizons_days},
        value=words.plural(
            options.suggest_horizon_days
            if options.suggest_horizon_days in options.horizons_days
            else options.horizons_days[-1],
            "day",
        ),
        label="Judge by past zones, read before the renewal by",
    )
    mo.vstack(
        [
            mo.md(
                f"""
                # Renewal outlook

                What renews after {literal(words.long_day(snapshot.as_of))}, in which zone it
                stands, and what of it past renewals let expect, with how sure that is.
                """
            ),
            mo.hstack([days_ahead, lead_days], justify="start", gap=2, wrap=True),
        ]
    )
    return days_ahead, lead_days, options, snapshot


@app.cell(hide_code=True)
def _(days_ahead, lead_days, options, snapshot):
    upcoming = upcoming_renewals(snapshot.con, snapshot.as_of, days_ahead.value)
    past = past_renewals(snapshot.con, snapshot.as_of, lead_days.value, options)
    expectations = expect_renewals(upcoming, past, options, queries.RISK_ZONES)
    total = expectations[-1]
    return expectations, past, total, upcoming


@app.cell(hide_code=True)
def _(days_ahead, options, past, total):
    def _tile(value, label, caption):
        return mo.stat(value, label=label, caption=caption, bordered=True)

    _range = (
        f"{options.confidence_ratio:.0%} range {words.money(total.low_usd)} to "
        f"{words.money(total.high_usd)}"
        if total.expected_usd is not None
        else "too few past renewals"
    )
    _share = total.at_risk_usd / total.arr_usd if total.arr_usd else None
    _without_dates = (
        f"No renewal is known for the next {days_ahead.value} days: either none is due, or the "
        "extracts carry no renewal dates (`renews_on` of the subscriptions)."
    )
    mo.vstack(
        [
            mo.hstack(
                [
                    _tile(
                        words.money(total.arr_usd),
                        f"renews in {days_ahead.value} days",
                        words.plural(total.accounts, "account"),
                    ),
                    _tile(
                        words.money(total.at_risk_usd),
                        "of it at risk",
                        f"{' or '.join(queries.RISK_ZONES)}, {words.percent(_share)} of the ARR",
                    ),
                    _tile(words.money(total.expected_usd), "expected to stay", _range),
                ],
                widths="equal",
                wrap=True,
            ),
            mo.md(
                (_without_dates if not total.accounts else "")
                + (
                    literal(
                        f" The ARR of {words.plural(total.unknown_arr, 'account')} is not known; "
                        "it is in no sum here."
                    )
                    if total.unknown_arr
                    else ""
                )
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(upcoming):
    by_month = (
        upcoming.group_by("renewal_month", "health_zone")
        .agg(pl.len().alias("account_count"), pl.col("arr_usd").sum())
        .sort("renewal_month", "health_zone")
    )
    _zones = style.zone_order(set(by_month["health_zone"].to_list()))
    _cells = {
        (row["renewal_month"], row["health_zone"]): row for row in by_month.iter_rows(named=True)
    }
    _months = sorted(set(by_month["renewal_month"].to_list()))

    def _cell(month, zone):
        row = _cells.get((month, zone))
        return "" if row is None else f"{words.money(row['arr_usd'])} · {row['account_count']:,}"

    mo.vstack(
        [
            mo.md(
                "## By month and zone\n\nARR and the number of accounts; each zone as it stands "
                "now, in the chart from the best on top to the worst."
            ),
            charts.renewals(by_month),
            mo.md(
                small_table(
                    ("month", *(f"{style.ZONE_MARKS.get(zone, '')} {zone}" for zone in _zones)),
                    [
                        (f"{month:%b %Y}", *(_cell(month, zone) for zone in _zones))
                        for month in _months
                    ],
                    right="l" + "r" * len(_zones),
                )
            ),
        ]
        if by_month.height
        else [mo.md("")]
    )
    return (by_month,)


@app.cell(hide_code=True)
def _(past):
    _rates = pl.DataFrame(
        [
            (
                rate.health_zone,
                rate.ratio,
                rate.low,
                rate.high,
                (
                    f"{words.percent(rate.ratio)} · {rate.kept:,} of {rate.renewals:,} renewals"
                    if rate.ratio is not None
                    else f"no rate: {rate.kept:,} of {rate.renewals:,} renewals kept, too few"
                ),
            )
            for rate in past.rates
        ],
        schema={
            "health_zone": pl.String,
            "ratio": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "note": pl.String,
        },
        orient="row",
    )
    _when = (
        f"Renewals from {words.day(past.first_on)} to {words.day(past.last_on)}"
        if past.first_on
        else "No renewal has an outcome that is known yet"
    )
    _unknown = (
        f" {words.plural(past.unknown, 'renewal')} of accounts that vanished from the extracts "
        "count neither way."
        if past.unknown
        else ""
    )
    mo.vstack(
        [
            mo.md(
                "## How past renewals went\n\n"
                + literal(
                    f"{_when}, by the zone the account was in {past.lead_days} days before. Kept "
                    f"means: still a customer {past.settle_days} days after.{_unknown}"
                )
            ),
            study_charts.zone_rates(_rates) if past.whole.renewals else mo.md(""),
        ]
    )
    return


@app.cell(hide_code=True)
def _(options, past, upcoming):
    pooled_zones = [
        zone
        for zone in style.zone_order(set(upcoming["health_zone"].to_list()))
        if (rate := past.rate_for(zone)) is not None and rate.health_zone == past.whole.health_zone
    ]
    _shrunk = past.whole.kept_usd / past.whole.stayed_usd if past.whole.stayed_usd else None
    _lines = []
    if past.whole.ratio is None:
        _lines.append(
            f"Nothing is expected here: {past.whole.accounts:,} accounts have renewed so far, "
            f"{options.min_group_accounts} are needed. Only what renews is shown."
        )
    elif pooled_zones:
        _lines.append(
            f"{words.sentence(', '.join(pooled_zones))}: too few of them have renewed "
            f"({options.min_group_accounts} accounts are needed), so they are judged by the rate "
            "of all zones. That is too good for a bad zone and too bad for a good one."
        )
    if past.whole.ratio is not None:
        _lines.append(
            "The range holds what few past renewals leave open, and the luck of who leaves: one "
            "large account can be most of it. It does not hold a future that differs from the past."
        )
        _lines.append(
            "An account keeps its ARR or loses it whole. Those that stayed had "
            f"{words.percent(_shrunk)} of their ARR after, growth not counted; that is not in the "
            "expectation."
        )
        _lines.append(
            "The zone is read today, the past was read "
            f"{past.lead_days} days before: for renewals much sooner or later than that, "
            "choose another lead above."
        )
    mo.md(
        "### How to read the expectation\n\n" + "\n".join(f"- {literal(line)}" for line in _lines)
    )
    return (pooled_zones,)


@app.cell(hide_code=True)
def _(expectations, options):
    months = pl.DataFrame(
        [
            (
                one.renewal_month,
                one.accounts,
                one.arr_usd,
                one.at_risk_usd,
                one.expected_usd,
                one.low_usd,
                one.high_usd,
            )
            for one in expectations
            if one.renewal_month is not None
        ],
        schema={
            "renewal_month": pl.Date,
            "accounts": pl.Int64,
            "arr_usd": pl.Float64,
            "at_risk_usd": pl.Float64,
            "expected_usd": pl.Float64,
            "low_usd": pl.Float64,
            "high_usd": pl.Float64,
        },
        orient="row",
    )
    mo.vstack(
        [
            mo.md(
                "## What may stay, month by month\n\nThe bar is what renews, the point what is "
                f"expected to stay, the line its {options.confidence_ratio:.0%} range."
            ),
            study_charts.expected_renewals(months),
            mo.md(
                small_table(
                    ("month", "accounts", "renews", "at risk", "expected", "from", "to"),
                    [
                        (
                            f"{row['renewal_month']:%b %Y}",
                            f"{row['accounts']:,}",
                            *(
                                words.money(row[name])
                                for name in (
                                    "arr_usd",
                                    "at_risk_usd",
                                    "expected_usd",
                                    "low_usd",
                                    "high_usd",
                                )
                            ),
                        )
                        for row in months.iter_rows(named=True)
                    ],
                    right="lrrrrrr",
                )
            ),
        ]
        if months.height
        else [mo.md("")]
    )
    return (months,)


@app.cell(hide_code=True)
def _(upcoming):
    behind = upcoming.drop("account_id", "renewal_month")
    mo.vstack(
        [
            mo.md("## The accounts behind it\n\nSoonest first; sort by a click on a column."),
            mo.ui.table(
                behind,
                selection=None,
                page_size=12,
                show_column_summaries=False,
                show_data_types=False,
                format_mapping=column_formats(
                    behind,
                    health_zone=lambda zone: f"{style.ZONE_MARKS.get(zone, '')} {zone}",
                    score_change_30d=lambda points: words.signed(points, 1),
                ),
            ),
        ]
        if behind.height
        else [mo.md("")]
    )
    return (behind,)


if __name__ == "__main__":
    app.run()
