"""The small world of the golden plans: two shards, a few tables, tenants at known homes."""

from dataclasses import replace

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


def table(name, *columns, key=("id",), rls=False, kind=Kind.TABLE, triggered=False, partitions=()):
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
        partitions=partitions,
    )


def view(name, definition, *columns):
    return replace(table(name, *columns, key=(), kind=Kind.VIEW), uniques=(), definition=definition)


KEY = column("tenant_id", "int4")
VIEWS = (
    view(
        "public.order_items",
        "SELECT o.tenant_id, o.id, i.id AS item_id FROM orders o"
        " LEFT JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id",
        KEY,
        column("id", "int8"),
        column("item_id", "int8"),
    ),
    view(
        "public.order_counts",
        "SELECT tenant_id, count(*) AS n FROM orders GROUP BY tenant_id",
        KEY,
        column("n", "int8"),
    ),
    view(
        "public.busy_orders",
        "SELECT c.tenant_id AS owner, o.id FROM order_counts c"
        " JOIN orders o ON o.tenant_id = c.tenant_id WHERE c.n > 3",
        column("owner", "int4"),
        column("id", "int8"),
    ),
    view("public.country_names", "SELECT name FROM countries", column("name", "text")),
    view(
        "public.note_counts",
        "SELECT note, count(*) AS n FROM orders GROUP BY note",
        column("note", "text"),
        column("n", "int8"),
    ),
    view(
        "public.latest_orders",
        "SELECT tenant_id, id FROM orders ORDER BY created_at DESC LIMIT 10",
        KEY,
        column("id", "int8"),
    ),
    view(
        "public.strangers",
        "SELECT o.tenant_id, i.id FROM orders o JOIN items i ON i.id = o.id",
        KEY,
        column("id", "int8"),
    ),
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
                partitions=(TableName("public.orders_2024"),),
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
            *VIEWS,
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
