"""Routers before fences: who is let in, held, sent on; what counts while a tenant is on two shards."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import asyncpg
import pytest
import pytest_asyncio

from router import (
    Deadline,
    Following,
    Form,
    MoveAwaited,
    Outcome,
    Router,
    Statement,
    TransactionOptions,
    UnitHeld,
    UnitMoved,
    UnitRefusing,
    WriteKey,
)
from shardmap import Pin, Sharded, ShardId, ShardMap, TableName, TenantId, slot_of

A, B = ShardId("shard_0"), ShardId("shard_1")
PRIMARIES = {A: "shard_0-a", B: "shard_1-a"}
SCHEMA = """
CREATE TABLE orders (
    tenant_id int NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id)
);
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role, authenticated;
"""
MOVING = TenantId("7")
INSERT = "INSERT INTO orders (tenant_id, id, note) VALUES ($1, $2, $3)"


@dataclass
class Moving:
    """Two shards, tenant 7 pinned to the first, and a catalog that is this object."""

    world: object
    published: ShardMap
    in_use: ShardMap
    pause_limit_s: float = 20.0
    seen: list = field(default_factory=list)
    made: tuple | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def newer(self, known, _fence, timeout_s):
        """The catalog as routers ask it."""
        self.asked.set()
        if self.in_use is known:
            if self.published is known:
                await asyncio.sleep(min(timeout_s, 0.01))
            self.in_use = self.published

    def router(self):
        if self.made is not None and self.made[0] == self.pause_limit_s:
            return self.made[1]
        following = Following(
            self.world.backends,
            self,
            self.seen.append,
            pause_limit_s=self.pause_limit_s,
            most_held=100,
        )
        backends = self.world.backends
        router = Router(backends, lambda: self.in_use, backends.schema, following=following)
        self.made = self.pause_limit_s, router
        return router

    def who(self, tenant=MOVING, role="authenticated", seconds=60.0):
        return self.world.asker(role, tenant=tenant, seconds=seconds)

    @property
    def service(self):
        return self.who(None, "service_role")

    async def run(self, sql, *args, who=None, form=Form.ROWS):
        return await self.router().answer(Statement(sql, args, form), who or self.who())

    async def write(self, number, note="new", who=None):
        return await self.run(INSERT, int(MOVING), number, note, who=who)

    @asynccontextmanager
    async def session(self, shard):
        async with self.world.superuser(PRIMARIES[shard]) as connection:
            yield connection

    async def fence(self, shard, state, epoch, moved_to=None, unit=f"pin:{MOVING}"):
        async with self.session(shard) as connection:
            await connection.execute(
                "SELECT fluxshard.set_fence($1, $2, $3, $4, 1, $5)",
                *(unit, epoch, state, moved_to, [MOVING]),
            )

    def publish(self, shard, epoch):
        pins = {**self.published.pins, MOVING: Pin(shard, epoch)}
        self.published = replace(self.published, epoch=self.published.epoch + 1, pins=pins)

    async def rows(self, shard):
        async with self.session(shard) as connection:
            found = await connection.fetch("SELECT id FROM orders WHERE tenant_id = 7 ORDER BY id")
            return [row["id"] for row in found]

    async def cut_over(self):
        """Tenant 7's home is the second shard from now on."""
        await self.fence(A, "gone", 2, B)
        await self.fence(B, "open", 2)
        self.publish(B, 2)

    async def known(self, shard, state):
        """Wait until probes have seen the unit in this state."""

        def found():
            fence = self.world.backends.fences()[shard].rows.get(f"pin:{MOVING}")
            return fence is not None and fence.state == state

        await self.world.until(found)

    def refusals(self):
        return [fact for fact in self.seen if isinstance(fact, UnitRefusing)]


@pytest_asyncio.fixture
async def moving(make_world, databases):
    world = await make_world()
    await databases.execute(SCHEMA, *map(str, (A, B)))
    shard_map = replace(
        world.shard_map,
        slots=(A, B) * 2048,
        pins={MOVING: Pin(A), TenantId("2"): Pin(B), TenantId("3"): Pin(A)},
        tables={TableName("public.orders"): Sharded("tenant_id")},
        default_placement=None,
    )
    await world.backends.refresh_schema(now=True)
    made = Moving(world, shard_map, shard_map)
    for tenant, shard in ((MOVING, A), (TenantId("2"), B), (TenantId("3"), A)):
        async with made.session(shard) as connection:
            await connection.execute(INSERT, int(tenant), 1, "old")
    return made


async def test_a_write_with_an_old_map_goes_where_the_tenant_lives_now(moving):
    await moving.write(2)
    await moving.cut_over()

    await asyncio.gather(*(moving.write(number) for number in range(3, 9)))

    assert await moving.rows(A) == [1, 2]
    assert await moving.rows(B) == [3, 4, 5, 6, 7, 8]
    assert moving.in_use is moving.published
    first, *others = moving.refusals()
    assert (first.shard, first.unit, first.code, first.first) == (A, "pin:7", "P220", True)
    assert not any(other.first for other in others)


