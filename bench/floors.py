"""What floors cost by the store that shares them: to learn one, to publish one, alone and 64 at once.

Needs a Redis server at `--redis URL` and a PostgreSQL database at `--postgres URL`; what is not given is left out.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from router import Position, SharedFloors
from server.shared import FloorStore, PostgresFloors, RedisFloors, StoredFloors
from shardmap import ShardId

SHARD = ShardId("shard_0")
NUMBER = 2_000
AT_ONCE = 64


async def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis")
    parser.add_argument("--postgres")
    options = parser.parse_args()
    print(f"{'':10}{'':8}{'alone':>22}{f'{AT_ONCE} at once':>26}")
    print(f"{'store':10}{'':8}{'us':>11}{'CPU us':>11}{'us':>15}{'CPU us':>11}")
    _local()
    stores: list[tuple[str, FloorStore]] = []
    if options.redis:
        redis = RedisFloors(options.redis, "bench", timeout_s=5.0, retention_s=600.0)
        stores.append(("redis", redis))
    if options.postgres:

        @asynccontextmanager
        async def connect() -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
            connection = await asyncpg.connect(options.postgres, statement_cache_size=0)
            try:
                yield connection
            finally:
                connection.terminate()

        stores.append(("postgres", PostgresFloors(connect, retention_s=600.0)))
    for name, store in stores:
        await _stored(name, store)


def _local() -> None:
    with SharedFloors(None) as floors:
        began = time.perf_counter()
        for number in range(NUMBER):
            floors.floor(f"s{number % 200}", SHARD)
        middle = time.perf_counter()
        for number in range(NUMBER):
            floors.raise_to(f"s{number % 200}", SHARD, Position(1, 8 * number))
        ended = time.perf_counter()
    learn, publish = (middle - began) / NUMBER * 1e6, (ended - middle) / NUMBER * 1e6
    print(f"{'local':10}{'learn':8}{learn:11.1f}{learn:11.1f}{learn:15.1f}{learn:11.1f}")
    print(f"{'':10}{'publish':8}{publish:11.1f}{publish:11.1f}{publish:15.1f}{publish:11.1f}")


async def _stored(name: str, store: FloorStore) -> None:
    with SharedFloors(None) as near:
        far = StoredFloors(
            near, store, "bench", timeout_s=5.0, retention_s=600.0, report=lambda _: None
        )
        async with far:
            works: dict[str, Callable[[int], Awaitable[bool]]] = {
                "learn": lambda number: far.learn((f"s{number % 200}",), SHARD),
                "publish": lambda number: far.publish(
                    (f"s{number % 200}", "tenant:7"), SHARD, Position(1, 8 * number)
                ),
            }
            for work, once in works.items():
                alone = await _cost(once, 1)
                many = await _cost(once, AT_ONCE)
                cells = f"{alone[0]:11.0f}{alone[1]:11.0f}{many[0]:15.0f}{many[1]:11.0f}"
                print(f"{name:10}{work:8}{cells}")


async def _cost(once: Callable[[int], Awaitable[bool]], at_once: int) -> tuple[float, float]:
    """Microseconds that one waits, and of CPU for each."""
    waited = 0.0

    async def some(first: int) -> None:
        nonlocal waited
        for number in range(first, NUMBER, at_once):
            began = time.perf_counter()
            if not await once(number):
                raise SystemExit("the store is away")
            waited += time.perf_counter() - began

    cpu = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for first in range(at_once):
            tasks.create_task(some(first))
    return waited / NUMBER * 1e6, (time.process_time() - cpu) / NUMBER * 1e6


if __name__ == "__main__":
    asyncio.run(main())
