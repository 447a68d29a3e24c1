"""The one closed expression grammar: rules, source mappings and stage criteria all use it.

Belongs here: names and their types, parsing, type checking, compilation to SQL. Does not belong
here: what a rule or a mapping is, and any execution.
"""

from __future__ import annotations

from dagster_project.expressions.compiler import (
    Expression,
    ExpressionError,
    parse_expression,
    quote_identifier,
    quote_text,
    to_sql,
)
from dagster_project.expressions.names import Name, Names, ValueType

__all__ = [
    "Expression",
    "ExpressionError",
    "Name",
    "Names",
    "ValueType",
    "parse_expression",
    "quote_identifier",
    "quote_text",
    "to_sql",
]
