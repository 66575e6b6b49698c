"""The terminals of one load generator."""

import random
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from bench.outcome import Work
from bench.tpcc.draws import Remote, Terminal
from bench.tpcc.session import Database
from bench.tpcc.tables import Scale
from bench.tpcc.transactions import Five
from bench.workloads import SERVICE


async def terminals(job: dict[str, Any], closing: AsyncExitStack) -> list[Work]:
    """As many as the job has clients; their home warehouses go round."""
    asked = job["tpcc"]
    scale = Scale(asked["warehouses"], asked["items"], asked["customers"])
    remote = Remote(asked["lines"], asked["payments"])
    shards = {int(warehouse): shard for warehouse, shard in asked["shards"].items()}
    http = await closing.enter_async_context(
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    )
    found: list[Work] = []
    for number in range(job["clients"]):
        client = job["first_client"] + number
        port = job["ports"][client % len(job["ports"])]
        database = Database(http, f"http://{job['host']}:{port}", job["tokens"][str(SERVICE)])
        chance = random.Random(f"{job['seed']}/{client}")
        terminal = Terminal(1 + client % scale.warehouses, scale, remote, chance)
        found.append(Five(database, terminal, shards))
    return found
