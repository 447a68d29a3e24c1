import marimo

__generated_with = "0.25.2"

app = marimo.App(width="medium", app_title="Design a rule")


with app.setup(hide_code=True):
    import json

    import marimo as mo
    import polars as pl

    from dagster_project.defs.replay import DEFAULT_DAYS, try_condition
    from dagster_project.errors import ConfigError, CspError
    from dagster_project.expressions import ExpressionError, parse_expression
    from dagster_project.playbooks import load_rules
    from dagster_project.playbooks.ideas import stricter
    from dagster_project.policy import read_gauges
    from dagster_project.reporting import charts, words
    from dagster_project.reporting.published import open_published
    from dagster_project.reporting.showing import literal, small_table
    from dagster_project.settings import load_settings

    # A replay of this many account-days takes seconds; more is begun by a button, not by opening.
    BEGINS_BY_ITSELF = 300_000


@app.cell(hide_code=True)
def _():
    settings = load_settings()
    snapshot = open_published(settings)
    rules = load_rules(settings.rules, read_gauges(settings.seeds))
    mo.md(
        f"""
        # Design a rule

        Take a rule, change its condition, and see what it would have opened over the past
        {DEFAULT_DAYS} days, what it would have left alone, and what followed. Nothing here changes
        a rule, a file or an action: the replay runs on a copy.

        Rules are the files of `playbook_rules`; their format is in its README, and every name a
        condition may use is in its `NAMES.md` and below.
        """
    )
    return rules, settings, snapshot


@app.cell(hide_code=True)
def _(rules, snapshot):
    _opened = dict(
        snapshot.frame(
            """
            select rule_id, count(*) as opened_count
            from playbooks.actions
            where opened_on > $as_of::date - $days::integer and rule_id is not null
            group by rule_id
            order by rule_id
            """,
            days=DEFAULT_DAYS,
        ).rows()
    )
    rulebook = [
        {
            "rule": rule.rule_id,
            "opened": _opened.get(rule.rule_id, 0),
            "playbook": rules.playbooks[rule.playbook_id].name,
            "judged for each": words.words(rule.scope),
            "condition": rule.text or "",
            "signal": rule.signal or "",
            "severity": rule.severity,
        }
        for rule in rules.rules
    ]
    rulebook.sort(key=lambda row: (-row["opened"], row["rule"]))
    # To begin with: the rule that opened most and has a line to move.
    _first = next((row["rule"] for row in rulebook if stricter(row["condition"])), None)
    rule_id = mo.ui.dropdown(
        [row["rule"] for row in rulebook],
        value=_first or rulebook[0]["rule"],
        label="The rule",
        searchable=True,
    )
    mo.vstack(
        [
            mo.md(
                f"## The rules\n\n`opened` counts the actions of the last {DEFAULT_DAYS} days, as "
                "published."
            ),
            mo.ui.table(
                rulebook,
                selection=None,
                page_size=6,
                show_column_summaries=False,
                show_data_types=False,
                wrapped_columns=["condition"],
                column_widths={"condition": 280},
            ),
            rule_id,
        ]
    )
    return rule_id, rulebook


@app.cell(hide_code=True)
def _(rule_id, rules):
    rule = next(one for one in rules.rules if one.rule_id == rule_id.value)
    playbook = rules.playbooks[rule.playbook_id]
    _causes = next(
        (trigger.causes for trigger in playbook.triggers if trigger.rule == rule.rule_id), []
    )
    _facts = [
        ("playbook", f"{playbook.name} ({playbook.id}, {playbook.status})"),
        ("says", rule.why),
        (
            "signal in front of it",
            (rule.signal or "none") + (f": {', '.join(_causes)}" if _causes else ""),
        ),
        ("severity, to be begun within", f"{rule.severity}, {words.plural(rule.sla_days, 'day')}"),
        ("quiet after work", words.plural(rule.cooldown_days, "day")),
        ("must be over for, to close", words.plural(rule.hysteresis_days, "day")),
        ("priority", rule.priority),
    ]
    mo.vstack(
        [
            mo.md(f"## {literal(rule.rule_id)}"),
            mo.md(
                f"```sql\n{rule.text}\n```" if rule.text else "It has a signal and no condition."
            ),
            mo.md(small_table(("setting", "as it is"), _facts)),
        ]
    )
    return playbook, rule


@app.cell(hide_code=True)
def _(rule, rules):
    names = [
        {
            "name": name.name,
            "type": name.type,
            "unit": name.unit,
            "meaning": name.meaning,
            "values": ", ".join(name.values),
        }
        for name in rules.scopes[rule.scope].names.values()
    ]
    _title = f"The {len(names)} names a condition for each {words.words(rule.scope)} may use"
    _table = mo.ui.table(
        names,
        selection=None,
        page_size=10,
        show_column_summaries=False,
        show_data_types=False,
        wrapped_columns=["meaning", "values"],
        column_widths={"meaning": 380},
    )
    mo.accordion({_title: _table})
    return (names,)


