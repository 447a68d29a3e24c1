"""The part of a Markdown file that belongs to people, kept byte for byte through every rewrite.

Belongs here: finding the marked block and putting it into a new text. A file without exactly one
whole block is refused: nobody could say what is whose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BEGIN = b"<!-- people: begin (what stands between these two lines is yours and stays) -->"
END = b"<!-- people: end -->"
# The words in the brackets are for the reader; somebody may have shortened them.
_MARK = re.compile(rb"^[ \t]*<!--[ \t]*people:[ \t]*(begin|end)\b[^\r\n]*-->[ \t]*\r?$", re.M)


class BrokenBlockError(Exception):
    """The markers of a file are missing, doubled or out of order; the text says where."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"line {line}: {message}")


@dataclass(frozen=True)
class Parts:
    """A file cut in three: before the block, the block (the lines between the markers), after."""

    before: bytes
    block: bytes
    after: bytes

    @property
    def own(self) -> bytes:
        """What is not people's, with line ends made equal: an editor may have changed them all."""
        return (self.before + self.after).replace(b"\r\n", b"\n")


def split(content: bytes) -> Parts:
    """Cut a file at its markers; the marker lines belong to `before` and `after`.

    Raises:
        BrokenBlockError: there is not exactly one begin followed by one end.
    """
    marks = list(_MARK.finditer(content))
    kinds = [mark.group(1) for mark in marks]
    if kinds != [b"begin", b"end"]:
        if not marks:
            raise BrokenBlockError(1, "the lines `<!-- people: begin -->` and `end` are missing")
        wrong = marks[-1] if len(marks) > 2 else marks[0]
        line = content.count(b"\n", 0, wrong.start()) + 1
        found = ", ".join(kind.decode() for kind in kinds)
        raise BrokenBlockError(line, f"expected one begin and one end of people's part: {found}")
    start = content.find(b"\n", marks[0].start()) + 1
    # The end marker may share no line with the block: its own line starts after a line end.
    return Parts(content[:start], content[start : marks[1].start()], content[marks[1].start() :])


def merge(new: bytes, current: bytes) -> bytes:
    """The new text with the current file's block in it.

    Raises:
        BrokenBlockError: the current file's markers are broken.
    """
    fresh = split(new)
    return fresh.before + split(current).block + fresh.after
