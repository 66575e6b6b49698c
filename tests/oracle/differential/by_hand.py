"""Statements written by hand, one a line, as cases beside the generated ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .keys import WHOLE
from .statements import Case
from .tenancy import Mode
from .tree import piece

_LINE = re.compile(r"(?P<caller>s|\d)(?P<json>j?) (?P<sql>.+)")
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b")
_ORDERED = re.compile(r"\sORDER BY [^()]*$")


def cases_of(path: Path) -> Iterator[Case]:
    """The cases of a file; the order of an answer counts when ORDER BY ends the statement."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        sql = found["sql"]
        service = found["caller"] == "s"
        marks: dict[str, tuple[str, ...]] = {"ordered": ()} if _ORDERED.search(sql) else {}
        yield Case(
            number=number,
            mode=Mode.ACROSS if service else Mode.TENANT,
            tenant=1 if service else int(found["caller"]),
            keys=WHOLE,
            part=piece(sql, **marks),
            writes=_WRITES.search(sql) is not None,
            json=found["json"] != "",
            attack=False,
            service=False,
        )
