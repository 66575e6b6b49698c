"""Clients of a router write and read on while their tenant moves, and notice nothing."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from router import (
    BackendSettings,
    Deadline,
    Following,
    PostgresBackends,
    QueryContext,
    Router,
    SharedFloors,
    Statement,
)
from server.catalog import catalog_session
from server.mapfollow import MapFollow
from server.mapuse import MapInUse
from server.mapwatch import MapWatch
from server.moves import MoveRequest
from shardmap import resolve

INSERT = "INSERT INTO events (tenant_id, client, number) VALUES ($1, $2, $3)"
COUNT = "SELECT count(*) FROM parts"
PER_CLIENT = "SELECT max(number) FROM events WHERE client = $1"


def ignore(_fact):
    """For facts that nobody asks for."""


@asynccontextmanager
async def serving(world):
    """A router as a server has it: its map follows the catalog."""
    first = await world.map()
    async with AsyncExitStack() as opened:
        floors = opened.enter_context(SharedFloors(None, 0, 1))
        backends = await opened.enter_async_context(
            PostgresBackends(first, BackendSettings(), partial(resolve, environ={}), floors, ignore)
        )
        in_use = await opened.enter_async_context(MapInUse(first, backends.adopt))
        watch = await opened.enter_async_context(
            MapWatch(
                first,
                lambda current: catalog_session((current.catalog,), {}, writable=False),
                adopt=in_use.adopt,
                report=ignore,
            )
        )
        following = Following(
            backends, MapFollow(in_use, watch), ignore, pause_limit_s=20.0, most_held=1000
        )
        yield Router(backends, in_use.current, backends.schema, following=following)


def who(tenant, session):
    role = "service_role" if tenant is None else "authenticated"
    return QueryContext(role, tenant, session, "{}", Deadline.after(60))


async def test_no_acknowledged_write_is_lost_and_a_tenant_counts_once_in_a_move_and_back(  # noqa: C901 - the parts of one scene
    world,
):
    a, b = world.first.shards
    tenant = world.tenant(a, after=500)
    await world.fill(tenant, a)
    acknowledged: dict[str, int] = {}
    counts: set[int] = set()
    over = asyncio.Event()

    async with serving(world) as router:

        async def write(client):
            number = 0
            while not over.is_set():
                number += 1
                asker = who(str(tenant), client)
                await router.answer(Statement(INSERT, (tenant, client, number)), asker)
                acknowledged[client] = number
                seen = await router.answer(Statement(PER_CLIENT, (client,)), asker)
                assert seen.rows == [(number,)]

        async def count():
            while not over.is_set():
                found = await router.answer(Statement(COUNT), who(None, "counter"))
                counts.add(found.rows[0][0])

        async def written_anew():
            """Wait until every client has written once more, at the new home."""
            before = dict(acknowledged)
            async with asyncio.timeout(60):
                while True:
                    if all(acknowledged[client] > number for client, number in before.items()):
                        return
                    await asyncio.sleep(0.01)

        async def move():
            try:
                moves = await world.moves(seen_s=1.5)
                (plan,) = await moves.plan(MoveRequest(b, tenants=(str(tenant),)))
                (outcome,) = await moves.run([plan], ignore)
                assert outcome.error is None
                await written_anew()
                await (await world.moves()).rollback(outcome.move.id, ignore)
            finally:
                over.set()

        async with asyncio.TaskGroup() as tasks:
            for index in range(4):
                tasks.create_task(write(f"client {index}"))
            tasks.create_task(count())
            tasks.create_task(move())

    assert (await world.map()).owner(str(tenant)) == a
    assert len(counts) == 1
    for client, last in acknowledged.items():
        rows = await world.rows(
            a, "SELECT number FROM events WHERE client = $1 ORDER BY number", client
        )
        assert rows == [(number,) for number in range(1, last + 1)]
