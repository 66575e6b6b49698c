"""A process that writes on two shards until it is killed, in the middle of a commit if it is told so.

Its one argument is JSON: the map, a name for its writers, how many they are, the recovery settings,
and the step at which it kills itself (null: never), the how manieth time it gets there. Each write
adds one entry and counts it, on both shards. Acknowledged numbers are printed, a line each.
"""

import asyncio
import json
import os
import signal
import sys
from functools import partial

from router import (
    Access,
    BackendSettings,
    Deadline,
    Part,
    PostgresBackends,
    QueryContext,
    RouterError,
    ShardQuery,
    SharedFloors,
    StepReached,
    Together,
)
from shardmap import read_map, resolve

WRITE = (
    "WITH added AS (INSERT INTO entries (writer, number) VALUES ($1, $2))"
    " INSERT INTO counts (writer, entries) VALUES ($1, 1)"
    " ON CONFLICT (writer) DO UPDATE SET entries = counts.entries + 1"
)


class Killer:
    """Ends this process, as a crash does, when a commit gets to the step for the n-th time."""

    def __init__(self, step, times):
        self.step = step
        self.left = times

    def __call__(self, fact):
        if isinstance(fact, StepReached) and fact.step == self.step:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def write(backends, shards, writer, number):
    """One write on both shards; raises what the router does."""
    query = ShardQuery(WRITE, (writer, number), Access.WRITE, claims=False)
    context = QueryContext("service_role", None, writer, "{}", Deadline.after(20))
    await backends.run_together(Together(tuple(Part(shard, query) for shard in shards)), context)


async def steadily(backends, shards, writer, *, told, refused):
    """Write number after number; `told` hears of each that was acknowledged."""
    number = 0
    while True:
        number += 1
        try:
            await write(backends, shards, writer, number)
        except RouterError as error:
            refused(number, error)
        else:
            told(number)
        await asyncio.sleep(0.001)


async def main(given):
    shard_map = read_map(given["map"])
    login = partial(resolve, environ=os.environ)
    settings = BackendSettings(min_connections=0, recovery_interval_s=3600)

    def told(writer, number):
        print(json.dumps([writer, number, None]), flush=True)

    def refused(writer, number, error):
        print(json.dumps([writer, number, error.code]), flush=True)

    with SharedFloors(None) as floors:
        observe = Killer(given["step"], given["times"])
        async with (
            PostgresBackends(shard_map, settings, login, floors, observe) as backends,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(given["writers"]):
                writer = f"{given['name']}-{number}"
                shards = tuple(shard_map.shards)
                tasks.create_task(
                    steadily(
                        backends,
                        shards,
                        writer,
                        told=partial(told, writer),
                        refused=partial(refused, writer),
                    )
                )


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
