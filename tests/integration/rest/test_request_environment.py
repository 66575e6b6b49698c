"""What code of users knows of a request, what it says of the response, and how transactions end.

Over the real backends, on two shards: each of the two dialects, one shard and several.
"""

import json
import os
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
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
from server.idempotency import Idempotency, KeyedRouter
from server.rest import Limits, Tables, surroundings
from server.routes import Routes
from shardmap import (
    SLOTS,
    KeyType,
    Reference,
    Sharded,
    ShardMap,
    TableName,
    TenantId,
    claim_identity,
    expected_identities,
    resolve,
)

DDL = """
CREATE TABLE notes (
    tenant_id int NOT NULL, id bigint NOT NULL, body text, at timestamptz DEFAULT '2024-01-01Z',
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE plain (tenant_id int NOT NULL, id bigint NOT NULL, at timestamptz, PRIMARY KEY (tenant_id, id));
CREATE TABLE codes (code text PRIMARY KEY, name text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON notes USING (
    coalesce(current_setting('request.headers', true)::json ->> 'x-level', 'all') <> 'none'
) WITH CHECK (true);
CREATE FUNCTION signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.body := concat_ws(' ', NEW.body, 'by', current_setting('request.method', true),
        current_setting('request.path', true), current_setting('request.cookies', true)::json ->> 'who');
    IF NEW.body LIKE 'loud%' THEN
        PERFORM set_config('response.headers', '[{"X-Signed": "1"}]', true);
    ELSIF NEW.body LIKE 'own%' THEN
        PERFORM set_config('response.headers',
            json_build_array(json_build_object('X-Signed', NEW.tenant_id::text))::text, true);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signed BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION signed();
CREATE FUNCTION answer(status text, headers text) RETURNS int VOLATILE LANGUAGE plpgsql
    SET fluxshard.tenant_safe = on AS $$
BEGIN
    PERFORM set_config('response.status', status, true);
    PERFORM set_config('response.headers', headers, true);
    RETURN 1;
END $$;
CREATE FUNCTION looked() RETURNS text STABLE LANGUAGE plpgsql SET fluxshard.tenant_safe = on AS $$
BEGIN
    PERFORM set_config('response.headers', '[{"X-Looked": "1"}, {"Content-Type": "text/x"}]', true);
    RETURN current_setting('request.headers', true)::json ->> 'x-level';
END $$;
CREATE FUNCTION raised(state text, message text, detail text) RETURNS int VOLATILE LANGUAGE plpgsql
    SET fluxshard.tenant_safe = on AS $$
BEGIN RAISE SQLSTATE USING ERRCODE = state, MESSAGE = message, DETAIL = detail; END $$;
CREATE FUNCTION wiped(most int) RETURNS SETOF notes VOLATILE LANGUAGE sql
    SET fluxshard.tenant_safe = on AS 'DELETE FROM notes WHERE id <= most RETURNING *';
CREATE FUNCTION wiped_ids() RETURNS SETOF bigint VOLATILE LANGUAGE sql
    SET fluxshard.tenant_safe = on AS 'DELETE FROM notes RETURNING id';
CREATE FUNCTION guard() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('request.headers', true)::json ->> 'x-blocked' = 'yes' THEN
        RAISE SQLSTATE 'PT402' USING MESSAGE = 'blocked', HINT = 'pay';
    END IF;
    PERFORM set_config('response.headers', '[{"X-Guarded": "1"}]', true);
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON notes, plain, codes TO authenticated, service_role;
""".replace("RAISE SQLSTATE USING", "RAISE EXCEPTION USING")

TABLES = {
    TableName("public.notes"): Sharded("tenant_id"),
    TableName("public.plain"): Sharded("tenant_id"),
    TableName("public.codes"): Reference(),
}


