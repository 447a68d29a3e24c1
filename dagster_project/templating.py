"""Template environments that find a row's columns at once.

Jinja asks every value for an attribute first and a key second. Rows are dictionaries, so each cell
of each row of a page would raise and catch an error before it is found.
"""

from __future__ import annotations

from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

# What a dictionary has of itself (`items`): the attribute comes first, as ever.
_ATTRIBUTES = frozenset(dir(dict))


class _RowsFirst(jinja2.Environment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        """The value of `obj.attribute` in a template: the same that Jinja finds."""
        if type(obj) is dict and attribute in obj and attribute not in _ATTRIBUTES:
            return obj[attribute]
        return super().getattr(obj, attribute)


class RowEnvironment(_RowsFirst):
    """Jinja's environment, for the project's own templates."""


class SandboxedRowEnvironment(_RowsFirst, ImmutableSandboxedEnvironment):
    """Jinja's sandbox, for templates that users may change."""
