"""Maps for tests: a small one by hand, and any valid one by chance."""

from dataclasses import replace

from hypothesis import strategies as st

from shardmap import (
    Durability,
    Endpoint,
    Global,
    InvalidTenantKey,
    KeyType,
    Pin,
    Place,
    Pooling,
    Reference,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
    Tls,
    Unsharded,
    tenant_id,
)
from shardmap.endpoints import endpoint_name

A, B, C = ShardId("shard_0"), ShardId("shard_1"), ShardId("shard_2")


def endpoint(shard, position=0, **changes):
    one = Endpoint(
        name=endpoint_name(shard, position),
        host=f"{shard.replace('_', '-')}-{position}",
        port=5432,
        database="app",
        user="flux",
        credentials="env:PASSWORD",
    )
    return replace(one, **changes)


def shard(name, replicas=0, **changes):
    one = Shard(
        id=name,
        primary=endpoint(name),
        replicas=tuple(endpoint(name, position + 1) for position in range(replicas)),
    )
    return replace(one, **changes)


def two_shards(**changes):
    """Two shards, integer keys, slots 0 to 2047 and 2048 to 4095, epoch 5."""
    one = ShardMap(
        cluster_id="test",
        epoch=5,
        key_type=KeyType.INTEGER,
        shards={A: shard(A, 1), B: shard(B)},
        catalog=endpoint("catalog"),
        catalog_replicas=(),
        slots=(A,) * 2048 + (B,) * 2048,
        tables={
            TableName("public.orders"): Sharded("tenant_id"),
            TableName("public.countries"): Reference(),
            TableName("public.plans"): Global(),
        },
    )
    return replace(one, **changes)


def one_shard(**changes):
    """One shard in the catalog's database, everything unsharded."""
    one = ShardMap(
        cluster_id="test",
        epoch=5,
        key_type=KeyType.INTEGER,
        shards={A: shard(A)},
        catalog=endpoint(A, name="catalog-a"),
        catalog_replicas=(),
        slots=(A,) * 4096,
        default_placement=Unsharded(),
    )
    return replace(one, **changes)


words = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
printable = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8
).filter(str.isprintable)
hosts = st.sampled_from(["db", "10.0.0.1", "::1", "fe80::1%eth0", "/run/pg", "/", "a-b.c_d"])
references = st.sampled_from([None, "env:PASSWORD", "file:/run/secrets/pw", "file:/a b: #"])


@st.composite
def endpoints(draw, shard_name, position, port):
    default = endpoint_name(shard_name, position)
    return Endpoint(
        name=draw(st.sampled_from([default, f"{default}.own"])),
        host=draw(hosts),
        port=port,
        database=draw(printable),
        user=draw(printable),
        credentials=draw(references),
        zone=draw(st.none() | printable),
        weight=draw(st.integers(0, 100)),
        tls=draw(st.none() | st.sampled_from(Tls)),
        pooling=draw(st.sampled_from(Pooling)),
        direct=draw(st.none() | st.builds(Place, hosts, st.integers(1, 65535), printable)),
    )


@st.composite
def tenants(draw, key_type):
    match key_type:
        case KeyType.INTEGER:
            value = draw(st.integers(-(2**63), 2**63 - 1))
        case KeyType.UUID:
            value = draw(st.uuids())
        case KeyType.TEXT:
            value = draw(st.text(max_size=8) | st.sampled_from(["<<", "yes", "~", "42", " x ", ""]))
    try:
        return tenant_id(key_type, value)
    except InvalidTenantKey:
        return TenantId("0")


@st.composite
def shard_maps(draw):
    """Any valid map whose document says everything that it says."""
    names = sorted(set(draw(st.lists(words.filter("catalog".__ne__), min_size=1, max_size=4))))
    port = iter(range(1, 100))
    servers = {
        name: [
            draw(endpoints(name, position, next(port)))
            for position in range(draw(st.integers(1, 3)))
        ]
        for name in ["catalog", *names]
    }
    shards = {
        ShardId(name): Shard(
            id=ShardId(name),
            primary=servers[name][0],
            replicas=tuple(servers[name][1:]),
            weight=draw(st.integers(0, 100)),
            durability=draw(st.sampled_from(Durability)),
            region=draw(st.none() | printable),
        )
        for name in names
    }
    key_type = draw(st.sampled_from(KeyType))
    homes = st.sampled_from(sorted(shards))
    epochs = st.integers(1, 2**40)
    sets = st.lists(st.lists(printable, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple)
    placements = [
        st.just(Reference()),
        st.just(Global()),
        st.builds(Sharded, printable, sets, sets),
    ]
    if len(names) == 1:
        placements.append(st.just(Unsharded()))
    table_names = (
        st.tuples(printable, printable)
        .map(".".join)
        .filter(lambda name: '"' not in name and not name.startswith("."))
    )
    slots = [ShardId(names[slot * len(names) // 4096]) for slot in range(4096)]
    for slot in draw(st.lists(st.integers(0, 4095), max_size=5)):
        slots[slot] = draw(homes)
    return ShardMap(
        cluster_id=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)),
        epoch=draw(st.just(0) | epochs),
        key_type=key_type,
        shards=shards,
        catalog=servers["catalog"][0],
        catalog_replicas=tuple(servers["catalog"][1:]),
        slots=tuple(slots),
        slot_epochs=draw(st.dictionaries(st.integers(0, 4095), st.integers(2, 9), max_size=4)),
        pins=draw(st.dictionaries(tenants(key_type), st.builds(Pin, homes, epochs), max_size=5)),
        tables=draw(st.dictionaries(table_names.map(TableName), st.one_of(placements), max_size=4)),
        default_placement=draw(st.none() | st.just(Unsharded()) if len(names) == 1 else st.none()),
    )
