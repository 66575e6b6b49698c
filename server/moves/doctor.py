"""`fluxshard doctor`: every server asked for what moves have left behind. Changes nothing."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import asyncpg

from server.moves.errors import MoveAway
from server.moves.examining import Ailment, ailments
from server.moves.journal import Journal
from server.moves.sessions import Places
from shardmap import ShardId

SCRIPT: Final = files("server.moves").joinpath("doctor.sql").read_text()


async def examine(places: Places) -> tuple[Ailment, ...]:
    """What is not as it should be; a server that does not answer is one of the ailments.

    Raises:
        MoveAway: The catalog does not answer.
    """
    moves = await Journal(places, "doctor").all()
    found: dict[ShardId, Sequence[asyncpg.Record]] = {}
    away = []
    for shard in places.shard_map.shards:
        try:
            async with places.primary(shard) as session:
                found[shard] = await session.fetch(SCRIPT)
        except MoveAway as error:
            away.append(
                Ailment(shard, f"was not examined: {error}", "run it again when it answers")
            )
    return (*away, *ailments(places.shard_map, moves, found))
