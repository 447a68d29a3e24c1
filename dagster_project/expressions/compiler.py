"""Text to a typed, closed expression, and from there to SQL.

sqlglot parses; what is not on the short list below is refused. The SQL is generated from a tree
built anew from checked parts: identifiers always quoted, literals always quoted by sqlglot, so no
piece of the text reaches the engine as SQL. Missing values follow SQL's three-valued logic: NULL
means unknown, never no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dagster_project.expressions.names import Names, ValueType, nearest

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token

MAX_TEXT_LENGTH = 4_000
MAX_DEPTH = 100

_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_SYMBOLS = frozenset({"(", ")", ",", "=", "==", "<>", "!=", "<", "<=", ">", ">=", "-"})
_DERIVED_SYMBOLS = _PLAIN_SYMBOLS | {"+", "*", "/", "||", "::"}

# Cast targets: the word written -> (type in the grammar, SQL type).
_CASTS: dict[str, tuple[ValueType, str]] = {
    "DATE": ("date", "DATE"),
    "TIMESTAMP": ("timestamp", "TIMESTAMP"),
    "BOOLEAN": ("boolean", "BOOLEAN"),
    "TEXT": ("text", "VARCHAR"),
    "VARCHAR": ("text", "VARCHAR"),
    "INT": ("number", "INTEGER"),
    "BIGINT": ("number", "BIGINT"),
    "DOUBLE": ("number", "DOUBLE"),
    "DECIMAL": ("number", "DECIMAL(18,4)"),
}

_COMPARISONS: dict[type[exp.Expr], tuple[type[exp.Binary], bool]] = {
    exp.EQ: (exp.EQ, False),
    exp.NEQ: (exp.NEQ, False),
    exp.LT: (exp.LT, True),
    exp.LTE: (exp.LTE, True),
    exp.GT: (exp.GT, True),
    exp.GTE: (exp.GTE, True),
}

_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
}


class ExpressionError(ValueError):
    """An expression that the grammar refuses.

    `line` and `column` are 1-based positions in the expression's own text; `mend` says what to
    write instead (may be empty).
    """

    def __init__(self, message: str, *, line: int = 1, column: int = 1, mend: str = "") -> None:
        self.message = message
        self.line = line
        self.column = column
        self.mend = mend
        place = f"column {column}" if line == 1 else f"line {line}, column {column}"
        super().__init__(f"{message} (at {place})" + (f"; {mend}" if mend else ""))


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    `names` are the published names it reads, in order of first use. `needed_names` leaves out
    those that are only tested with `is null`: when the result is unknown, the ones of these that
    are NULL are what was missing. `columns` are the SQL columns behind `names`.
    """

    text: str
    type: ValueType
    names: tuple[str, ...]
    needed_names: tuple[str, ...]
    columns: tuple[str, ...]
    _build: Callable[[str | None], exp.Expr] = field(repr=False, compare=False)

    def sql(self, alias: str | None = None) -> str:
        """DuckDB SQL of this expression, in parentheses; `alias` qualifies every column."""
        return f"({self._build(alias).sql(dialect='duckdb')})"


def to_sql(expression: Expression, alias: str | None = None) -> str:
    """DuckDB SQL of a checked expression; see `Expression.sql`."""
    return expression.sql(alias)


def quote_identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")


def quote_text(text: str) -> str:
    """`text` as a quoted SQL string literal."""
    return exp.Literal.string(text).sql(dialect="duckdb")


def parse_expression(
    text: str,
    names: Names,
    *,
    result: ValueType | None = "boolean",
    derived: bool = False,
) -> Expression:
    """Parse and type-check `text` over `names`.

    Conditions have comparisons (`=` or `==`, `<>` or `!=`, `<`, `<=`, `>`, `>=`), `and`, `or`,
    `not`, `in (literals)`, `between`, `is null`, `is not null`, literals and names. With `derived`
    also arithmetic, `case`, `cast` and a few functions. `result` is the type the whole must have;
    None accepts any. Raises ExpressionError with the position and, for names, the nearest one.
    """
    checker = _Checker(text, names, derived)
    typed = checker.check()
    if result is not None and typed.type != result:
        if typed.type == "null":
            raise ExpressionError("the whole expression is null", mend=f"write a {result}")
        raise ExpressionError(
            f"the expression gives a {typed.type}, a {result} is needed",
            mend="write a comparison" if result == "boolean" else f"cast it to a {result}",
        )
    if typed.type == "null":
        raise ExpressionError("the whole expression is null")
    return Expression(
        text=text,
        type=_as_value_type(typed.type),
        names=tuple(checker.used),
        needed_names=tuple(name for name in checker.used if name in checker.needed),
        columns=tuple(dict.fromkeys(names[name].sql_column for name in checker.used)),
        _build=typed.build,
    )