async def test_writes_wait_while_the_home_changes_and_nobody_hears_of_it(moving):
    await moving.fence(A, "held", 1)
    async with asyncio.TaskGroup() as tasks:
        writes = [tasks.create_task(moving.write(number)) for number in range(2, 6)]
        await moving.world.until(lambda: len(moving.refusals()) >= 4)
        assert not any(write.done() for write in writes)

        await moving.cut_over()

    assert await moving.rows(A) == [1]
    assert await moving.rows(B) == [2, 3, 4, 5]
    waited = [fact for fact in moving.seen if isinstance(fact, MoveAwaited)]
    assert len(waited) == 4
    assert all(fact.passed for fact in waited)


async def test_a_home_that_goes_on_changing_is_told_within_the_limit(moving):
    moving.pause_limit_s = 0.3
    await moving.fence(A, "held", 1)

    with pytest.raises(UnitHeld) as caught:
        await moving.write(2)

    assert (caught.value.code, caught.value.retry_after_s) == ("P221", 1)
    await moving.fence(A, "open", 1)
    await moving.write(2)
    assert await moving.rows(A) == [1, 2]


async def test_a_router_that_gets_no_newer_map_never_writes_at_the_old_home(moving):
    moving.pause_limit_s = 0.3
    await moving.cut_over()
    moving.published = moving.in_use

    for write in (
        moving.write(2),
        moving.write(3, who=moving.service),
        moving.run("UPDATE orders SET note = 'x'"),
        moving.run("DELETE FROM orders WHERE tenant_id IN (7, 2)", who=moving.service),
    ):
        with pytest.raises(UnitMoved):
            await write

    assert await moving.rows(A) == [1]
    assert await moving.rows(B) == []


async def test_a_cutover_waits_for_the_writes_that_are_inside(moving):
    transaction = moving.router().interactive(moving.who(), TransactionOptions())
    await transaction.run(Statement(INSERT, (7, 2, "in")), Deadline.after(30))
    async with moving.session(A) as mover, moving.session(A) as watcher:

        async def change():
            await mover.execute(
                "SELECT fluxshard.set_fence('pin:7', 2, 'gone', 'shard_1', 1, '{7}')"
            )

        changing = asyncio.create_task(change())
        await moving.world.until(
            lambda: watcher.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
        )
        await transaction.run(Statement(INSERT, (7, 3, "in")), Deadline.after(30))
        await transaction.commit(Deadline.after(30))
        transaction.leave()
        await changing

    assert await moving.rows(A) == [1, 2, 3]


async def test_transactions_begin_where_the_tenant_lives_and_a_listed_one_is_run_again(moving):
    router = moving.router()
    await moving.cut_over()

    await router.transaction(
        [Statement(INSERT, (7, 2, "a")), Statement(INSERT, (7, 3, "b"))],
        moving.who(),
        TransactionOptions(),
    )
    moving.in_use = replace(moving.published, pins={**moving.in_use.pins, MOVING: Pin(A)})
    told = router.interactive(moving.who(), TransactionOptions())
    await told.run(Statement(INSERT, (7, 4, "c")), Deadline.after(30))
    await told.commit(Deadline.after(30))
    told.leave()

    assert await moving.rows(A) == [1]
    assert await moving.rows(B) == [2, 3, 4]


async def test_a_transaction_that_has_run_something_is_refused_by_name(moving):
    transaction = moving.router().interactive(moving.service, TransactionOptions())
    await transaction.run(Statement(INSERT, (3, 2, "kept?")), Deadline.after(30))
    await moving.cut_over()
    await moving.known(B, "open")  # else it may be told that the home is about to change

    with pytest.raises(UnitMoved):
        await transaction.run(Statement(INSERT, (7, 2, "no")), Deadline.after(30))
    transaction.leave()

    assert transaction.over
    assert await moving.rows(A) == await moving.rows(A) == [1]


async def test_a_write_on_several_shards_and_one_with_a_key_follow_too(moving):
    await moving.cut_over()

    await moving.run(
        "INSERT INTO orders (tenant_id, id) VALUES (7, 2), (3, 2), (2, 2)", who=moving.service
    )
    moving.in_use = replace(moving.published, pins={**moving.in_use.pins, MOVING: Pin(A)})

    async def work(router):
        await router.answer(Statement(INSERT, (7, 3, "keyed")), moving.who())
        return Outcome(b"done")

    key = WriteKey(b"k" * 32, b"t" * 32, b"c" * 32)
    assert await moving.router().once(key, moving.who(), work) is None
    assert await moving.router().once(key, moving.who(), work) == b"done"

    assert await moving.rows(A) == [1]
    assert await moving.rows(B) == [2, 3]


