import asyncio
import shutil
import signal
import subprocess
from contextlib import suppress

import asyncpg
import pytest

from server.embedded import (
    DataMissing,
    PromotionRefused,
    ServerUnreachable,
    SplitBrain,
    StandbyAhead,
)

TABLE = "CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (2)"
INSERT = "INSERT INTO numbers VALUES ($1)"
TORN = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@pytest.fixture
async def cluster(disposable_cluster, probe):
    cluster = await disposable_cluster(shards=1, replicas=2)
    await probe(cluster).run("shard_0-a", TABLE)
    return cluster


async def written_only_on_the_primary(cluster, probe):
    """Row 666 on shard_0-a alone, never acknowledged by a standby; then the primary is killed."""
    await cluster.stop("shard_0-b", "shard_0-c")
    async with probe(cluster).session("shard_0-a") as connection:
        await connection.execute("SET synchronous_commit = local; INSERT INTO numbers VALUES (666)")
    await cluster.kill("shard_0-a")
    await cluster.start("shard_0-b", "shard_0-c")


async def test_no_acknowledged_write_is_lost_when_the_primary_is_killed_and_a_replica_promoted(
    cluster, probe
):
    acknowledged: list[int] = []
    enough = asyncio.Event()

    async def write() -> None:
        with suppress(*LOST):
            async with probe(cluster).session("shard_0-a") as connection:
                for number in range(10, 100_000):
                    await connection.execute(INSERT, number)
                    acknowledged.append(number)
                    if number == 200:
                        enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        await enough.wait()
        await cluster.kill("shard_0-a")

    heir = await cluster.promote("shard_0")

    assert heir in {"shard_0-b", "shard_0-c"}
    assert set(acknowledged) <= set(await probe(cluster).numbers(heir))


async def test_a_promoted_primary_takes_writes_at_once_and_the_other_replica_follows_it(
    cluster, probe
):
    await cluster.kill("shard_0-a")

    heir = await cluster.promote("shard_0")
    await probe(cluster).run(heir, "INSERT INTO numbers VALUES (3)")

    other = {"shard_0-b": "shard_0-c", "shard_0-c": "shard_0-b"}[heir]
    assert await probe(cluster).roles("shard_0") == {heir: "primary", other: "replica"}
    await probe(cluster).has(other, [1, 2, 3])
    assert cluster.endpoints().shards[0].primary.name == heir


async def test_an_old_primary_is_rewound_to_follow_and_what_it_alone_wrote_is_undone(
    cluster, probe
):
    await written_only_on_the_primary(cluster, probe)
    heir = await cluster.promote("shard_0")
    await probe(cluster).run(heir, "INSERT INTO numbers VALUES (3)")
    steps: list[str] = []

    await cluster.up(steps.append)

    assert f"shard_0-a: rewinding it to follow {heir}" in steps
    assert not any("copying" in step for step in steps)
    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2, 3]


async def test_an_old_primary_that_cannot_be_rewound_is_copied_anew(cluster, probe):
    await written_only_on_the_primary(cluster, probe)
    heir = await cluster.promote("shard_0")
    for segment in (cluster.server("shard_0-a").data / "pg_wal").glob("0*"):
        segment.unlink()
    steps: list[str] = []

    await cluster.up(steps.append)

    assert f"shard_0-a: copying {heir}" in steps
    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_a_rewind_that_was_killed_is_followed_by_a_copy(cluster, probe, fluxshard):
    await written_only_on_the_primary(cluster, probe)
    heir = await cluster.promote("shard_0")
    up = fluxshard("cluster", "up", "--dir", str(cluster.directory))
    await up.killed_when((cluster.directory / "data" / "shard_0-a.rewinding").exists)
    steps: list[str] = []

    await cluster.up(steps.append)

    assert f"shard_0-a: copying {heir}" in steps
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_start_brings_an_old_primary_back_as_a_replica(cluster, probe):
    await cluster.kill("shard_0-a")
    heir = await cluster.promote("shard_0")

    await cluster.start("shard_0-a")

    assert (await cluster.status()).healthy
    assert (await probe(cluster).roles("shard_0"))[heir] == "primary"
    assert (await probe(cluster).roles("shard_0"))["shard_0-a"] == "replica"


