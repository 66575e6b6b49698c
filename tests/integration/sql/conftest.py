"""The SQL door over the real router and backends, on two shards and the catalog.

door
    `await door("SELECT …", params, tenant=…)`: the status and the body of a request; the service
    role asks where no tenant is given. `door.settings` may be replaced by a test.
"""

import json
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import asyncpg
import pytest_asyncio
from multidict import CIMultiDict

from router import (
    BackendSettings,
    Deadline,
    PostgresBackends,
    Router,
    RouterError,
    SharedFloors,
    prepare_database,
)
from server.errors import Dialect, ServerError, failure_of, failure_reply
from server.exchange import Principal, Request
from server.settings import SqlSettings
from server.sql import SqlDoor
from shardmap import (
    SLOTS,
    Global,
    KeyType,
    Reference,
    Sharded,
    ShardMap,
    TableName,
    TenantId,
    claim_identity,
    expected_identities,
    resolve,
    slot_of,
)

DDL = """
CREATE TABLE orders (
    tenant_id int NOT NULL,
    id bigint NOT NULL,
    note text,
    total numeric,
    ratio double precision,
    placed_at timestamptz,
    due date,
    data jsonb,
    raw json,
    tags text[],
    nums int[],
    ref uuid,
    active boolean,
    period int4range,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE items (tenant_id int NOT NULL, id bigint NOT NULL, secret text, PRIMARY KEY (tenant_id, id));
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON items USING (secret <> 'hidden');
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE plans (id int PRIMARY KEY, name text);
INSERT INTO countries VALUES ('at', 'Austria'), ('br', 'Brazil');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, items, countries TO authenticated;
"""

TABLES = {
    TableName("public.orders"): Sharded("tenant_id"),
    TableName("public.items"): Sharded("tenant_id"),
    TableName("public.countries"): Reference(),
    TableName("public.plans"): Global(),
}


def tenants_of(home):
    """The first tenants whose slots are in the lower (0) or upper (1) half."""
    return [n for n in range(1, 200) if slot_of(TenantId(str(n))) * 2 // SLOTS == home]


A, A2 = tenants_of(0)[:2]
B = tenants_of(1)[0]


def request_of(body, *, tenant=None, role=None, seconds=30, path="/api/v1/sql"):
    role = role or ("service_role" if tenant is None else "authenticated")
    return Request(
        method="POST",
        path=path,
        query="",
        headers=CIMultiDict(),
        body=body,
        request_id="req",
        deadline=Deadline.after(seconds),
        principal=Principal(
            role, None if tenant is None else TenantId(str(tenant)), f"s{tenant}", "{}"
        ),
    )


@dataclass
class Door:
    """Asks the SQL door."""

    router: Router
    backends: PostgresBackends
    databases: object
    shard_map: ShardMap
    settings: SqlSettings = field(default_factory=lambda: SqlSettings(tenants=True))
    A, A2, B = A, A2, B

    async def ask(self, body, **who):
        """Status and body of a request."""
        made = SqlDoor(self.router, self.backends.schema, self.settings, served_by=True)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            reply = await made.handle(request_of(raw, **who))
        except (ServerError, RouterError) as error:
            reply = failure_reply(failure_of(error, Dialect.NATIVE), Dialect.NATIVE, "req")
        self.text = reply.body.decode()
        return reply.status, json.loads(reply.body)

    async def __call__(self, sql, params=(), *, more=None, **who):
        return await self.ask({"sql": sql, "params": list(params), **(more or {})}, **who)

    async def rows(self, sql, params=(), **who):
        """The rows of a statement that is expected to succeed."""
        status, body = await self(sql, params, **who)
        assert status == 200, body
        return body["rows"]

    async def together(self, *statements, more=None, **who):
        """Status and body of a transaction."""
        listed = [
            each if isinstance(each, str | dict) else {"sql": each[0], "params": list(each[1])}
            for each in statements
        ]
        return await self.ask({"statements": listed, **(more or {})}, **who)

    def superuser(self, server):
        return asyncpg.connect(self.databases.url(server))


@pytest_asyncio.fixture
async def door(databases):
    """The door on fresh databases; see the module's docstring."""
    endpoints = databases.endpoints
    first, second = (shard.id for shard in endpoints.shards[:2])
    shards = {shard.id: shard for shard in endpoints.shards[:2]}
    shard_map = ShardMap(
        cluster_id=f"c-{databases.name}",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=(first,) * (SLOTS // 2) + (second,) * (SLOTS // 2),
        tables=TABLES,
    )
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(databases.url(primary.name))
        try:
            await prepare_database(connection)
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            await connection.execute(DDL)
        finally:
            await connection.close()
    settings = BackendSettings(min_connections=0, max_connections=4)
    async with AsyncExitStack() as stack:
        floors = stack.enter_context(SharedFloors(None))
        backends = await stack.enter_async_context(
            PostgresBackends(
                shard_map, settings, partial(resolve, environ=os.environ), floors, lambda _: None
            )
        )
        router = Router(backends, lambda: shard_map, backends.schema)
        yield Door(router, backends, databases, shard_map)


def with_settings(door, **changes):
    return replace(door, settings=replace(door.settings, **changes))