def _as_value_type(type_: str) -> ValueType:
    match type_:
        case "number" | "text" | "date" | "timestamp" | "boolean":
            return type_
        case _:
            raise ExpressionError(f"no value has the type {type_}")


_Build = Callable[[str | None], exp.Expr]


@dataclass(frozen=True)
class _Typed:
    """A checked part: its type (a ValueType, or `null`), its builder, and its literal text."""

    type: str
    build: _Build
    literal: str | None = None
    name: str | None = None


_ATOMS = frozenset(
    {
        exp.Anonymous,
        exp.Boolean,
        exp.Cast,
        exp.Column,
        exp.Literal,
        exp.Null,
        exp.Paren,
        exp.TryCast,
    }
)


def _wrap(node: exp.Expr) -> exp.Expr:
    """The node in parentheses unless it is an atom, so that precedence never depends on order."""
    return node if type(node) in _ATOMS else exp.Paren(this=node)


def _binary(kind: type[exp.Expr], left: _Typed, right: _Typed) -> _Build:
    return lambda alias: kind(this=_wrap(left.build(alias)), expression=_wrap(right.build(alias)))


def _call(function: str, *parts: _Typed) -> _Build:
    return lambda alias: exp.Anonymous(
        this=function, expressions=[part.build(alias) for part in parts]
    )


def _cast(part: _Typed, sql_type: str) -> _Build:
    # A value that cannot be read becomes NULL: one bad cell never stops the other rows.
    return lambda alias: exp.TryCast(
        this=part.build(alias), to=exp.DataType.build(sql_type, dialect="duckdb")
    )


