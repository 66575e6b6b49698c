"""Point reads straight from PostgreSQL by asyncpg: what an application without a router does."""

import random

import asyncpg

from bench.outcome import Outcome, Work
from bench.workloads import POINT_SQL, Size


async def direct_clients(url: str, size: Size, number: int, seed: int) -> list[Work]:
    """So many clients, each with a connection of its own and the query prepared on it."""
    return [await _client(url, size, f"{seed}/{client}") for client in range(number)]


async def _client(url: str, size: Size, seed: str) -> Work:
    connection = await asyncpg.connect(url)
    statement = await connection.prepare(POINT_SQL)
    chance = random.Random(seed)

    async def work() -> Outcome:
        tenant = 1 + int(chance.random() * size.tenants)
        rows = await statement.fetch(tenant, 1 + int(chance.random() * size.rows))
        return Outcome("read", "" if rows else "no rows")

    return work
