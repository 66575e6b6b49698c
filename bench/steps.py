"""What each step of a warm point read costs, alone and in one process, in microseconds."""

import time
from collections.abc import Callable, Mapping

from router import (
    Access,
    Column,
    Deadline,
    Form,
    Kind,
    QueryContext,
    Router,
    Schema,
    Served,
    ShardQuery,
    ShardReply,
    Statement,
    Table,
)
from server.auth import Authenticator, mint
from server.exchange import Principal, Request
from server.rest import Limits, Tables
from server.routes import Routes
from server.settings import AuthSettings
from shardmap import (
    Endpoint,
    KeyType,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
    slot_of,
)

REPEAT = 5
NUMBER = 4_000
POINTS = TableName("public.points")
BODY = '[{"id":42,"name":"point 42","amount":6.00,"at":"2026-01-01T00:00:00+00:00"}]'
SHARD = ShardId("shard_0")


def steps() -> Mapping[str, float]:
    """The cost of each step; the best of some repetitions, since noise only ever adds."""
    shard_map, schema = point_map(), point_schema()
    router = Router(_Instant(), lambda: shard_map, lambda: schema)  # type: ignore[arg-type]  # only `run`
    limits = Limits(
        default_page_size=1000,
        max_page_size=1000,
        max_total_results=10_000,
        max_batch_size=1000,
        max_rows=None,
    )
    tables = Tables(router, lambda: schema, lambda _: "tenant_id", limits)
    routes = Routes(tables.routes())
    secret = "s" * 40
    token = mint({"role": "authenticated", "tenant_id": 7, "exp": 4_000_000_000}, secret)
    authenticator = Authenticator(AuthSettings(jwt_secret=secret), lambda: KeyType.INTEGER)
    headers = {"Authorization": f"Bearer {token}"}
    who = authenticator.caller(headers)
    assert who is not None  # noqa: S101 - the token was just made
    request = _request(who)
    statement = Statement(
        'SELECT "id", "name" FROM "public"."points" WHERE "id" = $1::text::int8',
        ("42",),
        Form.JSON,
    )
    context = QueryContext(who.role, who.tenant, who.session, who.claims, request.deadline)
    tenant = TenantId("7")
    return {
        "find the route": _cost(lambda: routes.match("GET", "/rest/v1/points")),
        "verified token to principal": _cost(lambda: authenticator.caller(headers)),
        "tenant key to slot (BLAKE2b)": _cost(lambda: slot_of(tenant)),
        "analysis from the cache, and plan": _cost(lambda: router.plan(statement, context)),
        "the router without a database": _await(lambda: router.answer(statement, context)),
        "the whole REST layer without a database": _await(lambda: tables.postgrest(request)),
    }


class _Instant:
    """Backends that answer at once."""

    async def run(self, shard: ShardId, query: ShardQuery, _: QueryContext) -> ShardReply:
        """One row, as PostgreSQL would have sent it."""
        assert query.access is Access.READ  # noqa: S101 - a point read
        return ShardReply([(BODY, 1)], 1, ("coalesce", "count"), Served(shard, "a", replica=True))


def _request(who: Principal) -> Request:
    return Request(
        method="GET",
        path="/rest/v1/points",
        query="select=id,name,amount,at&id=eq.42",
        headers={},
        body=b"",
        request_id="bench",
        deadline=Deadline.after(3600),
        principal=who,
        params={"table": "points"},
    )


def _cost(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(REPEAT):
        began = time.perf_counter()
        for _ in range(NUMBER):
            call()
        best = min(best, time.perf_counter() - began)
    return best / NUMBER * 1e6


def _await(call: Callable[[], object]) -> float:
    """The same of something to be awaited, without a loop: nothing in it waits."""

    def run() -> None:
        try:
            call().send(None)  # type: ignore[attr-defined]  # a coroutine
        except StopIteration:
            return
        raise AssertionError("it waited")

    return _cost(run)


def point_map() -> ShardMap:
    """A map of one shard with the table of points."""
    endpoint = Endpoint("a", "127.0.0.1", 5432, "bench", "bench")
    return ShardMap(
        cluster_id="bench",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={SHARD: Shard(SHARD, endpoint)},
        catalog=endpoint,
        catalog_replicas=(),
        slots=(SHARD,) * 4096,
        tables={POINTS: Sharded("tenant_id")},
    )


def point_schema() -> Schema:
    """The table of points."""
    kinds = {
        "tenant_id": ("int4", "N"),
        "id": ("int8", "N"),
        "name": ("text", "S"),
        "amount": ("numeric", "N"),
        "at": ("timestamptz", "D"),
    }
    columns = {
        name: Column(
            name=name,
            type=kind,
            not_null=True,
            has_default=False,
            generated=False,
            array=False,
            category=category,
            mergeable=True,
        )
        for name, (kind, category) in kinds.items()
    }
    table = Table(
        name=POINTS,
        schema="public",
        relation="points",
        kind=Kind.TABLE,
        columns=columns,
        primary_key=("tenant_id", "id"),
        uniques=(),
        rls=False,
        triggered=False,
        computed_defaults=False,
    )
    return Schema("bench", {POINTS: table})


if __name__ == "__main__":
    for name, cost in steps().items():
        print(f"{name:44s} {cost:8.2f} us")
