"""The load of a drill, in a process of its own: an open loop that goes on until it is told to end.

It reads a job as one JSON line from standard input, prints a line of notes every tenth of a second,
and ends when standard input does, once what is in flight has been answered. Requests are due at a
constant rate whatever becomes of earlier ones, and latencies count from when they were due.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from dataclasses import asdict
from typing import Any, Final

import uvloop

from bench.drills.crowd import Crowd, Habits
from bench.drills.history import Kind, Operation
from bench.http import Connection, look_after
from bench.sessions.users import User, Who

NOTES_EVERY_S: Final = 0.1
MOST_IN_FLIGHT: Final = 2_000
"""More than the API lets wait: with more, the figures would be the generator's own."""
HOST: Final = "127.0.0.1"


class Load:
    """Arrivals, and the connections that serve them, the last used first."""

    def __init__(self, crowd: Crowd, ports: list[int], rate: float, timeout_s: float) -> None:
        self._crowd = crowd
        self._ports = ports
        self._rate = rate
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self.connections: list[Connection] = []
        self._in_flight = 0
        self.stopping = asyncio.Event()
        self.notes: list[tuple[Any, ...]] = []

    async def run(self) -> None:
        """Send what is due, until told to stop; return when all of it has been answered."""
        begin, number = time.perf_counter(), 0
        async with asyncio.TaskGroup() as tasks:
            while not self.stopping.is_set():
                due = begin + number / self._rate
                number += 1
                while (left := due - time.perf_counter()) > 0:
                    await asyncio.sleep(left)
                tasks.create_task(self._send(due))

    async def _send(self, due: float) -> None:
        errand = self._crowd.next_errand(time.perf_counter())
        if self._in_flight >= MOST_IN_FLIGHT:
            raise SystemExit("more requests are in flight than the generator can hold")
        self._in_flight += 1
        connection = self._idle.pop() if self._idle else self._connection()
        reply = await connection.ask(errand.request)
        operation, verdict = self._crowd.told(errand, reply, due, time.perf_counter())
        self._idle.append(connection)
        self._in_flight -= 1
        self.notes.append((*operation, verdict))

    def _connection(self) -> Connection:
        port = self._ports[len(self.connections) % len(self._ports)]
        connection = Connection(HOST, port, self._timeout_s)
        self.connections.append(connection)
        return connection


async def _print_notes(load: Load) -> None:
    while True:
        await asyncio.sleep(NOTES_EVERY_S)
        _print(load, cpu_s=None)


def _print(load: Load, cpu_s: float | None) -> None:
    notes, load.notes = load.notes, []
    print(json.dumps({"notes": notes, "cpu_s": cpu_s}), flush=True)


async def main() -> None:
    """Do one job."""
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    job = json.loads(await reader.readline())
    users = [User(Who(**who)) for who in job["users"]]
    load = Load(Crowd(users, Habits(**job["habits"])), job["ports"], job["rate"], job["timeout_s"])
    gc.freeze()
    printing = asyncio.ensure_future(_print_notes(load))
    caring = asyncio.ensure_future(look_after(load.connections))
    running = asyncio.ensure_future(load.run())
    await asyncio.wait(
        [running, asyncio.ensure_future(reader.read())], return_when="FIRST_COMPLETED"
    )
    load.stopping.set()
    await running
    printing.cancel()
    caring.cancel()
    for connection in load.connections:
        connection.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _print(load, cpu_s=usage.ru_utime + usage.ru_stime)


def job(users: list[Who], ports: list[int], rate: float, timeout_s: float, habits: Habits) -> bytes:
    """What a generator is told."""
    told = {
        "users": [asdict(who) for who in users],
        "ports": ports,
        "rate": rate,
        "timeout_s": timeout_s,
        "habits": asdict(habits),
    }
    return json.dumps(told).encode() + b"\n"


def read_note(note: list[Any]) -> tuple[Operation, str]:
    """One request and the verdict on it, as printed."""
    kind, *rest, verdict = note
    return Operation(Kind(kind), *rest), verdict


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
