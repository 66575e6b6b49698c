"""The whole API in this process, on two shards, shared by all tests of this directory.

site (session)
    A `Site`: fronts over one set of services, each with settings of its own. Tests ask by
    `site.ask(method, url, tenant=…)` and get an `httpx.Response`; `front="…"` names another front
    of `FRONTS`. Write under ids of your own: other tests read the same rows.
"""

import asyncio
import json
import secrets
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import asyncpg
import httpx
import pytest

from router import prepare_database
from server.app import api
from server.auth import mint
from server.configuration.reading import load_settings
from server.front.turnstile import Turnstile
from server.lifecycle import Lifecycle
from server.observe.board import Board
from server.observe.gauges import Gauges
from server.observe.tally import Tally
from server.services import Share, open_services
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
    slot_of,
)

SECRET = "a secret that only tests use, honest"
LIMIT_S = 120

DDL = """
COMMENT ON SCHEMA public IS E'Shop\\nWhat is sold, and to whom.';
CREATE TYPE mood AS ENUM ('bad', 'ok', 'great');
CREATE DOMAIN short AS varchar(5) DEFAULT 'none';
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (
    tenant_id int NOT NULL, id int NOT NULL, name varchar(40) NOT NULL,
    country char(2) REFERENCES countries,
    PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE customers IS E'Who buys\\n\\nEverybody who has ever ordered.';
COMMENT ON COLUMN customers.name IS 'As written on letters';
CREATE TABLE orders (
    tenant_id int NOT NULL,
    id int NOT NULL,
    customer_id int,
    payer_id int,
    note text UNIQUE CHECK (note <> 'forbidden'),
    total numeric(10, 2) NOT NULL DEFAULT 5,
    mood mood NOT NULL DEFAULT 'ok',
    label short,
    tags text[],
    data jsonb,
    placed_at timestamptz DEFAULT now(),
    double numeric GENERATED ALWAYS AS (total * 2) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, note),
    CONSTRAINT orders_customer FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    CONSTRAINT orders_payer FOREIGN KEY (tenant_id, payer_id) REFERENCES customers
);
ALTER TABLE orders DROP CONSTRAINT orders_note_key;
CREATE TABLE secrets (tenant_id int NOT NULL, id int NOT NULL, word text, PRIMARY KEY (tenant_id, id));
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON secrets USING (word <> 'hidden') WITH CHECK (word <> 'hidden');
CREATE TABLE codes (code text PRIMARY KEY);
CREATE TABLE plans (id int PRIMARY KEY, name text);
CREATE VIEW great_orders AS SELECT tenant_id, id, note FROM orders WHERE mood = 'great';
CREATE TABLE keyless (tenant_id int NOT NULL, word text);

CREATE FUNCTION add(a int, b int DEFAULT 10) RETURNS int IMMUTABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on RETURN a + b;
COMMENT ON FUNCTION add IS E'Adds\\n\\nTwo numbers.';
CREATE FUNCTION total(VARIADIC numbers int[]) RETURNS bigint IMMUTABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on RETURN (SELECT sum(x) FROM unnest(numbers) AS x);
CREATE FUNCTION length_of(json) RETURNS int IMMUTABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on RETURN json_array_length($1);
CREATE FUNCTION twin(x int) RETURNS text IMMUTABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on RETURN 'int';
CREATE FUNCTION twin(x text) RETURNS text IMMUTABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on RETURN 'text';
CREATE FUNCTION fail(state text, message text DEFAULT 'failed') RETURNS int VOLATILE
    LANGUAGE plpgsql SET fluxshard.tenant_safe = on AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, DETAIL = 'why', HINT = 'how'; END
    $$;
CREATE FUNCTION wish(headers text DEFAULT '', status text DEFAULT '') RETURNS int VOLATILE
    LANGUAGE plpgsql SET fluxshard.tenant_safe = on AS $$
    BEGIN
        PERFORM set_config('response.headers', headers, true);
        PERFORM set_config('response.status', status, true);
        RETURN 1;
    END $$;
CREATE FUNCTION mark(id int) RETURNS void VOLATILE LANGUAGE sql SET fluxshard.tenant_safe = on
    AS 'UPDATE orders SET data = ''{}'' WHERE orders.id = mark.id';
CREATE FUNCTION orders_of(tenant_id int) RETURNS SETOF orders STABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on
    AS 'SELECT * FROM orders WHERE orders.tenant_id = orders_of.tenant_id';
CREATE FUNCTION own_document() RETURNS json STABLE LANGUAGE sql
    SET fluxshard.tenant_safe = on AS $$SELECT '{"swagger": "2.0", "own": true}'::json$$;
CREATE FUNCTION hidden_function() RETURNS int STABLE LANGUAGE sql RETURN 1;
REVOKE EXECUTE ON FUNCTION hidden_function FROM PUBLIC;

INSERT INTO countries VALUES ('at', 'Austria'), ('br', 'Brazil');
GRANT SELECT, INSERT, UPDATE, DELETE ON customers, orders, secrets, keyless TO authenticated;
GRANT SELECT ON countries, great_orders TO authenticated, anon;
"""

