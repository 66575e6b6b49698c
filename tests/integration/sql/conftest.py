"""The SQL door over the real router and backends, on two shards and the catalog.

door
    `await door("SELECT …", params, tenant=…)`: the status and the body of a request; the service
    role asks where no tenant is given. `door.settings` may be replaced by a test.
"""

import asyncio
import json
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import aiohttp
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
from server.auth import Authenticator, mint
from server.errors import Dialect, ServerError, failure_of, failure_reply
from server.exchange import Principal, Request
from server.front import Front
from server.front.turnstile import Turnstile
from server.lifecycle import Lifecycle
from server.middleware.cors import Cors
from server.middleware.entry import Doorkeeper
from server.routes import Routes
from server.settings import AuthSettings, CorsSettings, HttpSettings, SqlSettings
from server.sql import SqlDoor, SqlLimits
from shardmap import (
    SLOTS,
    Global,
    KeyType,
    Pin,
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

SECRET = "a secret that only tests use, honest"
LIMITS = SqlLimits(most=2, request_timeout_s=30, stream_s=60)

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
        made = SqlDoor(self.router, self.backends.schema, self.settings, LIMITS, served_by=True)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            reply = await made.handle(request_of(raw, **who))
            self.pieces = 0
            if reply.pieces is not None:
                parts = [part async for part in reply.pieces]
                await reply.pieces.close()
                self.pieces = len(parts)
                reply = reply._replace(body=b"".join(parts))
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


@asynccontextmanager
async def opened(databases, ddl, pins):
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
        pins={TenantId(str(tenant)): Pin(first) for tenant in pins},
        tables=TABLES,
    )
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(databases.url(primary.name))
        try:
            await prepare_database(connection)
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            await connection.execute(ddl)
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


@pytest_asyncio.fixture
async def open_door():
    """Open doors: `await open_door(databases, ddl, pins)`; the pinned tenants share a shard."""
    async with AsyncExitStack() as stack:

        async def make(databases, ddl=DDL, pins=()):
            return await stack.enter_async_context(opened(databases, ddl, pins))

        yield make


@pytest_asyncio.fixture
async def door(databases, open_door):
    """The door on fresh databases; see the module's docstring."""
    return await open_door(databases)


@pytest_asyncio.fixture
async def served(door, tmp_path):
    """The door behind a front on a Unix socket; see `Site`."""
    site = Site(door, str(tmp_path / "http.sock"))
    async with site.open():
        yield site


@dataclass
class Site:
    """A running front. `async with site.socket(tenant=…) as say:` is one transaction."""

    door: Door
    path: str
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    connections: object = None

    @asynccontextmanager
    async def open(self, **changes):
        settings = replace(self.door.settings, **changes)
        made = SqlDoor(
            self.door.router, self.door.backends.schema, settings, LIMITS, served_by=True
        )
        auth = AuthSettings(jwt_secret=SECRET)
        front = Front(
            Routes(made.routes()),
            Doorkeeper(Authenticator(auth, lambda: KeyType.INTEGER), anonymous=False),
            Cors(CorsSettings()),
            settings=HttpSettings(),
            lifecycle=self.lifecycle,
            observe=lambda _: None,
            turnstile=Turnstile(0, lambda _: None),
        )
        self.connections = front.http_server()
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(self.connections, self.path)
        try:
            yield self
        finally:
            server.close()
            await self.connections.shutdown(0.1)
            await server.wait_closed()

    @staticmethod
    def token(tenant=None, **claims):
        role = "service_role" if tenant is None else "authenticated"
        more = {} if tenant is None else {"tenant_id": tenant}
        return mint({"role": role, **more, **claims}, SECRET)

    @asynccontextmanager
    async def client(self):
        connector = aiohttp.UnixConnector(path=self.path)
        async with aiohttp.ClientSession(connector=connector) as client:
            yield client

    @asynccontextmanager
    async def socket(self, query="", *, tenant=None):
        headers = {"Authorization": f"Bearer {self.token(tenant)}"}
        url = f"http://x/api/v1/sql/transaction{query}"
        async with self.client() as client, client.ws_connect(url, headers=headers) as socket:
            yield Talk(socket)


@dataclass
class Talk:
    """One side of a socket."""

    socket: aiohttp.ClientWebSocketResponse

    async def __call__(self, message, **more):
        """Say something, and hear the answer."""
        text = {"sql": message, **more} if isinstance(message, str) else message
        await self.socket.send_str(text if isinstance(text, str) else json.dumps(text))
        return await self.hear()

    async def hear(self):
        async with asyncio.timeout(60):
            heard = await self.socket.receive()
        if heard.type is not aiohttp.WSMsgType.TEXT:
            return heard.type, self.socket.close_code
        return json.loads(heard.data)

    async def closed(self):
        """The code that the server closes with."""
        kind, code = await self.hear()
        assert kind in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, kind
        return code
