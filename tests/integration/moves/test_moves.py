"""Moves of single tenants between two shards."""

import asyncio
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace

import asyncpg
import pytest

from server.moves import MoveRequest, RowsDiffer, State, WayBackLost, examine, pin_at_home
from shardmap import SLOTS, CatalogSource, MapRefused, Pin, SlotUnit, slot_of


async def _moved(world, tenant, target, **options):
    moves = await world.moves(**options)
    (plan,) = await moves.plan(MoveRequest(target, tenants=(str(tenant),)))
    assert plan.problems == ()
    facts = []
    (outcome,) = await moves.run([plan], facts.append)
    if outcome.error is not None:
        raise outcome.error
    return outcome.move, facts


async def test_a_tenant_moves_with_all_its_rows_and_back_again(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    before = await world.contents(tenant, a)

    move, facts = await _moved(world, tenant, b)

    assert move.state is State.MOVED
    assert await world.contents(tenant, b) == before
    assert (await world.map()).owner(str(tenant)) == b
    moves = await world.moves()
    back = await moves.rollback(move.id, facts.append)
    assert back.state is State.ROLLED_BACK
    assert await world.contents(tenant, a) == before
    assert not any((await world.contents(tenant, b)).values())
    assert (await world.map()).owner(str(tenant)) == a
    assert await world.leftovers() == []


async def test_whole_slots_move_with_tenants_that_came_after_the_plan(world):
    a, b = world.first.shards
    first = world.tenant(a)
    slot = slot_of(str(first))
    others = [key for key in range(first + 1, 40_000) if slot_of(str(key)) == slot]
    second, newcomer = others[:2]
    empty = next(one for one in range(SLOTS) if world.first.slots[one] == a and one != slot)
    for tenant in (first, second):
        await world.fill(tenant, a)
    moves = await world.moves()
    (plan,) = await moves.plan(MoveRequest(b, slots=(slot, empty)))
    await world.fill(newcomer, a)
    before = {key: await world.contents(key, a) for key in (first, second, newcomer)}

    (outcome,) = await moves.run([plan], lambda _: None)
    after = await world.map()
    compared = await (await world.moves()).compare(outcome.move.id)
    cleaned = await moves.clean(outcome.move.id, lambda _: None)

    assert plan.tenants == (str(first), str(second))
    assert outcome.error is None, outcome.error
    assert after.slots[slot] == after.slots[empty] == b
    assert compared == ((), 3 * 205)
    assert cleaned.state is State.CLEANED
    for tenant, rows in before.items():
        assert await world.contents(tenant, b) == rows
        assert not any((await world.contents(tenant, a)).values())
    assert await world.leftovers() == []
    assert await examine(moves.places.on(after)) == ()


async def test_a_tenant_that_gets_a_pin_after_the_plan_keeps_its_rows_when_its_slot_moves(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    slot = slot_of(str(tenant))
    neighbour = next(key for key in range(tenant + 1, 40_000) if slot_of(str(key)) == slot)
    for one in (tenant, neighbour):
        await world.fill(one, a, orders=3)
    before = await world.contents(tenant, a)
    moves = await world.moves()
    (plan,) = await moves.plan(MoveRequest(b, slots=(slot,)))
    await pin_at_home(moves.places, str(tenant), author="test", reason="between")

    (outcome,) = await moves.run([plan], lambda _: None)
    with pytest.raises(MapRefused, match=f"its slot {slot} is in move"):
        await pin_at_home(moves.places, str(neighbour), author="test", reason="too late")
    cleaned = await moves.clean(outcome.move.id, lambda _: None)

    assert plan.tenants == (str(tenant), str(neighbour))
    assert cleaned.tenants == (str(neighbour),)
    assert await world.contents(tenant, a) == before
    assert not any((await world.contents(tenant, b)).values())
    assert any((await world.contents(neighbour, b)).values())


async def test_a_slot_comes_back_with_tenants_that_came_into_it_at_its_new_home(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    slot = slot_of(str(tenant))
    newcomer = next(key for key in range(tenant + 1, 40_000) if slot_of(str(key)) == slot)
    await world.fill(tenant, a, orders=3)
    moves = await world.moves()
    (plan,) = await moves.plan(MoveRequest(b, slots=(slot,)))
    (outcome,) = await moves.run([plan], lambda _: None)
    await world.fill(newcomer, b, orders=3)
    before = {key: await world.contents(key, b) for key in (tenant, newcomer)}

    back = await moves.rollback(outcome.move.id, lambda _: None)

    assert back.state is State.ROLLED_BACK
    assert (await world.map()).slots[slot] == a
    for key, rows in before.items():
        assert any(rows.values())
        assert await world.contents(key, a) == rows
        assert not any((await world.contents(key, b)).values())
    assert await world.leftovers() == []


@pytest.mark.parametrize("slot_is", ["elsewhere", "in a move"])
async def test_an_aborted_move_leaves_its_pin_where_the_slot_does_not_stay(world, slot_is):
    a, b = world.first.shards
    tenant = world.tenant(a)
    slot = slot_of(str(tenant))
    moves = await world.moves()
    (plan,) = await moves.plan(world.request(b, tenant))
    move = await moves.journal.take((await moves.begin(plan)).id)
    await moves.journal.step(move, State.PLANNED, {"pinned": [str(tenant)]})
    pinned = await pin_at_home(moves.places, str(tenant), author="test", reason="as the mover does")
    if slot_is == "elsewhere":
        async with moves.places.catalog() as session:
            epochs = {SlotUnit(slot): pinned.slot_epochs[slot] + 1}
            await CatalogSource(session).apply_move(epochs, b, author="test", reason="a move")
    else:
        later = await world.moves()
        (of_slot,) = await later.plan(MoveRequest(b, slots=(slot,)))
        await later.begin(of_slot)

    aborted = await moves.abort(move.id, lambda _: None)

    assert aborted.state is State.ABORTED
    assert f"the pin of tenant {tenant} stays: " in aborted.facts["pins_kept"][0]
    assert (await world.map()).pins[str(tenant)].shard == a


async def test_the_new_home_numbers_rows_beyond_those_of_the_old_one(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)

    await _moved(world, tenant, b)

    async with world.session(b) as session:
        added = await session.fetchval(
            f"INSERT INTO events (tenant_id, client, number) VALUES ({tenant}, 'after', 1) RETURNING id"
        )
    assert added > 50


async def test_rows_that_differ_are_listed_kept_from_moving_and_repaired(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    moves = await world.moves()
    (plan,) = await moves.plan(world.request(b, tenant))
    move = await moves.begin(plan)
    spoilt = []

    def spoil(fact):
        if fact.state is State.VERIFYING and not spoilt:
            spoilt.append(asyncio.run_coroutine_threadsafe(_spoil(world, b, tenant), helper))
            spoilt[0].result()

    with background_loop() as helper, pytest.raises(RowsDiffer) as caught:
        await moves.carry_out(move.id, spoil)
    (stopped,) = await moves.journal.unfinished()
    ended = await moves.resume(move.id, lambda _: None, repair=True)

    assert caught.value.lines == (
        "3 rows differ, of 205",
        f"public.items ({tenant},1,1): is missing on the copy",
        f"public.orders ({tenant},1): differs",
        f"public.parts ({tenant},99): is on the copy only",
    )
    assert (stopped.state, stopped.note[:4]) == (State.VERIFYING, "V107")
    assert ended.state is State.MOVED
    assert await world.contents(tenant, b) == await world.contents(tenant, a)


async def _spoil(world, shard, tenant):
    async with world.session(shard) as session:
        await session.execute(
            f"SET session_replication_role = replica;"
            f"UPDATE orders SET note = 'spoilt' WHERE tenant_id = {tenant} AND id = 1;"
            f"DELETE FROM items WHERE tenant_id = {tenant} AND order_id = 1 AND line = 1;"
            f"INSERT INTO parts VALUES ({tenant}, 99, 'new')"
        )


@contextmanager
def background_loop():
    """A loop on a thread of its own, for work that a callback has to wait for."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_a_map_that_changes_what_is_moving_is_refused(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    move, _ = await _moved(world, tenant, b)
    shard_map = await world.map()

    with pytest.raises(MapRefused, match=f"is in move {move.id}, which is moved"):
        async with (await world.moves()).places.catalog() as session:
            await CatalogSource(session).apply(
                replace(shard_map, pins={str(tenant): Pin(b, 9)}),
                expected_epoch=shard_map.epoch,
                author="test",
                reason="too soon",
            )


async def test_a_way_back_that_was_lost_with_its_server_is_said_and_leaves_a_way_on(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    move, _ = await _moved(world, tenant, b)
    async with world.session(b) as session:
        while not await session.fetchval(
            "SELECT count(*) = 0 FROM pg_replication_slots WHERE database = current_database()"
        ):
            with suppress(asyncpg.ObjectInUseError):
                await session.execute(
                    "SELECT pg_terminate_backend(active_pid), pg_drop_replication_slot(slot_name)"
                    " FROM pg_replication_slots WHERE database = current_database()"
                )

    moves = await world.moves()
    with pytest.raises(WayBackLost):
        await moves.rollback(move.id, lambda _: None)
    stays = await moves.journal.one(move.id)
    cleaned = await moves.clean(move.id, lambda _: None)

    assert stays.state is State.MOVED
    assert cleaned.state is State.CLEANED
    assert (await world.map()).owner(str(tenant)) == b
    assert await world.leftovers() == []
