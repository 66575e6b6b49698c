"""Closed and open loops: who sends when, and from when a latency counts.

In a **closed loop** each client sends its next operation when the last one is answered: what a
fixed number of clients can get, at whatever latency. A server that stalls stops its own load, so
such latencies flatter it. In an **open loop** operations are due at fixed times whatever the server
does, as those of independent users are, and a latency counts from the time at which the operation
was *due*, not from when a client was free to send it: no omission is coordinated with the server's
stalls. (Gil Tene, "How NOT to Measure Latency".)

Time is seconds of `clock`, which runs on in all processes alike (CLOCK_MONOTONIC).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.outcome import Work
from bench.record import Recorder

Clock = Callable[[], float]

LATE_AFTER_S: Final = 0.01
"""An arrival that was sent so long after it was due counts as late: all clients were busy, or the
generator itself was. Its latency still counts from when it was due."""

AFTERMATH_S: Final = 5.0
"""How long operations in flight may take after the end; then they count as unanswered."""


@dataclass(frozen=True, slots=True)
class Phases:
    """When a run begins, what is left out at its start, and how long is measured."""

    begin: float
    warm_s: float
    measured_s: float

    @property
    def measured_from(self) -> float:
        """The beginning of what counts."""
        return self.begin + self.warm_s

    @property
    def end(self) -> float:
        """The end of what is sent."""
        return self.begin + self.warm_s + self.measured_s


@dataclass(slots=True)
class Accounts:
    """What became of the arrivals of an open loop that were due while it was measured.

    `due = sent + dropped + waiting`, and of those sent, `sent - answered` were never answered.
    """

    due: int = 0
    sent: int = 0
    answered: int = 0
    late: int = 0
    dropped: int = 0
    """Not sent, because more than the bound were waiting: the system is beyond its capacity."""
    waiting: int = 0
    """Still not sent when the run ended."""

    @property
    def unanswered(self) -> int:
        """Sent, and not answered in time."""
        return self.sent - self.answered

    def as_json(self) -> dict[str, int]:
        """The same as a JSON object."""
        return {
            "due": self.due,
            "sent": self.sent,
            "answered": self.answered,
            "late": self.late,
            "dropped": self.dropped,
            "waiting": self.waiting,
            "unanswered": self.unanswered,
        }


def constant(rate: float, begin: float) -> Iterator[float]:
    """Times of arrivals, evenly spaced, without end; computed and not summed, so that none drift."""
    number = 0
    while True:
        yield begin + number / rate
        number += 1


def poisson(rate: float, begin: float, chance: random.Random) -> Iterator[float]:
    """Times of arrivals of independent users: exponential gaps, `rate` on average."""
    at = begin
    while True:
        yield at
        at += chance.expovariate(rate)


async def closed_loop(
    clients: Sequence[Work], phases: Phases, recorder: Recorder, clock: Clock = time.perf_counter
) -> None:
    """Every client sends its next operation when its last is answered, until the end.

    What is answered within the measured time counts.
    """
    await _until(phases.begin, clock)

    async def go_on(work: Work) -> None:
        while (sent := clock()) < phases.end:
            outcome = await work()
            ended = clock()
            if phases.measured_from <= ended < phases.end:
                recorder.add(sent, ended, outcome)

    async with asyncio.TaskGroup() as tasks:
        for work in clients:
            tasks.create_task(go_on(work))


async def open_loop(  # noqa: PLR0913 - who, when, until when, how many may wait
    clients: Sequence[Work],
    arrivals: Iterator[float],
    phases: Phases,
    recorder: Recorder,
    *,
    bound: int,
    clock: Clock = time.perf_counter,
) -> Accounts:
    """Operations are sent when they are due, by whichever client is free, in order.

    Up to `bound` arrivals wait for a client; further ones are dropped and counted. When the end
    has come nothing more is sent, and what is in flight is waited for a little.
    """
    loop = _OpenLoop(phases, recorder, bound, clock)
    try:
        async with (
            asyncio.timeout(phases.end + AFTERMATH_S - clock()),
            asyncio.TaskGroup() as tasks,
        ):
            for work in clients:
                tasks.create_task(loop.serve(work))
            tasks.create_task(loop.arrive(arrivals))
    except TimeoutError:
        pass  # those in flight are counted: sent, and not answered
    return loop.accounts


class _OpenLoop:
    """The queue between arrivals and clients."""

    def __init__(self, phases: Phases, recorder: Recorder, bound: int, clock: Clock) -> None:
        self.accounts = Accounts()
        self._phases = phases
        self._recorder = recorder
        self._bound = bound
        self._clock = clock
        self._waiting: deque[float] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._over = False

    async def arrive(self, arrivals: Iterator[float]) -> None:
        """Let each arrival in when it is due."""
        for due in arrivals:
            if due >= self._phases.end:
                break
            if due > self._clock():
                await _until(due, self._clock)
            self._let_in(due)
        await _until(self._phases.end, self._clock)
        self._over = True
        self.accounts.waiting = sum(due >= self._phases.measured_from for due in self._waiting)
        self._waiting.clear()
        while self._idle:
            self._wake()

    async def serve(self, work: Work) -> None:
        """One client: the oldest arrival that waits, or wait for one."""
        accounts, clock, measured_from = self.accounts, self._clock, self._phases.measured_from
        while not self._over:
            if not self._waiting:
                free = asyncio.get_running_loop().create_future()
                self._idle.append(free)
                await free
                continue
            due = self._waiting.popleft()
            counted = due >= measured_from
            if counted:
                accounts.sent += 1
                accounts.late += clock() - due > LATE_AFTER_S
            outcome = await work()
            if counted:
                accounts.answered += 1
                self._recorder.add(due, clock(), outcome)

    def _let_in(self, due: float) -> None:
        counted = due >= self._phases.measured_from
        self.accounts.due += counted
        if len(self._waiting) >= self._bound:
            self.accounts.dropped += counted
            return
        self._waiting.append(due)
        if self._idle:
            self._wake()

    def _wake(self) -> None:
        free = self._idle.popleft()
        if not free.done():
            free.set_result(None)


async def _until(at: float, clock: Clock) -> None:
    while (left := at - clock()) > 0:
        await asyncio.sleep(left)