@app.cell(hide_code=True)
def _(rule):
    proposed_condition = mo.ui.code_editor(
        value=(stricter(rule.text) if rule.text else None) or rule.text or "true",
        language="sql",
        min_height=60,
        debounce=True,
    )
    mo.vstack(
        [
            mo.md(
                "## Your condition\n\nTo begin with, its first line is a tenth stricter. "
                "Comparisons, `and`, `or`, `not`, `in`, `between`, `is null`; no arithmetic. What "
                "is missing is unknown, never no."
            ),
            proposed_condition,
        ]
    )
    return (proposed_condition,)


@app.cell(hide_code=True)
def _(proposed_condition, rule, rules):
    condition = proposed_condition.value.strip()
    try:
        _used = parse_expression(condition, rules.scopes[rule.scope].names).names
        condition_fault = None
        _shown = mo.md(f"It reads {', '.join(f'`{name}`' for name in _used) or 'nothing'}.")
    except ExpressionError as _error:
        condition_fault = str(_error)
        _shown = mo.callout(mo.md(literal(condition_fault)), kind="danger")
    _shown
    return condition, condition_fault


@app.cell(hide_code=True)
def _(settings, snapshot):
    has_build_file = settings.warehouse.exists()
    account_days = snapshot.frame("select count(*) from marts.fct_account_health_daily").item()
    begins_by_itself = account_days <= BEGINS_BY_ITSELF or "replay" in mo.cli_args()
    replay_button = mo.ui.run_button(label="Replay", disabled=not has_build_file)
    _missing = mo.callout(
        mo.md(
            "**Not here.** A replay needs what the rules read on every past day. The published "
            "file does not hold that; the build file `warehouse/build.duckdb` beside it does, and "
            "this data directory has none. Reading rules and checking a condition work; to replay, "
            "open this notebook where `make run` (or `csp run`) has run, with `CSP_DATA_DIR` "
            "naming its data directory."
        ),
        kind="warn",
    )
    _large = mo.md(
        f"The history here is large ({account_days:,} account-days), so the replay begins when you "
        "press the button, and takes minutes. As a script: "
        "`python notebooks/design_a_rule.py --replay yes`."
    )
    mo.vstack(
        [
            mo.md("## The replay"),
            *([] if has_build_file else [_missing]),
            *([] if begins_by_itself or not has_build_file else [_large, replay_button]),
        ]
    )
    return account_days, begins_by_itself, has_build_file, replay_button


@app.cell(hide_code=True)
def _(
    begins_by_itself,
    condition,
    condition_fault,
    has_build_file,
    replay_button,
    rule,
    settings,
):
    trial = None
    _said = ""
    if not has_build_file or condition_fault is not None:
        pass
    elif begins_by_itself or replay_button.value:
        try:
            with mo.status.spinner(title="Replaying both rules over the past"):
                trial = try_condition(settings, rule.rule_id, condition)
        except (CspError, ConfigError) as _error:
            _said = mo.callout(mo.md(literal(_error)), kind="danger")
    _said or mo.md("")
    return (trial,)


@app.cell(hide_code=True)
def _(trial):
    mo.stop(trial is None)
    _old, _new, _diff = trial.in_force, trial.proposed, trial.diff
    _days = _old.range
    _change = len(_new.openings) - len(_old.openings)
    openings_by_week = pl.DataFrame(
        [
            (old.week_on, old.opened, new.opened)
            for old, new in zip(_old.weeks, _new.weeks, strict=True)
        ],
        schema={"week_on": pl.Date, "in_force": pl.Int64, "proposed": pl.Int64},
        orient="row",
    )
    mo.vstack(
        [
            mo.md(
                literal(
                    f"{words.day(_days.from_date)} to {words.day(_days.to_date)}, judged from "
                    f"{words.day(_days.history_from)} on, each as if it had always been in force."
                )
            ),
            mo.hstack(
                [
                    mo.stat(
                        f"{len(_old.openings):,}",
                        label="the rule in force opens",
                        caption=f"in {DEFAULT_DAYS} days",
                        bordered=True,
                    ),
                    mo.stat(
                        f"{len(_new.openings):,}",
                        label="yours opens",
                        caption=f"{words.signed(_change)} against it",
                        bordered=True,
                    ),
                    mo.stat(
                        f"{_diff.standing_only_new:,}",
                        label="new on the first night",
                        caption="open at the end with yours only",
                        bordered=True,
                    ),
                ],
                widths="equal",
                wrap=True,
            ),
            charts.two_sides_by_week(openings_by_week)
            if len(_old.openings) + len(_new.openings)
            else mo.md("Neither opens anything in this time."),
        ]
    )
    return (openings_by_week,)


