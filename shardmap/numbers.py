"""The number of each shard: a part of every id that it makes, so no two shards may ever share one.

The map hands numbers out and remembers them for shards that have left. Each server keeps its own
as a function that gives a constant, claimed once and never changed, like its identity.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from shardmap.connection import INSTALL_LOCK, Connection
from shardmap.errors import NumberTaken
from shardmap.ids import ShardId

NUMBERS: Final = range(1, 1024)
"""Ten bits of an id. Widening it would take bits from ids that exist."""
CATALOG_NUMBER: Final = 0
"""The number of a catalog that is no shard: global tables need ids too."""

_PRESENT: Final = """
select exists (
    select from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'fluxshard' and p.proname = 'shard_number'
) as present
"""
"""Read from the table: `to_regprocedure` may answer from before a wait for the lock."""
_NUMBER: Final = "select fluxshard.shard_number() as number"
_CLAIM: Final = """
create schema if not exists fluxshard;
create function fluxshard.shard_number() returns bigint
    language sql immutable parallel safe return {number}::bigint;
comment on function fluxshard.shard_number() is
    'The number of this shard, a part of all ids that it makes. Never changed.';
"""


def numbered(shards: Iterable[ShardId], known: Mapping[ShardId, int]) -> dict[ShardId, int]:
    """The known numbers, and new ones for shards without, above all that were ever given.

    In order of number. A number may be beyond `NUMBERS`: then there are none left.
    """
    numbers = dict(known)
    for shard in sorted(shards):
        if shard not in numbers:
            numbers[shard] = max((*numbers.values(), CATALOG_NUMBER)) + 1
    return dict(sorted(numbers.items(), key=lambda entry: entry[1]))


async def read_number(connection: Connection) -> int | None:
    """The number that the server makes ids with; None when nobody gave it one."""
    present = await connection.fetchrow(_PRESENT)
    if present is None or not present["present"]:
        return None
    row = await connection.fetchrow(_NUMBER)
    return int(row["number"]) if row is not None else None


async def claim_number(connection: Connection, number: int) -> None:
    """Give the server its number, if it has none yet. Safe to race.

    Raises:
        NumberTaken: It makes ids with another number already.
    """
    found = await read_number(connection)
    if found is None:
        async with connection.transaction():
            await connection.fetchrow("select pg_advisory_xact_lock($1)", INSTALL_LOCK)
            found = await read_number(connection)
            if found is None:
                await connection.execute(_CLAIM.format(number=int(number)))
                found = number
    if found != number:
        raise NumberTaken(expected=number, found=found)
