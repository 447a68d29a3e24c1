"""The closed grammar: what it accepts, what it refuses and where; text never becomes SQL."""

from __future__ import annotations

import operator
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.expressions import (
    Expression,
    ExpressionError,
    Name,
    Names,
    parse_expression,
    quote_identifier,
    quote_text,
)

NAMES = Names(
    [
        Name("score", "number", "points 0-100", "health score", column="health_score"),
        Name("seats", "number"),
        Name("owner", "text"),
        Name("zone", "text", values=("green", "yellow", "orange", "red")),
        Name("opened_on", "date"),
        Name("closed_on", "date"),
        Name("seen_at", "timestamp"),
        Name("is_paused", "boolean"),
        Name("Odd name", "text"),
    ]
)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        """
        create table facts (
            health_score double, seats bigint, owner varchar, zone varchar, opened_on date,
            closed_on date, seen_at timestamp, is_paused boolean, "Odd name" varchar
        )
        """
    )
    return connection


def value_of(con: duckdb.DuckDBPyConnection, expression: Expression, **row: Any) -> Any:
    columns = {
        "health_score": "double",
        "seats": "bigint",
        "owner": "varchar",
        "zone": "varchar",
        "opened_on": "date",
        "closed_on": "date",
        "seen_at": "timestamp",
        "is_paused": "boolean",
        "Odd name": "varchar",
    }
    given_row = {**dict.fromkeys(columns), **row}
    casts = ", ".join(f'cast(? as {type_}) as "{name}"' for name, type_ in columns.items())
    answer = con.execute(
        f"select {expression.sql('f')} from (select {casts}) as f",
        [given_row[name] for name in columns],
    ).fetchone()
    assert answer is not None
    return answer[0]


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("zone == 'red'", {"zone": "red"}, True),
        ("zone = 'red'", {"zone": "green"}, False),
        ("zone != 'red'", {"zone": None}, None),
        ("score < 70", {"health_score": 69.999}, True),
        ("score < 70", {"health_score": 70.0}, False),
        ("score < 70 or is_paused", {"is_paused": True}, True),
        ("score < 70 and is_paused", {"is_paused": True}, None),
        ("not is_paused", {"is_paused": False}, True),
        ("zone in ('red', 'orange')", {"zone": "orange"}, True),
        ("zone not in ('red', 'orange')", {"zone": "green"}, True),
        ("seats between 1 and 5", {"seats": 5}, True),
        ("seats not between -5 and 5", {"seats": 6}, True),
        ("score is null", {}, True),
        ("score is not null", {}, False),
        ("opened_on >= '2024-02-29'", {"opened_on": date(2024, 2, 29)}, True),
        ("opened_on > date '2024-02-29'", {"opened_on": date(2024, 2, 29)}, False),
        ("opened_on <= closed_on", {"opened_on": date(2024, 1, 1)}, None),
        ("seats = 1 and (zone = 'red' or is_paused)", {"seats": 2, "is_paused": True}, False),
        ("seats = 1 and zone = 'red' or is_paused", {"seats": 2, "is_paused": True}, True),
        ("\"Odd name\" = 'it''s'", {"Odd name": "it's"}, True),
        ("seen_at >= '2024-01-01'", {"seen_at": datetime.fromisoformat("2024-01-01")}, True),
    ],
)
def test_conditions_judge_in_three_values(
    con: duckdb.DuckDBPyConnection, text: str, row: dict[str, Any], expected: bool | None
) -> None:
    assert value_of(con, parse_expression(text, NAMES), **row) is expected


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("seats * 12 + 1", {"seats": 2}, 25),
        ("score / seats", {"health_score": 50.0, "seats": 4}, 12.5),
        ("score / seats", {"health_score": 50.0, "seats": 0}, None),
        ("opened_on + 30", {"opened_on": date(2024, 1, 1)}, date(2024, 1, 31)),
        (
            "closed_on - opened_on",
            {"opened_on": date(2024, 1, 1), "closed_on": date(2024, 3, 1)},
            60,
        ),
        (
            "add_hours(seen_at, 1.5)",
            {"seen_at": datetime.fromisoformat("2024-01-01")},
            datetime.fromisoformat("2024-01-01T01:30"),
        ),
        ("cast(owner as date)", {"owner": "2024-01-31"}, date(2024, 1, 31)),
        ("cast(owner as date)", {"owner": "soon"}, None),
        ("owner::decimal(18, 2) * 2", {"owner": "10.25"}, 20.5),
        ("case when seats > 10 then 'big' when seats > 0 then 'small' end", {"seats": 3}, "small"),
        ("case owner when 'urgent' then 'critical' else owner end", {"owner": "low"}, "low"),
        ("coalesce(closed_on, opened_on)", {"opened_on": date(2024, 1, 1)}, date(2024, 1, 1)),
        ("concat(lower(owner), '-', zone)", {"owner": "A", "zone": "red"}, "a-red"),
        ("owner || '-' || zone", {"owner": "A"}, None),
        ("nullif(trim(owner), '')", {"owner": "  "}, None),
        (
            "cast(seen_at as date)",
            {"seen_at": datetime.fromisoformat("2024-05-06T07:00")},
            date(2024, 5, 6),
        ),
    ],
)
def test_derived_columns(
    con: duckdb.DuckDBPyConnection, text: str, row: dict[str, Any], expected: Any
) -> None:
    assert (
        value_of(con, parse_expression(text, NAMES, result=None, derived=True), **row) == expected
    )


