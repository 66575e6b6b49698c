"""The same, with a real PgBouncer in transaction mode in front of every server of the shards.

A map that says so is applied while the server runs, and taken back afterwards. Tests of isolation
are run again, at least one for each door; the rest of them asks nothing more of a session.
"""

import asyncio
import time
from dataclasses import replace

import asyncpg
import httpx
import pytest

from shardmap import CatalogSource
from tests.acceptance import test_isolation as isolation
from tests.poolers import behind, pgbouncer

ADOPTED_WITHIN_S = 60

own, other, bearer, unharmed = (
    isolation.own,
    isolation.other,
    isolation.bearer,
    isolation.unharmed,
)
for chosen in (
    isolation.test_a_filter_that_requires_another_tenant_is_refused,
    isolation.test_a_filter_that_allows_others_gives_own_rows_only,
    isolation.test_every_row_of_a_whole_table_is_own,
    isolation.test_a_row_cannot_be_inserted_for_another_tenant,
    isolation.test_a_wide_filter_changes_no_row_of_another_tenant,
    isolation.test_a_row_cannot_be_given_to_another_tenant,
    isolation.test_an_upsert_cannot_touch_another_tenants_row,
    isolation.test_a_row_by_its_id_is_the_own_one,
    isolation.test_a_key_without_a_tenant_reaches_no_sharded_table,
    isolation.test_an_error_does_not_tell_of_another_tenants_key,
):
    globals()[chosen.__name__] = chosen


async def apply(stage, shard_map):
    """Store the map as the next one, and wait until all workers work by it."""
    catalog = await asyncpg.connect(stage.cluster.url(stage.loaded.shard_map.catalog.name))
    try:
        source = CatalogSource(catalog)
        current = await source.newer_than(0)
        changed = replace(shard_map, epoch=current.epoch + 1)
        await source.apply(changed, expected_epoch=current.epoch, author="test", reason="poolers")
    finally:
        await catalog.close()
    async with httpx.AsyncClient(base_url=stage.url, timeout=30) as client:
        until = time.monotonic() + ADOPTED_WITHIN_S
        while not in_use((await client.get("/metrics")).text, changed.epoch):
            assert time.monotonic() < until, "the map was not adopted, or an endpoint is down"
            await asyncio.sleep(0.1)


def in_use(metrics, epoch):
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    up = [value for name, value in values.items() if name.startswith("fluxshard_endpoint_up")]
    return float(values["fluxshard_map_epoch"]) == epoch and set(map(float, up)) == {1.0}


@pytest.fixture(scope="module", autouse=True)
def pooled(stage, clusters_directory):
    """Every shard's servers behind the pooler, for this module."""
    before = stage.loaded.shard_map
    every = [each for shard in before.shards.values() for each in shard.endpoints]
    with pgbouncer(clusters_directory / "acceptance-pooler", every, mode="transaction") as front:
        asyncio.run(apply(stage, behind(front, before)))
        yield
        asyncio.run(apply(stage, before))


async def test_a_session_reads_what_it_wrote(api, bearer):
    row = {"category_id": 1, "name": "by way of the pooler", "price": 1}
    headers = {**bearer, "Prefer": "return=representation"}
    for _ in range(10):
        made = (await api.post("/rest/v1/products", headers=headers, json=row)).json()[0]
        where = f"/rest/v1/products?id=eq.{made['id']}"

        seen = await api.get(where, headers=bearer)
        await api.patch(where, headers=bearer, json={"price": 2})
        changed = await api.get(where, headers=bearer)
        await api.delete(where, headers=bearer)
        gone = await api.get(where, headers=bearer)

        assert [reply.json() for reply in (seen, gone)] == [[made], []]
        assert float(changed.json()[0]["price"]) == 2


async def test_statements_and_transactions_are_held_to_their_tenant(api, key, own, other):
    headers = {"Authorization": f"Bearer {key(role='service_role')}"}
    count = {"sql": "SELECT count(*) AS n, min(tenant_id) AS t FROM orders"}

    async def one(tenant):
        as_tenant = {**headers, "X-Tenant-ID": str(tenant)}
        reply = await api.post("/api/v1/sql", headers=as_tenant, json=count)
        return reply.json()["rows"][0]

    found = await asyncio.gather(*(one(tenant) for tenant in (own, other) * 20))

    assert [tenant for _, tenant in found] == [own, other] * 20
    assert len({count for count, _ in found}) == 2