class _Checker:
    """One pass over one text: checks every node and builds the typed tree."""

    def __init__(self, text: str, names: Names, derived: bool) -> None:
        self.text = text
        self.names = names
        self.derived = derived
        self.used: dict[str, None] = {}
        self.needed: set[str] = set()
        self._depth = 0
        self._in_null_test = False

    # -- from text to a tree -----------------------------------------------------------------

    def check(self) -> _Typed:
        if not self.text.strip():
            raise ExpressionError("the expression is empty")
        if len(self.text) > MAX_TEXT_LENGTH:
            raise ExpressionError(f"longer than {MAX_TEXT_LENGTH} characters")
        self._check_tokens()
        try:
            trees = sqlglot.parse(self.text, dialect="duckdb")
        except SqlglotError as error:
            raise self._syntax_error(error) from None
        except RecursionError:
            raise self._too_deep() from None
        if len(trees) != 1 or trees[0] is None:
            raise ExpressionError("exactly one expression is allowed")
        try:
            return self._visit(trees[0])
        except RecursionError:
            raise self._too_deep() from None

    def _check_tokens(self) -> None:
        """Refuse any mark outside the grammar before the parser can give it a meaning."""
        try:
            tokens = sqlglot.tokenize(self.text, dialect="duckdb")
        except SqlglotError as error:
            raise ExpressionError(f"cannot be read: {_first_line(error)}") from None
        before = ""
        for token in tokens:
            kind = token.token_type.name
            message, mend = self._token_fault(token, kind)
            if kind == "STRING" and before == kind:
                message = "two texts stand side by side"
            if message:
                raise self._error(message, token.start, mend)
            before = kind

    def _token_fault(self, token: Token, kind: str) -> tuple[str, str]:
        """What is wrong with one token and how to mend it; empty when nothing is."""
        written = self.text[token.start : token.end + 1]
        message, mend = "", ""
        if token.comments:
            message = "comments are not part of the grammar"
        elif kind == "STRING":
            if not written.startswith("'"):
                message = "write text in single quotes"
            elif any(ord(mark) < 32 and mark not in "\t\n" for mark in token.text):
                message = "a text holds a control character"
        elif kind == "IDENTIFIER":
            if not written.startswith('"'):
                message = 'quote a name with "…"'
        elif kind == "NUMBER":
            if not _NUMBER.fullmatch(written):
                message = f"{written!r} is not a plain number"
        elif not _WORD.fullmatch(written):
            allowed = _DERIVED_SYMBOLS if self.derived else _PLAIN_SYMBOLS
            if written not in allowed:
                message = f"{written!r} is not part of the grammar"
                if written in _DERIVED_SYMBOLS:
                    mend = "conditions hold no arithmetic; use a published name that has it"
        return message, mend

    def _position(self, offset: int) -> tuple[int, int]:
        before = self.text[: max(offset, 0)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1

    def _error(self, message: str, offset: int, mend: str = "") -> ExpressionError:
        line, column = self._position(offset)
        return ExpressionError(message, line=line, column=column, mend=mend)

    def _too_deep(self) -> ExpressionError:
        return ExpressionError("nested too deeply", mend="split it into several rules")

    def _syntax_error(self, error: SqlglotError) -> ExpressionError:
        details = getattr(error, "errors", None) or [{}]
        line, column = details[0].get("line") or 1, details[0].get("col") or 1
        highlight = details[0].get("highlight") or ""
        near = f" near {highlight!r}" if highlight.strip() else ""
        return ExpressionError(f"cannot be parsed{near}", line=line, column=column)

    def _at(self, node: exp.Expr, message: str, mend: str = "") -> ExpressionError:
        offsets = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        return self._error(message, min(offsets, default=0), mend)

    # -- the grammar --------------------------------------------------------------------------

    def _visit(self, node: exp.Expr) -> _Typed:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep()
        try:
            return self._dispatch(node)
        finally:
            self._depth -= 1

    def _dispatch(self, node: exp.Expr) -> _Typed:  # noqa: PLR0911 - one return per construct
        kind = type(node)
        if kind is exp.Paren:
            return self._visit(node.this)
        if kind is exp.Column:
            return self._name(node)
        if kind is exp.Literal:
            return self._literal(node)
        if kind is exp.Boolean:
            value = bool(node.this)
            return _Typed("boolean", lambda _: exp.Boolean(this=value))
        if kind is exp.Neg:
            return self._negative(node)
        if kind in (exp.And, exp.Or):
            return self._logic(node)
        if kind is exp.Not:
            part = self._boolean(node.this)
            return _Typed("boolean", lambda alias: exp.Not(this=_wrap(part.build(alias))))
        if kind in _COMPARISONS:
            return self._comparison(node)
        if kind is exp.Between:
            return self._between(node)
        if kind is exp.In:
            return self._in(node)
        if kind is exp.Is:
            return self._is(node)
        if self._is_date_literal(node):
            return self._date_literal(node.this)
        return self._derived(node)

    def _refusal(self, node: exp.Expr) -> ExpressionError:
        written = node.sql(dialect="duckdb")
        shown = written if len(written) <= 40 else written[:37] + "..."
        if isinstance(node, exp.Null):
            return self._at(node, "null cannot be compared", "write `is null` or `is not null`")
        return self._at(node, f"{shown!r} is not part of the grammar")

    def _name(self, node: exp.Expr) -> _Typed:
        identifier = node.this
        if not isinstance(identifier, exp.Identifier) or node.args.get("table") is not None:
            raise self._at(node, f"{node.sql(dialect='duckdb')!r} is not a published name")
        wanted = str(identifier.this)
        if wanted not in self.names:
            near = self.names.nearest(wanted)
            mend = f"did you mean `{near}`?" if near else "see the list of published names"
            raise self._at(node, f"unknown name `{wanted}`", mend)
        name = self.names[wanted]
        self.used.setdefault(wanted)
        if not self._in_null_test:
            self.needed.add(wanted)
        column = name.sql_column
        return _Typed(
            name.type, lambda alias: exp.column(column, table=alias, quoted=True), name=wanted
        )

    def _literal(self, node: exp.Expr) -> _Typed:
        text = str(node.this)
        if node.is_string:
            return _Typed("text", lambda _: exp.Literal.string(text), literal=text)
        return _Typed("number", lambda _: exp.Literal.number(text), literal=text)

    def _negative(self, node: exp.Expr) -> _Typed:
        part = self._visit(node.this)
        if part.type != "number" or (part.literal is None and not self.derived):
            raise self._at(node, "a minus sign stands before a number")
        literal = None if part.literal is None else f"-{part.literal}"
        return _Typed(
            "number", lambda alias: exp.Paren(this=exp.Neg(this=_wrap(part.build(alias)))), literal
        )

    def _is_date_literal(self, node: exp.Expr) -> bool:
        """Whether the node is `date '…'` (which the parser reads as a cast of a text)."""
        if type(node) is not exp.Cast or not isinstance(node.this, exp.Literal):
            return False
        if node.args["to"].this is not exp.DataType.Type.DATE or not node.this.is_string:
            return False
        start = node.this.meta.get("start", 0)
        return bool(re.search(r"\bdate\s*$", self.text[:start], flags=re.IGNORECASE))

    def _date_literal(self, node: exp.Expr) -> _Typed:
        text = str(node.this)
        try:
            value = date.fromisoformat(text)
        except ValueError:
            value = None
        if value is None or value.isoformat() != text:
            raise self._at(node, f"{text!r} is not a date", "write 'YYYY-MM-DD'")
        return _Typed(
            "date",
            lambda _: exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("DATE")),
            literal=text,
        )

    def _boolean(self, node: exp.Expr) -> _Typed:
        part = self._visit(node)
        if part.type != "boolean":
            raise self._at(node, f"a {part.type} stands where yes or no is needed")
        return part

    def _logic(self, node: exp.Expr) -> _Typed:
        # `a and b and c` leans left; walking it by hand keeps long lists from counting as depth.
        kind = type(node)
        parts: list[exp.Expr] = []
        rest: exp.Expr = node
        while type(rest) is kind:
            parts.append(rest.expression)
            rest = rest.this
        parts.append(rest)
        checked = [self._boolean(part) for part in reversed(parts)]

        def build(alias: str | None) -> exp.Expr:
            tree = _wrap(checked[0].build(alias))
            for part in checked[1:]:
                tree = kind(this=tree, expression=_wrap(part.build(alias)))
            return tree

        return _Typed("boolean", build)

    def _pair(self, left_node: exp.Expr, right_node: exp.Expr) -> tuple[_Typed, _Typed]:
        """Two parts of one type; a text literal beside a date is read as a date."""
        for node in (left_node, right_node):
            if type(node) is exp.Null:
                raise self._refusal(node)
        left, right = self._visit(left_node), self._visit(right_node)
        right = self._coerce(right, right_node, left.type)
        left = self._coerce(left, left_node, right.type)
        if left.type != right.type:
            raise self._at(left_node, f"a {left.type} is compared with a {right.type}")
        self._check_value(left, right, right_node)
        self._check_value(right, left, left_node)
        return left, right

    def _coerce(self, part: _Typed, node: exp.Expr, wanted: str) -> _Typed:
        inner = node.unnest()
        is_text_literal = part.type == "text" and isinstance(inner, exp.Literal)
        if is_text_literal and wanted == "date":
            return self._date_literal(inner)
        if is_text_literal and wanted == "timestamp":
            day = self._date_literal(inner)
            return _Typed("timestamp", _cast(day, "TIMESTAMP"), literal=day.literal)
        return part

    def _check_value(self, name: _Typed, value: _Typed, node: exp.Expr) -> None:
        if name.name is None or value.literal is None or name.type != "text":
            return
        allowed = self.names[name.name].values
        if allowed and value.literal not in allowed:
            near = nearest(value.literal, allowed)
            mend = f"did you mean '{near}'?" if near else f"one of {', '.join(allowed)}"
            raise self._at(node, f"`{name.name}` is never {value.literal!r}", mend)

    def _comparison(self, node: exp.Expr) -> _Typed:
        kind, is_ordered = _COMPARISONS[type(node)]
        left, right = self._pair(node.this, node.expression)
        if is_ordered and left.type == "boolean":
            raise self._at(node, "yes and no have no order", "write = or <>")
        return _Typed("boolean", _binary(kind, left, right))

    def _between(self, node: exp.Expr) -> _Typed:
        if node.args.get("symmetric"):
            raise self._refusal(node)
        value, low = self._pair(node.this, node.args["low"])
        _, high = self._pair(node.this, node.args["high"])
        if value.type == "boolean":
            raise self._at(node, "yes and no have no order", "write = or <>")
        return _Typed(
            "boolean",
            lambda alias: exp.Between(
                this=_wrap(value.build(alias)),
                low=_wrap(low.build(alias)),
                high=_wrap(high.build(alias)),
            ),
        )

    def _in(self, node: exp.Expr) -> _Typed:
        extra = [key for key, value in node.args.items() if value and key != "expressions"]
        if extra != ["this"] or not node.expressions:
            raise self._at(node, "`in` takes a list of literals", "write in ('a', 'b')")
        members: list[_Typed] = []
        for member in node.expressions:
            value, part = self._pair(node.this, member)
            if part.literal is None and part.type != "boolean":
                raise self._at(member, "`in` takes literals only")
            members.append(part)
        return _Typed(
            "boolean",
            lambda alias: exp.In(
                this=_wrap(value.build(alias)), expressions=[part.build(alias) for part in members]
            ),
        )

    def _is(self, node: exp.Expr) -> _Typed:
        if type(node.expression) is not exp.Null:
            raise self._at(node, "`is` stands before null only", "write `= true` or `= false`")
        outer, self._in_null_test = self._in_null_test, True
        try:
            part = self._visit(node.this)
        finally:
            self._in_null_test = outer
        return _Typed(
            "boolean",
            lambda alias: exp.Is(this=_wrap(part.build(alias)), expression=exp.Null()),
        )

    # -- derived columns ----------------------------------------------------------------------

    def _derived(self, node: exp.Expr) -> _Typed:
        construct = _CONSTRUCTS.get(type(node)) if self.derived else None
        if construct is not None:
            return construct(self, node)
        if not self.derived or not isinstance(node, exp.Func):
            raise self._refusal(node)
        function = str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()
        own = _OWN_FUNCTIONS.get(function.lower())
        if own is None:
            raise self._at(
                node,
                f"the function {function.lower()} is not part of the grammar",
                "known: " + ", ".join(sorted(FUNCTION_NAMES)),
            )
        return self._own_function(node, *own)

    def _typed_part(self, node: exp.Expr, wanted: str) -> _Typed:
        part = self._coerce(self._visit(node), node, wanted)
        if part.type not in (wanted, "null"):
            raise self._at(node, f"a {part.type} stands where a {wanted} is needed")
        return part

    def _arithmetic(self, node: exp.Expr) -> _Typed:
        sign = _ARITHMETIC[type(node)]
        left, right = self._visit(node.this), self._visit(node.expression)
        if sign == "-":
            left = self._coerce(left, node.this, right.type)
            right = self._coerce(right, node.expression, left.type)
        types = (left.type, right.type)
        if types == ("number", "number"):
            if sign == "/":
                # A division by nothing is unknown, not an error and not infinity.
                return _Typed(
                    "number",
                    lambda alias: exp.Div(
                        this=exp.Cast(this=left.build(alias), to=exp.DataType.build("DOUBLE")),
                        expression=exp.Nullif(
                            this=right.build(alias), expression=exp.Literal.number(0)
                        ),
                    ),
                )
            return _Typed("number", _binary(type(node), left, right))
        if sign in "+-" and types == ("date", "number"):
            days = _Typed("number", _cast(right, "INTEGER"))
            return _Typed("date", _binary(type(node), left, days))
        if sign == "-" and types == ("date", "date"):
            return _Typed("number", _days_between(right, left))
        raise self._at(node, f"{left.type} {sign} {right.type} has no meaning")

    def _unify(
        self, parts: Sequence[_Typed], nodes: Sequence[exp.Expr]
    ) -> tuple[str, list[_Typed]]:
        """One type for alternatives; text literals beside dates are read as dates."""
        known = {part.type for part in parts if part.type != "null"}
        for wanted in ("date", "timestamp"):
            if wanted in known:
                parts = [
                    self._coerce(part, node, wanted)
                    for part, node in zip(parts, nodes, strict=True)
                ]
        known = {part.type for part in parts if part.type != "null"}
        if len(known) > 1:
            raise self._at(nodes[0], f"alternatives differ in type: {', '.join(sorted(known))}")
        return (known.pop() if known else "null"), list(parts)

    def _case(self, node: exp.Expr) -> _Typed:
        subject = node.this
        whens: list[_Typed] = []
        value_nodes: list[exp.Expr] = []
        for branch in node.args["ifs"]:
            if subject is None:
                whens.append(self._boolean(branch.this))
            else:
                whens.append(_Typed("boolean", _binary(exp.EQ, *self._pair(subject, branch.this))))
            value_nodes.append(branch.args["true"])
        default = node.args.get("default")
        if default is not None:
            value_nodes.append(default)
        type_, values = self._unify([self._visit(value) for value in value_nodes], value_nodes)
        last = values[len(whens)] if default is not None else None

        def build(alias: str | None) -> exp.Expr:
            ifs = [
                exp.If(this=when.build(alias), true=value.build(alias))
                for when, value in zip(whens, values, strict=False)
            ]
            return exp.Case(ifs=ifs, default=None if last is None else last.build(alias))

        return _Typed(type_, build)

    def _cast_node(self, node: exp.Expr) -> _Typed:
        target = node.args["to"]
        known = _CASTS.get(target.sql(dialect="duckdb").split("(")[0])
        if known is None:
            raise self._at(
                node,
                f"cannot cast to {target.sql(dialect='duckdb').lower()}",
                "known: " + ", ".join(sorted(word.lower() for word in _CASTS)),
            )
        type_, sql_type = known
        if target.expressions:
            sql_type = self._decimal(target, sql_type)
        return _Typed(type_, _cast(self._visit(node.this), sql_type))

    def _decimal(self, target: exp.Expr, sql_type: str) -> str:
        sizes = [part.this.name for part in target.expressions]
        is_plain = all(size.isdigit() for size in sizes) and len(sizes) == 2
        if not sql_type.startswith("DECIMAL") or not is_plain:
            raise self._at(target, "only decimal takes sizes", "write decimal(18, 2)")
        width, scale = (int(size) for size in sizes)
        if not 1 <= width <= 38 or scale > width:
            raise self._at(target, f"decimal({width}, {scale}) does not exist")
        return f"DECIMAL({width},{scale})"

    def _concat(self, nodes: Sequence[exp.Expr]) -> _Typed:
        parts = [self._typed_part(node, "text") for node in nodes]

        # Joined with ||, so that a missing part makes the whole missing: half a key is no key.
        def build(alias: str | None) -> exp.Expr:
            tree = _wrap(parts[0].build(alias))
            for part in parts[1:]:
                tree = exp.DPipe(this=tree, expression=_wrap(part.build(alias)), safe=True)
            return exp.Paren(this=tree)

        return _Typed("text", build)

    def _same_type(self, node: exp.Expr, function: str) -> _Typed:
        nodes = [node.this, *node.expressions]
        if isinstance(node, exp.Nullif):
            nodes = [node.this, node.expression]
        type_, parts = self._unify([self._visit(part) for part in nodes], nodes)
        return _Typed(type_, _call(function, *parts))

    def _text_function(self, node: exp.Expr, function: str) -> _Typed:
        self._only(node, {"this"})
        return _Typed("text", _call(function, self._typed_part(node.this, "text")))

    def _abs(self, node: exp.Expr) -> _Typed:
        return _Typed("number", _call("abs", self._typed_part(node.this, "number")))

    def _round(self, node: exp.Expr) -> _Typed:
        self._only(node, {"this", "decimals"})
        value = self._typed_part(node.this, "number")
        digits = node.args.get("decimals")
        if digits is None:
            return _Typed("number", _call("round", value))
        if not isinstance(digits, exp.Literal) or not str(digits.this).isdigit():
            raise self._at(node, "round takes a whole number of digits")
        return _Typed("number", _call("round", value, self._literal(digits)))

    def _replace(self, node: exp.Expr) -> _Typed:
        nodes = [node.this, node.expression, node.args.get("replacement")]
        if any(part is None for part in nodes):
            raise self._at(node, "replace takes three texts")
        parts = [self._typed_part(part, "text") for part in nodes if part is not None]
        return _Typed("text", _call("replace", *parts))

    def _split_part(self, node: exp.Expr) -> _Typed:
        index = node.args.get("part_index")
        delimiter = node.args.get("delimiter")
        if index is None or delimiter is None:
            raise self._at(node, "split_part takes a text, a delimiter and a number")
        return _Typed(
            "text",
            _call(
                "split_part",
                self._typed_part(node.this, "text"),
                self._typed_part(delimiter, "text"),
                self._typed_part(index, "number"),
            ),
        )

    def _only(self, node: exp.Expr, allowed: set[str]) -> None:
        if any(value for key, value in node.args.items() if key not in allowed):
            raise self._refusal(node)

    def _own_function(self, node: exp.Expr, types: tuple[str, ...], make: _OwnMaker) -> _Typed:
        if len(node.expressions) != len(types):
            raise self._at(node, f"{node.this} takes {len(types)} values")
        parts = [
            self._typed_part(part, wanted)
            for part, wanted in zip(node.expressions, types, strict=True)
        ]
        return make(*parts)


