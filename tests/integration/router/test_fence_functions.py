"""The fences of a shard in SQL: who is let in, who waits, and who may change them."""

import asyncio
import json
from contextlib import AsyncExitStack

import asyncpg
import pytest

from router import prepare_database

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
async def sessions(databases):
    """`await sessions(server)`: a session on the prepared database of the test."""
    async with AsyncExitStack() as stack:
        prepared = False

        async def connect(server="shard_0-a"):
            nonlocal prepared
            connection = await asyncpg.connect(databases.url(server))
            stack.push_async_callback(connection.close)
            if not prepared:
                await prepare_database(connection)
                prepared = True
            return connection

        yield connect


async def fence(session, unit, epoch, state, lease=1, *, moved_to=None, tenants=None):
    await session.execute(
        "SELECT fluxshard.set_fence($1, $2, $3, $4, $5, $6)",
        *(unit, epoch, state, moved_to, lease, tenants),
    )


async def version(session):
    return await session.fetchval("SELECT version FROM fluxshard.fence_version")


async def enter(session, unit, epoch):
    await session.execute("SELECT fluxshard.enter($1, $2)", unit, epoch)


async def eventually(session, query, found):
    """Wait until the query gives this value."""
    async with asyncio.timeout(30):
        while True:
            if await session.fetchval(query) == found:
                return
            await asyncio.sleep(0.005)


async def until_waiting(session, count=1):
    await eventually(session, WAITING, count)


async def refusal(session, unit, epoch):
    with pytest.raises(asyncpg.PostgresError) as caught:
        await enter(session, unit, epoch)
    return caught.value


async def test_a_unit_without_a_fence_lets_every_epoch_in(sessions):
    session = await sessions()

    await enter(session, "slot:7", 1)
    await enter(session, "slot:7", 9)


async def test_an_open_fence_lets_in_its_own_epoch_only(sessions):
    session = await sessions()
    await fence(session, "pin:42", 3, "open")

    await enter(session, "pin:42", 3)

    for epoch in (2, 4):
        refused = await refusal(session, "pin:42", epoch)
        assert refused.sqlstate == "FX001"
        assert json.loads(refused.detail)["epoch"] == 3


async def test_who_is_refused_hears_where_the_unit_went(sessions):
    session = await sessions()
    await fence(session, "pin:42", 4, "gone", moved_to="shard_1", tenants=["42"])

    refused = await refusal(session, "pin:42", 3)

    assert refused.sqlstate == "FX001"
    assert json.loads(refused.detail) == {
        "unit": "pin:42",
        "epoch": 4,
        "state": "gone",
        "moved_to": "shard_1",
        "lease": 1,
    }
    await fence(session, "pin:42", 4, "arriving")
    assert (await refusal(session, "pin:42", 4)).sqlstate == "FX001"
    await fence(session, "pin:42", 4, "held")
    assert (await refusal(session, "pin:42", 4)).sqlstate == "FX002"


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read", "serializable"])
async def test_a_mover_waits_for_who_is_inside_and_who_comes_then_sees_what_it_changed(
    sessions, isolation
):
    inside, mover, late, watcher = [await sessions() for _ in range(4)]
    writing = inside.transaction(isolation=isolation)
    await writing.start()
    await enter(inside, "slot:7", 1)
    async with asyncio.TaskGroup() as tasks:
        moved = tasks.create_task(fence(mover, "slot:7", 2, "gone", moved_to="shard_1"))
        await until_waiting(watcher)

        async def come_late():
            async with late.transaction(isolation=isolation):
                await enter(late, "slot:7", 1)

        coming = tasks.create_task(_outcome(come_late()))
        await until_waiting(watcher, 2)
        assert not moved.done()
        await writing.commit()

    # Above read committed the snapshot is older than the change: begun again, it is refused.
    assert coming.result() == ("FX001" if isolation == "read_committed" else "40001")
    assert (await refusal(late, "slot:7", 1)).sqlstate == "FX001"


async def enter_within(session, unit):
    """Enter in a subtransaction, so that the transaction outlives a refusal."""
    async with session.transaction():
        await enter(session, unit, 1)


async def _outcome(coroutine):
    try:
        await coroutine
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return "entered"


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_a_snapshot_older_than_a_change_never_lets_in(sessions, isolation):
    session, mover = await sessions(), await sessions()
    await fence(mover, "slot:1", 1, "open")
    for unit, epoch, state in (("slot:1", 2, "gone"), ("slot:2", 2, "gone")):
        async with session.transaction(isolation=isolation):
            await session.fetchval("SELECT count(*) FROM fluxshard.fence")
            await fence(mover, unit, epoch, state)
            assert await _outcome(enter_within(session, unit)) == "40001"
    before = await version(mover)
    async with session.transaction(isolation=isolation):
        await enter(session, "slot:3", 1)
    assert await version(mover) == before
    assert not await mover.fetchval("SELECT count(*) FROM fluxshard.fence WHERE unit = 'slot:3'")


