"""The quicker way to a row's columns finds what Jinja finds."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dagster_project.templating import RowEnvironment, SandboxedRowEnvironment


class Thing:
    name = "attribute"


@pytest.mark.parametrize(
    "value",
    [
        {"name": "key"},
        {"items": "key", "name": None},
        {"keys": 1, "__class__": "key"},
        {},
        Thing(),
        [1],
        "text",
    ],
)
@pytest.mark.parametrize("attribute", ["name", "items", "keys", "__class__", "missing", "format"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RowEnvironment, jinja2.Environment),
        (SandboxedRowEnvironment, ImmutableSandboxedEnvironment),
    ],
)
def test_a_name_in_a_template_means_what_it_means_in_jinja(
    value: Any,
    attribute: str,
    ours: type[jinja2.Environment],
    theirs: type[jinja2.Environment],
) -> None:
    name = f"row.{attribute}"
    text = f"{{{{ {name} is defined }}}} {{{{ {name} is callable }}}}"
    text += f"{{% if {name} is string %}}{{{{ {name} }}}}{{% endif %}}"
    shown = []
    for environment in (ours, theirs):
        try:
            shown.append(environment().from_string(text).render(row=value))
        except jinja2.TemplateError as error:
            shown.append(f"{type(error).__name__}: {error}")
    assert shown[0] == shown[1]
