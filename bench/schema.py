"""Many tables: how long they take to be known, and what reading them anew does to requests.

`python -m bench.schema` makes 2,000 tables with foreign keys beside the table of the point read,
measures requests at 40 % of what one client at a time gets done, then the same while a table is
made and `NOTIFY pgrst, 'reload schema'` is said every two seconds, and prints both 99th percentiles.
"""

import argparse
import asyncio
import time
from typing import Final

import asyncpg

from bench.http import Connection
from bench.stand import Stand, open_stand

BATCH: Final = 200
LOAD: Final = 0.4
"""Of the capacity that is found first."""
EVERY_S: Final = 2.0
"""Between two readings, at least."""


async def main() -> None:
    """Make the tables, measure, print."""
    options = _options()
    async with open_stand(workers=1) as stand:
        shard = stand.cluster.url("shard_0-a")
        database = await asyncpg.connect(shard)
        try:
            began = time.perf_counter()
            await _make(database, options.tables)
            print(f"{options.tables} tables made in {time.perf_counter() - began:.1f} s")
            print(f"known after {await _known(stand, database, 0):.2f} s")
            rate = LOAD * await _capacity(stand)
            quiet = await _latencies(stand, rate, options.seconds)
            seconds: list[float] = []
            reading = asyncio.create_task(_keep_reading(stand, database, seconds))
            try:
                busy = await _latencies(stand, rate, options.seconds)
            finally:
                reading.cancel()
                await asyncio.wait({reading})
            for name, (found, failed) in (("quiet", quiet), ("reloading", busy)):
                print(
                    f"{name}: {rate:.0f} requests/s, p50 {_percentile(found, 0.5):.2f} ms,"
                    f" p99 {_percentile(found, 0.99):.2f} ms, {failed} failed"
                )
            if seconds:
                print(f"{len(seconds)} readings, the slowest known after {max(seconds):.2f} s")
        finally:
            await database.close()


async def _make(database: "asyncpg.Connection[asyncpg.Record]", tables: int) -> None:
    for first in range(0, tables, BATCH):
        statements = []
        for number in range(first, min(first + BATCH, tables)):
            keys = f", parent int REFERENCES many_{number - 1}" if number else ""
            statements.append(
                f"CREATE TABLE many_{number} (id int PRIMARY KEY, name text NOT NULL DEFAULT '',"
                f" amount numeric(10, 2), at timestamptz DEFAULT now(), data jsonb{keys})"
            )
        await database.execute(";".join(statements))


async def _known(
    stand: Stand, database: "asyncpg.Connection[asyncpg.Record]", number: int
) -> float:
    """How long a new table takes to be answered for, from the NOTIFY that tells of it."""
    await database.execute(f"CREATE TABLE fresh_{number} (id int); NOTIFY pgrst, 'reload schema'")
    began = time.perf_counter()
    connection = Connection("127.0.0.1", stand.port)
    asked = _request(stand.world.token(7), f"/rest/v1/fresh_{number}")
    # it has no place in the map, which is refused otherwise than a table that is not there
    while b"PGRST205" in (await connection.ask(asked)).body:
        await asyncio.sleep(0.01)
    return time.perf_counter() - began


async def _keep_reading(
    stand: Stand, database: "asyncpg.Connection[asyncpg.Record]", seconds: list[float]
) -> None:
    number = 1
    while True:
        seconds.append(await _known(stand, database, number))
        number += 1
        await asyncio.sleep(EVERY_S)


async def _capacity(stand: Stand) -> float:
    """Requests a second of eight clients that ask one after the other."""
    connections = [Connection("127.0.0.1", stand.port) for _ in range(8)]
    done, until = 0, time.perf_counter() + 3.0

    async def ask(connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await connection.ask(_point(stand))
            done += 1

    async with asyncio.TaskGroup() as tasks:
        for connection in connections:
            tasks.create_task(ask(connection))
    return done / 3.0


async def _latencies(stand: Stand, rate: float, seconds: float) -> tuple[list[float], int]:
    """Milliseconds from when a request was due, and how many were not answered with 200."""
    found: list[float] = []
    failed = 0
    idle = [Connection("127.0.0.1", stand.port) for _ in range(64)]

    async def ask(due: float) -> None:
        nonlocal failed
        connection = idle.pop() if idle else Connection("127.0.0.1", stand.port)
        reply = await connection.ask(_point(stand))
        found.append((time.perf_counter() - due) * 1000)
        failed += reply.status != 200
        idle.append(connection)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(ask(due))
    return found, failed


def _point(stand: Stand) -> bytes:
    return _request(stand.key, "/rest/v1/points?id=eq.42&select=id")


def _request(token: str, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def _percentile(found: list[float], share: float) -> float:
    ordered = sorted(found)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
