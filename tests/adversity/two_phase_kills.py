"""Kills coordinators at each step of their commits, and looks at what they leave behind.

    PYTHONPATH=. python tests/adversity/two_phase_kills.py --kills 20

makes a cluster of two shards, each with a replica that confirms commits; for each step it starts
processes that write on both shards and kill themselves at that step (`random`: are killed at any
moment), while another process writes steadily. When all are dead a new process is started, as after
a restart, and has to end what was left. Then every write must be on both shards or on neither, each
acknowledged one on both, and nothing locked. Prints a line for each step.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncpg

from router import (
    BackendSettings,
    PostgresBackends,
    SharedFloors,
    Step,
    TransactionRecovered,
    prepare_database,
)
from shardmap import (
    KeyType,
    ShardMap,
    claim_identity,
    expected_identities,
    resolve,
    write_json,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("two_phase_coordinator", HERE / "coordinator.py")
coordinator = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(coordinator)

RANDOM = "random"
STEPS = (*(step.value for step in Step if step is not Step.UNDONE), RANDOM)
UNKNOWN = 255
"""What asyncio says of a process whose end somebody else has noticed first."""
WRITERS = 3
"""Commits in flight in a process when it is killed."""
DEFAULT_AGE_S = BackendSettings().recovery_age_s
STEADY = "steady"
RECOVERED_WITHIN_S = 10.0
SCHEMA = """
CREATE TABLE entries (writer text, number int, PRIMARY KEY (writer, number));
CREATE TABLE counts (writer text PRIMARY KEY, entries int NOT NULL);
GRANT ALL ON entries, counts TO service_role;
"""
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"


def map_of(endpoints, cluster_id):
    shards = {shard.id: shard for shard in endpoints.shards}
    return ShardMap(
        cluster_id=cluster_id,
        epoch=1,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=endpoints.catalog.primary,
        catalog_replicas=(),
        slots=(next(iter(shards)),) * 4096,
    )


@dataclass
class Kills:
    """Two shards to write on. `url` gives the address of a server."""

    shard_map: ShardMap
    url: object
    wrong: list = field(default_factory=list)
    refused: set = field(default_factory=set)
    """Writes (writer, number) whose answer said that nothing was written."""

    async def prepare(self):
        for primary, identity in expected_identities(self.shard_map):
            async with _session(self.url(primary.name)) as connection:
                await prepare_database(connection)
                await claim_identity(connection, identity.cluster_id, identity.shard_id)
                if identity.shard_id in self.shard_map.shards:
                    await connection.execute(SCHEMA)

    async def round(self, step, processes, *, age_s=DEFAULT_AGE_S):
        """Kill so many processes at the step; what was left, and how long it took to end it."""
        acknowledged = defaultdict(set)
        async with self._steady(acknowledged):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(processes):
                    tasks.create_task(self._victim(step, acknowledged))
            left = await self._left(acknowledged)
            took_s, recovered = await self._recovered(left, age_s)
        await self._audit(step, acknowledged)
        return Round(processes, len(left), recovered, took_s, sum(map(len, acknowledged.values())))

    async def _victim(self, step, acknowledged):
        given = {
            "map": write_json(self.shard_map),
            "name": f"{step}-{secrets.token_hex(4)}",
            "writers": WRITERS,
            "step": None if step == RANDOM else step,
            "times": random.randint(3, 20),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            HERE / "coordinator.py",
            json.dumps(given),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )
        doomed = random.randint(10, 60)
        try:
            async for line in process.stdout:
                writer, number, code = json.loads(line)
                self._note(acknowledged, writer, number, code)
                doomed -= 1
                if step == RANDOM and doomed == 0:
                    await asyncio.sleep(random.random() * 0.01)
                    process.kill()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            if await process.wait() not in {-signal.SIGKILL, UNKNOWN}:
                self.wrong.append(f"{step}: a process ended by itself")

    def _steady(self, acknowledged):
        return _Steady(self, acknowledged)

    def _note(self, acknowledged, writer, number, code):
        """What a writer was told of one of its writes."""
        match code:
            case None | "P303":
                acknowledged[writer].add(number)
            case "P302":
                pass
            case _:
                self.refused.add((writer, number))

    async def _left(self, acknowledged):
        """What the dead have left prepared: it is there while the living go on committing."""
        before = await self._prepared()
        (steady,) = (name for name in acknowledged if name.startswith(STEADY))
        enough = len(acknowledged[steady]) + 10
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            while len(acknowledged[steady]) < enough:
                await asyncio.sleep(0.001)
        return before & await self._prepared()

    async def _recovered(self, left, age_s):
        """Start anew, as after a restart, and wait until what was left has ended."""
        began = time.monotonic()
        facts = []
        async with (
            _backends(self.shard_map, facts.append, recovery_age_s=age_s),
            asyncio.timeout(6 * RECOVERED_WITHIN_S),
        ):
            while left & await self._prepared():
                await asyncio.sleep(0.02)
            took_s = time.monotonic() - began
            while len(_recoveries(facts)) < len(left):
                await asyncio.sleep(0.001)
        return took_s, Counter(fact.committed for fact in _recoveries(facts))

    async def _prepared(self):
        return {gid for found in await self._everywhere_rows(PREPARED) for (gid,) in found}

    async def _audit(self, step, acknowledged):
        rows = await self._everywhere_rows("SELECT writer, number FROM entries")
        counts = await self._everywhere_rows("SELECT writer, entries FROM counts")
        if rows[0] != rows[1]:
            self.wrong.append(f"{step}: half applied: {sorted(rows[0] ^ rows[1])[:10]}")
        if self.refused & rows[0]:
            self.wrong.append(f"{step}: refused and there: {sorted(self.refused & rows[0])[:10]}")
        told = {(writer, number) for writer, found in acknowledged.items() for number in found}
        if told - rows[0]:
            self.wrong.append(f"{step}: acknowledged and lost: {sorted(told - rows[0])[:10]}")
        for shard, found in enumerate(counts):
            if dict(found) != Counter(writer for writer, _ in rows[shard]):
                self.wrong.append(f"{step}: entries and their number differ on shard {shard}")
        for primary in self._primaries():  # the rows of the dead are free
            async with _session(self.url(primary)) as connection:
                await connection.execute(
                    "SET lock_timeout = '2s'; UPDATE counts SET entries = entries"
                )

    def _primaries(self):
        return [shard.primary.name for shard in self.shard_map.shards.values()]

    async def _everywhere_rows(self, sql):
        found = []
        for primary in self._primaries():
            async with _session(self.url(primary)) as connection:
                found.append({tuple(row) for row in await connection.fetch(sql)})
        return found


def _recoveries(facts):
    return [fact for fact in facts if isinstance(fact, TransactionRecovered)]


@dataclass(frozen=True)
class Round:
    """What one round of kills left, and what became of it."""

    killed: int
    left: int
    recovered: Counter
    took_s: float
    acknowledged: int


class _Steady:
    """Another process's writes, that go on all the time and are all acknowledged."""

    def __init__(self, kills, acknowledged):
        self.kills = kills
        self.acknowledged = acknowledged

    async def __aenter__(self):
        self.open = _backends(self.kills.shard_map, lambda _: None, recovery_interval_s=3600)
        backends = await self.open.__aenter__()
        shards = tuple(self.kills.shard_map.shards)
        name = f"{STEADY}-{secrets.token_hex(4)}"

        def refused(number, error):
            self.kills._note(self.acknowledged, name, number, error.code)

        self.task = asyncio.create_task(
            coordinator.steadily(
                backends, shards, name, told=self.acknowledged[name].add, refused=refused
            )
        )

    async def __aexit__(self, *failure):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.open.__aexit__(*failure)


