"""Moves as the journal has them, for tests of what is decided about them."""

from server.moves import Move, State
from shardmap import Pin, ShardId, TenantId
from tests.unit.shardmap.maps import A, B, two_shards


def a_map(slots=(), **pins):
    """Slots are at home on A, the listed ones on B; `t7="shard_1"` is a pin of tenant 7."""
    return two_shards(
        slots=tuple(B if slot in slots else A for slot in range(4096)),
        pins={TenantId(key[1:]): Pin(ShardId(shard)) for key, shard in pins.items()},
    )


def a_move(*units, number=1, state=State.COPYING, tenants=()):
    return Move(
        id=number,
        token="t",
        cluster_id="c",
        units=units,
        tenants=tuple(tenants),
        source=A,
        target=B,
        state=state,
        max_pause_s=0.5,
    )
