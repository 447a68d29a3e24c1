"""Rows as aligned columns of text, for what a terminal shows."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, indented by two; the head first.

    A column of numbers stands to the right: one whose cells all begin as a number or are empty. A
    cell may say "-" for a number that is not known.
    """
    widths = [max(len(line[at]) for line in [head, *rows]) for at in range(len(head))]
    is_number = [
        any(row[at] for row in rows)
        and all(not row[at] or row[at][0].isdigit() or row[at][0] in "-+" for row in rows)
        for at in range(len(head))
    ]
    return [
        "  "
        + "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in [head, *rows]
    ]