async def test_reads_of_a_tenant_that_left_go_to_its_new_home(moving):
    async with moving.session(B) as connection:
        await connection.execute("INSERT INTO orders VALUES (7, 1, 'moved')")
    await moving.cut_over()
    await moving.known(A, "gone")

    result = await moving.run("SELECT note FROM orders")

    assert result.rows == [("moved",)]
    assert [served.shard for served in result.served] == [B]


async def test_reads_go_on_at_home_when_a_pin_is_lifted_and_when_a_tenant_comes_back(moving):
    slot = slot_of(MOVING)
    home, other = (A, B) if slot % 2 == 0 else (B, A)
    async with moving.session(home) as connection:
        await connection.execute("INSERT INTO orders VALUES (7, 5, 'home') ON CONFLICT DO NOTHING")
    await moving.fence(other, "gone", 2, home)  # it was there, by a pin that has been lifted since
    await moving.fence(home, "gone", 3, home)
    await moving.fence(home, "open", 2, unit=f"slot:{slot}")
    await moving.known(home, "gone")
    pins = {tenant: pin for tenant, pin in moving.in_use.pins.items() if tenant != MOVING}
    unpinned = replace(moving.in_use, epoch=2, pins=pins, slot_epochs={slot: 2})
    older = moving.in_use
    moving.published = moving.in_use = unpinned

    result = await moving.run("SELECT count(*) FROM orders WHERE id = 5")
    moving.in_use = older  # the pin is gone for it, and it gets the newer map
    again = await moving.run("SELECT count(*) FROM orders WHERE id = 5")

    assert result.rows == again.rows == [(1,)]
    assert moving.in_use is unpinned


COUNTS = (
    "SELECT count(*) FROM orders",
    "SELECT count(*) FROM (SELECT * FROM orders ORDER BY note) AS o",
    "SELECT sum(n)::int8 FROM (SELECT tenant_id, count(*) AS n FROM orders GROUP BY tenant_id) AS g",
    "SELECT count(DISTINCT (tenant_id, id, note)) FROM orders",
)


async def counted(moving):
    found = [(await moving.run(sql, who=moving.service)).rows[0][0] for sql in COUNTS]
    listed = await moving.run(
        "SELECT tenant_id, note FROM orders ORDER BY tenant_id", who=moving.service
    )
    return found, list(listed.rows)


async def test_statements_about_all_tenants_count_a_moving_one_once(moving):
    once = [3, 3, 3, 3]
    assert await counted(moving) == (once, [(2, "old"), (3, "old"), (7, "old")])

    await moving.fence(B, "arriving", 2, A)
    await moving.known(B, "arriving")
    async with moving.session(B) as connection:
        await connection.execute("INSERT INTO orders VALUES (7, 1, 'copy')")
    assert await counted(moving) == (once, [(2, "old"), (3, "old"), (7, "old")])

    await moving.cut_over()
    assert await counted(moving) == (once, [(2, "old"), (3, "old"), (7, "copy")])

    written = await moving.run(
        "UPDATE orders SET note = note || '!' WHERE id = 1", who=moving.service
    )
    assert written.row_count == 3
    async with moving.session(A) as connection:  # what is left behind is not touched
        assert await connection.fetchval("SELECT note FROM orders WHERE tenant_id = 7") == "old"
        await connection.execute("DELETE FROM orders WHERE tenant_id = 7")
        await connection.execute(
            "SELECT fluxshard.set_fence('pin:7', 2, 'gone', 'shard_1', 1, NULL)"
        )
    assert await counted(moving) == (once, [(2, "old!"), (3, "old!"), (7, "copy!")])


async def test_statements_about_all_tenants_wait_for_a_home_between_two_fences(moving):
    await moving.fence(B, "arriving", 2, A)
    await moving.known(B, "arriving")
    await moving.fence(A, "gone", 2, B)
    async with moving.session(B) as connection:
        await connection.execute("INSERT INTO orders VALUES (7, 1, 'copy')")

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(moving.run(COUNTS[0], who=moving.service))
        await moving.world.until(moving.refusals)
        assert not counting.done()
        await moving.fence(B, "open", 2)
        moving.publish(B, 2)

    assert counting.result().rows == [(3,)]


async def test_replicas_know_the_fences_that_they_have_replayed(moving):
    await moving.fence(A, "gone", 2, B)
    await moving.known(A, "gone")

    with pytest.raises(asyncpg.PostgresError):
        async with moving.session(A) as connection:
            await connection.execute("SELECT fluxshard.enter('pin:7', 1)")
    group = moving.world.backends._live.groups[A]
    await moving.world.until(
        lambda: all(
            member.monitor.fences is not None and "pin:7" in member.monitor.fences.away
            for member in group.members
        )
    )
