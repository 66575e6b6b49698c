"""One drill from its begin to its judgement: normal load, the event, mending, and the audit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.drills.crowd import Habits
from bench.drills.events import Drill
from bench.drills.history import Kind, audit
from bench.drills.judging import Course, Judgement, judge
from bench.drills.notes import Notes, at_work, now_s
from bench.drills.scene import Scene
from bench.processes import Meter
from bench.sessions.users import TABLES, fill, new_users
from bench.world import SERVED_BY, WorldSpec, open_world
from shardmap import Durability

SHARD: Final = "shard_0"
USERS: Final = 24
REPLICAS: Final = 2
"""Fewer cannot confirm commits when one of them is promoted or lost."""
REQUEST_TIMEOUT_S: Final = 6
SETTINGS: Final = {**SERVED_BY, "FLUXSHARD_REQUEST_TIMEOUT": f"{REQUEST_TIMEOUT_S}s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """How long each phase lasts at least, and how many requests are due in a second."""

    rate: float = 100.0
    warm_s: float = 1.0
    normal_s: float = 4.0
    broken_s: float = 6.0
    mended_s: float = 2.0
    enough: int = 20
    """Reads and writes that have to succeed in each phase, however long that takes."""
    habits: Habits = field(default_factory=Habits)


def scene_spec(
    *,
    workers: int = 1,
    durability: Durability | None = None,
    settings: Mapping[str, str] | None = None,
) -> WorldSpec:
    """A shard with two replicas, a network before each of its servers, and the API."""
    return WorldSpec(
        replicas=REPLICAS,
        workers=workers,
        durability=durability,
        network=True,
        settings={**SETTINGS, **(settings or {})},
    )


@asynccontextmanager
async def open_scene(
    spec: WorldSpec, progress: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Scene]:
    """The world of a drill, ready."""
    async with open_world(spec, TABLES, fill, progress) as world:
        assert world.network is not None  # noqa: S101 - asked for
        yield Scene(world, world.network, SHARD)


async def run_drill(scene: Scene, drill: Drill, phases: Phases) -> tuple[Judgement, dict[str, Any]]:
    """Do it once, on a scene that is whole, and leave it whole; and what it cost in CPU.

    Raises:
        BenchError: The drill itself did not work: nothing can be said of what was to be drilled.
    """
    await scene.whole()
    world = scene.world
    users = new_users(world.shard_map, scene.shard, world.secret, USERS)
    meter = Meter(_parts(scene))
    async with at_work(users, world.ports, phases.rate, phases.habits) as notes:
        await _go_on(notes, phases.enough, writes=True)
        await asyncio.sleep(phases.warm_s)
        normal_from_s = now_s()
        await asyncio.sleep(phases.normal_s)
        event_s = now_s()
        victim = await drill.strike(scene)
        await _go_on(notes, phases.enough, writes=drill.writes_go_on)
        await asyncio.sleep(max(0.0, event_s + phases.broken_s - now_s()))
        mended_s = now_s()
        await drill.mend(scene, victim)
        await scene.whole()
        await _go_on(notes, phases.enough, writes=True)
        await asyncio.sleep(phases.mended_s)
    course = Course(
        operations=notes.operations,
        verdicts=notes.verdicts,
        normal_from_s=normal_from_s,
        event_s=event_s,
        mended_s=mended_s,
        durable=scene.durable,
    )
    there = await scene.ids([who.name for who in users])
    spent = meter.spent()
    by_part = {**spent.by_part, "load generator": notes.cpu_s}
    return judge(course, audit(notes.operations, there)), replace(spent, by_part=by_part).as_json()


def _parts(scene: Scene) -> dict[str, tuple[int, ...]]:
    """The processes that live through every drill."""
    lasting = ("fluxshard", "network")
    return {part: pids for part, pids in scene.world.parts().items() if part in lasting}


async def _go_on(notes: Notes, enough: int, *, writes: bool) -> None:
    """Wait until enough requests have succeeded from now on."""
    await notes.more(Kind.READ, enough)
    if writes:
        await notes.more(Kind.WRITE, enough)
