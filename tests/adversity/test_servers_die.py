"""Each server of a shard dies in turn, and the catalog's all together, under clients that go on."""

import os
import signal

import pytest

ATTACKED, SPARED = "shard_0", "shard_1"
CATALOG = "catalog"
PRIMARY_AWAY, SHARD_DOWN = "P203", "P202"
AT_THE_CUT = {"503 P203", "500 COMMIT_UNKNOWN"}


@pytest.mark.parametrize("which", [0, 1])
async def test_a_killed_replica_costs_no_read_and_no_write(world, steady, which):
    async with steady.at_work():
        victim = world.replicas()[which]
        await world.crash(victim)
        await steady.more(reads=20, writes=10)
        await world.cluster.start(victim)
        await steady.more()

    assert steady.failures("read") == {}
    assert steady.failures("write") == {}


async def test_a_killed_primary_that_comes_back_costs_no_read_and_loses_no_write(world, steady):
    attacked = steady.of(ATTACKED)
    async with steady.at_work():
        primary = world.primary()
        await world.crash(primary)
        await steady.refused(attacked, PRIMARY_AWAY)
        await steady.more(reads=20, writes=0)
        await world.cluster.start(primary)
        await steady.more()

    assert steady.failures("read") == {}
    assert steady.failures("write", attacked).keys() <= AT_THE_CUT
    assert steady.failures("write", steady.of(SPARED)) == {}


@pytest.mark.parametrize("orphans", [False, True])
async def test_a_killed_primary_that_a_replica_succeeds_costs_no_read_and_loses_no_write(
    world, steady, http, orphans
):
    attacked = steady.of(ATTACKED)
    async with steady.at_work():
        old = world.primary()
        await (world.cluster.kill if orphans else world.crash)(old)
        await steady.refused(attacked, PRIMARY_AWAY)
        await steady.more(reads=20, writes=0)
        heir = await world.cluster.promote(ATTACKED)
        await steady.more(reads=20, writes=10)
        await world.cluster.start(old)
        await world.agreed(
            http,
            lambda health: health["shards"][ATTACKED]["endpoints"][old]["state"] == "replica",
        )
        await steady.more(reads=20, writes=10)

    assert heir == world.primary() != old
    assert steady.failures("read") == {}
    assert steady.failures("write", attacked).keys() <= AT_THE_CUT
    assert steady.failures("write", steady.of(SPARED)) == {}


async def test_without_the_catalog_tenants_read_and_write_even_through_a_new_worker(
    world, steady, http, service
):
    plans = f"{world.url}/rest/v1/plans"
    catalog = world.servers(CATALOG)
    async with steady.at_work():
        for server in catalog:
            await world.crash(server)
        await steady.more(reads=20, writes=10)
        whole = (steady.failures("read"), steady.failures("write"))
        survivor, victim = world.workers
        os.kill(victim, signal.SIGKILL)
        await steady.more(reads=20, writes=10)
        refused = [await http.get(plans, headers=service) for _ in range(20)]
        await world.cluster.start(*catalog)
        await steady.more()

    assert whole == ({}, {})
    assert steady.failures("read").keys() <= {"broken"}
    assert steady.failures("write").keys() <= {"broken"}
    assert survivor in world.workers
    assert {(answer.status, (await answer.json())["code"]) for answer in refused} == {
        (503, SHARD_DOWN)
    }
    assert all("Retry-After" in answer.headers for answer in refused)

    async def known_again():
        answers = [await http.get(plans, headers=service) for _ in range(10)]
        return all(answer.status == 200 for answer in answers)

    await world.until(known_again, "the catalog's tables stay unknown")
