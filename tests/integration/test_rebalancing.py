"""Shards join, take tenants, are drained and leave, by command, on real servers."""

import json
from dataclasses import replace

import asyncpg
import pytest

from router import prepare_database
from server.catalog import connected
from server.moves import Moves, Places
from shardmap import (
    AuditLog,
    Pin,
    Reference,
    Sharded,
    ShardId,
    TableName,
    TenantId,
    read_map,
    slot_of,
)

TABLES = """
create table public.orders (tenant_id int not null, id int, note text, primary key (tenant_id, id));
alter table public.orders enable row level security;
create table public.countries (code text primary key, name text, loud text generated always as (upper(name)) stored);
"""
TENANTS = [TenantId(str(number)) for number in range(24)]


async def rows(databases, server, query, database=None):
    name = databases.name if database is None else database
    connection = await asyncpg.connect(databases.cluster.url(server, name))
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


@pytest.fixture
def first(first):
    """Shard 1 has the slots of every other tenant, and no more: each batch of slots is a move."""
    slots = [ShardId("shard_0")] * 4096
    for tenant in TENANTS[::2]:
        slots[slot_of(tenant)] = ShardId("shard_1")
    return replace(first, slots=tuple(slots))


@pytest.fixture
async def placed(applied, fluxshard, document, databases):
    """Two shards with orders of 24 tenants, and countries on both."""
    await databases.execute(TABLES, "shard_0", "shard_1")
    for shard in applied.shards.values():
        async with connected(shard.primary, {}) as session:
            await prepare_database(session, number=applied.number(shard.id))
    await databases.execute("insert into countries values ('ch', 'Schweiz')", "shard_0", "shard_1")
    for shard in ("shard_0", "shard_1"):
        own = ",".join(one for one in TENANTS if applied.owner(one) == shard)
        await databases.execute(
            "insert into orders select tenant, id, repeat('x', 100)"
            f" from unnest(array[{own}]) tenant, generate_series(1, 20) id",
            shard,
        )
    tables = {
        TableName("public.orders"): Sharded("tenant_id"),
        TableName("public.countries"): Reference(),
    }
    result = await fluxshard(
        "map", "apply", document(replace(applied, tables=tables)), "--reason", "place", "--yes"
    )
    assert result.exit_code == 0, result.output
    yield read_map((await fluxshard("map", "get")).stdout)
    await cleaned(fluxshard)


async def cleaned(fluxshard):
    """End the ways back: streams keep databases from being dropped."""
    moves = Moves(Places(await homes(fluxshard), {}))
    for move in await moves.journal.unfinished():
        await moves.clean(move.id, lambda _: None)


async def homes(fluxshard):
    return read_map((await fluxshard("map", "get")).stdout)


async def test_a_shard_is_drained_and_leaves(placed, fluxshard, databases):
    shown = await fluxshard("drain", "shard_1", "--json")
    drained = await fluxshard("drain", "shard_1", "--apply", "--reason", "too old", "--yes")
    kept = await fluxshard("shard", "remove", "shard_1", "--apply", "--reason", "gone", "--yes")
    after = await homes(fluxshard)
    await cleaned(fluxshard)
    removed = await fluxshard("shard", "remove", "shard_1", "--apply", "--reason", "r", "--yes")

    estimate = json.loads(shown.stdout)["estimate"]
    moving = [one for one in TENANTS if placed.owner(one) == "shard_1"]
    assert (estimate["tenants"], estimate["rows"]) == (len(moving), 20 * len(moving))
    assert drained.exit_code == 0, drained.output
    assert after.homes == ("shard_0",)
    assert after.shards["shard_1"].weight == 0
    assert await rows(databases, "shard_0-a", "select count(*) from orders") == [(480,)]
    assert kept.exit_code == 1
    assert "`fluxshard moves clean" in kept.stderr
    assert removed.exit_code == 0, removed.output
    assert (await homes(fluxshard)).shards.keys() == {"shard_0"}


