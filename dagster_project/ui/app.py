"""The dashboard: a marimo app over the published file. Cells choose; the pages are elsewhere."""

# Cells are functions that marimo calls: it passes their names, shows their last expression.
# ruff: noqa: B018, N803, PLC0415, PLR0917, PLR1711
# mypy: allow-untyped-defs, allow-untyped-calls
import marimo

app = marimo.App(width="full", app_title="Customer success")


@app.cell
def _():
    import marimo as mo

    from dagster_project.errors import CspError
    from dagster_project.reporting.dashboard import account, html, portfolio, quality, rules
    from dagster_project.reporting.dashboard import timeline as story
    from dagster_project.settings import Settings
    from dagster_project.ui import session as sessions

    query = mo.query_params()
    here = sessions.begin(Settings(), query.to_dict())
    mo.Html(html.style_element() + sessions.masthead(here))
    return CspError, account, here, html, mo, portfolio, quality, query, rules, sessions, story


@app.cell
def _(here, mo):
    mo.stop(here.publication is not None)
    mo.Html(here.fault)
    return


@app.cell
def _(here, html, mo, query):
    mo.stop(here.publication is None)
    get_account, set_account = mo.state(here.account_id)
    get_rule, set_rule = mo.state(here.rule_id)
    _labels = html.page_labels()

    def _turn(label):
        query["page"] = _labels[label]

    turned = mo.ui.tabs(
        dict.fromkeys(_labels, ""), value=html.page_label(here.page), on_change=_turn
    )
    mo.Html(html.landmark("Pages", turned, tag="nav", style="csp-pages"))
    return get_account, get_rule, set_account, set_rule, turned


@app.cell
def _(here, html, mo, turned):
    mo.stop(here.publication is None)
    page = html.page_labels()[turned.value or html.page_label(here.page)]
    return (page,)


@app.cell
def _(here, mo):
    mo.stop(here.publication is None)
    clock = mo.ui.refresh(default_interval="60s")
    mo.Html(f'<div class="csp-quiet">{clock}</div>')
    return (clock,)


@app.cell
def _(clock, here, mo, sessions):
    clock.value
    mo.Html(sessions.news(here))
    return


# Portfolio


@app.cell
def _(here, html, mo, page):
    mo.stop(page != "portfolio")
    day = mo.ui.date(
        start=here.file.first_on, stop=here.file.as_of, value=here.file.as_of, label="Day"
    )
    mo.Html(html.landmark("Day", day.right()))
    return (day,)


@app.cell
def _(day, here, mo, portfolio):
    mo.Html(portfolio.portfolio_page(here.file, day.value))
    return


@app.cell
def _(day, here, html, mo, portfolio):
    _all = portfolio.accounts(here.file, day.value)
    _owners = portfolio.owners(_all)
    find = mo.ui.text(label="Find", placeholder="name, id, region", debounce=250)
    zones = mo.ui.multiselect(portfolio.zones(_all), label="Zones")
    tiers = mo.ui.multiselect(portfolio.values(_all, "tier"), label="Tiers")
    stage = mo.ui.dropdown(portfolio.values(_all, "mean_stage"), label="Mean stage")
    owner = mo.ui.dropdown(_owners, label="Owner", searchable=True)
    order = mo.ui.dropdown(
        list(portfolio.ORDERS), value="Lowest score", label="Order", allow_select_none=False
    )
    mo.Html(
        html.landmark(
            "Choose accounts",
            mo.hstack([find, zones, tiers, stage, owner, order], justify="start", wrap=True, gap=1),
        )
    )
    return find, order, owner, stage, tiers, zones


@app.cell
def _(day, find, here, html, mo, order, owner, portfolio, stage, tiers, zones):
    choice = portfolio.Choice(
        text=find.value,
        zones=zones.value,
        tiers=tiers.value,
        owner=owner.value,
        stage=stage.value,
        order=order.value,
    )
    pages = portfolio.page_count(
        portfolio.chosen(portfolio.accounts(here.file, day.value), choice).height
    )
    leaf = mo.ui.number(start=1, stop=pages, step=1, value=1, label=f"Page of {pages}")
    mo.Html(html.landmark("Page of the list", leaf)) if pages > 1 else None
    return choice, leaf


@app.cell
def _(choice, day, here, leaf, mo, portfolio):
    mo.Html(portfolio.account_list(here.file, day.value, choice, int(leaf.value or 1)))
    return


# Account


@app.cell
def _(account, get_account, here, html, mo, page, query, set_account):
    mo.stop(page != "account" or get_account() is None)
    _names = account.account_names(here.file)
    _labels = {account_id: label for label, account_id in _names.items()}

    def _choose(account_id):
        query["account"] = account_id
        set_account(account_id)

    _pick = mo.ui.dropdown(
        _names,
        value=_labels[get_account()],
        label="Account",
        searchable=True,
        allow_select_none=False,
        on_change=_choose,
    )
    mo.Html(html.landmark("Choose an account", _pick))
    return