_OwnMaker = Callable[..., _Typed]


def _days_between(earlier: _Typed, later: _Typed) -> _Build:
    return lambda alias: exp.Anonymous(
        this="date_diff",
        expressions=[exp.Literal.string("day"), earlier.build(alias), later.build(alias)],
    )


def _make_add_days(day: _Typed, count: _Typed) -> _Typed:
    return _Typed("date", _binary(exp.Add, day, _Typed("number", _cast(count, "INTEGER"))))


def _make_add_time(unit_microseconds: int) -> _OwnMaker:
    # Counted in whole microseconds, so that 1.5 hours is exact.
    def make(moment: _Typed, count: _Typed) -> _Typed:
        factor = _Typed("number", lambda _: exp.Literal.number(unit_microseconds))
        product = _Typed("number", _binary(exp.Mul, count, factor))
        micros = _Typed("number", _cast(_Typed("number", _call("round", product)), "BIGINT"))
        return _Typed(
            "timestamp",
            _binary(exp.Add, moment, _Typed("number", _call("to_microseconds", micros))),
        )

    return make


def _make_days_between(earlier: _Typed, later: _Typed) -> _Typed:
    return _Typed("number", _days_between(earlier, later))


_CONSTRUCTS: dict[type[exp.Expr], Callable[[_Checker, exp.Expr], _Typed]] = {
    exp.Null: lambda checker, node: _Typed("null", lambda _: exp.Null()),
    exp.Case: lambda checker, node: checker._case(node),
    exp.Cast: lambda checker, node: checker._cast_node(node),
    exp.TryCast: lambda checker, node: checker._cast_node(node),
    exp.DPipe: lambda checker, node: checker._concat([node.this, node.expression]),
    exp.Concat: lambda checker, node: checker._concat(node.expressions),
    **dict.fromkeys(_ARITHMETIC, lambda checker, node: checker._arithmetic(node)),
    exp.Coalesce: lambda checker, node: checker._same_type(node, "coalesce"),
    exp.Greatest: lambda checker, node: checker._same_type(node, "greatest"),
    exp.Least: lambda checker, node: checker._same_type(node, "least"),
    exp.Nullif: lambda checker, node: checker._same_type(node, "nullif"),
    exp.Lower: lambda checker, node: checker._text_function(node, "lower"),
    exp.Upper: lambda checker, node: checker._text_function(node, "upper"),
    exp.Trim: lambda checker, node: checker._text_function(node, "trim"),
    exp.Abs: lambda checker, node: checker._abs(node),
    exp.Round: lambda checker, node: checker._round(node),
    exp.Replace: lambda checker, node: checker._replace(node),
    exp.SplitPart: lambda checker, node: checker._split_part(node),
}

_OWN_FUNCTIONS: dict[str, tuple[tuple[str, ...], _OwnMaker]] = {
    "add_days": (("date", "number"), _make_add_days),
    "add_hours": (("timestamp", "number"), _make_add_time(3_600_000_000)),
    "add_minutes": (("timestamp", "number"), _make_add_time(60_000_000)),
    "days_between": (("date", "date"), _make_days_between),
}

FUNCTION_NAMES: tuple[str, ...] = (
    "abs",
    "cast",
    "coalesce",
    "concat",
    "greatest",
    "least",
    "lower",
    "nullif",
    "replace",
    "round",
    "split_part",
    "trim",
    "upper",
    *_OWN_FUNCTIONS,
)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
