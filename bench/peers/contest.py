"""The same point read by every way that is installed, on the same data and box, in one run.

Rounds alternate between the contestants, so that a noisy machine harms all of them. Each has the
same number of connections. Those that balance reads have all replicas, the others one server.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.environment import program_version
from bench.load import LoadSpec, measure
from bench.peers.address import Address, readers
from bench.peers.poolers import PROGRAMS, Pooler, installed, running
from bench.pgbench import pgbench, program
from bench.result import Result, Round, Run
from bench.workloads import POINT_SQL, Size, workload
from bench.world import World, WorldSpec, open_for
from server.embedded import server_account

ALL: Final = ("pgbench", "asyncpg", "pgbouncer", "haproxy", "pgpool", "fluxshard")
BASE: Final = "pgbench"
"""What the others are compared with: nothing between it and PostgreSQL."""

SPREADING: Final = frozenset({"haproxy", "pgpool"})

Told = Callable[[str], None]
Measure = Callable[[int], Awaitable[Round]]
"""One round by its seed."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What is measured."""

    names: Sequence[str]
    spec: WorldSpec
    load: LoadSpec
    rounds: int


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to the rows."""

    name: str
    about: str
    measure: Measure


async def contest(asked: Contest, told: Told) -> Result:
    """Measure every contestant that is installed; those that are not are named.

    Raises:
        PeerFailed: One that is installed did not start, or gave no figure.
    """
    async with (
        AsyncExitStack() as stack,
        open_for(asked.spec, workload("point-read", asked.load.size), told) as world,
    ):
        contestants, missing = await _contestants(asked, world, stack)
        rounds: dict[str, list[Round]] = {each.name: [] for each in contestants}
        for number in range(asked.rounds):
            for each in contestants:
                told(f"round {number + 1} of {asked.rounds}: {each.name}")
                rounds[each.name].append(await each.measure(asked.load.seed + number))
        await stack.aclose()  # the poolers end before the servers
    runs = [
        Run(
            name=f"{each.name}: {each.about}",
            parameters={**asked.load.as_json(), "contestant": each.name},
            world=asked.spec.as_json(),
            rounds=tuple(rounds[each.name]),
        )
        for each in contestants
    ]
    return Result(
        command="peers",
        title=f"one point read by {asked.load.clients} connections, each way in turn",
        runs=runs,
        figures={"peers": _figures(rounds), **({"missing": missing} if missing else {})},
        notes=[
            "the same query, data and box; each way in turn, in every round",
            "ratios are medians over rounds of the rate as a share of pgbench in the same round",
            "Fluxshard is asked over HTTP and answers JSON, with a verified token and the tenant's"
            " predicate proven; the others speak PostgreSQL's protocol on Unix sockets",
            *(f"{name} is not installed here" for name in missing),
        ],
    )


async def _contestants(
    asked: Contest, world: World, stack: AsyncExitStack
) -> tuple[list[Contestant], list[str]]:
    servers = readers(world)
    found: list[Contestant] = []
    missing: list[str] = []
    for name in asked.names:
        if name == "fluxshard":
            about = f"HTTP, {world.spec.workers} worker(s)"
            found.append(Contestant(name, about, _generated(world, asked.load)))
        elif name == "asyncpg":
            load = replace(asked.load, direct=servers[0].url)
            found.append(Contestant(name, "held connections, prepared", _generated(world, load)))
        elif name == "pgbench":
            about = f"{program_version(str(program()))}, prepared, straight"
            found.append(Contestant(name, about, _by_pgbench(asked, world, servers[0], "prepared")))
        elif (pooler := installed(name)) is None:
            missing.append(PROGRAMS[name])
        else:
            found.append(await _pooled(asked, world, pooler, servers, stack))
    return found, missing


async def _pooled(
    asked: Contest,
    world: World,
    pooler: Pooler,
    servers: Sequence[Address],
    stack: AsyncExitStack,
) -> Contestant:
    used = servers if pooler.name in SPREADING else servers[:1]
    account = server_account(world.cluster.directory)
    started = await stack.enter_async_context(
        running(pooler, used, world.directory, asked.load.clients, account)
    )
    version = re.search(r"\d+\.\d+(\.\d+)?", pooler.version)
    about = f"{version[0] if version else pooler.version}, {pooler.about}, pgbench {pooler.mode}"
    measured = _by_pgbench(asked, world, started.address, pooler.mode, {pooler.name: started.pid})
    return Contestant(pooler.name, about, measured)


def _generated(world: World, load: LoadSpec) -> Measure:
    async def measured(seed: int) -> Round:
        return await measure(world, replace(load, seed=seed))

    return measured


def _by_pgbench(
    asked: Contest,
    world: World,
    address: Address,
    mode: str,
    more: Mapping[str, int] | None = None,
) -> Measure:
    script = point_script(asked.load.size)
    directory = Path(world.directory)

    async def measured(seed: int) -> Round:
        return await pgbench(
            address.url,
            script,
            directory,
            mode=mode,
            clients=asked.load.clients,
            seconds=asked.load.seconds,
            parts={**world.parts(), **{name: (pid,) for name, pid in (more or {}).items()}},
            seed=seed,
        )

    return measured


def point_script(size: Size) -> str:
    """The point read for `pgbench`, of any tenant."""
    query = POINT_SQL.replace("$1", ":tenant").replace("$2", ":id")
    return f"\\set tenant random(1, {size.tenants})\n\\set id random(1, {size.rows})\n{query};\n"


def _figures(rounds: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    base = rounds.get(BASE)
    return {
        name: {
            "per_s": round(_median([one.rate for one in found]), 1),
            "p50_ms": _median([one.all.at_ms(50) for one in found]),
            "p99_ms": _median([one.all.at_ms(99) for one in found]),
            "of_pgbench": round(
                _median([one.rate / other.rate for one, other in zip(found, base, strict=True)]), 3
            )
            if base
            else None,
            "postgresql_cpu_us": round(
                _median([one.spent["seconds"]["postgresql"] / one.answered * 1e6 for one in found]),
                1,
            ),
            "failed": sum(one.failed for one in found),
        }
        for name, found in rounds.items()
    }


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