@app.cell
def _(account, get_account, here, mo, page):
    mo.stop(page != "account" or get_account() is None)
    mo.Html(account.account_page(here.file, get_account(), here.file.as_of))
    return


@app.cell
def _(get_account, here, html, mo, page, sessions):
    mo.stop(page != "account" or get_account() is None)
    between = sessions.ledger_days(here, get_account())
    mo.stop(between is None)
    before = mo.ui.date(
        start=between[0], stop=between[1], value=sessions.looked_back(between), label="Changed from"
    )
    until = mo.ui.date(start=between[0], stop=between[1], value=between[1], label="to")
    mo.Html(
        html.landmark(
            "Choose two days", mo.hstack([before, until], justify="start", wrap=True, gap=1)
        )
    )
    return before, until


@app.cell
def _(account, before, get_account, here, mo, until):
    mo.Html(account.ledger_page(here.file, get_account(), before.value, until.value))
    return


@app.cell
def _(account, get_account, here, mo, page):
    mo.stop(page != "account" or get_account() is None)
    mo.Html(
        account.stages_page(here.file, get_account())
        + account.calls_page(here.file, get_account())
        + account.actions_page(here.file, get_account())
    )
    return


@app.cell
def _(html, mo, page, story):
    mo.stop(page != "account")
    kinds = mo.ui.multiselect(
        {title: kind for kind, title in story.KINDS.items()},
        value=[story.KINDS[kind] for kind in story.FIRST_SHOWN],
        label="What happened",
    )
    span = mo.ui.dropdown(
        story.SPANS, value="Half a year", label="in the last", allow_select_none=False
    )
    mo.Html(
        html.landmark("Choose events", mo.hstack([kinds, span], justify="start", wrap=True, gap=1))
    )
    return kinds, span


@app.cell
def _(get_account, here, kinds, mo, span, story):
    mo.Html(
        story.timeline_page(
            here.file,
            get_account(),
            kinds=kinds.value,
            since=story.since(here.file.as_of, span.value),
        )
    )
    return


# Rules


@app.cell
def _(get_rule, here, html, mo, page, query, rules, set_rule):
    mo.stop(page != "rules")
    _labels = {
        rule_id: f"{rule_id} ({rule.playbook_name})"
        for rule_id, rule in rules.rules(here.file).items()
    }

    def _pick(rule_id):
        query["rule"] = rule_id or ""
        set_rule(rule_id)

    _picker = mo.ui.dropdown(
        {label: rule_id for rule_id, label in _labels.items()},
        value=_labels.get(get_rule()),
        label="Rule",
        searchable=True,
        on_change=_pick,
    )
    mo.Html(html.landmark("Choose a rule", _picker))
    return


@app.cell
def _(get_rule, here, mo, page, rules):
    mo.stop(page != "rules" or get_rule() is not None)
    mo.Html(rules.rule_list(here.file))
    return


@app.cell
def _(get_rule, here, html, mo, page, rules):
    mo.stop(page != "rules" or get_rule() is None)
    _first, _last = rules.default_range(here.file)
    since = mo.ui.date(
        start=here.file.first_on, stop=here.file.as_of, value=_first, label="Episodes from"
    )
    upto = mo.ui.date(start=here.file.first_on, stop=here.file.as_of, value=_last, label="to")
    mo.Html(
        html.landmark("Choose days", mo.hstack([since, upto], justify="start", wrap=True, gap=1))
    )
    return since, upto


@app.cell
def _(get_rule, here, mo, rules, since, upto):
    mo.Html(rules.rule_page(here.file, get_rule(), since=since.value, until=upto.value))
    return


@app.cell
def _(get_rule, here, html, mo, page, rules):
    mo.stop(page != "rules" or get_rule() is None)
    in_force = rules.rules(here.file)[get_rule()].condition or ""
    wording = mo.ui.text_area(
        value=in_force, label="Condition to try", rows=3, full_width=True, debounce=True
    )
    replay = mo.ui.run_button(label="Replay these days")
    mo.Html(
        html.render("try.html.jinja", label="About the replay")
        + html.landmark("Condition and replay", mo.vstack([wording, replay]))
    )
    return in_force, replay, wording


@app.cell
def _(CspError, get_rule, here, in_force, mo, replay, since, upto, wording):
    mo.stop(not replay.value)
    # Dagster takes seconds to import; only who replays pays for it.
    from dagster_project.ui import trial as trials

    _edited = wording.value if wording.value.strip() != in_force.strip() else None
    with mo.status.spinner(title="Replaying on a copy of the build file"):
        try:
            _found = trials.trial_page(
                here.file,
                trials.try_rule(
                    here.settings,
                    get_rule(),
                    _edited,
                    since=since.value,
                    until=upto.value,
                ),
            )
        except CspError as error:
            _found = trials.trial_refused(error)
    mo.Html(_found)
    return


# Data quality


@app.cell
def _(here, mo, page, quality):
    mo.stop(page != "data")
    mo.Html(quality.quality_page(here.file))
    return


if __name__ == "__main__":
    app.run()
