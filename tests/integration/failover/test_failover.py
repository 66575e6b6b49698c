"""`fluxshard failover` on servers that run: on plain streaming replication, and on the embedded cluster."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from server.failover import (
    Asked,
    FailoverBroken,
    FailoverRefused,
    Servers,
    Streaming,
    deeds,
    make_plan,
)
from shardmap import Durability, resolve

DATABASE = "fluxbase"
TABLE = "CREATE TABLE numbers (n int PRIMARY KEY)"
INSERT = "INSERT INTO numbers VALUES ($1)"
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@pytest.fixture
async def cluster(disposable_cluster):
    return await disposable_cluster(shards=1, replicas=2)


class Operator:
    """Looks at a shard as plain streaming replication, and writes to it meanwhile."""

    def __init__(self, cluster):
        self.cluster = cluster
        (self.shard,) = cluster.endpoints().shards
        self.servers = Servers(self.shard.endpoints, lambda endpoint: resolve(endpoint, {}))
        self.asked = Asked("shard_0", Durability.QUORUM, databases=(DATABASE,))
        self.said = []
        self.acknowledged = []

    async def carry_out(self, **asked):
        facts = await self.servers.facts()
        plan = make_plan(replace(self.asked, **asked), facts)
        return await Streaming(self.servers, self.said.append).carry_out(plan, facts)

    async def fetch(self, server, sql, *args):
        connection = await asyncpg.connect(self.cluster.url(server))
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def numbers(self, server):
        return {row[0] for row in await self.fetch(server, "SELECT n FROM numbers")}

    @contextlib.asynccontextmanager
    async def writing(self, server, eventually):
        """Somebody writes one number after the other, until the server ends it."""

        async def write():
            with contextlib.suppress(*LOST):
                connection = await asyncpg.connect(self.cluster.url(server))
                for number in range(1_000_000):
                    await connection.execute(INSERT, number)
                    self.acknowledged.append(number)

        await self.fetch(server, TABLE)
        task = asyncio.create_task(write())
        await eventually(lambda: len(self.acknowledged) > 20)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def operator(cluster):
    return Operator(cluster)


async def test_a_lost_primary_is_succeeded_and_the_other_replica_follows(operator, eventually):
    async with operator.writing("shard_0-a", eventually):
        await operator.cluster.kill("shard_0-a")
    done = await operator.carry_out()

    heir = done.plan.heir
    (other,) = {"shard_0-b", "shard_0-c"} - {heir}
    assert done.following == (other,)
    assert done.timeline == 2
    assert set(operator.acknowledged) <= await operator.numbers(heir)
    await operator.fetch(heir, INSERT, -1)  # which waits for the other one
    assert -1 in await operator.numbers(other)
    assert any(line.startswith("pg_rewind") for line in done.by_hand)
    # the old one comes back as a replica, by pg_rewind
    await operator.cluster.start("shard_0-a")
    await eventually(lambda: _has(operator, "shard_0-a", -1))


async def _has(operator, server, number):
    return number in await operator.numbers(server)


async def test_a_switchover_loses_nothing_and_shuts_the_old_primary(operator, eventually):
    async with operator.writing("shard_0-a", eventually):
        done = await operator.carry_out(to="shard_0-c")

    assert done.plan.planned
    assert done.following == ("shard_0-b",)
    assert set(operator.acknowledged) <= await operator.numbers("shard_0-c")
    await operator.fetch("shard_0-c", INSERT, -1)
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await operator.numbers("shard_0-a")


async def test_a_switchover_whose_heir_stays_behind_is_called_off(
    operator, eventually, monkeypatch
):
    monkeypatch.setattr("server.failover.carrying_out.CATCH_UP_S", 0.2)
    async with operator.writing("shard_0-a", eventually):
        await operator.fetch("shard_0-c", "SELECT pg_wal_replay_pause()")

        with pytest.raises(FailoverBroken, match="is the primary as before"):
            await operator.carry_out(to="shard_0-c")

    await operator.fetch("shard_0-a", INSERT, -1)
    facts = await operator.servers.facts()
    assert [fact.recovering for fact in facts] == [False, True, True]


async def test_a_replica_that_cannot_be_asked_is_named_and_nothing_is_changed(operator):
    await operator.cluster.kill("shard_0-a")
    await operator.cluster.kill("shard_0-b")

    with pytest.raises(FailoverRefused, match="shard_0-a, shard_0-b of shard_0 do not answer"):
        await operator.carry_out()

    assert (await operator.servers.fact("shard_0-c")).recovering


async def test_replicas_receive_again_when_a_failover_is_given_up(operator, eventually):
    """The primary seemed to be lost, and answers by the time its replicas are cut off."""
    facts = await operator.servers.facts()
    plan = make_plan(operator.asked, [facts[0]._replace(away="no route"), *facts[1:]])

    with pytest.raises(FailoverRefused, match="shard_0-a is a primary that answers"):
        await Streaming(operator.servers, operator.said.append).carry_out(plan, facts)

    for name in ("shard_0-b", "shard_0-c"):
        assert await deeds.follows(operator.servers, name, 1, 30)


async def command(cluster, *arguments, environment=None):
    """Exit status, standard output and standard error of the command.

    With an environment that leads to the servers it knows nothing of the embedded cluster.
    """
    place = ("--dir", str(cluster.directory)) if environment is None else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server",
        "failover",
        *arguments,
        *place,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_shows_its_plan_promotes_and_rewinds_in_the_embedded_cluster(cluster):
    await cluster.kill("shard_0-a")

    planned, text, _ = await command(cluster, "shard_0", "--plan")
    refused, _, why = await command(cluster, "shard_0", "--to", "shard_0-a")
    done, document, _ = await command(cluster, "shard_0", "--to", "shard_0-c", "--json")

    assert planned == 0
    assert "failover of shard_0 (quorum) to" in text
    assert (refused, "shard_0-b, shard_0-c" in why) == (3, True)
    assert done == 0
    found = json.loads(document)
    assert (found["heir"], found["timeline"], found["by_hand"]) == ("shard_0-c", 2, [])
    status = await cluster.status()
    roles = {one.server.name: (one.server.role, one.streaming) for one in status.servers}
    assert status.healthy
    assert roles["shard_0-c"][0] == "primary"
    assert roles["shard_0-a"] == ("replica", True)


async def test_the_command_goes_by_the_map_and_leaves_the_old_primary_to_the_operator(cluster):
    environment = {"FLUXSHARD_STATE_DIR": str(cluster.directory / "state"), **cluster.environment()}
    await cluster.kill("shard_0-a")

    refused, _, why = await command(cluster, "shard_0", "--plan", environment=environment)
    unknown, _, named = await command(cluster, "shard_9", environment=environment)
    done, document, told = await command(
        cluster, "shard_0", "--accept-loss", "--json", environment=environment
    )

    assert (refused, "F101 shard_0 is async" in why) == (3, True)
    assert (unknown, "there are catalog, shard_0" in named) == (3, True)
    assert done == 5, told
    found = json.loads(document)
    assert found["done"]
    assert len(found["following"]) == 1
    assert any("pg_rewind" in line for line in found["by_hand"])
    assert "Left to be done by hand" in told
    (heir,) = (one for one in await Operator(cluster).servers.facts() if one.away is None
               and not one.recovering)  # fmt: skip
    assert heir.timeline == 2