async def test_a_running_primary_hands_over_and_becomes_a_replica(cluster, probe):
    heir = await cluster.promote("shard_0")

    assert (await cluster.status()).healthy
    assert (await probe(cluster).roles("shard_0"))["shard_0-a"] == "replica"
    await probe(cluster).run(heir, "INSERT INTO numbers VALUES (3)")
    assert await probe(cluster).agree("shard_0") == [1, 2, 3]


async def test_a_shard_can_be_promoted_again_and_again(cluster, probe):
    for number in (3, 4, 5):
        primary = cluster.endpoints().shards[0].primary.name
        await cluster.kill(primary)
        heir = await cluster.promote("shard_0")
        await probe(cluster).run(heir, f"INSERT INTO numbers VALUES ({number})")
        await cluster.up()

    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2, 3, 4, 5]


async def test_the_replica_that_confirmed_the_last_write_is_promoted_even_if_it_is_down(
    cluster, probe
):
    await cluster.stop("shard_0-b")
    await probe(cluster).run("shard_0-a", "INSERT INTO numbers VALUES (3)")  # shard_0-c confirms
    await cluster.kill("shard_0-c")
    await cluster.kill("shard_0-a")
    await cluster.start("shard_0-b")

    heir = await cluster.promote("shard_0")

    assert heir == "shard_0-c"
    assert await probe(cluster).numbers("shard_0-c") == [1, 2, 3]


async def test_a_promotion_that_could_lose_writes_is_refused_unless_the_loss_is_accepted(
    cluster, probe
):
    await cluster.kill("shard_0-a")
    await cluster.kill("shard_0-b")
    control = cluster.server("shard_0-b").data / "global" / "pg_control"
    control.write_bytes(bytes(control.stat().st_size))

    with pytest.raises(PromotionRefused):
        await cluster.promote("shard_0")
    refused = cluster.endpoints().shards[0].primary.name
    heir = await cluster.promote("shard_0", accept_loss=True)

    assert refused == "shard_0-a"
    assert heir == "shard_0-c"


async def test_a_running_primary_hands_over_although_another_replica_cannot_be_asked(
    cluster, probe
):
    await cluster.kill("shard_0-b")
    control = cluster.server("shard_0-b").data / "global" / "pg_control"
    control.write_bytes(bytes(control.stat().st_size))

    assert await cluster.promote("shard_0") == "shard_0-c"
    assert await probe(cluster).numbers("shard_0-c") == [1, 2]


async def test_a_shard_without_replicas_has_nobody_to_promote(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)

    with pytest.raises(PromotionRefused):
        await cluster.promote("shard_0")

    assert (await cluster.status()).healthy


async def test_the_catalog_fails_over_like_a_shard(cluster):
    await cluster.kill("catalog-a")

    heir = await cluster.promote("catalog")
    await cluster.up()

    assert cluster.endpoints().catalog.primary.name == heir
    assert (await cluster.status()).healthy


@pytest.mark.parametrize("moment", ["recorded", "promoting", "promoted"])
async def test_a_promotion_that_was_killed_is_finished_by_up_with_one_primary(
    cluster, probe, fluxshard, moment
):
    await cluster.kill("shard_0-a")
    standbys = [cluster.server(name).data for name in ("shard_0-b", "shard_0-c")]
    conditions = {
        "recorded": lambda: cluster.endpoints().shards[0].primary.name != "shard_0-a",
        "promoting": lambda: (
            any((data / "promote").exists() for data in standbys) or conditions["promoted"]()
        ),
        "promoted": lambda: not all((data / "standby.signal").exists() for data in standbys),
    }
    promote = fluxshard("cluster", "promote", "--dir", str(cluster.directory), "shard_0")
    await promote.killed_when(conditions[moment])

    await cluster.up()

    roles = await probe(cluster).roles("shard_0")
    assert sorted(roles.values()) == ["primary", "replica", "replica"]
    assert roles["shard_0-a"] == "replica"
    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_a_replica_promoted_by_other_hands_is_taken_for_the_primary(cluster, probe):
    await cluster.kill("shard_0-a")
    async with probe(cluster).session("shard_0-b") as connection:
        await connection.execute("SELECT pg_promote()")
        await connection.execute("SET synchronous_commit = local; INSERT INTO numbers VALUES (3)")

    await cluster.up()

    assert cluster.endpoints().shards[0].primary.name == "shard_0-b"
    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2, 3]


