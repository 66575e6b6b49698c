"""A running server follows the catalog: new maps, outages, and maps that it cannot use."""

import asyncio
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from server.catalog import catalog_session, connected
from server.mapwatch import (
    CatalogFound,
    CatalogLost,
    CopyFailed,
    MapUnusable,
    MapWatch,
    WatchFailed,
)
from shardmap import (
    CatalogSource,
    KeyType,
    LastGoodCopy,
    MapUnavailable,
    Reference,
    ShardMap,
    content_hash,
    propose,
    write_json,
)

NEVER_S = 3600.0
"""A poll interval that no test lives to see: what comes, came by NOTIFY."""


@dataclass
class Heard:
    """What a watch adopted and reported, to be waited for."""

    maps: asyncio.Queue = field(default_factory=asyncio.Queue)
    reports: asyncio.Queue = field(default_factory=asyncio.Queue)

    async def map(self):
        async with asyncio.timeout(60):
            return await self.maps.get()

    async def report(self):
        async with asyncio.timeout(60):
            return await self.reports.get()

    def watch(self, current, connect, **options):
        return MapWatch(
            current,
            connect,
            adopt=self.maps.put_nowait,
            report=self.reports.put_nowait,
            **{"poll_interval_s": NEVER_S, **options},
        )


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
async def session(databases):
    async with connected(databases.endpoints.catalog.primary, {}) as opened:
        yield opened


@pytest.fixture
async def first(databases, session):
    """Epoch 1, in force in the catalog."""
    servers = databases.endpoints
    shards = {shard.id: shard for shard in servers.shards}
    new = ShardMap(
        cluster_id="test",
        epoch=0,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=servers.catalog.primary,
        catalog_replicas=servers.catalog.replicas,
        slots=propose(dict.fromkeys(shards, 1)),
    )
    return await CatalogSource(session).apply(new, expected_epoch=0, author="t", reason="t")


def connect(shard_map):
    return catalog_session((shard_map.catalog,), {}, writable=False)


async def apply_next(session, old):
    tables = {f"public.t{old.epoch}": Reference()}
    return await CatalogSource(session).apply(
        replace(old, tables=tables), expected_epoch=old.epoch, author="t", reason="t"
    )


