"""Requests with an Idempotency-Key: done once, whoever repeats them, over every door."""

import asyncio
import json
from dataclasses import dataclass

import asyncpg
import pytest
from multidict import CIMultiDict

from router import Deadline, RouterError
from server.errors import ServerError, failure_of, failure_reply
from server.exchange import Principal, Request
from server.idempotency import MAX_BODY_BYTES, Idempotency, KeyedRouter
from server.rest import Limits, Tables
from server.routes import Routes
from server.settings import SqlSettings
from server.sql import SqlDoor, SqlLimits
from shardmap import TenantId

LIMITS = SqlLimits(most=2, request_timeout_s=30, stream_s=60)
ORDERS = "/api/v1/tables/orders"
REPLAYED = ("Idempotency-Replayed", "true")
FUNCTION = """
CREATE FUNCTION put(id bigint) RETURNS bigint LANGUAGE sql SET fluxshard.tenant_safe = on
AS 'INSERT INTO orders (tenant_id, id) VALUES (auth.tenant()::int, $1) RETURNING id'
"""
INSERT = "INSERT INTO orders (tenant_id, id) VALUES ($1, $2)"


@dataclass
class Api:
    """Asks all doors; the service role asks where no tenant is given."""

    door: object

    def __post_init__(self):
        router, schema, tables = self.door.router, self.door.backends.schema, self.door.shard_map

        def column(name):
            placement = tables.placement(name)
            return getattr(placement, "column", None)

        def routes(asked):
            settings = SqlSettings(tenants=True)
            sql = SqlDoor(asked, schema, settings, LIMITS, served_by=False)
            return (*Tables(asked, schema, column, Limits()).routes(), *sql.routes())

        self.routes = Routes(Idempotency(router).routes(routes(router), routes(KeyedRouter())))

    async def __call__(
        self, method, url, body=None, *, key=None, tenant=None, user="u", seconds=30, **headers
    ):
        path, _, query = url.partition("?")
        role = "service_role" if tenant is None else "authenticated"
        given = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
        if key is not None:
            given["Idempotency-Key"] = key
        match = self.routes.match(method, path)
        request = Request(
            method,
            path,
            query,
            given,
            b"" if body is None else json.dumps(body).encode(),
            "req",
            Deadline.after(seconds),
            Principal(
                role,
                None if tenant is None else TenantId(str(tenant)),
                f"session of {user}",
                json.dumps({"role": role, "sub": user}),
            ),
            match.params,
        )
        try:
            return await match.route.handler(request)
        except (ServerError, RouterError) as error:
            dialect = match.route.dialect
            return failure_reply(failure_of(error, dialect, role=role), dialect, "req")

    def sql(self, text, params=(), **options):
        return self("POST", "/api/v1/sql", {"sql": text, "params": list(params)}, **options)

    async def fetch(self, server, sql, *args):
        connection = await self.door.superuser(server)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def ids(self, server="shard_0-a"):
        return sorted(row[0] for row in await self.fetch(server, "SELECT id FROM orders"))

    async def kept(self, server="shard_0-a"):
        return len(await self.fetch(server, "SELECT FROM fluxshard.write_key"))


@pytest.fixture
def api(door):
    return Api(door)


def code(reply):
    return reply.status, json.loads(reply.body)["code"]


@pytest.mark.parametrize(
    ("method", "url", "body", "headers"),
    [
        ("POST", ORDERS, {"id": 1, "note": "new"}, {}),
        ("POST", "/rest/v1/orders", {"id": 1, "note": "new"}, {"Prefer": "return=representation"}),
        ("PATCH", f"{ORDERS}/7", {"note": "new"}, {}),
        ("PATCH", "/rest/v1/orders?id=eq.7", {"note": "new"}, {"Prefer": "return=representation"}),
        ("PUT", "/rest/v1/orders?id=eq.7", {"id": 7, "note": "new"}, {}),
        ("DELETE", f"{ORDERS}?id=eq.7", None, {}),
    ],
)
async def test_a_repeated_write_is_done_once_and_answered_the_same(api, method, url, body, headers):
    tenant = api.door.A
    await api("POST", ORDERS, {"id": 7, "note": "old"}, tenant=tenant)

    first = await api(method, url, body, key="k", tenant=tenant, **headers)
    await api.fetch("shard_0-a", "UPDATE orders SET note = 'later'")  # doing it again would show
    second = await api(method, url, body, key="k", tenant=tenant, **headers)

    assert first.status in {200, 201, 204}
    assert REPLAYED not in first.headers
    assert second == first._replace(headers=(*first.headers, REPLAYED))
    notes = await api.fetch("shard_0-a", "SELECT note FROM orders WHERE note <> 'later'")
    assert notes == []