@dataclass
class World:
    """Asks the REST API as a tenant, or as the service role."""

    router: Router
    backends: PostgresBackends
    pre_request: str = ""
    tx_end: str = "commit"

    def routes(self):
        limits = Limits(tx_override=self.tx_end.endswith("-allow-override"))
        around = surroundings(self.pre_request, self.tx_end).around

        def made(router):
            return Tables(router, self.backends.schema, lambda _: "tenant_id", limits).routes()

        found = Idempotency(self.router).routes(made(self.router), made(KeyedRouter()))
        for route in found:
            postgrest = route.dialect is Dialect.POSTGREST
            yield route, around(route.handler, self.backends.schema, postgrest=postgrest)

    async def __call__(self, method, url, body=None, *, tenant=None, **headers):
        path, _, query = url.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        role = "service_role" if tenant is None else "authenticated"
        request = Request(
            method,
            path,
            query,
            CIMultiDict(named),
            b"" if body is None else json.dumps(body).encode(),
            "req",
            Deadline.after(60),
            Principal(role, None if tenant is None else TenantId(str(tenant)), "s", "{}"),
        )
        handlers = dict(self.routes())
        route = Routes(handlers).match("GET" if method == "HEAD" else method, path).route
        try:
            return await handlers[route](request)
        except (ServerError, RouterError) as error:
            return failure_reply(failure_of(error, route.dialect, role=role), route.dialect, "req")

    async def rows(self, url, **options):
        reply = await self("GET", url, **options)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    async def ids(self, tenant, table="notes"):
        return [row["id"] for row in await self.rows(f"/rest/v1/{table}?order=id", tenant=tenant)]