@pytest.mark.parametrize(
    ("text", "message", "column", "mend"),
    [
        ("scor < 70", "unknown name `scor`", 1, "did you mean `score`?"),
        ("is_paused or zone = 'gren'", "`zone` is never 'gren'", 21, "did you mean 'green'?"),
        ("opened_on > 3", "a date is compared with a number", 1, ""),
        ("opened_on > 'soon'", "'soon' is not a date", 13, "write 'YYYY-MM-DD'"),
        ("opened_on > '2023-02-29'", "'2023-02-29' is not a date", 13, "write 'YYYY-MM-DD'"),
        ("score = null", "null cannot be compared", 1, "write `is null` or `is not null`"),
        ("seats + 1 > 2", "'+' is not part of the grammar", 7, "published name"),
        ("is_paused > true", "yes and no have no order", 1, "write = or <>"),
        ("seats in (score)", "`in` takes literals only", 11, ""),
        ("seats in (select 1)", "`in` takes a list of literals", 1, "write in ('a', 'b')"),
        ("score", "the expression gives a number, a boolean is needed", 1, "comparison"),
        ("now() > opened_on", "'NOW()' is not part of the grammar", 1, ""),
        ("seats = 1; drop table facts", "';' is not part of the grammar", 10, ""),
        ("seats = 1 -- really", "comments are not part of the grammar", 9, ""),
        ("owner = 'a' 'b'", "two texts stand side by side", 13, ""),
        ("is_paused is true", "`is` stands before null only", 1, "`= true`"),
        ("f.seats = 1", "'.' is not part of the grammar", 2, ""),
        ("", "the expression is empty", 1, ""),
        ("seats <", "cannot be parsed", 7, ""),
        ("drop table facts", "'DROP TABLE facts' is not part of the grammar", 12, ""),
        ("(" * 1000 + "is_paused" + ")" * 1000, "nested too deeply", 1, "several rules"),
    ],
)
def test_refusals_name_the_place_and_the_mend(
    text: str, message: str, column: int, mend: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, NAMES)
    assert message in caught.value.message
    assert caught.value.column == column
    assert mend in caught.value.mend


def test_positions_count_lines() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression("is_paused\n  and scoer < 70", NAMES)
    assert (caught.value.line, caught.value.column) == (2, 7)


def test_needed_names_leave_out_null_tests() -> None:
    expression = parse_expression("closed_on is null and (score < 70 or seats = 0)", NAMES)
    assert expression.names == ("closed_on", "score", "seats")
    assert expression.needed_names == ("score", "seats")
    assert expression.columns == ("closed_on", "health_score", "seats")


def test_functions_are_refused_in_conditions_and_unknown_ones_everywhere() -> None:
    with pytest.raises(ExpressionError, match="not part of the grammar"):
        parse_expression("lower(owner) = 'a'", NAMES)
    with pytest.raises(ExpressionError, match="read_csv"):
        parse_expression("read_csv('x') = 'a'", NAMES, derived=True)
    with pytest.raises(ExpressionError, match="cannot cast to json"):
        parse_expression("cast(owner as json)", NAMES, derived=True, result=None)


def test_a_name_published_twice_is_a_fault() -> None:
    with pytest.raises(ValueError, match="twice"):
        Names([Name("a", "number"), Name("a", "text")])


# -- fuzz -------------------------------------------------------------------------------------

