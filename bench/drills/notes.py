"""The notes of a running load, as whoever leads the drill reads them."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from bench.drills.crowd import Habits
from bench.drills.generator import job, read_note
from bench.drills.history import Kind, Operation
from bench.errors import GeneratorFailed
from bench.sessions.users import Who
from server.parent import end_with_parent

TIMEOUT_S: Final = 30.0
"""A request that the API has not answered by then is `silent`. Longer than the API's own limit."""
PROGRESS_WITHIN_S: Final = 60.0
"""For what has to happen at some time, on however slow a machine."""
LOOK_EVERY_S: Final = 0.02
MOST_LINE_BYTES: Final = 1 << 26


@dataclass(slots=True)
class Notes:
    """What has been answered so far. Times are of `time.perf_counter`, the same in all processes."""

    operations: list[Operation] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    """Of the reads that were answered, see `bench.sessions.guarantees`."""
    cpu_s: float = 0.0
    """What the generator itself has cost; known at the end."""
    good: Counter[Kind] = field(default_factory=Counter)

    def add(self, line: bytes) -> None:
        """Take a line of the generator."""
        found = json.loads(line)
        for note in found["notes"]:
            operation, verdict = read_note(note)
            self.operations.append(operation)
            self.good[operation.kind] += operation.good
            if verdict:
                self.verdicts[verdict] += 1
        if found["cpu_s"] is not None:
            self.cpu_s = found["cpu_s"]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for the condition.

        Raises:
            GeneratorFailed: It does not come true.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(PROGRESS_WITHIN_S):
                while not condition():
                    await asyncio.sleep(LOOK_EVERY_S)
                return
        recent = Counter(f"{one.kind} {one.outcome}" for one in self.operations[-200:])
        raise GeneratorFailed(f"{what} within {PROGRESS_WITHIN_S:g} s; the last: {dict(recent)}")

    async def more(self, kind: Kind, count: int) -> None:
        """Wait until so many more requests of that kind have succeeded.

        Raises:
            GeneratorFailed: They do not.
        """
        wanted = self.good[kind] + count
        await self.until(lambda: self.good[kind] >= wanted, f"no {count} more {kind}s succeed")


@asynccontextmanager
async def at_work(
    users: Sequence[Who], ports: list[int], rate: float, habits: Habits
) -> AsyncIterator[Notes]:
    """Load as long as the context lasts; at its end everything in flight has been answered.

    Raises:
        GeneratorFailed: The generator ended by itself.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.drills.generator"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MOST_LINE_BYTES,
        preexec_fn=end_with_parent,
    )
    assert process.stdin is not None  # noqa: S101 - pipes
    assert process.stdout is not None  # noqa: S101 - pipes
    notes = Notes()

    async def read() -> None:
        while line := await process.stdout.readline():  # type: ignore[union-attr]  # a pipe
            notes.add(line)
        if process.stdin is not None and not process.stdin.is_closing():
            raise GeneratorFailed("the load generator has ended by itself")

    try:
        process.stdin.write(job(list(users), ports, rate, TIMEOUT_S, habits))
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read())
            yield notes
            process.stdin.close()
            await reading
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def now_s() -> float:
    """The clock of the notes."""
    return time.perf_counter()
