"""One measurement: generators started, begun at one moment, and summed up as a round.

While they run, `during` may do things to the world; what it marks on the timeline is part of the
round, in the same clock.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.errors import GeneratorFailed
from bench.processes import Meter
from bench.record import Recorder
from bench.result import Event, Round
from bench.summary import latencies, series
from bench.workloads import SERVICE, Size, workload
from bench.world import HOST, World
from shardmap import TenantId

LEAD_S: Final = 0.2
"""From the moment when all generators are ready to the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """What load is made."""

    workload: str
    size: Size = field(default_factory=Size)
    clients: int = 32
    rate: float | None = None
    """Arrivals a second of an open loop; None: a closed loop."""
    poisson: bool = False
    """Arrivals of the open loop come by chance, not evenly."""
    bound: int = 10_000
    """Arrivals that may wait for a client; further ones are dropped and counted."""
    warm_s: float = 1.0
    seconds: float = 5.0
    seed: int = 1
    processes: int = 1
    direct: str | None = None
    """Point reads past Fluxshard: by asyncpg from the server at this url. (No result holds it.)"""

    tpcc: Mapping[str, Any] | None = None
    """Terminals of TPC-C in the place of a workload: scale and remote shares."""

    def as_json(self) -> dict[str, Any]:
        """What a result says of it."""
        loop = "closed" if self.rate is None else "open"
        return {**asdict(self), "direct": self.direct is not None, "loop": loop}


class Timeline:
    """The clock of a running measurement, and the events on it."""

    def __init__(self, measured_from: float) -> None:
        self.measured_from = measured_from
        self.events: list[Event] = []

    @property
    def now_s(self) -> float:
        """Seconds since the beginning of what is measured; negative while warming up."""
        return time.perf_counter() - self.measured_from

    async def at(self, second: float) -> None:
        """Wait until then."""
        while (left := second - self.now_s) > 0:
            await asyncio.sleep(left)

    def mark(self, name: str) -> None:
        """Something happens now."""
        self.events.append(Event(round(self.now_s, 4), name))


During = Callable[[Timeline], Awaitable[None]]


async def measure(world: World, load: LoadSpec, during: During | None = None) -> Round:
    """Make the load, and sum it up.

    Raises:
        GeneratorFailed: A generator ended without its notes.
    """
    tenants = [SERVICE] if load.tpcc else workload(load.workload, load.size).tenants
    tokens = {str(tenant): world.token(tenant) for tenant in tenants}
    generators = [
        await _start(_job(load, number, world, tokens)) for number in range(load.processes)
    ]
    try:
        for generator in generators:
            await _expect_ready(generator)
        begin = time.perf_counter() + LEAD_S
        timeline = Timeline(begin + load.warm_s)
        async with asyncio.TaskGroup() as tasks:
            notes = [tasks.create_task(_finish(generator, begin)) for generator in generators]
            metered = tasks.create_task(_metered(world, generators, timeline, load.seconds))
            if during is not None:
                tasks.create_task(_during(during, timeline))
    finally:
        for generator in generators:
            if generator.returncode is None:
                generator.kill()
            await generator.wait()
    return _summed(load, [note.result() for note in notes], timeline, metered.result())


def _job(load: LoadSpec, number: int, world: World, tokens: dict[str, str]) -> dict[str, Any]:
    """The part of one of the generators."""
    processes = load.processes
    clients = load.clients // processes + (number < load.clients % processes)
    return {
        "workload": load.workload,
        "size": asdict(load.size),
        "tokens": tokens,
        "host": HOST,
        "ports": world.ports,
        "clients": clients,
        "first_client": number * (load.clients // processes + 1),
        "rate": None if load.rate is None else load.rate / processes,
        "offset_s": 0.0 if load.rate is None else number / load.rate,
        "poisson": load.poisson,
        "bound": load.bound,
        "warm_s": load.warm_s,
        "measured_s": load.seconds,
        "seed": load.seed,
        "direct": load.direct,
        "tpcc": _terminals(load.tpcc, world) if load.tpcc else None,
    }


def _terminals(tpcc: Mapping[str, Any], world: World) -> dict[str, Any]:
    warehouses = range(1, tpcc["warehouses"] + 1)
    shards = {str(one): world.shard_map.owner(TenantId(str(one))) for one in warehouses}
    return {**tpcc, "shards": shards}


async def _start(job: dict[str, Any]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.generator"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 30,
    )
    assert process.stdin is not None  # noqa: S101 - a pipe
    process.stdin.write(json.dumps(job).encode() + b"\n")
    return process


async def _expect_ready(generator: asyncio.subprocess.Process) -> None:
    assert generator.stdout is not None  # noqa: S101 - a pipe
    if await generator.stdout.readline() != b"ready\n":
        raise GeneratorFailed("a load generator did not become ready; what it said is above")


async def _finish(generator: asyncio.subprocess.Process, begin: float) -> dict[str, Any]:
    assert generator.stdin is not None  # noqa: S101 - pipes
    assert generator.stdout is not None  # noqa: S101 - pipes
    generator.stdin.write(json.dumps(begin).encode() + b"\n")
    line = await generator.stdout.readline()
    if not line:
        raise GeneratorFailed("a load generator ended without its notes; what it said is above")
    found: dict[str, Any] = json.loads(line)
    return found


async def _metered(
    world: World,
    generators: list[asyncio.subprocess.Process],
    timeline: Timeline,
    seconds: float,
) -> dict[str, object]:
    """What was spent during what is measured."""
    await timeline.at(0)
    parts = {**world.parts(), "load generator": tuple(one.pid for one in generators)}
    meter = Meter(parts)
    await timeline.at(seconds)
    return meter.spent().as_json()


async def _during(during: During, timeline: Timeline) -> None:
    await timeline.at(0)
    await during(timeline)


def _summed(
    load: LoadSpec, notes: list[dict[str, Any]], timeline: Timeline, spent: dict[str, object]
) -> Round:
    recorder = Recorder().merge(Recorder.from_json(note["recorder"]) for note in notes)
    accounts: Counter[str] = Counter()
    for note in notes:
        accounts.update(note["accounts"])
    return Round(
        seed=load.seed,
        seconds=load.seconds,
        latencies={kind: latencies([found]) for kind, found in recorder.samples.items()},
        errors=dict(recorder.errors),
        served=dict(recorder.served),
        accounts=dict(accounts),
        series=series(recorder, timeline.measured_from, load.seconds),
        events=tuple(timeline.events),
        spent=spent,
    )