FRAGMENTS = [
    *("score", "seats", "owner", "zone", "opened_on", "is_paused", "closed_on", '"Odd name"'),
    *("'", "''", '"', "(", ")", ",", ";", "--", "/*", "*/", "=", "==", "<", ">", "<>", "-", "+"),
    *("*", "/", "||", "::", "and", "or", "not", "in", "between", "is", "null", "select", "from"),
    *("facts", "union", "drop table facts", "1", "2.5", "'red'", "'2024-01-01'", "date", "case"),
    *("when", "then", "end", "else", "true", "$$", "$1", "?", "{", "[", "]", ".", "\\", "\n", " "),
    *("cast(", "as", "coalesce(", "lower(", "exists", "copy", "attach", "E'", "%", "@", "#", "0x1"),
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=12).map(" ".join), st.booleans())
def test_any_text_is_refused_or_stays_one_plain_expression(text: str, derived: bool) -> None:
    try:
        expression = parse_expression(text, NAMES, result=None, derived=derived)
    except ExpressionError:
        return
    con = duckdb.connect(config={"enable_external_access": "false"})
    con.execute(
        "create table facts (health_score double, seats bigint, owner varchar, zone varchar,"
        " opened_on date, closed_on date, seen_at timestamp, is_paused boolean,"
        ' "Odd name" varchar)'
    )
    query = f"select {expression.sql('f')} as answer from facts as f"
    assert len(con.extract_statements(query)) == 1
    assert con.execute(query).fetchall() == []
    assert set(expression.names) <= set(NAMES)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_a_literal_comes_back_as_the_same_text(text: str) -> None:
    written = "owner = '" + text.replace("'", "''") + "'"
    expression = parse_expression(written, NAMES)
    assert value_of(duckdb.connect(), expression, owner=text) is True
    assert value_of(duckdb.connect(), expression, owner=text + "x") is False


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30))
def test_quoting_keeps_any_name_and_text(text: str) -> None:
    answer = duckdb.connect().execute(
        f"select {quote_text(text)}, inside.{quote_identifier(text)}"
        f" from (select 7 as {quote_identifier(text)}) as inside"
    )
    assert answer.fetchall() == [(text, 7)]


VARIABLES = ("score", "seats", "is_paused")
Row = dict[str, Any]


def _three_and(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _three_or(left: bool | None, right: bool | None) -> bool | None:
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
}

# A condition as (text, evaluator): the evaluator is an independent model of the semantics.
Condition = tuple[str, Any]


def _comparison(parts: tuple[str, str, int]) -> Condition:
    name, sign, number = parts

    def evaluate(row: Row) -> bool | None:
        value = row[name]
        return None if value is None else bool(_COMPARE[sign](value, number))

    return f"{name} {sign} {number}", evaluate


def _null_test(parts: tuple[str, bool]) -> Condition:
    name, negated = parts
    word = "is not null" if negated else "is null"
    return f"{name} {word}", lambda row: (row[name] is None) != negated


def _negate(part: Condition) -> Condition:
    def evaluate(row: Row) -> bool | None:
        value = part[1](row)
        return None if value is None else not value

    return f"not ({part[0]})", evaluate


def _join(parts: tuple[Condition, str, Condition, bool]) -> Condition:
    left, word, right, spaced = parts
    combine = _three_and if word == "and" else _three_or
    text = f"({left[0]}) {word} ({right[0]})"
    return (f"({text})" if spaced else text), lambda row: combine(left[1](row), right[1](row))


LEAVES = st.one_of(
    st.tuples(
        st.sampled_from(["score", "seats"]), st.sampled_from(sorted(_COMPARE)), st.integers(-3, 3)
    ).map(_comparison),
    st.tuples(st.sampled_from(VARIABLES), st.booleans()).map(_null_test),
    st.just(("is_paused", lambda row: row["is_paused"])),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(_negate),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner, st.booleans()).map(_join),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    CONDITIONS,
    st.fixed_dictionaries(
        {
            "score": st.none() | st.integers(-3, 3),
            "seats": st.none() | st.integers(-3, 3),
            "is_paused": st.none() | st.booleans(),
        }
    ),
)
def test_compiled_sql_agrees_with_a_plain_model(condition: Condition, row: Row) -> None:
    text, evaluate = condition
    expression = parse_expression(text, NAMES)
    answer = value_of(
        duckdb.connect(),
        expression,
        health_score=row["score"],
        seats=row["seats"],
        is_paused=row["is_paused"],
    )
    assert answer is evaluate(row)
