"""The small world of the golden plans: two shards, a few tables, tenants at known homes."""

from router import Column, Kind, Schema, Table
from shardmap import (
    CATALOG,
    Endpoint,
    Global,
    KeyType,
    Pin,
    Reference,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
)

_TYPES = {
    "int4": "N",
    "int8": "N",
    "numeric": "N",
    "text": "S",
    "timestamptz": "D",
    "jsonb": "U",
    "bool": "B",
}


def column(name, type_, *, mergeable=None, **facts):
    return Column(
        name=name,
        type=type_,
        not_null=facts.get("not_null", False),
        has_default=facts.get("has_default", False),
        generated=facts.get("generated", False),
        array=False,
        category=_TYPES[type_],
        mergeable=type_ != "jsonb" if mergeable is None else mergeable,
    )


def table(name, *columns, key=("id",), rls=False, kind=Kind.TABLE, triggered=False):
    schema, relation = name.split(".")
    return Table(
        name=TableName(name),
        schema=schema,
        relation=relation,
        kind=kind,
        columns={each.name: each for each in columns},
        primary_key=key,
        uniques=(key,) if key else (),
        rls=rls,
        triggered=triggered,
        computed_defaults=False,
        constraints={f"{relation}_pkey": key},
    )


SCHEMA = Schema(
    version="golden",
    tables={
        each.name: each
        for each in (
            table(
                "public.orders",
                column("tenant_id", "int4", not_null=True),
                column("id", "int8", not_null=True),
                column("note", "text"),
                column("total", "numeric"),
                column("created_at", "timestamptz"),
                column("data", "jsonb"),
                column("german", "text", mergeable=False),
                key=("tenant_id", "id"),
            ),
            table(
                "public.items",
                column("tenant_id", "int4", not_null=True),
                column("id", "int8", not_null=True),
                column("order_id", "int8"),
                key=("tenant_id", "id"),
                rls=True,
            ),
            table(
                "public.countries", column("code", "text"), column("name", "text"), key=("code",)
            ),
            table("public.keyless", column("code", "text"), key=()),
            table("public.triggered", column("code", "text"), key=("code",), triggered=True),
            table("public.plans", column("id", "int4"), column("name", "text")),
            table(
                "public.members",
                column("tenant_id", "int4", not_null=True),
                column("id", "int8", not_null=True),
                column("email", "text"),
                key=("tenant_id", "id"),
                triggered=True,
            ),
        )
    },
)

A = ShardId("shard_0")
B = ShardId("shard_1")


def _endpoint(name):
    return Endpoint(name, "127.0.0.1", 5432, "fluxbase", "fluxshard")


MAP = ShardMap(
    cluster_id="golden",
    epoch=1,
    key_type=KeyType.INTEGER,
    shards={A: Shard(A, _endpoint("a")), B: Shard(B, _endpoint("b"))},
    catalog=_endpoint(CATALOG),
    catalog_replicas=(),
    slots=(A, B) * 2048,
    pins={TenantId("1"): Pin(A), TenantId("2"): Pin(B), TenantId("3"): Pin(A)},
    tables={
        TableName("public.orders"): Sharded("tenant_id"),
        TableName("public.items"): Sharded("tenant_id"),
        TableName("public.countries"): Reference(),
        TableName("public.keyless"): Reference(),
        TableName("public.triggered"): Reference(),
        TableName("public.plans"): Global(),
        TableName("public.members"): Sharded("tenant_id", global_unique=(("email",),)),
    },
)
