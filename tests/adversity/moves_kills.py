"""Moves a tenant to and fro under load, and kills or stops its mover at any of its statements.

    PYTHONPATH=. python tests/adversity/moves_kills.py --moves 200

makes a cluster of two shards, each with a replica that confirms commits. Clients write and read by SQL,
as routers do: they enter the tenant's unit with the map that they know, and ask for a newer one when they
are refused. Another mover goes on where one was killed. After each move exactly one side is open, nothing
is left over, both sides have the same rows, and a mover that was stopped and goes on afterwards changes nothing. At the end
`histories.py` judges what the clients were told. Prints a line for each move.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from router import prepare_database
from server.moves import (
    Limits,
    MoveBusy,
    MoveRequest,
    Moves,
    PauseTooLong,
    Places,
    State,
    examine,
    newest_map,
)
from shardmap import (
    CATALOG,
    CatalogSource,
    KeyType,
    Sharded,
    ShardMap,
    TableName,
    claim_identity,
    expected_identities,
    propose,
    unit_text,
    write_json,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("move_histories", HERE / "histories.py")
histories = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = histories
_spec.loader.exec_module(histories)

TENANT = "7"
LEASE_S = 1.0
STATEMENTS = 260
"""More than a move has: a mover that is to be killed later is not killed."""
WRITERS, READERS = 4, 4
SCHEMA = """
CREATE TABLE log (
    tenant_id int NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, client text, number int,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON log (tenant_id, client);
CREATE TABLE counts (
    tenant_id int NOT NULL, client text, n int NOT NULL, PRIMARY KEY (tenant_id, client)
);
GRANT ALL ON log, counts TO service_role;
"""
WRITE = """
WITH added AS (INSERT INTO log (tenant_id, client, number) VALUES ($1, $2, $3))
INSERT INTO counts (tenant_id, client, n) VALUES ($1, $2, 1)
ON CONFLICT (tenant_id, client) DO UPDATE SET n = counts.n + 1
"""
ELSEWHERE, HELD = "FX001", "FX002"
LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def map_of(endpoints, cluster_id):
    shards = {shard.id: shard for shard in endpoints.shards}
    return ShardMap(
        cluster_id=cluster_id,
        epoch=1,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=propose(dict.fromkeys(shards, 1)),
        tables={TableName(f"public.{name}"): Sharded("tenant_id") for name in ("log", "counts")},
    )


async def furnish(shard_map, url):
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(url(primary.name))
        try:
            await prepare_database(connection, number=shard_map.number(identity.shard_id))
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            if identity.shard_id == CATALOG:
                source = CatalogSource(connection)
                await source.apply(shard_map, expected_epoch=0, author="test", reason="first")
            else:
                await connection.execute(SCHEMA)
        finally:
            await connection.close()


@dataclass
class Client:
    """One client with the map that it knows, and its own sessions. Sessions are found as movers do."""

    places: Places
    name: str
    history: object
    errors: list
    sessions: dict = field(default_factory=dict)

    async def entered(self, work):
        """The result of work in a transaction in which the tenant was entered; tries until it is."""
        while True:
            shard_map = self.places.shard_map
            home, unit = shard_map.owner(TENANT), shard_map.unit(TENANT)
            try:
                session = await self._session(home)
                transaction = session.transaction()
                await transaction.start()
                try:
                    await session.fetchrow(
                        "SELECT fluxshard.enter($1, $2)",
                        unit_text(unit),
                        shard_map.unit_epoch(unit),
                    )
                except asyncpg.PostgresError as error:
                    await transaction.rollback()
                    if error.sqlstate not in {ELSEWHERE, HELD}:
                        raise
                    await self._refresh()
                    continue
                result = await work(session)
            except LOST as error:
                self.sessions.pop(home, None)
                self.errors.append(repr(error))
                await asyncio.sleep(0.05)
                continue
            return session, transaction, result

    async def _session(self, shard):
        if shard not in self.sessions or self.sessions[shard].is_closed():
            self.sessions[shard], _ = await self.places._found(shard)
            await self.sessions[shard].execute("SET search_path = public")
        return self.sessions[shard]

    async def _refresh(self):
        await asyncio.sleep(0.002)
        self.places = self.places.on(await newest_map(self.places))

    async def write(self, number):
        began, outcome = time.monotonic(), histories.UNKNOWN
        try:
            session, transaction, _ = await self.entered(
                lambda session: session.execute(WRITE, int(TENANT), self.name, number)
            )
            try:
                await transaction.commit()
                outcome = histories.ACKNOWLEDGED
            except (asyncpg.PostgresError, *LOST):
                session.terminate()
        finally:
            self.history.writes.append(
                histories.Write(self.name, number, began, time.monotonic(), outcome)
            )

    async def read(self, client):
        began = time.monotonic()
        _, transaction, rows = await self.entered(
            lambda session: session.fetch(
                "SELECT number FROM log WHERE tenant_id = $1 AND client = $2", int(TENANT), client
            )
        )
        with suppress(asyncpg.PostgresError, *LOST):
            await transaction.rollback()
        numbers = [row["number"] for row in rows]
        if len(numbers) != len(set(numbers)):
            self.errors.append(f"a read of {client} has a number twice")
        self.history.reads.append(
            histories.Read(client, frozenset(numbers), began, time.monotonic())
        )

    async def writing(self):
        number = 0
        while True:
            number += 1
            await self.write(number)
            await asyncio.sleep(random.uniform(0.002, 0.02))

    async def reading(self, clients):
        while True:
            await self.read(random.choice(clients))
            await asyncio.sleep(random.uniform(0.005, 0.05))

    async def close(self):
        for session in self.sessions.values():
            session.terminate()


class Load:
    """Writers and readers of the tenant, at work while the context is open."""

    def __init__(self, places, name):
        self.places = places
        self.name = name
        self.history = histories.History()
        self.errors = []

    async def __aenter__(self):
        writers = [self._client(f"{self.name}-w{n}") for n in range(WRITERS)]
        readers = [self._client(f"{self.name}-r{n}") for n in range(READERS)]
        names = [writer.name for writer in writers]
        self.clients = writers + readers
        self.tasks = [asyncio.create_task(one.writing()) for one in writers]
        self.tasks += [asyncio.create_task(one.reading(names)) for one in readers]
        return self

    def _client(self, name):
        return Client(self.places, name, self.history, self.errors)

    async def __aexit__(self, *_):
        failed = [task.exception() for task in self.tasks if task.done()]
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        for client in self.clients:
            await client.close()
        for failure in failed:
            raise failure


@dataclass
class MoveKills:
    """Moves of one tenant between two shards, with a mover that dies."""

    places: Places
    wrong: list = field(default_factory=list)

    async def move(self, after, name="KILL"):
        """One move under load, its mover killed after so many statements; the history of its clients."""
        places = self.places.on(await newest_map(self.places))
        home = places.shard_map.owner(TENANT)
        target = next(shard for shard in places.shard_map.shards if shard != home)
        async with Load(places, f"c{random.getrandbits(32):08x}") as load:
            moves = Moves(places, Limits(lease_s=LEASE_S))
            (plan,) = await moves.plan(MoveRequest(target, tenants=(TENANT,)))
            move = await moves.begin(plan)
            stopped = await self._doomed(move.id, "carry_out", after, name)
            ended = await self._resumed(moves, move.id)
            if stopped is not None:
                await self._goes_on(stopped)
            self._expect(ended.state is State.MOVED, f"move {move.id} is {ended.state}")
            await self._one_side_is_open(move.id, target)
            back = random.random() < 0.3
            stopped = await self._doomed(move.id, "rollback" if back else "clean", after, name)
            final = await self._resumed(moves, move.id, "rollback" if back else "clean")
            if stopped is not None:
                await self._goes_on(stopped)
            self._expect(
                final.state is (State.ROLLED_BACK if back else State.CLEANED),
                f"move {move.id} is {final.state}",
            )
            await self._one_side_is_open(move.id, home if back else target)
        await self._audit(load, move.id)
        return final, load

    async def _doomed(self, move, what, after, name):
        """A mover that ends, or stops, after so many statements; the stopped one."""
        given = {
            "map": write_json(self.places.shard_map),
            "move": move,
            "what": what,
            "after": after,
            "signal": f"SIG{name}",
            "lease_s": LEASE_S,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            HERE / "mover.py",
            json.dumps(given),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )
        if name != "STOP":
            await process.communicate()
            return None
        while process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.05)
            if _state_of(process.pid) == "T":
                return process
        return None

    async def _goes_on(self, process):
        """The stopped mover goes on, after another one has done its work: it must not matter."""
        process.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(60):
                await process.communicate()
        except TimeoutError:
            self.wrong.append("a mover that was stopped does not end")
            process.kill()

    async def _resumed(self, moves, move, what="resume"):
        """Go on as soon as the dead mover's lease has run out."""
        until = time.monotonic() + 120
        while True:
            found = await moves.journal.one(move)
            done = {State.CLEANED, State.ROLLED_BACK} | (
                {State.MOVED} if what == "resume" else set()
            )
            if found.state in done:
                return found
            asked = found.state in {State.CLEANING, State.ROLLING_BACK, State.RETURNING}
            work = moves.resume if what == "resume" or asked else getattr(moves, what)
            try:
                return await work(move, lambda _: None)
            except (MoveBusy, PauseTooLong):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)

    async def _one_side_is_open(self, move, home):
        states = {}
        unit = f"pin:{TENANT}"
        for shard in self.places.shard_map.shards:
            async with self.places.primary(shard) as session:
                states[shard] = await session.fetchval(
                    "SELECT state FROM fluxshard.fence WHERE unit = $1", unit
                )
        is_open = [shard for shard, state in states.items() if state == "open"]
        self._expect(is_open == [home], f"move {move}: {states}, and {home} should be home")

    async def _audit(self, load, move):
        places = self.places.on(await newest_map(self.places))
        ailments = await examine(places)
        self._expect(ailments == (), f"move {move}: {ailments}")
        rows = {}
        for shard in places.shard_map.shards:
            async with places.primary(shard) as session:
                found = await session.fetch(
                    "SELECT client, number FROM public.log WHERE tenant_id = $1 AND client LIKE $2",
                    int(TENANT),
                    f"{load.name}%",
                )
                counts = await session.fetch(
                    "SELECT client, n FROM public.counts WHERE tenant_id = $1 AND client LIKE $2",
                    int(TENANT),
                    f"{load.name}%",
                )
            rows[shard] = [tuple(row) for row in found]
            numbers = {row["client"]: row["n"] for row in counts}
            for client in {client for client, _ in rows[shard]} | numbers.keys():
                there = sum(name == client for name, _ in rows[shard])
                self._expect(
                    numbers.get(client) == there,
                    f"{client}: {there} rows on {shard}, counted {numbers.get(client)}",
                )
        home = places.shard_map.owner(TENANT)
        for shard, found in rows.items():
            self._expect(
                shard == home or not found, f"move {move}: {len(found)} rows left on {shard}"
            )
        self.wrong += [f"move {move}: {one}" for one in histories.wrong(load.history, rows[home])]
        self.wrong += [f"move {move}: a client met {one}" for one in load.errors]

    def _expect(self, fact, otherwise):
        if not fact:
            self.wrong.append(otherwise)