@pytest_asyncio.fixture
async def world(databases):
    endpoints = databases.endpoints
    shards = {shard.id: shard for shard in endpoints.shards[:2]}
    first, second = shards
    shard_map = ShardMap(
        cluster_id=f"c-{secrets.token_hex(4)}",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=endpoints.catalog.primary,
        catalog_replicas=(),
        slots=(first,) * (SLOTS // 2) + (second,) * (SLOTS // 2),
        tables=TABLES,
    )
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(databases.url(primary.name))
        await prepare_database(connection)
        await claim_identity(connection, identity.cluster_id, identity.shard_id)
        await connection.execute(DDL)
        await connection.close()
    settings = BackendSettings(min_connections=0, max_connections=4)
    async with AsyncExitStack() as stack:
        floors = stack.enter_context(SharedFloors(None))
        backends = await stack.enter_async_context(
            PostgresBackends(
                shard_map, settings, partial(resolve, environ=os.environ), floors, lambda _: None
            )
        )
        yield World(Router(backends, lambda: shard_map, backends.schema), backends)


def told(reply, name):
    found = [value for each, value in reply.headers if each.lower() == name.lower()]
    return found[0] if len(found) == 1 else None


async def test_policies_and_triggers_know_the_request_on_every_path(world, tenants):
    first, second = tenants
    for tenant in tenants:
        reply = await world(
            "POST", "/rest/v1/notes?select=body", {"id": 1, "body": "a"}, tenant=tenant,
            Prefer="return=representation", Cookie="who=me",
        )  # fmt: skip
        assert json.loads(reply.body) == [{"body": "a by POST /notes me"}]
        assert await world.rows("/rest/v1/notes?select=id", tenant=tenant) == [{"id": 1}]
        assert await world.rows("/rest/v1/notes", tenant=tenant, X_Level="none") == []
        assert await world.rows("/api/v1/tables/notes", tenant=tenant, X_Level="none") == []
        assert len(await world.rows("/api/v1/tables/notes", tenant=tenant)) == 1
    body = [{"tenant_id": tenant, "id": 2, "body": "b"} for tenant in tenants]
    reply = await world("POST", "/api/v1/tables/notes", body, Cookie="who=us")
    assert [row["body"] for row in json.loads(reply.body)] == [
        "b by POST /api/v1/tables/notes us"
    ] * 2
    keyed = {"Idempotency_Key": "k", "Cookie": "who=k", "Prefer": "return=representation"}
    for _ in range(2):
        reply = await world(
            "POST", "/rest/v1/notes?select=body", {"id": 3, "body": "c"}, tenant=second, **keyed
        )
        assert json.loads(reply.body) == [{"body": "c by POST /notes k"}]
    assert await world.ids(first) == [1, 2]
    await world("DELETE", "/rest/v1/notes", tenant=second, X_Level="none")
    assert await world.ids(second) == [1, 2, 3]


async def test_functions_and_triggers_say_what_the_response_is(world, tenants):
    first, second = tenants
    headers = '[{"X-A": "1"}, {"Set-Cookie": "a=1"}]'
    body = {"status": "202", "headers": headers}
    reply = await world("POST", "/rest/v1/rpc/answer", body, tenant=first)
    assert (reply.status, reply.body) == (202, b"1")
    assert (told(reply, "X-A"), told(reply, "Set-Cookie")) == ("1", "a=1")

    reply = await world("GET", "/rest/v1/rpc/looked", tenant=second, X_Level="9")
    assert (reply.body, reply.content_type, told(reply, "X-Looked")) == (b'"9"', "text/x", "1")

    for status, wrong, code in (("x", "", "PGRST112"), ("", "[1]", "PGRST111")):
        body = {"status": status, "headers": wrong}
        reply = await world("POST", "/rest/v1/rpc/answer", body, tenant=first)
        assert (reply.status, json.loads(reply.body)["code"]) == (500, code)

    rows = [{"tenant_id": tenant, "id": 1, "body": "loud"} for tenant in tenants]
    reply = await world("POST", "/rest/v1/notes", rows)
    assert (reply.status, told(reply, "X-Signed")) == (201, "1")

    rows = [{"tenant_id": tenant, "id": 2, "body": "own"} for tenant in tenants]
    reply = await world("POST", "/rest/v1/notes", rows)
    assert (reply.status, json.loads(reply.body)["code"]) == (400, "PGRST127")
    assert json.loads(reply.body)["details"].startswith("P111: ")
    assert await world.ids(first) == await world.ids(second) == [1]

    reply = await world(
        "POST", "/rest/v1/notes", {"id": 3, "body": "own"}, tenant=first, Idempotency_Key="a"
    )
    assert told(reply, "X-Signed") == str(first)


async def test_functions_raise_the_statuses_of_their_choice(world, tenants):
    async def raised(state, message, detail=None):
        body = {"state": state, "message": message, "detail": detail or ""}
        reply = await world("POST", "/rest/v1/rpc/raised", body, tenant=tenants[1])
        return reply, json.loads(reply.body)

    reply, body = await raised("PT418", "a pot", "short")
    assert (reply.status, body["code"], body["details"]) == (418, "PT418", "short")

    message = '{"code": "77", "message": "m", "hint": "h"}'
    reply, body = await raised("PGRST", message, '{"status": 412, "headers": {"X-Y": "z"}}')
    assert (reply.status, told(reply, "X-Y")) == (412, "z")
    assert body == {"code": "77", "message": "m", "details": None, "hint": "h"}

    reply, body = await raised("PGRST", "no", "{}")
    assert (reply.status, body["code"]) == (500, "PGRST121")


async def test_a_function_runs_before_every_statement(world, tenants):
    world.pre_request = "public.guard"
    for prefix in ("/rest/v1", "/api/v1/tables"):
        for table in ("notes", "plain", "codes"):
            for method, body in (
                ("GET", None),
                ("POST", {"code": prefix} if table == "codes" else {"id": 1}),
            ):
                if method == "POST" and prefix != "/rest/v1":
                    continue
                role = {"tenant": None if table == "codes" else tenants[0]}
                url = f"{prefix}/{table}"
                reply = await world(method, url, body, **role, X_Blocked="yes")
                failure = json.loads(reply.body)
                assert (reply.status, failure["message"], failure["hint"]) == (
                    402,
                    "blocked",
                    "pay",
                )
                reply = await world(method, url, body, **role)
                assert (reply.status in {200, 201}, told(reply, "X-Guarded")) == (True, "1")
    reply = await world("GET", "/rest/v1/plain?limit=5000", tenant=tenants[0])  # by a cursor
    assert (reply.status, told(reply, "X-Guarded")) == (200, "1")
    reply = await world("GET", "/rest/v1/plain?order=id", X_Blocked="yes")  # of both shards
    assert reply.status == 402


async def test_a_time_zone_holds_for_one_request(world, tenants):
    row = {"id": 1, "at": "2024-06-01T00:00:00Z"}
    await world("POST", "/rest/v1/plain", row, tenant=tenants[0])

    for zone, shown in (("Asia/Tokyo", "09:00:00+09:00"), ("-3", "21:00:00-03:00")):
        reply = await world(
            "GET", "/rest/v1/plain?select=at", tenant=tenants[0], Prefer=f"timezone={zone}"
        )
        assert json.loads(reply.body)[0]["at"].endswith(shown)
        assert told(reply, "Preference-Applied") == f"timezone={zone}"
    assert (await world.rows("/rest/v1/plain?select=at", tenant=tenants[0]))[0]["at"].endswith(
        "00:00:00+00:00"
    )
    reply = await world("GET", "/rest/v1/plain", tenant=tenants[0], Prefer="timezone=Nowhere")
    assert (reply.status, json.loads(reply.body)["code"]) == (400, "22023")


async def test_rows_are_bounded_before_anything_is_committed(world, tenants):
    first, second = tenants
    for tenant in tenants:
        rows = [{"id": number} for number in (1, 2)]
        assert (await world("POST", "/rest/v1/notes", rows, tenant=tenant)).status == 201
    strict = "handling=strict, max-affected={}"

    async def refused(method, url, body, most, **who):
        reply = await world(method, url, body, Prefer=strict.format(most), **who)
        failure = json.loads(reply.body)
        assert (reply.status, failure["code"]) == (400, "PGRST124")
        assert failure["message"] == "Query result exceeds max-affected preference constraint"
        return failure["details"]

    assert await refused("DELETE", "/rest/v1/notes", None, 1, tenant=first) == (
        "The query affects 2 rows"
    )
    assert await refused("PATCH", "/rest/v1/notes?id=gt.0", {"body": "x"}, 3) == (
        "The query affects 4 rows"
    )
    call = ("/rest/v1/rpc/wiped", {"most": 2})
    assert await refused("POST", *call, 1, tenant=second) == "The query affects 2 rows"
    assert await refused("POST", "/rest/v1/rpc/wiped_ids", {}, 1, tenant=second)
    keyed = await world(
        "DELETE", "/rest/v1/notes", tenant=first, Prefer=strict.format(1), Idempotency_Key="k"
    )
    assert json.loads(keyed.body)["code"] == "PGRST124"
    assert await world.ids(first) == await world.ids(second) == [1, 2]

    reply = await world(
        "POST", "/rest/v1/rpc/answer", {"status": "", "headers": ""}, tenant=first,
        Prefer=strict.format(1),
    )  # fmt: skip
    assert json.loads(reply.body)["code"] == "PGRST128"
    reply = await world(
        "POST", "/rest/v1/rpc/wiped_ids", {}, tenant=second, Prefer=strict.format(2)
    )
    assert (reply.status, json.loads(reply.body)) == (200, [1, 2])
    assert told(reply, "Preference-Applied") == "handling=strict, max-affected=2"
    reply = await world("DELETE", "/rest/v1/notes", tenant=first, Prefer="max-affected=1")
    assert (reply.status, await world.ids(first)) == (204, [])


async def test_writes_are_answered_and_rolled_back_where_that_is_allowed(world, tenants):
    first, second = tenants
    world.tx_end = "commit-allow-override"
    prefer = {"Prefer": "tx=rollback, return=representation"}
    reply = await world("POST", "/rest/v1/notes?select=id", {"id": 1}, tenant=first, **prefer)
    assert (reply.status, json.loads(reply.body)) == (201, [{"id": 1}])
    assert told(reply, "Preference-Applied") == "return=representation, tx=rollback"
    rows = [{"tenant_id": tenant, "id": 2} for tenant in tenants]
    reply = await world("POST", "/rest/v1/notes?select=id", rows, **prefer)
    assert (reply.status, json.loads(reply.body)) == (201, [{"id": 2}, {"id": 2}])
    reply = await world("POST", "/rest/v1/codes?select=code", {"code": "a"}, **prefer)
    assert json.loads(reply.body) == [{"code": "a"}]
    assert await world.rows("/rest/v1/codes") == []
    assert await world.ids(first) == await world.ids(second) == []

    world.tx_end = "rollback"
    prefer = {"Prefer": "tx=commit, return=minimal"}
    reply = await world("POST", "/rest/v1/notes", {"id": 1}, tenant=first, **prefer)
    assert (reply.status, told(reply, "Preference-Applied")) == (201, "return=minimal")
    assert await world.ids(first) == []
