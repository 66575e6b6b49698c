"""Sequences of the group's tables: at the new home they go on above what the old home gave.

Rows are numbered within their tenant (rule 8), so numbers that collide are those of the tenant's own
rows. Sequences with steps of their own never meet and are left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from server.moves.sessions import Session
from shardmap import Facts, TableName, read_facts

HEAD_ROOM: Final = 10_000
"""Numbers left free above the last one: what the old home gives until the cutover."""

_LASTS: Final = """\
SELECT name, pg_catalog.pg_sequence_last_value(name::pg_catalog.regclass) AS last
FROM pg_catalog.unnest($1::text[]) AS name"""


@dataclass(frozen=True, slots=True)
class Pair:
    """A sequence of the old home and the one of the new home that numbers the same column."""

    old: str
    new: str
    increment: int
    least: int
    most: int


def pairs(old: Facts, new: Facts) -> tuple[Pair, ...]:
    """The sequences that may give the same number on both sides."""
    others = {(one.table, one.column): one for one in old.sequences}
    found = []
    for one in new.sequences:
        other = others.get((one.table, one.column))
        if other is None or other.increment != one.increment:
            continue
        if (other.start - one.start) % one.increment == 0:
            found.append(Pair(other.name, one.name, one.increment, one.least, one.most))
    return tuple(found)


def wanted(pair: Pair, old: int | None, new: int | None) -> int | None:
    """How far the new home's sequence has to be set; None when it is beyond the old one's already."""
    if old is None:
        return None
    if new is not None and (new >= old if pair.increment > 0 else new <= old):
        return None
    return max(pair.least, min(pair.most, old + HEAD_ROOM * pair.increment))


async def sequence_pairs(
    old: Session, new: Session, tables: Sequence[TableName]
) -> tuple[Pair, ...]:
    """As `pairs`, asked of the servers."""
    return pairs(await read_facts(old, tables), await read_facts(new, tables))


async def raise_sequences(old: Session, new: Session, found: Sequence[Pair]) -> None:
    """Set those of the new home beyond those of the old one. Safe to repeat; two queries if nothing is to do."""
    if not found:
        return
    olds = await _lasts(old, [pair.old for pair in found])
    news = await _lasts(new, [pair.new for pair in found])
    for pair in found:
        if wanted(pair, olds[pair.old], news[pair.new]) is None:
            continue
        async with new.transaction():
            # The same step again: it takes the lock under which nobody draws a number.
            await new.execute(f"ALTER SEQUENCE {pair.new} INCREMENT BY {pair.increment}")
            now = await _lasts(new, [pair.new])
            value = wanted(pair, olds[pair.old], now[pair.new])
            if value is not None:
                await new.execute(
                    "SELECT pg_catalog.setval($1::pg_catalog.regclass, $2)", pair.new, value
                )


async def _lasts(session: Session, names: Sequence[str]) -> Mapping[str, int | None]:
    rows = await session.fetch(_LASTS, names)
    return {row["name"]: row["last"] for row in rows}