def _state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


async def main():
    from server.embedded import ClusterSpec, EmbeddedCluster, Sockets  # noqa: PLC0415 - the loop alone

    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument(
        "--every", type=int, help="kill after each n-th statement in turn, not at random"
    )
    parser.add_argument(
        "--stop", type=float, default=0.3, help="the share of movers that are stopped, not killed"
    )
    parser.add_argument(
        "--rows", type=int, default=0, help="that the tenant has from the beginning"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-moves-") as directory:
        Path(directory).chmod(0o711)
        spec = ClusterSpec(directory=Path(directory) / "c", shards=2, replicas=1, listen=Sockets())
        cluster = EmbeddedCluster(spec)
        try:
            await cluster.up()
            first = map_of(cluster.endpoints(), "c-moves")
            await furnish(first, cluster.url)
            kills = MoveKills(Places(first, os.environ))
            async with kills.places.primary(first.owner(TENANT)) as session:
                await session.execute(
                    "INSERT INTO public.log (tenant_id, client, number)"
                    f" SELECT {TENANT}, 'old', n FROM generate_series(1, {options.rows}) n"
                )
            pauses = []
            for number in range(options.moves):
                after = (
                    1 + number * options.every if options.every else random.randint(1, STATEMENTS)
                )
                name = "STOP" if random.random() < options.stop else "KILL"
                move, load = await kills.move(after, name)
                pauses += [
                    move.facts[one] for one in ("pause_s", "pause_back_s") if one in move.facts
                ]
                print(
                    f"move {move.id}: {name} after {after} statements, {move.state},"
                    f" {load.history.acknowledged()} writes, {len(load.history.reads)} reads,"
                    f" pause {move.facts.get('pause_s', 0) * 1000:.0f} ms, {len(kills.wrong)} wrong",
                    flush=True,
                )
            pauses.sort()
            print(
                f"{len(pauses)} pauses: p50 {pauses[len(pauses) // 2] * 1000:.0f} ms, most {pauses[-1] * 1000:.0f} ms"
            )
        finally:
            await cluster.destroy()
    for wrong in kills.wrong[:100]:
        print(wrong)
    return 1 if kills.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
