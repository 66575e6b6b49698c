"""`fluxshard move` and its relatives, as an operator uses them."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from server.cli import main
from server.migrate.errors import MigrationLocked
from server.migrate.locks import take_lock
from server.moves import (
    Abandoned,
    MoveKeeper,
    MoveKept,
    MoveRefused,
    Moves,
    PauseTooLong,
    Places,
    State,
    WrongState,
)
from shardmap import CATALOG


@pytest.fixture
def fluxshard(databases):
    """`await fluxshard("move", …)` runs the command on the test's catalog."""

    async def run(*arguments):
        environ = dict.fromkeys(("FLUXBASE_DATABASE_READ_REPLICAS", "FLUXSHARD_CONFIG"))
        runner = CliRunner(env=environ | databases.environment)
        words = [str(argument) for argument in arguments]
        return await asyncio.to_thread(runner.invoke, main, words)

    return run


async def test_a_tenant_moves_is_compared_rolled_back_and_unpinned_by_command(world, fluxshard):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    before = await world.contents(tenant, a)

    dry = await fluxshard("move", tenant, "--to", b, "--dry-run", "--json")
    unchanged = await world.map()
    moved = await fluxshard("move", tenant, "--to", b, "--yes", "--json")
    listed = await fluxshard("moves", "--json")
    shown = await fluxshard("moves", "show", 1)
    compared = await fluxshard("moves", "verify", 1)
    again = await fluxshard("move", tenant, "--to", a, "--dry-run")
    healthy = await fluxshard("doctor")
    back = await fluxshard("moves", "rollback", 1, "--yes")

    assert json.loads(dry.stdout)[0]["problems"] == []
    assert unchanged.epoch == 1
    assert moved.exit_code == 0, moved.output
    states = [json.loads(line)["state"] for line in moved.stdout.splitlines()]
    assert states[-1] == "moved"
    assert json.loads(listed.stdout)[0]["state"] == "moved"
    assert "cutover" in shown.stdout
    assert compared.stdout == "205 rows, all the same\n", compared.output
    assert again.exit_code == 1
    assert "has rows of the tenant already" in again.output
    assert healthy.stdout == "all is well\n", healthy.output
    assert back.exit_code == 0, back.output
    assert await world.contents(tenant, a) == before
    assert not any((await world.contents(tenant, b)).values())

    unpinned = await fluxshard("unpin", tenant, "--yes")

    assert unpinned.exit_code == 0, unpinned.output
    assert (await world.map()).pins == {}
    assert await world.leftovers() == []
    assert (await fluxshard("doctor")).exit_code == 0


async def test_a_move_that_finds_no_quiet_moment_is_aborted_and_leaves_nothing(world, fluxshard):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    before = await world.contents(tenant, a)
    await fluxshard("pin", tenant)
    epoch = (await world.map()).pins[str(tenant)].epoch

    async with world.session(a) as writer, writer.transaction():
        moves = await world.moves(attempts=2, max_pause_s=0.1)
        (plan,) = await moves.plan(world.request(b, tenant))
        move = await moves.begin(plan)
        reached = asyncio.Event()
        work = asyncio.create_task(
            moves.carry_out(
                move.id, lambda fact: reached.set() if fact.state == "copying" else None
            )
        )
        await reached.wait()
        await writer.execute("SELECT fluxshard.enter($1, $2)", f"pin:{tenant}", epoch)
        with pytest.raises(PauseTooLong):
            await work
    paused = await fluxshard("moves", "pause", move.id)
    aborted = await fluxshard("moves", "abort", move.id)

    assert paused.exit_code == 1
    assert (
        f"V103 move {move.id} is cutover: it can be paused before its cutover only" in paused.output
    )
    assert aborted.exit_code == 0, aborted.output
    assert await world.contents(tenant, a) == before
    assert not any((await world.contents(tenant, b)).values())
    assert await world.leftovers() == []
    assert await world.rows(b, "SELECT unit FROM fluxshard.fence") == []