async def test_pins_move_and_are_lifted_with_the_map(placed, fluxshard, document, databases):
    tenant = next(one for one in TENANTS if placed.owner(one) == "shard_1")
    other = ShardId("shard_0")

    pinned = replace(placed, pins={tenant: Pin(other)})
    there = await fluxshard("map", "apply", document(pinned), "--reason", "its own", "--yes")
    middle = await homes(fluxshard)
    arrived = await count(databases, "shard_0-a", tenant)
    early = await fluxshard("map", "rollback", str(placed.epoch), "--reason", "no", "--yes")
    await cleaned(fluxshard)
    back = await fluxshard("map", "rollback", str(placed.epoch), "--reason", "no", "--yes")
    after = await homes(fluxshard)

    async with connected(databases.endpoints.catalog.primary, {}) as session:
        deeds = [(one.entry.action, one.entry.subject) for one in await AuditLog(session).newest()]
    assert there.exit_code == 0, there.output
    assert (middle.owner(tenant), arrived) == (other, 20)
    assert (early.exit_code, "an earlier move may be within its retention" in early.stderr) == (
        1,
        True,
    )
    assert back.exit_code == 0, back.output
    assert (after.pins, after.owner(tenant)) == ({}, "shard_1")
    assert await count(databases, "shard_1-a", tenant) == 20
    assert ("move", "1 tenants") in deeds
    fences = dict(await rows(databases, "shard_1-a", "select unit, state from fluxshard.fence"))
    assert (fences[f"pin:{tenant}"], fences[f"slot:{slot_of(tenant)}"]) == ("gone", "open")


async def count(databases, server, tenant):
    found = await rows(databases, server, f"select count(*) from orders where tenant_id = {tenant}")
    return found[0][0]


async def test_a_shard_joins_with_schema_and_reference_rows_and_takes_tenants(
    placed, fluxshard, fresh_databases, databases
):
    other = await fresh_databases()
    server = other.endpoints.shards[0].primary
    url = f"postgres://{server.user}@/{server.database}?host={server.host}&port={server.port}"

    place = ("--primary", url, "--credentials", server.credentials)

    shown = await fluxshard("shard", "add", "shard_2", *place)
    named = await homes(fluxshard)
    added = await fluxshard(
        "shard", "add", "shard_2", *place, "--apply", "--reason", "room", "--yes"
    )
    assert added.exit_code == 0, (added.output, shown.output, added.exception)
    listed = json.loads((await fluxshard("shard", "list", "--json")).stdout)
    countries = await rows(other, "shard_0-a", "select code, loud from countries")
    replaced = await fluxshard(
        "shard", "replace", "shard_1", "shard_2", "--apply", "--reason", "r", "--yes"
    )
    after = await homes(fluxshard)

    assert (shown.exit_code, named.shards.keys()) == (0, {"shard_0", "shard_1"})
    assert added.exit_code == 0, added.output
    assert [(one["shard"], one["slots"]) for one in listed] == [
        ("shard_0", 4096 - 12),
        ("shard_1", 12),
        ("shard_2", 0),
    ]
    assert countries == [("ch", "SCHWEIZ")]
    assert replaced.exit_code == 0, replaced.output
    assert after.homes == ("shard_0", "shard_2")
    moved = [one for one in TENANTS if placed.owner(one) == "shard_1"]
    assert await rows(other, "shard_0-a", "select count(distinct tenant_id) from orders") == [
        (len(moved),)
    ]


async def test_wrong_wishes_are_refused_by_name(placed, fluxshard):
    nobody = await fluxshard("drain", "shard_9")
    secret = await fluxshard("shard", "add", "shard_2", "--primary", "postgres://u:pw@h/d")
    reasonless = await fluxshard("shard", "set-weight", "shard_1", "2", "--apply", "--yes")
    empty = await fluxshard("split", "5")

    assert (nobody.exit_code, nobody.stderr) == (
        1,
        "M104 shards.shard_9: there is no such shard; there are shard_0, shard_1\n",
    )
    assert "pw" not in secret.output.replace("password", "")
    assert "the url holds a password" in secret.stderr
    assert reasonless.exit_code == 2
    assert "slot 5 has 0 tenants with rows" in empty.stderr
