"""A load generator in a process of its own: it makes a workload's load on the API, and notes all.

It reads a job as one JSON line from standard input, connects, prints `ready`, reads when to begin
(seconds of the monotonic clock that all processes share), and prints what it noted as JSON.
"""

import asyncio
import gc
import json
import random
import sys
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from bench.direct import direct_clients
from bench.http import Connection, look_after
from bench.loops import Phases, closed_loop, constant, open_loop, poisson
from bench.outcome import Work
from bench.record import Recorder
from bench.tpcc.terminals import terminals
from bench.workloads import Client, Size, Tokens, workload


async def main() -> None:
    """Do one job."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = json.loads(await reader.readline())
    size = Size(**job["size"])
    connections: list[Connection] = []
    clients: list[Work]
    closing = AsyncExitStack()
    if job["tpcc"] is not None:
        clients = await terminals(job, closing)
    elif job["direct"] is not None:
        clients = await direct_clients(job["direct"], size, job["clients"], job["seed"])
    else:
        connections = await _connected(job)
        tokens = Tokens({int(tenant): token for tenant, token in job["tokens"].items()})
        chosen = workload(job["workload"], size)
        clients = [
            Client(connection, tokens, chosen.operations(job["first_client"] + number, job["seed"]))
            for number, connection in enumerate(connections)
        ]
    print("ready", flush=True)
    phases = Phases(json.loads(await reader.readline()), job["warm_s"], job["measured_s"])
    gc.freeze()
    caring = asyncio.ensure_future(look_after(connections))
    recorder = Recorder()
    accounts = await _load(job, clients, phases, recorder)
    caring.cancel()
    await closing.aclose()
    for connection in connections:
        connection.close()
    print(
        json.dumps(
            {
                "recorder": recorder.as_json(),
                "accounts": accounts,
            }
        ),
        flush=True,
    )
    await reader.read()  # stay until whoever started it has read what it spent


async def _connected(job: dict[str, Any]) -> list[Connection]:
    ports = job["ports"]
    connections = [
        Connection(job["host"], ports[number % len(ports)]) for number in range(job["clients"])
    ]
    for connection in connections:
        await connection.open()
    return connections


async def _load(
    job: dict[str, Any], clients: list[Work], phases: Phases, recorder: Recorder
) -> dict[str, int]:
    rate = job["rate"]
    if rate is None:
        await closed_loop(clients, phases, recorder)
        return {}
    begin = phases.begin + job["offset_s"]
    arrivals = (
        poisson(rate, begin, random.Random(f"{job['seed']}/arrivals/{job['first_client']}"))
        if job["poisson"]
        else constant(rate, begin)
    )
    accounts = await open_loop(clients, arrivals, phases, recorder, bound=job["bound"])
    return accounts.as_json()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
