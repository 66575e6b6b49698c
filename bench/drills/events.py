"""The drills: what is done to a shard, and how it is mended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.drills.scene import Scene
from bench.network import Conditions, Way

NOTICED_S: Final = 1.0
"""After so long a failover manager promotes a replica in the place of a dead primary."""
SLOW: Final = Conditions(delay_s=0.1, bytes_per_s=1_000_000)
"""A link over half the earth: 200 ms for each round trip, 8 Mbit/s."""

Victim = str
Strike = Callable[[Scene], Awaitable[Victim]]
"""Break something; the name of the server that it befell."""
Mend = Callable[[Scene, Victim], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Drill:
    """One way in which things fail."""

    about: str
    """What happens, for readers."""
    strike: Strike
    mend: Mend
    writes_go_on: bool
    """Whether writes succeed while it lasts."""


async def _kill_replica(scene: Scene) -> Victim:
    victim = scene.replicas[0]
    await scene.crash(victim)
    return victim


async def _start(scene: Scene, victim: Victim) -> None:
    await scene.world.cluster.start(victim)


async def _freeze_replica(scene: Scene) -> Victim:
    victim = scene.replicas[0]
    scene.freeze(victim)
    return victim


async def _thaw(scene: Scene, victim: Victim) -> None:
    scene.thaw(victim)


async def _cut_off_replica(scene: Scene) -> Victim:
    victim = scene.replicas[0]
    await scene.network.lose(victim)
    return victim


async def _heal(scene: Scene, victim: Victim) -> None:
    await scene.network.heal(victim)


async def _cut_off_primary(scene: Scene) -> Victim:
    victim = scene.primary
    await scene.network.lose(victim)
    return victim


async def _lose_answers(scene: Scene) -> Victim:
    victim = scene.primary
    await scene.network.lose(victim, (Way.ANSWERS,))
    return victim


async def _kill_primary(scene: Scene) -> Victim:
    victim = scene.primary
    await scene.crash(victim)
    await asyncio.sleep(NOTICED_S)
    await scene.world.cluster.promote(scene.shard)
    return victim


async def _second_primary(scene: Scene) -> Victim:
    victim = scene.primary
    await scene.promote_beside()
    return victim


async def _end_old_primary(scene: Scene, victim: Victim) -> None:
    await scene.demote(victim)


async def _kill_all_replicas(scene: Scene) -> Victim:
    replicas = scene.replicas
    for replica in replicas:
        await scene.crash(replica)
    return ", ".join(replicas)


async def _start_all(scene: Scene, _: Victim) -> None:
    await scene.world.cluster.start(*scene.replicas)


async def _slow_down_replica(scene: Scene) -> Victim:
    victim = scene.replicas[0]
    await scene.network.become(victim, SLOW)
    return victim


DRILLS: Final[Mapping[str, Drill]] = {
    "replica-killed": Drill(
        "all processes of a replica are killed", _kill_replica, _start, writes_go_on=True
    ),
    "replica-frozen": Drill(
        "a replica stands still, its connections open", _freeze_replica, _thaw, writes_go_on=True
    ),
    "replica-cut-off": Drill(
        "every packet to and from a replica is dropped", _cut_off_replica, _heal, writes_go_on=True
    ),
    "primary-killed-and-promoted": Drill(
        "the primary is killed, and a second later a replica is promoted",
        _kill_primary,
        _start,
        writes_go_on=True,
    ),
    "two-primaries": Drill(
        "a replica is promoted while the old primary lives on",
        _second_primary,
        _end_old_primary,
        writes_go_on=True,
    ),
    "all-replicas-gone": Drill(
        "all replicas are killed", _kill_all_replicas, _start_all, writes_go_on=False
    ),
    "primary-cut-off": Drill(
        "every packet to and from the primary is dropped",
        _cut_off_primary,
        _heal,
        writes_go_on=False,
    ),
    "answers-lost": Drill(
        "what the primary answers is dropped, what it is told arrives",
        _lose_answers,
        _heal,
        writes_go_on=False,
    ),
    "network-slow": Drill(
        "the link to a replica takes 200 ms for each round trip, at 8 Mbit/s",
        _slow_down_replica,
        _heal,
        writes_go_on=True,
    ),
}