ROWS = """
INSERT INTO customers VALUES ({tenant}, 1, 'Ada', 'at'), ({tenant}, 2, 'Bo', 'br');
INSERT INTO orders (tenant_id, id, customer_id, payer_id, note, total, mood) VALUES
    ({tenant}, 1, 1, 2, 'one', 10, 'ok'), ({tenant}, 2, 1, 1, 'two', 20, 'great'),
    ({tenant}, 3, 2, 2, 'three', 30, 'bad');
INSERT INTO secrets VALUES ({tenant}, 1, 'seen');
"""

TABLES = {
    **{
        TableName(f"public.{name}"): Sharded("tenant_id")
        for name in ("customers", "orders", "secrets", "great_orders", "keyless")
    },
    TableName("public.countries"): Reference(),
    TableName("public.codes"): Reference(),
    TableName("public.plans"): Global(),
}

PROCEDURES = {
    "orders_over": """
        -- @fluxbase:description Orders over a total
        -- @fluxbase:input {"least": "number", "note?": "text"}
        -- @fluxbase:require-role authenticated
        SELECT id, total, $caller_role AS role FROM orders  -- not $this
        WHERE total > $least AND ($note::text IS NULL OR note = $note) AND note <> '$that'
        ORDER BY id;
    """,
    "shop/labelled": """
        -- @fluxbase:require-role manager
        UPDATE orders SET label = $label WHERE id = $id RETURNING id, label
    """,
    "many": """
        -- @fluxbase:public true
        SELECT n FROM generate_series(1, 1001) AS numbers(n)
    """,
}

FRONTS = {
    "default": {},
    "anonymous": {"FLUXSHARD_ANONYMOUS": "true"},
    "behind a proxy": {
        "PGRST_OPENAPI_MODE": "ignore-privileges",
        "PGRST_OPENAPI_SERVER_PROXY_URI": "https://api.example.org/shop",
        "PGRST_OPENAPI_SECURITY_ACTIVE": "true",
    },
    "disabled": {"PGRST_OPENAPI_MODE": "disabled"},
    "own root": {"PGRST_DB_ROOT_SPEC": "own_document"},
    "one row": {"FLUXSHARD_MAX_ROWS": "1", "FLUXSHARD_REQUEST_TIMEOUT": "5s"},
}


