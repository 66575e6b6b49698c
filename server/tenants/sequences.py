"""Sequences after an import: they go on beyond the rows that came, in the steps that they have.

Where sequences step by shard, the numbers of one are never another's. A sequence that is set to a
number of somebody else's steps would go on with theirs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from server.catalog import Session
from server.tenants.measuring import key_is, quoted, quoted_table, see_all
from shardmap import SequenceFact, ShardMap, TableName, TenantId, read_facts

_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})


def beyond(sequence: SequenceFact, furthest: int) -> int | None:
    """The first number of its own at or beyond `furthest`; None when it is beyond already.

    `furthest` is the highest number that the sequence is to leave out, or the lowest one if it counts
    down. A sequence that has no more numbers is set to its end.
    """
    phase = sequence.start if sequence.last is None else sequence.last
    steps = -((phase - furthest) // sequence.increment)
    if steps < 0 or (steps == 0 and sequence.last is not None):
        return None
    return max(sequence.least, min(sequence.most, phase + steps * sequence.increment))


async def raise_sequences(
    session: Session, shard_map: ShardMap, tenant: TenantId, keys: Mapping[TableName, str]
) -> None:
    """Have the sequences of the tables, by their tenant columns, go on beyond the tenant's rows.

    Whoever wants a number of one that is set waits until the transaction ends.
    """
    for sequence in (await read_facts(session, list(keys))).sequences:
        if sequence.type not in _INTEGERS:
            continue
        table = TableName(sequence.table)
        mine, column = key_is(keys[table], shard_map), quoted(sequence.column)
        last = "max" if sequence.increment > 0 else "min"
        await see_all(session, table)
        furthest = await session.fetchval(
            f"select {last}({column})::bigint from {quoted_table(table)} where {mine}"  # noqa: S608 - quoted
            f" and {column} between {sequence.least} and {sequence.most}",
            tenant,
        )
        await session.execute("set local role none")
        if furthest is None or beyond(await _now(session, sequence), furthest) is None:
            continue
        # The same step again: it takes the lock under which nobody draws a number.
        await session.execute(f"alter sequence {sequence.name} increment by {sequence.increment}")
        value = beyond(await _now(session, sequence), furthest)
        if value is not None:
            await session.execute(
                "select pg_catalog.setval($1::text::regclass, $2)", sequence.name, value
            )


async def _now(session: Session, sequence: SequenceFact) -> SequenceFact:
    """Where the sequence stands; one that was restarted begins somewhere else than it was made to."""
    query = f"select last_value, is_called from {sequence.name}"  # noqa: S608 - quoted by PostgreSQL
    row = await session.fetchrow(query)
    if row is None or row["is_called"]:
        return replace(sequence, last=row["last_value"] if row is not None else sequence.last)
    return replace(sequence, start=row["last_value"], last=None)
