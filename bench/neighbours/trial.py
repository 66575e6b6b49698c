"""The trial of neighbours: capacity first, then each trouble beside a load that should not notice."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load import LoadSpec, measure
from bench.neighbours.fairness import FLOOD_TIMES, OPERATING_SHARE, Trouble
from bench.result import Round
from bench.workloads import Size, tenants_of
from bench.world import World
from shardmap import ShardId

WORKLOAD: Final = "point-read"
CAPACITY_CLIENTS: Final = 64
FLOOD_CLIENTS: Final = 200
"""Connections of the tenant that floods: so many of its requests are in flight at once."""
HALTED_CLIENTS: Final = 200
ATTACKED, SPARED = ShardId("shard_0"), ShardId("shard_1")


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the world answers at most, in a closed loop."""

    rate: float
    round: Round

    @property
    def operating(self) -> float:
        """The rate at which the trial runs."""
        return OPERATING_SHARE * self.rate


@dataclass(frozen=True, slots=True)
class Trial:
    """A world, the tenants in it, and how long each measurement takes."""

    world: World
    size: Size
    seconds: float
    seed: int
    progress: Callable[[str], None]

    async def capacity(self) -> Capacity:
        """How much the world answers when as much is asked."""
        self.progress("capacity")
        found = await measure(self.world, self._load(clients=CAPACITY_CLIENTS))
        return Capacity(found.rate, found)

    async def flood(self, capacity: Capacity) -> Trouble:
        """One tenant asks for fifty times its share."""
        flooding = self._of(ATTACKED)[0]
        near = [tenant for tenant in self._of(ATTACKED) if tenant != flooding]
        groups = {"tenants of its shard": near, "tenants of the other shard": self._of(SPARED)}
        share = capacity.operating / self.size.tenants
        beside = self._groups(groups, share)
        self.progress("before the flood")
        normal = await self._together(beside)
        self.progress("the flood")
        flood = self._load(
            tenants=[flooding], rate=FLOOD_TIMES * share, clients=FLOOD_CLIENTS, bound=FLOOD_CLIENTS
        )
        found = await self._together({**beside, "the tenant that floods": flood})
        return Trouble(
            "flood",
            f"one tenant asks for {FLOOD_TIMES * share:,.0f} requests/s,"
            f" {FLOOD_TIMES:g} times its share",
            normal,
            {group: found[group] for group in groups},
            {"the tenant that floods": found["the tenant that floods"]},
        )

    async def halt(self, capacity: Capacity) -> Trouble:
        """All servers of one shard stand still."""
        share = capacity.operating / self.size.tenants
        beside = self._groups({"tenants of the other shard": self._of(SPARED)}, share)
        halted = self._of(ATTACKED)
        on_it = self._load(
            tenants=halted, rate=share * len(halted), clients=HALTED_CLIENTS, bound=HALTED_CLIENTS
        )
        loads = {**beside, "tenants of the frozen shard": on_it}
        self.progress("before the freeze")
        normal = await self._together(loads)
        self.progress("the freeze")
        with self._frozen(ATTACKED):
            found = await self._together(loads)
        return Trouble(
            "freeze",
            f"every server of {ATTACKED} stands still, its connections open",
            {group: normal[group] for group in beside},
            {group: found[group] for group in beside},
            {"tenants of the frozen shard": found["tenants of the frozen shard"]},
        )

    def _of(self, shard: ShardId) -> list[int]:
        return tenants_of(self.world.shard_map, shard, self.size.tenants)

    def _groups(self, groups: Mapping[str, Sequence[int]], share: float) -> dict[str, LoadSpec]:
        return {
            name: self._load(tenants=tenants, rate=share * len(tenants))
            for name, tenants in groups.items()
        }

    def _load(
        self,
        *,
        tenants: Sequence[int] = (),
        rate: float | None = None,
        clients: int = CAPACITY_CLIENTS,
        bound: int = 10_000,
    ) -> LoadSpec:
        return LoadSpec(
            workload=WORKLOAD,
            size=Size(self.size.tenants, self.size.rows, tuple(tenants)),
            clients=clients,
            rate=rate,
            poisson=rate is not None,
            bound=bound,
            seconds=self.seconds,
            seed=self.seed,
        )

    async def _together(self, loads: Mapping[str, LoadSpec]) -> dict[str, Round]:
        async with asyncio.TaskGroup() as tasks:
            running = {
                name: tasks.create_task(measure(self.world, load)) for name, load in loads.items()
            }
        return {name: task.result() for name, task in running.items()}

    @contextmanager
    def _frozen(self, shard: ShardId) -> Iterator[None]:
        """All processes of the shard's servers stand still."""
        pids = []
        for server in self.world.cluster.servers():
            if server.shard == shard and server.pid is not None:
                children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
                pids += [server.pid, *map(int, children.split())]
        try:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
