"""A tenant moves to and fro under clients of a real server: none meets an error, and none misses a write."""

import asyncio
import importlib.util
import itertools
import os
import random
import secrets
import socket
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from server.auth import mint
from server.moves import State

SECRET = secrets.token_urlsafe(48)
WRITERS, READERS = 4, 4
PORTS = range(22_000, 29_000)

_spec = importlib.util.spec_from_file_location(
    "move_histories", Path(__file__).parents[2] / "adversity" / "histories.py"
)
histories = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = histories
_spec.loader.exec_module(histories)


def free_port():
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@asynccontextmanager
async def serving(environment, directory):
    """A server with two workers; its address."""
    port, log = free_port(), directory / "server.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "server", "serve", "--workers", "2"),
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "FLUXBASE_AUTH_JWT_SECRET": SECRET,
                "FLUXBASE_SERVER_ADDRESS": f"127.0.0.1:{port}",
                "FLUXBASE_METRICS_ENABLED": "false",
                "FLUXSHARD_STATE_DIR": str(directory / "state"),
                "FLUXSHARD_DRAIN_DELAY": "0",
                **environment,
            },
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(90), aiohttp.ClientSession() as http:
            while True:
                assert process.returncode is None, log.read_text()
                try:
                    async with http.get(f"http://127.0.0.1:{port}/ready") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        await process.wait()


class Clients:
    """Writers that number what they write, and readers of it, each write and read noted."""

    def __init__(self, url, tenant):
        self.url = url
        self.tenant = tenant
        self.history = histories.History()
        self.errors = []
        self.leaving = asyncio.Event()

    @asynccontextmanager
    async def at_work(self):
        async with aiohttp.ClientSession() as self.http, asyncio.TaskGroup() as tasks:
            for number in range(WRITERS):
                tasks.create_task(self._writes(f"w{number}"))
            for number in range(READERS):
                tasks.create_task(self._reads(f"w{number % WRITERS}"))
            try:
                yield self
            finally:
                self.leaving.set()

    def _headers(self, session, **more):
        claims = {"role": "authenticated", "sub": session, "tenant_id": self.tenant}
        return {"Authorization": f"Bearer {mint(claims, SECRET)}", **more}

    async def _writes(self, name):
        for number in itertools.count(1):
            if self.leaving.is_set():
                return
            began = time.monotonic()
            body = {"client": name, "number": number}
            url = f"{self.url}/rest/v1/events"
            async with self.http.post(url, json=body, headers=self._headers(name)) as answer:
                outcome = histories.ACKNOWLEDGED
                if answer.status != 201:
                    self.errors.append((answer.status, await answer.text()))
                    outcome = histories.UNKNOWN
            ended = time.monotonic()
            self.history.writes.append(histories.Write(name, number, began, ended, outcome))
            await asyncio.sleep(random.uniform(0.005, 0.02))

    async def _reads(self, client):
        headers = self._headers(client, Prefer="consistency=strong")
        while not self.leaving.is_set():
            began = time.monotonic()
            url = f"{self.url}/rest/v1/events?client=eq.{client}&select=number"
            async with self.http.get(url, headers=headers) as answer:
                if answer.status == 200:
                    numbers = frozenset(row["number"] for row in await answer.json())
                    read = histories.Read(client, numbers, began, time.monotonic())
                    self.history.reads.append(read)
                else:
                    self.errors.append((answer.status, await answer.text()))
            await asyncio.sleep(random.uniform(0.01, 0.05))


async def test_clients_notice_nothing_of_moves_rollbacks_and_clean_ups(world, databases, tmp_path):
    a, b = world.first.shards
    tenant = world.tenant(a)
    async with serving(databases.environment, tmp_path) as (url, log):
        clients = Clients(url, tenant)
        async with clients.at_work():
            states = []
            for away, back in ((b, True), (b, False)):
                moves = await world.moves()
                (plan,) = await moves.plan(world.request(away, tenant))
                (outcome,) = await moves.run([plan], lambda _: None)
                assert outcome.error is None, outcome.error
                end = moves.rollback if back else moves.clean
                states.append((await end(outcome.move.id, lambda _: None)).state)
        said = log.read_text()
    rows = {
        shard: await world.rows(
            shard, "SELECT client, number FROM events WHERE tenant_id = $1", tenant
        )
        for shard in (a, b)
    }

    assert states == [State.ROLLED_BACK, State.CLEANED]
    assert clients.errors == [], said[-3000:]
    assert histories.wrong(clients.history, rows[b]) == []
    assert rows[a] == []
    assert clients.history.acknowledged() > 50
    assert len(clients.history.reads) > 50
    assert await world.leftovers() == []