async def test_a_repeated_statement_and_a_repeated_transaction_are_done_once(api):
    tenant = api.door.A
    several = {
        "statements": [{"sql": INSERT, "params": [tenant, number]} for number in (2, 3)],
        "isolation": "serializable",
    }

    ones = [await api.sql(INSERT, [tenant, 1], key="one", tenant=tenant) for _ in range(2)]
    both = [await api("POST", "/api/v1/sql", several, key="two", tenant=tenant) for _ in range(2)]

    assert [reply.status for reply in ones + both] == [200] * 4
    assert ones[0].body == ones[1].body
    assert both[0].body == both[1].body
    assert await api.ids() == [1, 2, 3]


async def test_a_repeated_call_of_a_function_is_done_once(api):
    for server in ("catalog-a", "shard_0-a", "shard_1-a"):
        await api.fetch(server, FUNCTION)
    await api.door.backends.refresh_schema(now=True)
    tenant, url = api.door.A, "/rest/v1/rpc/put"

    replies = [await api("POST", url, {"id": 5}, key="call", tenant=tenant) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].body == replies[1].body == b"5"
    assert REPLAYED in replies[1].headers
    assert await api.ids() == [5]


async def test_a_key_is_good_for_one_request(api):
    tenant = api.door.A
    await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)

    body = await api("POST", ORDERS, {"id": 2}, key="k", tenant=tenant)
    path = await api("POST", "/rest/v1/orders", {"id": 1}, key="k", tenant=tenant)
    query = await api("DELETE", f"{ORDERS}?id=eq.1", key="k", tenant=tenant)
    long = await api("POST", ORDERS, {"id": 2}, key="k" * 257, tenant=tenant)

    assert code(body) == (422, "IDEMPOTENCY_REQUEST_BODY_MISMATCH")
    assert code(path) == (422, "IDEMPOTENCY_KEY_MISMATCH")
    assert code(query) == (422, "IDEMPOTENCY_KEY_MISMATCH")
    assert code(long) == (400, "IDEMPOTENCY_KEY_TOO_LONG")
    assert await api.ids() == [1]


async def test_the_same_key_of_another_tenant_or_user_is_another_key(api):
    door = api.door
    replies = [
        await api("POST", ORDERS, {"id": number}, key="k", tenant=tenant, user=user)
        for number, (tenant, user) in enumerate(
            [(door.A, "ann"), (door.A, "bob"), (door.A2, "ann"), (door.B, "ann")]
        )
    ]

    assert [reply.status for reply in replies] == [201] * 4
    assert await api.ids() == [0, 1, 2]
    assert await api.ids("shard_1-a") == [3]
    assert await api.kept() == 3
    assert await api.kept("shard_1-a") == 1


async def test_while_the_first_request_runs_the_second_is_told_so_at_once(api, eventually):
    tenant = api.door.A
    blocking = await api.door.superuser("shard_0-a")
    await blocking.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    first = asyncio.create_task(api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant))
    await eventually(
        lambda: blocking.fetchval("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
    )

    second = await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)

    assert not first.done()
    assert code(second) == (409, "IDEMPOTENCY_REQUEST_IN_PROGRESS")
    await blocking.close()
    assert (await first).status == 201
    third = await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)
    assert third.status == 201
    assert REPLAYED in third.headers


async def test_a_request_that_ended_in_5xx_is_done_again(api, eventually):
    tenant = api.door.A
    blocking = await api.door.superuser("shard_0-a")
    await blocking.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")

    first = await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant, seconds=0.5)
    await blocking.close()
    replies = []

    async def rolled_back():
        replies.append(await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant))
        return replies[-1].status != 409

    await eventually(rolled_back)
    assert first.status == 504
    assert replies[-1].status == 201
    assert REPLAYED not in replies[-1].headers


async def test_what_postgresql_refused_stays_refused_and_what_was_never_run_can_be_mended(api):
    tenant = api.door.A
    await api("POST", ORDERS, {"id": 1}, tenant=tenant)

    taken = await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)
    await api.fetch("shard_0-a", "DELETE FROM orders")
    again = await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)
    unknown = await api("POST", ORDERS, {"idd": 1}, key="other", tenant=tenant)
    mended = await api("POST", ORDERS, {"id": 2}, key="other", tenant=tenant)

    assert code(taken) == code(again) == (409, "DUPLICATE_KEY")
    assert REPLAYED in again.headers
    assert unknown.status == 400
    assert mended.status == 201
    assert await api.ids() == [2]