@app.cell(hide_code=True)
def _(playbook, trial):
    mo.stop(trial is None)
    _diff = trial.diff
    _moved = [row for row in _diff.counts if row[1] != row[2]]
    _lines = [
        f"{_diff.same:,} openings of all rules stay as they are, "
        f"{len(_diff.moved):,} move to another day, {len(_diff.only_old):,} go, "
        f"{len(_diff.only_new):,} come.",
        "Rules hold each other back (one piece of work at a time, rest after work), so a change of "
        "one moves others, too.",
    ]
    mo.vstack(
        [
            mo.md("### What is different\n\n" + "\n".join(f"- {literal(line)}" for line in _lines)),
            mo.md(
                small_table(
                    ("playbook", "in force", "with yours", "change"),
                    [
                        (
                            name + (" (this one)" if name == playbook.id else ""),
                            f"{before:,}",
                            f"{after:,}",
                            words.signed(after - before),
                        )
                        for name, before, after in _moved
                    ],
                    right="lrrr",
                )
                if _moved
                else "No playbook opens more or fewer actions."
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(trial):
    mo.stop(trial is None)

    def _rows(found):
        return [
            {
                "day": str(one.opening.opened_on),
                "account": one.opening.account_name or one.opening.account_id,
                "rule": one.opening.rule_id,
                "ended": one.opening.close_reason or "open",
                "why": one.opening.why,
                "the other side": one.why_not,
            }
            for one in found
        ]

    only_in_force, only_proposed = _rows(trial.diff.only_old), _rows(trial.diff.only_new)

    def _list(rows, nothing):
        if not rows:
            return mo.md(nothing)
        return mo.ui.table(
            rows,
            selection=None,
            page_size=5,
            show_column_summaries=False,
            show_data_types=False,
            wrapped_columns=["why", "the other side"],
            column_widths={"why": 250, "the other side": 200},
        )

    mo.vstack(
        [
            mo.md("### Opened only by the rules in force"),
            _list(only_in_force, "Nothing."),
            mo.md("### Opened only with your condition"),
            _list(only_proposed, "Nothing."),
        ]
    )
    return only_in_force, only_proposed


@app.cell(hide_code=True)
def _(trial):
    mo.stop(trial is None)

    def _share(part, whole):
        return f"{part:,} of {whole:,} ({words.percent(part / whole)})" if whole else "–"

    followed = [
        (
            side,
            words.plural(one.horizon_days, "day"),
            one.openings,
            one.judged,
            _share(one.churned, one.judged),
            words.percent(one.base_churn_ratio, 1),
            "–" if one.churn_lift is None else f"{one.churn_lift:.1f}×",
            _share(one.recovered, one.recovery_judged),
            _share(one.left_after_opening, one.left),
        )
        for side, result in (("in force", trial.in_force), ("yours", trial.proposed))
        for one in result.followed
    ]
    _judged = any(one.judged for one in (*trial.in_force.followed, *trial.proposed.followed))
    mo.vstack(
        [
            mo.md(
                "### What followed\n\nOf the openings whose time is over: who left, against any "
                "customer on any day (base) and how many times that is; who got into a better zone "
                f"and stayed {words.plural(trial.in_force.confirm_days, 'day')}; and of those who "
                "left in the range, how many the rule had opened for before."
            ),
            mo.md(
                small_table(
                    (
                        "rule",
                        "within",
                        "openings",
                        "judged",
                        "left",
                        "base",
                        "lift",
                        "recovered",
                        "leavers seen before",
                    ),
                    followed,
                    right="llrrrrrrr",
                )
            ),
            mo.md(
                "Small numbers: a handful of openings proves neither rule. An opening is followed "
                "by work, too, so this is no test of cause; `csp effect` and a `holdout_ratio` are."
                if _judged
                else "No opening is old enough to be judged: the range ends too close to the last "
                "day. `csp replay` with an earlier `--to` judges more."
            ),
        ]
    )
    return (followed,)


@app.cell(hide_code=True)
def _(condition, rule, trial):
    mo.stop(trial is None)
    _file = f"playbook_rules/{rule.playbook_id}.yml"
    _tests = [f"{fault.message} ({fault.file}, line {fault.line})" for fault in trial.tests]
    mo.vstack(
        [
            mo.md(f"## To put it in force\n\nIn `{_file}`, under the rule `{rule.rule_id}`:"),
            mo.md(f"```yaml\ncondition: {json.dumps(condition, ensure_ascii=False)}\n```"),
            mo.md(
                "Raise its `version`"
                + (", mend the inline tests that now say otherwise" if _tests else "")
                + ", run `csp check`, and compare the whole folder once more with "
                "`csp rules-diff HEAD playbook_rules`."
                + "".join(f"\n- {literal(text)}" for text in _tests)
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
