"""Globally unique values are kept: within the open transactions of a write, before it commits."""

from collections.abc import Awaitable, Callable, Sequence

from router.commit.participant import Participant
from router.commit.uniques import by_shard, changes, entries_of_shard
from shardmap import ShardId, ShardMap

Seat = Callable[[ShardId], Awaitable[Participant]]


async def keep_unique(
    seats: list[Participant], names: Sequence[str], shard_map: ShardMap, seat: Seat
) -> None:
    """Take and give back the values that the parts on these seats have noted.

    Shards that keep values and have no part are added to the seats. One after the other, in order
    of shards and values: of two writes that want the same values, one waits for the other's end.

    Raises:
        UniqueNotGuarded: A part noted nothing of one of these names.
        StatementFailed: 23505, when a value is another row's.
        RouterError: A shard cannot take part.
    """
    notes = [await part.notes() for part in seats]
    known = {part.shard: part for part in seats}
    found = changes(notes, names)
    for shard, steps in by_shard(found, shard_map).items():
        keeper = known.get(shard)
        if keeper is None:
            keeper = await seat(shard)
            seats.append(keeper)
        await keeper.keep(steps, entries_of_shard(found, shard_map, shard))