async def test_a_write_on_several_shards_is_done_once(api):
    door = api.door
    rows = [{"tenant_id": tenant, "id": number} for number, tenant in enumerate((door.A, door.B))]

    first = await api("POST", ORDERS, rows, key="rows")
    second = await api("POST", ORDERS, rows, key="rows")
    update = "UPDATE orders SET total = coalesce(total, 0) + 1 WHERE id >= 0"
    changes = [await api.sql(update, key="all") for _ in range(2)]
    countries = [
        await api("POST", "/rest/v1/countries", {"code": "cz", "name": "Czechia"}, key="cz")
        for _ in range(2)
    ]
    plans = [await api.sql("INSERT INTO plans VALUES (1, 'x')", key="plan") for _ in range(2)]

    assert first.status == second.status == 201
    assert second.body == first.body
    assert [reply.status for reply in changes] == [200, 200]
    assert [reply.status for reply in countries] == [201, 201]
    assert [reply.status for reply in plans] == [200, 200]
    for server in ("shard_0-a", "shard_1-a"):
        assert [row[0] for row in await api.fetch(server, "SELECT total FROM orders")] == [1]
        found = await api.fetch(server, "SELECT FROM countries WHERE code = 'cz'")
        assert len(found) == 1
    assert await api.kept() + await api.kept("shard_1-a") == 4


async def test_a_reference_write_that_changes_nothing_is_kept_all_the_same(api):
    replies = [await api("DELETE", "/rest/v1/countries?code=eq.none", key="none") for _ in range(2)]

    assert [reply.status for reply in replies] == [204, 204]
    assert REPLAYED in replies[1].headers


async def test_of_a_long_answer_only_the_status_is_kept(api):
    tenant, long = api.door.A, "x" * MAX_BODY_BYTES

    first = await api("POST", ORDERS, {"id": 1, "note": long}, key="k", tenant=tenant)
    second = await api("POST", ORDERS, {"id": 1, "note": long}, key="k", tenant=tenant)

    assert (first.status, len(first.body) > MAX_BODY_BYTES) == (201, True)
    assert (second.status, second.body) == (201, b"")
    assert REPLAYED in second.headers


async def test_an_answer_that_has_expired_is_forgotten(api):
    tenant, keys = api.door.A, api.door.backends._write_keys
    await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)
    await api("POST", ORDERS, {"id": 2}, key="fresh", tenant=tenant)
    expire = "UPDATE fluxshard.write_key SET kept_at = now() - interval '24 hours'"
    await api.fetch(
        "shard_0-a", f"{expire} WHERE kept_at = (SELECT min(kept_at) FROM fluxshard.write_key)"
    )

    again = await api("POST", ORDERS, {"id": 1}, key="k", tenant=tenant)

    assert code(again) == (409, "DUPLICATE_KEY")
    await api.fetch(
        "shard_0-a", f"{expire} WHERE kept_at = (SELECT min(kept_at) FROM fluxshard.write_key)"
    )
    assert await keys.forget_expired("shard_0") == 1
    assert await api.kept() == 1


async def test_more_requests_with_keys_than_there_are_connections_are_all_answered(api):
    """Each holds a connection while it needs a second one, to have its statement described."""
    tenant = api.door.A

    replies = await asyncio.gather(
        *(
            api.sql(f"INSERT INTO orders (tenant_id, id) VALUES ($1, {number})", [tenant],
                    key=f"k{number}", tenant=tenant)
            for number in range(24)
        )
    )  # fmt: skip

    assert [reply.status for reply in replies] == [200] * 24
    assert await api.ids() == list(range(24))


async def test_reads_with_a_key_are_answered(api):
    tenant = api.door.A
    await api("POST", ORDERS, {"id": 1}, tenant=tenant)

    replies = [await api.sql("SELECT id FROM orders", key="read", tenant=tenant) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].body == replies[1].body


async def test_tenants_cannot_touch_the_answers_of_others(api):
    await api("POST", ORDERS, {"id": 1}, key="k", tenant=api.door.A)
    connection = await api.door.superuser("shard_0-a")
    try:
        for role in ("anon", "authenticated", "service_role"):
            for sql in ("SELECT answer FROM", "DELETE FROM"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"SET ROLE {role}; {sql} fluxshard.write_key")
    finally:
        await connection.close()

    reply = await api.sql("SELECT answer FROM fluxshard.write_key", tenant=api.door.A)

    assert reply.status == 400