async def test_what_would_break_a_move_is_named_before_anything_is_changed(world, fluxshard):
    a, b = world.first.shards
    tenant = world.tenant(a)
    async with world.session(a) as session:
        await session.execute(
            "CREATE UNIQUE INDEX by_id ON events (id);"
            "ALTER TABLE events ALTER id SET NOT NULL;"
            "ALTER TABLE events REPLICA IDENTITY USING INDEX by_id"
        )
    async with world.session(b) as session:
        await session.execute(
            "ALTER TABLE orders DROP note; ALTER TABLE items ALTER data TYPE json"
        )
        await session.execute(f"INSERT INTO parts VALUES ({tenant}, 1)")

    refused = await fluxshard("move", tenant, "--to", b, "--yes")
    nowhere = await fluxshard("move", tenant, "--to", "shard_9", "--yes")

    assert refused.exit_code == 1
    for words in (
        "the replica identity of public.events (id) lacks tenant_id",
        "public.orders: note is not on shard_1",
        "public.items: data is jsonb on shard_0, json on shard_1",
        "public.parts has rows of the tenant already",
    ):
        assert words in refused.output
    assert 'V101 there is no shard "shard_9"' in nowhere.output
    assert (await world.map()).epoch == 1


async def test_a_server_goes_on_with_a_move_whose_process_is_gone_and_ends_its_retention(
    world, eventually
):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    before = await world.contents(tenant, a)
    moves = await world.moves(lease_s=0.1)
    (plan,) = await moves.plan(world.request(b, tenant))
    move = await moves.begin(plan)
    await moves.journal.take(move.id)  # and is never heard of again
    facts = []

    async def told(state):
        return any(isinstance(one, MoveKept) and one.state == state for one in facts)

    shard_map = await world.map()

    def newest():
        return Moves(Places(shard_map, {}))

    async with MoveKeeper(newest, facts.append, retention_s=0.1, look_s=0.1):
        await eventually(lambda: told("moved"))
        await eventually(lambda: told("cleaned"))

    assert [one for one in facts if not isinstance(one, MoveKept)] == []
    assert await world.contents(tenant, b) == before
    assert not any((await world.contents(tenant, a)).values())
    assert await world.leftovers() == []


async def test_tables_do_not_change_while_rows_move_nor_rows_while_tables_change(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    moves = await world.moves()
    (plan,) = await moves.plan(world.request(b, tenant))
    async with moves.places.catalog() as session:
        await take_lock(session, CATALOG, 0.0)
        with pytest.raises(MoveRefused, match="a migration is under way"):
            await moves.begin(plan)

    move = await moves.begin(plan)

    async with moves.places.catalog() as session:
        with pytest.raises(MigrationLocked, match=f"move {move.id} .* is planned"):
            await take_lock(session, CATALOG, 0.0)
    await moves.abort(move.id, lambda _: None)


async def test_moves_that_wait_for_somebody_are_found_the_urgent_ones_first(world):
    a, b = world.first.shards
    first, second = world.tenant(a), world.tenant(a, after=500)
    moves = await world.moves(lease_s=0.0)
    plans = await moves.plan(world.request(b, first, second))

    queued, other = [await moves.begin(plan) for plan in plans]
    waiting = await moves.abandoned()
    await moves.journal.pause(queued.id)
    await moves.journal.pause(other.id)
    paused = await moves.abandoned()
    await moves.journal.unpause(queued.id)
    await moves.journal.step(await moves.journal.take(other.id), State.CUTOVER)
    decided = await moves.abandoned()

    assert waiting == (Abandoned(queued.id, urgent=False), Abandoned(other.id, urgent=False))
    assert paused == ()
    assert decided == (Abandoned(other.id, urgent=True), Abandoned(queued.id, urgent=False))
    with pytest.raises(WrongState, match="it can be paused before its cutover only"):
        await moves.journal.pause(other.id)


async def test_a_move_that_met_an_error_that_nobody_foresaw_is_left_to_an_operator(world):
    a, b = world.first.shards
    moves = await world.moves(lease_s=0.0)
    plans = await moves.plan(world.request(b, world.tenant(a)))

    def mistaken(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await moves.run(plans, mistaken)
    (stopped,) = await moves.journal.unfinished()

    assert stopped.note.startswith("V100 an error that nobody foresaw")
    assert await moves.abandoned() == ()
    assert (await moves.abort(stopped.id, lambda _: None)).state is State.ABORTED
