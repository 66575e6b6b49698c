"""What the endpoints of a shard prove on demand: who shows a moment, who is primary since then."""

import asyncio
import time
from collections.abc import Collection
from typing import Protocol

from router.live.choice import Chooser
from router.live.freshness import Position
from router.live.history import ShardHistory
from router.live.live_endpoint import LiveEndpoint


class Witnesses(Protocol):
    """The endpoints of one shard."""

    members: tuple[LiveEndpoint, ...]
    history: ShardHistory
    chooser: Chooser

    def candidates(self, now: float, excluded: Collection[int]) -> list[int]:
        """The replicas that may answer, but for freshness."""
        ...

    def primary(self) -> LiveEndpoint | None:
        """The primary, if there is one now."""
        ...

    def beyond(self, floor: Position) -> bool:
        """Whether a promotion may have left behind what the floor stands for."""
        ...


def reader_as_of(
    group: Witnesses, moment: float, floor: Position | None, excluded: Collection[int] = ()
) -> LiveEndpoint | None:
    """A replica known to show everything that was committed before the moment, if there is one.

    And everything up to the floor.
    """
    if floor is not None and floor.timeline < group.history.timeline and group.beyond(floor):
        return None
    among = [
        index
        for index in group.candidates(time.monotonic(), excluded)
        if (as_of := group.members[index].standing.as_of) is not None and as_of >= moment
    ]
    chosen = group.chooser.choose(among, floor)
    return group.members[chosen] if chosen is not None else None


def primary_as_of(group: Witnesses, moment: float) -> LiveEndpoint | None:
    """The primary, if a probe that began after the moment found it to be that."""
    primary = group.primary()
    return primary if primary is not None and primary.standing.proved_at >= moment else None


def ask(group: Witnesses) -> "set[asyncio.Future[None]]":
    """Probe every endpoint that is not known to be down; done with the probe of each."""
    return {member.monitor.ask() for member in group.members if member.standing.alive}


def demand_proof(group: Witnesses) -> None:
    """Let replicas answer only when they have reached where the primary is from now on."""
    group.history.demand_proof(time.monotonic())
    for member in group.members:
        member.monitor.touch()