def tenants_of(home):
    """The first tenants whose slots are in the lower (0) or upper (1) half."""
    return [n for n in range(1, 200) if slot_of(TenantId(str(n))) * 2 // SLOTS == home]


A, A2 = tenants_of(0)[:2]
B = tenants_of(1)[0]


class Recorder:
    """The router, which remembers what it is asked."""

    def __init__(self, router, asked):
        self._router = router
        self._asked = asked

    def __getattr__(self, name):
        return getattr(self._router, name)

    async def answer(self, statement, context):
        self._asked.append(statement)
        return await self._router.answer(statement, context)

    async def stream(self, statement, context, longest_s):
        self._asked.append(statement)
        return await self._router.stream(statement, context, longest_s)


@dataclass
class Site:
    """Running fronts. A and A2 are tenants of the first shard, B of the second."""

    directory: object
    fronts: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    """The statements that the router was asked, by all fronts."""
    routed: tuple = ()
    """The routes of the default front."""
    A, A2, B = A, A2, B

    @property
    def routes(self):
        return [(route.template, route.method) for route in self.routed]

    @staticmethod
    def token(tenant=None, role=None, **claims):
        role = role or ("service_role" if tenant is None else "authenticated")
        return mint({"role": role, **({"tenant_id": tenant} if tenant else {}), **claims}, SECRET)

    def client(self, front="default", **options):
        """A client of a front, for many requests on one connection."""
        transport = httpx.HTTPTransport(uds=self.fronts[front])
        return httpx.Client(transport=transport, base_url="http://site", timeout=LIMIT_S, **options)

    def ask(
        self, method, url, body=None, *, tenant=None, role=None, token=None, front="default", **more
    ):
        """The response. `token=""` sends no credential."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        token = self.token(tenant, role) if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
            headers.setdefault("Content-Type", "application/json")
        with self.client(front) as client:
            return client.request(method, url, content=body, headers=headers)


async def _prepared(cluster, database, shard_map):
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(cluster.url(primary.name, database))
        try:
            await prepare_database(connection)
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            await connection.execute(DDL)
            for tenant, home in ((A, "shard_0"), (A2, "shard_0"), (B, "shard_1")):
                if identity.shard_id == home:
                    await connection.execute(ROWS.format(tenant=tenant))
        finally:
            await connection.close()


class _SiteThread:
    """Keeps the fronts on an event loop of their own, away from those of the tests."""

    def __init__(self, cluster, directory):
        self.site = Site(directory)
        self._cluster = cluster
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._failure = None

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(LIMIT_S)
        if self._failure is not None:
            raise self._failure
        return self.site

    def __exit__(self, *_):
        if self._failure is None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _main(self):
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                self._ready.set()
                await self._end.wait()
        except BaseException as failure:  # noqa: BLE001 - raised again in the fixture
            self._failure = failure
            self._ready.set()

    async def _open(self, stack):
        cluster, database = self._cluster, f"api_{secrets.token_hex(4)}"
        endpoints = cluster.endpoints(database)
        for shard in endpoints.all:
            connection = await asyncpg.connect(cluster.url(shard.primary.name, "postgres"))
            await connection.execute(f'CREATE DATABASE "{database}"')
            await connection.close()
        first, second = (shard.id for shard in endpoints.shards)
        shard_map = ShardMap(
            cluster_id=database,
            epoch=1,
            key_type=KeyType.INTEGER,
            shards={shard.id: shard for shard in endpoints.shards},
            catalog=endpoints.catalog.primary,
            catalog_replicas=endpoints.catalog.replicas,
            slots=(first,) * (SLOTS // 2) + (second,) * (SLOTS // 2),
            tables=TABLES,
        )
        await _prepared(cluster, database, shard_map)
        for name, text in PROCEDURES.items():
            path = self.site.directory / "rpc" / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        environ = {
            "FLUXBASE_RPC_PROCEDURES_DIR": str(self.site.directory / "rpc"),
            **cluster.environment(database),
            "FLUXBASE_AUTH_JWT_SECRET": SECRET,
            "FLUXSHARD_STATE_DIR": str(self.site.directory),
            "FLUXSHARD_SQL_TENANTS": "true",
        }
        settings, _ = load_settings(environ, None)
        services = await stack.enter_async_context(
            open_services(settings, shard_map, lambda _: None, Share())
        )
        services = replace(services, router=Recorder(services.router, self.site.asked))
        for number, (name, changes) in enumerate(FRONTS.items()):
            path = str(self.site.directory / f"{number}.sock")
            await self._serve(stack, services, environ | changes, path)
            self.site.fronts[name] = path

    async def _serve(self, stack, services, environ, path):
        settings, _ = load_settings(environ, None)
        lifecycle, tally = Lifecycle(), Tally()
        turnstile = Turnstile(0, lambda _: None)
        board = Board(tally, Gauges(tally, lifecycle, lambda: 0, services, turnstile))
        front = api(settings, services, board, lifecycle, lambda _: None, turnstile)
        self.site.routed = self.site.routed or front._routes.listed
        connections = front.http_server()
        server = await self._loop.create_unix_server(connections, path)

        async def closed():
            server.close()
            await connections.shutdown(0.1)
            await server.wait_closed()

        stack.push_async_callback(closed)


@pytest.fixture(scope="session")
def site(cluster, tmp_path_factory):
    """The whole API; see the module's docstring."""
    with _SiteThread(cluster, tmp_path_factory.mktemp("site")) as site:
        yield site