async def test_two_servers_that_both_take_writes_are_left_to_the_operator(cluster, probe):
    async with probe(cluster).session("shard_0-b") as connection:
        await connection.execute("SELECT pg_promote()")

    with pytest.raises(SplitBrain):
        await cluster.up()

    roles = await probe(cluster).roles("shard_0")
    assert (roles["shard_0-a"], roles["shard_0-b"]) == ("primary", "primary")


async def test_the_hint_of_a_split_brain_leads_out_of_it(cluster, probe):
    async with probe(cluster).session("shard_0-b") as connection:
        await connection.execute("SELECT pg_promote()")
    with pytest.raises(SplitBrain):
        await cluster.up()

    await cluster.stop("shard_0-b")
    (cluster.server("shard_0-b").data / "standby.signal").touch()
    await cluster.up()

    assert (await cluster.status()).healthy
    assert cluster.endpoints().shards[0].primary.name == "shard_0-a"
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_a_replica_whose_data_is_gone_is_copied_anew(cluster, probe):
    await cluster.stop("shard_0-c")
    shutil.rmtree(cluster.server("shard_0-c").data)

    await cluster.up()

    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_a_primary_whose_data_is_gone_is_not_made_anew_but_replaced_by_promotion(
    cluster, probe
):
    await cluster.stop("shard_0-a")
    shutil.rmtree(cluster.server("shard_0-a").data)

    with pytest.raises(DataMissing):
        await cluster.up()
    heir = await cluster.promote("shard_0")
    await cluster.up()

    assert cluster.endpoints().shards[0].primary.name == heir
    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_an_old_primary_is_not_touched_while_the_new_one_is_down(cluster):
    await cluster.kill("shard_0-a")
    heir = await cluster.promote("shard_0")
    await cluster.kill(heir, signal.SIGKILL)

    with pytest.raises(ServerUnreachable):
        await cluster.start("shard_0-a")

    assert not (cluster.directory / "data" / "shard_0-a.rewinding").exists()
    await cluster.up()
    assert (await cluster.status()).healthy


async def test_a_replica_that_went_ahead_of_the_new_primary_is_rewound(cluster, probe):
    await cluster.stop("shard_0-b")
    async with probe(cluster).session("shard_0-a") as connection:
        await connection.execute("INSERT INTO numbers VALUES (3)")  # shard_0-c confirms
    await cluster.kill("shard_0-a")
    await cluster.stop("shard_0-c")
    control = cluster.server("shard_0-c").data / "global" / "pg_control"
    kept = control.read_bytes()
    control.write_bytes(bytes(len(kept)))
    await cluster.start("shard_0-b")
    assert await cluster.promote("shard_0", accept_loss=True) == "shard_0-b"
    control.write_bytes(kept)
    await probe(cluster).run("shard_0-b", "SET synchronous_commit = local; SELECT pg_switch_wal()")

    await cluster.up()

    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_a_primary_that_was_set_back_does_not_take_its_replicas_along(cluster, probe):
    await cluster.down()
    data = cluster.server("shard_0-a").data
    copy = ["cp", "-a", data, cluster.directory / "backup"]
    await asyncio.to_thread(subprocess.run, copy, check=True)
    await cluster.up()
    await probe(cluster).run("shard_0-a", "INSERT INTO numbers SELECT generate_series(3, 5000)")
    await probe(cluster).agree("shard_0")
    await cluster.down()
    shutil.rmtree(data)
    (cluster.directory / "backup").rename(data)

    with pytest.raises(StandbyAhead):
        await cluster.up()

    await cluster.down()
    shutil.rmtree(data)
    await cluster.promote("shard_0")
    await cluster.up()
    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == list(range(1, 5001))


async def test_a_part_of_a_record_that_replicas_received_is_no_reason_to_refuse_a_succession(
    cluster, probe, eventually
):
    async with probe(cluster).session("shard_0-a") as connection:
        # neither committed nor flushed: only its whole pages are written, and sent
        await connection.execute(
            "SELECT pg_logical_emit_message(false, 'test', repeat('x', 300000))"
        )
        for replica in ("shard_0-b", "shard_0-c"):
            async with probe(cluster).session(replica) as there:
                await eventually(lambda there=there: there.fetchval(TORN))
        await cluster.kill("shard_0-a")

    await cluster.promote("shard_0")
    await cluster.up()

    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]
