"""A cluster of two shards for moves, with tables of several forms, and rows in them.

world (module)
    A `MovesWorld` in databases of its own: `world.places()`, `world.moves(…)`, and what is where.
"""

import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest_asyncio

from router import prepare_database
from server.moves import Limits, MoveRequest, Moves, Places, newest_map
from shardmap import (
    CATALOG,
    CatalogSource,
    KeyType,
    Reference,
    Sharded,
    ShardMap,
    TableName,
    claim_identity,
    expected_identities,
    propose,
)

SCHEMA = """
CREATE TABLE countries (code text PRIMARY KEY);
CREATE TABLE orders (
    tenant_id int NOT NULL, id bigint NOT NULL, note text, total numeric(10, 2), made timestamptz,
    country text REFERENCES countries, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE items (
    tenant_id int NOT NULL, order_id bigint NOT NULL, line int NOT NULL, data jsonb,
    PRIMARY KEY (tenant_id, order_id, line),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id) ON DELETE CASCADE
);
CREATE TABLE events (
    tenant_id int NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, client text, number int,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE parts (tenant_id int NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id))
    PARTITION BY HASH (tenant_id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
GRANT ALL ON ALL TABLES IN SCHEMA public TO authenticated, service_role;
INSERT INTO countries VALUES ('de'), ('fr');
"""
TABLES = {
    TableName("public.countries"): Reference(),
    **{
        TableName(f"public.{name}"): Sharded("tenant_id")
        for name in ("orders", "items", "events", "parts")
    },
}


@dataclass
class MovesWorld:
    """The databases of one module, with their first map."""

    databases: object
    first: ShardMap
    environ: dict = field(default_factory=dict)

    def tenant(self, shard, after=0):
        """The first tenant after that number that is at home on the shard."""
        return next(
            key for key in range(after + 1, after + 1000) if self.first.owner(str(key)) == shard
        )

    def request(self, target, *tenants):
        return MoveRequest(target, tenants=tuple(map(str, tenants)))

    async def map(self):
        return await newest_map(Places(self.first, self.environ))

    async def moves(self, **limits):
        return Moves(Places(await self.map(), self.environ), Limits(**{"seen_s": 0.0, **limits}))

    @asynccontextmanager
    async def session(self, shard):
        name = next(one for one in self.databases.endpoints.all if one.id == shard).primary.name
        connection = await asyncpg.connect(self.databases.url(name))
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, shard, sql, *args):
        async with self.session(shard) as connection:
            return [tuple(row) for row in await connection.fetch(sql, *args)]

    async def fill(self, tenant, shard, orders=50):
        async with self.session(shard) as connection:
            await connection.execute(
                f"""INSERT INTO orders SELECT {tenant}, n, 'it''s ' || n, n / 3.0, now(), 'de'
                        FROM generate_series(1, {orders}) n;
                    INSERT INTO items SELECT {tenant}, n, l, jsonb_build_object('n', n)
                        FROM generate_series(1, {orders}) n, generate_series(1, 2) l;
                    INSERT INTO events (tenant_id, client, number)
                        SELECT {tenant}, 'before', n FROM generate_series(1, {orders}) n;
                    INSERT INTO parts SELECT {tenant}, n, 'p' FROM generate_series(1, 5) n;
                    INSERT INTO fluxshard.write_key (key, tenant, target, content, answer)
                        VALUES ('k{tenant}', '{tenant}', 't', 'c', 'a') ON CONFLICT DO NOTHING"""
            )

    async def contents(self, tenant, shard):
        """Every row of the tenant on the shard, by table."""
        return {
            table: sorted(
                await self.rows(shard, f"SELECT t::text FROM {table} t WHERE tenant_id = {tenant}")
            )
            for table in ("orders", "items", "events", "parts")
        } | {
            "keys": await self.rows(
                shard, "SELECT key FROM fluxshard.write_key WHERE tenant = $1", str(tenant)
            )
        }

    async def leftovers(self):
        """What moves have made on servers and not taken away."""
        found = []
        for shard in self.first.shards:
            found += await self.rows(shard, "SELECT pubname::text FROM pg_publication")
            found += await self.rows(
                shard,
                "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()",
            )
            found += await self.rows(
                shard,
                "SELECT subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
                " WHERE d.datname = current_database()",
            )
        return found


async def furnish(databases):
    endpoints = databases.endpoints
    shard_map = ShardMap(
        cluster_id=f"c-{secrets.token_hex(3)}",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=propose({shard.id: 1 for shard in endpoints.shards}),
        tables=TABLES,
    )
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(databases.url(primary.name))
        try:
            number = shard_map.number(identity.shard_id)
            await prepare_database(connection, number=number)
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            if identity.shard_id == CATALOG:
                source = CatalogSource(connection)
                await source.apply(shard_map, expected_epoch=0, author="test", reason="first")
            else:
                await connection.execute(SCHEMA)
        finally:
            await connection.close()
    return MovesWorld(databases, shard_map)


@pytest_asyncio.fixture
async def world(databases):
    """See the module's docstring."""
    made = await furnish(databases)
    yield made
    for shard in made.first.shards:  # a database with a slot or subscription cannot be dropped
        async with made.session(shard) as connection:
            for (name,) in await connection.fetch(
                "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
                " WHERE d.datname = current_database()"
            ):
                await connection.execute(
                    f'ALTER SUBSCRIPTION "{name}" DISABLE;'
                    f'ALTER SUBSCRIPTION "{name}" SET (slot_name = NONE);'
                    f'DROP SUBSCRIPTION "{name}"'
                )
    for shard in made.first.shards:
        async with made.session(shard) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                " WHERE active AND database = current_database()"
            )
            while await connection.fetchval(
                "SELECT count(pg_drop_replication_slot(slot_name)) FILTER (WHERE NOT active)"
                " FROM pg_replication_slots WHERE database = current_database() AND NOT active"
            ):
                pass
