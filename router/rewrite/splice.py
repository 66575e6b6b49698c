"""Edits of a statement's text by offsets: what the caller wrote stays as it was written.

Rendering a tree changes names (`now()` becomes CURRENT_TIMESTAMP), and with them JSON keys, so
text is never rendered; pieces are put into it.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Edit(NamedTuple):
    """Replace the characters [start, end) by `text`; an insertion has start == end."""

    start: int
    end: int
    text: str


def splice(sql: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made. Edits must not overlap; insertions keep their order."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        if edit.start < at:
            raise AssertionError("edits overlap")
        pieces.append(sql[at : edit.start])
        pieces.append(edit.text)
        at = edit.end
    pieces.append(sql[at:])
    return "".join(pieces)


def insertion(offset: int, text: str) -> Edit:
    """An edit that only adds."""
    return Edit(offset, offset, text)
