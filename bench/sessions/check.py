"""The session checker: instances, users that hop between them, and replicas that lag on purpose."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.errors import GeneratorFailed
from bench.sessions.guarantees import Tally, Verdict
from bench.sessions.users import new_users
from bench.world import World
from server.parent import end_with_parent

SHARD: Final = "shard_0"
LEAST_REPLICA_SHARE: Final = 0.9
"""Of the reads of sessions whose replicas have caught up."""
MOST_AGES: Final = 1_000
QUIET_SHARE: Final = 0.5
"""Of all reads: those that begin once replicas have caught up."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What became of the reads of one phase."""

    tally: Tally
    writes: int
    failed_writes: Sequence[str]
    seconds: float

    @classmethod
    def total(cls, phases: Sequence["Phase"]) -> "Phase":
        """All of them together."""
        return cls(
            Tally.total([phase.tally for phase in phases]),
            sum(phase.writes for phase in phases),
            [failed for phase in phases for failed in phase.failed_writes],
            sum(phase.seconds for phase in phases),
        )


@dataclass(slots=True)
class Lagging:
    """Everything that was read while replicas lagged by a set time."""

    delay_s: float
    checked: bool = True
    """Reads asked for what sessions are promised. Else they asked for anything (the control)."""
    writing: list[Phase] = field(default_factory=list)
    quiet: list[Phase] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How far replicas were behind, and whether it is a control."""
        return f"{self.delay_s * 1000:g} ms behind{'' if self.checked else ', control'}"

    @property
    def whole(self) -> Phase:
        """All phases."""
        return Phase.total([*self.writing, *self.quiet])

    @property
    def quiet_share(self) -> float:
        """The share of reads that replicas answered once they had caught up."""
        return Phase.total(self.quiet).tally.replica_share

    def figures(self) -> dict[str, dict[str, Any]]:
        """What is known of each phase, by what it is called."""
        return {
            f"{self.name}, while writing": _figures(Phase.total(self.writing)),
            f"{self.name}, once caught up": _figures(Phase.total(self.quiet)),
        }

    def ages_ms(self) -> list[float]:
        """How old reads were, 0 for those that were not stale; in order, and of many only some."""
        tally = self.whole.tally
        ages = sorted([*tally.ages_ms, *([0.0] * (tally.reads - len(tally.ages_ms)))])
        step = max(1, -(-len(ages) // MOST_AGES))
        return ages[step - 1 :: step]


def _figures(phase: Phase) -> dict[str, Any]:
    return {
        "reads": phase.tally.reads,
        "writes": phase.writes,
        "stale": phase.tally.verdicts[Verdict.STALE],
        "backward": phase.tally.verdicts[Verdict.BACKWARD],
        "failed": phase.tally.errors.total() + len(phase.failed_writes),
        "replica_share": round(phase.tally.replica_share, 4),
        "reads_per_s": round(phase.tally.reads / phase.seconds, 1) if phase.seconds else 0.0,
    }


def broken_promises(found: Sequence[Lagging]) -> list[str]:
    """What was promised and is not so, a sentence each.

    Writes that were refused are counted, and break nothing that is promised to reads. A control is
    promised nothing, but stale reads have to be found in it: else the harness would not have found
    them elsewhere, either.
    """
    controls = [one.whole.tally for one in found if not one.checked]
    wrong = _wrong([one for one in found if one.checked])
    if controls and not Tally.total(controls).verdicts[Verdict.STALE]:
        wrong.append("no stale read was found in the control: this proves nothing")
    return wrong


def _wrong(found: Sequence[Lagging]) -> list[str]:
    whole = Phase.total([one.whole for one in found])
    wrong = [
        f"{count} reads were {verdict}"
        for verdict in (Verdict.STALE, Verdict.BACKWARD)
        if (count := whole.tally.verdicts[verdict])
    ]
    wrong += [f"{count} reads failed with {code}" for code, count in whole.tally.errors.items()]
    wrong += [
        f"replicas that lag by {one.delay_s * 1000:g} ms answered {one.quiet_share:.1%} once they"
        f" had caught up, less than {LEAST_REPLICA_SHARE:.0%}"
        for one in found
        if one.quiet and one.quiet_share < LEAST_REPLICA_SHARE
    ]
    return wrong


@dataclass(slots=True)
class Generator:
    """The process of the users."""

    process: asyncio.subprocess.Process
    cpu_s: float = 0.0

    async def phase(self, reads: int, *, writing: bool, checked: bool) -> Phase:
        """Let users read so often.

        Raises:
            GeneratorFailed: The process has ended.
        """
        assert self.process.stdin is not None  # noqa: S101 - pipes
        assert self.process.stdout is not None  # noqa: S101 - pipes
        told = {"reads": reads, "writing": writing, "checked": checked}
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        line = await self.process.stdout.readline()
        if not line:
            raise GeneratorFailed("the process of the users has ended; what it said is above")
        found = json.loads(line)
        self.cpu_s = found["cpu_s"]
        tally = Tally.from_json(found["tally"])
        return Phase(tally, found["writes"], found["failed_writes"], found["seconds"])


@asynccontextmanager
async def users_of(
    world: World, count: int, seed: int, *, keeping: bool = False
) -> AsyncIterator[Generator]:
    """So many new users, who hop between all instances of the world."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.sessions.generator"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=end_with_parent,
    )
    assert process.stdin is not None  # noqa: S101 - a pipe
    job = {
        "users": [asdict(who) for who in new_users(world.shard_map, SHARD, world.secret, count)],
        "ports": world.ports,
        "seed": seed,
        "keeping": keeping,
    }
    try:
        process.stdin.write(json.dumps(job).encode() + b"\n")
        yield Generator(process)
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def check(  # noqa: PLR0913 - one check is put together here
    world: World,
    generator: Generator,
    delay_s: float,
    *,
    reads: int,
    rounds: int,
    checked: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Lagging:
    """Read so often in all while replicas lag so much.

    In each round half of the reads begin while users write, and half once replicas have caught up.
    """
    await world.delay(delay_s)
    found = Lagging(delay_s, checked)
    each = -(-reads // rounds)
    for number in range(rounds):
        what = "" if checked else ", control"
        progress(f"replicas {delay_s * 1000:g} ms behind{what}, round {number + 1} of {rounds}")
        quiet = int(each * QUIET_SHARE)
        found.writing.append(await generator.phase(each - quiet, writing=True, checked=checked))
        await world.caught_up()
        found.quiet.append(await generator.phase(quiet, writing=False, checked=checked))
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be checked."""

    delays_s: Sequence[float]
    reads: int
    """In all; 0: only the control."""
    control_reads: int
    users: int = 24
    rounds: int = 4
    seed: int = 1
    keeping: bool = False
    """Users keep what they have seen themselves (`Fluxshard-Position`), instances need not."""


async def check_all(
    world: World, plan: Plan, progress: Callable[[str], None] = lambda _: None
) -> tuple[list[Lagging], float]:
    """Check at each lag, with a control behind it; and the CPU seconds of the users.

    The control has users of its own: what its reads show is nothing that others were promised.
    """
    found = []
    count = len(plan.delays_s)
    async with (
        users_of(world, plan.users, plan.seed, keeping=plan.keeping) as users,
        users_of(world, plan.users, plan.seed + 1) as careless,
    ):
        for delay_s in plan.delays_s:
            if plan.reads:
                reads = -(-plan.reads // count)
                found.append(
                    await check(
                        world, users, delay_s, reads=reads, rounds=plan.rounds, progress=progress
                    )
                )
            if plan.control_reads:
                reads = -(-plan.control_reads // count)
                found.append(
                    await check(
                        world,
                        careless,
                        delay_s,
                        reads=reads,
                        rounds=1,
                        checked=False,
                        progress=progress,
                    )
                )
        return found, users.cpu_s + careless.cpu_s