class _backends:  # noqa: N801 - reads as the function that it stands for
    def __init__(self, shard_map, observe, **settings):
        self.made = (shard_map, BackendSettings(min_connections=0, **settings),
                     partial(resolve, environ=os.environ))  # fmt: skip
        self.observe = observe

    async def __aenter__(self):
        self.floors = SharedFloors(None)
        floors = self.floors.__enter__()
        self.backends = PostgresBackends(*self.made, floors, self.observe)
        return await self.backends.__aenter__()

    async def __aexit__(self, *failure):
        await self.backends.__aexit__(*failure)
        self.floors.__exit__(*failure)


class _session:  # noqa: N801 - the same
    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.connection = await asyncpg.connect(self.url)
        return self.connection

    async def __aexit__(self, *_):
        await self.connection.close()


async def main():
    from server.embedded import ClusterSpec, EmbeddedCluster, Sockets  # noqa: PLC0415 - the loop alone

    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=20, help="at each step")
    parser.add_argument("--at-once", type=int, default=5, help="processes that die in one round")
    parser.add_argument("--steps", nargs="*", default=STEPS, choices=STEPS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-kills-") as directory:
        Path(directory).chmod(0o711)
        cluster = EmbeddedCluster(
            ClusterSpec(directory=Path(directory) / "c", shards=2, replicas=1, listen=Sockets())
        )
        try:
            await cluster.up()
            kills = Kills(map_of(cluster.endpoints(), "c-kills"), cluster.url)
            await kills.prepare()
            for step in options.steps:
                rounds = []
                for start in range(0, options.kills, options.at_once):
                    count = min(options.at_once, options.kills - start)
                    rounds.append(await kills.round(step, count))
                recovered = sum((one.recovered for one in rounds), Counter())
                print(
                    f"{step:>10}: {sum(one.killed for one in rounds)} killed,"
                    f" {sum(one.acknowledged for one in rounds)} writes acknowledged,"
                    f" {sum(one.left for one in rounds)} prepared left,"
                    f" {recovered[True]} committed, {recovered[False]} rolled back,"
                    f" at most {max(one.took_s for one in rounds):.1f} s after the restart,"
                    f" {len(kills.refused)} refused so far, {len(kills.wrong)} wrong",
                    flush=True,
                )
        finally:
            await cluster.destroy()
    for wrong in kills.wrong:
        print(wrong)
    return 1 if kills.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
