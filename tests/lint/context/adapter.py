"""What sqlfluff's Jinja finds where dbt has its adapter: no warehouse, so no relation."""

from collections.abc import Callable


def get_relation(*_: object, **__: object) -> None:
    """No table is there while a file is only read."""


def dispatch(name: str, *_: object) -> Callable[..., str]:
    """A stand-in for a dispatched macro: a call by its name."""
    return lambda *arguments: f"{name}({', '.join(str(argument) for argument in arguments)})"