async def test_each_change_raises_the_version_and_replicas_see_it(sessions):
    session, replica = await sessions(), await sessions("shard_0-b")
    seen = [await version(session)]

    await fence(session, "slot:7", 2, "arriving")
    seen.append(await version(session))
    async with session.transaction():
        await fence(session, "slot:7", 2, "open")
        await fence(session, "slot:8", 2, "held")
    seen.append(await version(session))
    await session.execute("SELECT fluxshard.drop_fence('slot:8', 1)")
    seen.append(await version(session))

    assert seen == [0, 1, 3, 4]
    await eventually(replica, "SELECT version FROM fluxshard.fence_version", 4)
    assert await replica.fetchval("SELECT state FROM fluxshard.fence") == "open"


async def test_a_change_that_is_rolled_back_never_was(sessions):
    session = await sessions()
    transaction = session.transaction()
    await transaction.start()
    await fence(session, "slot:7", 2, "gone")

    await transaction.rollback()

    await enter(session, "slot:7", 1)
    assert await version(session) == 0


async def test_a_mover_whose_lease_was_taken_over_changes_nothing(sessions):
    session = await sessions()
    await fence(session, "pin:42", 3, "open", lease=5)

    for stale in (
        "SELECT fluxshard.set_fence('pin:42', 9, 'gone', 'shard_1', 4, NULL)",
        "SELECT fluxshard.drop_fence('pin:42', 4)",
    ):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await session.execute(stale)
        assert caught.value.sqlstate == "FX003"

    await enter(session, "pin:42", 3)
    await fence(session, "pin:42", 4, "open", lease=5)
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await fence(session, "tenant 42", 4, "open", lease=5)


async def test_writers_of_many_tenants_enter_with_the_version_that_they_know(sessions):
    session = await sessions()
    await session.execute("SELECT fluxshard.enter_all(0)")
    await fence(session, "pin:42", 2, "arriving", tenants=["42"])

    with pytest.raises(asyncpg.PostgresError) as caught:
        await session.execute("SELECT fluxshard.enter_all(0)")
    assert caught.value.sqlstate == "FX001"
    assert json.loads(caught.value.detail) == {"version": 1}

    await session.execute("SELECT fluxshard.enter_all(1)")
    await fence(session, "pin:42", 2, "held", tenants=["42"])
    with pytest.raises(asyncpg.PostgresError) as caught:
        await session.execute("SELECT fluxshard.enter_all(2)")
    assert caught.value.sqlstate == "FX002"


async def test_roles_of_clients_may_neither_enter_nor_look_nor_change(sessions):
    session = await sessions()
    for role in ("anon", "authenticated", "service_role"):
        for statement in (
            "SELECT fluxshard.enter('slot:1', 1)",
            "SELECT fluxshard.enter_all(0)",
            "SELECT fluxshard.set_fence('slot:1', 1, 'gone', NULL, 9, NULL)",
            "SELECT fluxshard.drop_fence('slot:1', 9)",
            "SELECT fluxshard.claim_fence('slot:1', 9)",
            "SELECT * FROM fluxshard.fence",
            "UPDATE fluxshard.fence_version SET version = 9",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(f"SET LOCAL ROLE {role}; {statement}")


async def test_a_guarded_table_refuses_direct_writers_of_tenants_on_the_move(sessions):
    session = await sessions()
    await session.execute(
        "CREATE TABLE guarded (tenant int, note text); CREATE TRIGGER guarded"
        " BEFORE INSERT OR UPDATE OR DELETE ON guarded FOR EACH ROW"
        " EXECUTE FUNCTION fluxshard.guard('tenant');"
        "INSERT INTO guarded VALUES (42, 'old'), (43, 'old');"
        "GRANT ALL ON guarded TO authenticated"
    )
    await fence(session, "pin:42", 2, "gone", moved_to="shard_1", tenants=["42"])

    for statement in (
        "INSERT INTO guarded VALUES (42, 'new')",
        "UPDATE guarded SET note = 'new' WHERE tenant = 42",
        "UPDATE guarded SET tenant = 42 WHERE tenant = 43",
        "DELETE FROM guarded",
    ):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await session.execute(f"SET ROLE authenticated; {statement}")
        assert caught.value.sqlstate == "FX001"
        await session.execute("RESET ROLE")

    await session.execute("UPDATE guarded SET note = 'new' WHERE tenant = 43")
    async with session.transaction():
        await enter(session, "slot:7", 1)  # Fluxshard's own writers are fenced by their unit
        await session.execute("UPDATE guarded SET note = 'new' WHERE tenant = 42")