async def until(condition):
    """Wait until the condition, which is a query of some sort, is true."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.005)


async def listening(session):
    """Wait until a watch listens: its session is idle after its first look."""
    query = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and state = 'idle' and query like '%fluxshard.maps%'"
    )
    await until(lambda: session.fetchval(query))


async def looked_again(session):
    """Wait until a watch has asked for a newer map since now."""
    now = await session.fetchval("select clock_timestamp()")
    query = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and state = 'idle' and query like '%fluxshard.maps%'"
        " and query_start > $1"
    )
    await until(lambda: session.fetchval(query, now))


async def end_other_sessions(session):
    await session.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )


async def test_a_new_epoch_is_adopted_as_soon_as_it_is_announced(heard, session, first):
    async with heard.watch(first, connect) as watch:
        await listening(session)

        second = await apply_next(session, first)

        assert await heard.map() == second
        assert watch.current == second


async def test_an_epoch_that_came_before_the_watch_is_adopted_at_once(heard, session, first):
    second = await apply_next(session, first)

    async with heard.watch(first, connect):
        assert await heard.map() == second


async def test_only_newer_epochs_are_adopted(heard, session, first):
    second = await apply_next(session, first)
    async with heard.watch(second, connect):
        await listening(session)
        await session.execute("select pg_notify('fluxshard_map', '1')")

        third = await apply_next(session, second)

        assert await heard.map() == third
        assert heard.maps.empty()


async def test_without_a_notification_polling_finds_the_new_epoch(heard, session, first):
    async with heard.watch(first, connect, poll_interval_s=0.05):
        await listening(session)
        await session.execute(
            "insert into fluxshard.maps (epoch, document, content_hash, parent_hash, author,"
            " reason) select 2, document, 'x', content_hash, 'a', 'r' from fluxshard.maps"
        )

        assert await heard.report() == MapUnusable(
            "document: the row of epoch 2 in fluxshard.maps is not as it was applied"
        )
        await looked_again(session)
        await looked_again(session)

    assert heard.reports.empty()  # said once, though looked at again and again


async def test_somebody_who_learned_of_a_newer_map_can_make_it_look(heard, session, first):
    async with heard.watch(first, connect) as watch:
        await listening(session)
        other = replace(first, epoch=2, cluster_id="other")
        await session.fetchrow(
            "insert into fluxshard.maps (epoch, document, content_hash, parent_hash, author,"
            " reason) values (2, $1::text::jsonb, $2, 'x', 'a', 'r')",
            write_json(other),
            content_hash(other),
        )

        watch.look_now()

        assert await heard.report() == MapUnusable("epoch 2 is of cluster other, not of test")
        assert watch.current == first


async def test_a_lost_connection_is_made_again_and_nothing_is_missed(heard, session, first):
    async with heard.watch(first, connect):
        await listening(session)

        await end_other_sessions(session)
        second = await apply_next(session, first)

        assert await heard.map() == second


async def test_an_outage_is_reported_once_and_so_is_its_end(heard, session, first):
    away = asyncio.Event()
    tries = asyncio.Queue()

    @asynccontextmanager
    async def sometimes(shard_map):
        tries.put_nowait(None)
        if not away.is_set():
            raise MapUnavailable("gone fishing")
        async with connect(shard_map) as opened:
            yield opened

    async with heard.watch(first, sometimes):
        async with asyncio.timeout(60):
            for _ in range(3):
                await tries.get()
        second = await apply_next(session, first)
        away.set()

        assert await heard.report() == CatalogLost("gone fishing")
        assert await heard.report() == CatalogFound()
        assert await heard.map() == second


async def test_a_catalog_that_is_killed_is_followed_again_when_it_is_back(
    heard, disposable_cluster
):
    cluster = await disposable_cluster(shards=1, replicas=0)
    servers = cluster.endpoints()
    shard = servers.shards[0]
    new = ShardMap(
        cluster_id="test",
        epoch=0,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard},
        catalog=servers.catalog.primary,
        catalog_replicas=(),
        slots=(shard.id,) * 4096,
    )
    async with connect(new) as session:
        first = await CatalogSource(session).apply(new, expected_epoch=0, author="t", reason="t")

    async with heard.watch(first, connect):
        async with connect(first) as session:
            await listening(session)
        await cluster.kill("catalog-a", signal.SIGKILL)
        assert isinstance(await heard.report(), CatalogLost)

        await cluster.up()
        async with connect(first) as session:
            second = await apply_next(session, first)

        assert await heard.report() == CatalogFound()
        assert await heard.map() == second


async def test_every_adopted_map_is_kept_on_disk(heard, session, first, tmp_path):
    copy = LastGoodCopy(tmp_path / "map.json")
    async with heard.watch(first, connect, copy=copy) as watch:
        second = await apply_next(session, first)
        await heard.map()
        third = await apply_next(session, second)
        await heard.map()

        async def kept():
            return copy.path.exists() and copy.read() == third

        await until(kept)
        assert watch.current == third


async def test_a_copy_that_cannot_be_written_is_reported_and_the_map_is_in_use(
    heard, session, first, tmp_path
):
    (tmp_path / "file").touch()
    copy = LastGoodCopy(tmp_path / "file" / "map.json")
    second = await apply_next(session, first)

    async with heard.watch(first, connect, copy=copy):
        assert await heard.map() == second
        assert isinstance(await heard.report(), CopyFailed)


async def test_with_only_a_standby_to_ask_new_maps_still_arrive(heard, session, first, databases):
    def standby_only(shard_map):
        return catalog_session(shard_map.catalog_replicas, {}, writable=False)

    async with heard.watch(first, standby_only, poll_interval_s=0.05):
        second = await apply_next(session, first)

        assert await heard.map() == second


async def test_a_map_that_moves_the_catalog_makes_the_watch_ask_there(heard, session, first):
    asked = asyncio.Queue()

    def connect_and_tell(shard_map):
        asked.put_nowait(shard_map.catalog.name)
        return connect(shard_map)

    renamed = replace(first.catalog, name="catalog-renamed")
    async with heard.watch(first, connect_and_tell):
        await CatalogSource(session).apply(
            replace(first, catalog=renamed), expected_epoch=1, author="t", reason="t"
        )

        async with asyncio.timeout(60):
            assert [await asked.get(), await asked.get()] == ["catalog-a", "catalog-renamed"]


async def test_an_error_of_the_watch_itself_is_reported_not_swallowed(heard, session, first):
    mistake = RuntimeError("a bug")

    def adopt(_):
        raise mistake

    watch = MapWatch(first, connect, adopt=adopt, report=heard.reports.put_nowait)
    async with watch:
        await apply_next(session, first)

        assert await heard.report() == WatchFailed(mistake)


async def test_leaving_the_context_ends_the_watch_and_its_connection(heard, session, first):
    async with heard.watch(first, connect):
        await listening(session)

    query = (
        "select not exists (select from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid())"
    )
    await until(lambda: session.fetchval(query))
    assert heard.reports.empty()
    assert len([task for task in asyncio.all_tasks() if task.get_name() == "map watch"]) == 0
