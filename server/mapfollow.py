"""A newer map when a shard has refused ours: from the catalog, or from what the shard itself said."""

from typing import Final

from router import Fence
from server.mapuse import MapInUse
from server.mapwatch import MapWatch
from shardmap import PinUnit, ShardMap, SlotUnit, read_unit

LEARNED_S: Final = 2.0
"""For the servers of a map that was made of a fence; they are known already."""


class MapFollow:
    """Gets newer maps into use, see `router.following`."""

    def __init__(self, in_use: MapInUse, watch: MapWatch) -> None:
        self._in_use = in_use
        self._watch = watch

    async def newer(self, known: ShardMap, fence: Fence | None, timeout_s: float) -> None:
        """Come back when another map than `known` is in use, or the time is over.

        With the catalog away, where a unit went is learned from the fence that it left behind.
        """
        self._watch.look_now()
        if await self._in_use.changed(known, timeout_s) or not self._watch.away:
            return
        learned = None if fence is None else learned_from(fence, known)
        if learned is not None:
            self._in_use.adopt(learned)
            await self._in_use.changed(known, LEARNED_S)


def learned_from(fence: Fence, known: ShardMap) -> ShardMap | None:
    """The map after the move of which a fence tells; None: it does not tell enough.

    Only if the move is all that happened to the unit since our map: its epoch grew by one. Else a
    tenant may have been pinned or unpinned meanwhile, of which the fence knows nothing.
    """
    unit = read_unit(fence.unit)
    shard = fence.moved_to
    if fence.state != "gone" or shard not in known.shards or unit is None:
        return None
    match unit:
        case PinUnit(tenant) if tenant not in known.pins:
            return None
        case PinUnit() | SlotUnit():
            pass
    if shard is None or fence.epoch != known.unit_epoch(unit) + 1:
        return None
    return known.moved(unit, shard, fence.epoch)
