"""A map document to a ShardMap, or to the list of everything that is wrong with it.

The form is described for people in docs/shard-map.md.
"""

import re
from collections.abc import Mapping
from typing import Final

from shardmap.endpoint import Durability, Endpoint, Shard
from shardmap.endpoints import MAX_REPLICAS, MAX_WEIGHT, Declared, endpoint_name, read_endpoint
from shardmap.errors import InvalidMap, Problem
from shardmap.fields import Fields, suggestion
from shardmap.homes import EPOCHS, read_homes, read_numbers
from shardmap.ids import CATALOG, KeyType, ShardId
from shardmap.map import ShardMap
from shardmap.markup import Plain, dotted, read_markup
from shardmap.placement import Global, Placement, Reference, Sharded, TableName, Unsharded
from shardmap.slots import HASH

VERSION: Final = 1
"""Of the document's form. A form that this release would misread gets another number."""

CLUSTER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
SHARD_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SIMPLE: Final[dict[str, Placement]] = {
    "reference": Reference(),
    "global": Global(),
    "unsharded": Unsharded(),
}


def read_map(text: str, previous: ShardMap | None = None) -> ShardMap:
    """The map of a YAML or JSON document.

    A document without `epoch` gives a map of epoch 0: one that was never applied. Left out,
    `slots`, `slot_epochs` and the epochs of pins are as in `previous`, the map in force; without
    one, the ring gives the slots.

    Raises:
        InvalidMap: With every problem and its path.
    """
    return read_document(read_markup(text), previous)


def read_document(document: Plain, previous: ShardMap | None = None) -> ShardMap:
    """The same for a document whose text has been read.

    Raises:
        InvalidMap: With every problem and its path.
    """
    problems: list[Problem] = []
    fields = Fields(document, "", problems)
    if not isinstance(document, dict):
        raise InvalidMap(problems)
    if fields.require("version") is not None:
        fields.integer("version", range(VERSION, VERSION + 1))
    cluster_id = fields.required_text(
        "cluster_id", CLUSTER_ID, "letters, digits, '.', '_' and '-', at most 63"
    )
    epoch = fields.integer("epoch", EPOCHS)
    key_type = _key_type(fields)
    if fields.value("hash") not in {None, HASH}:
        fields.report("hash", f"must be {HASH}, the only one that this release knows")
    catalog = _servers(fields.fields("catalog"), CATALOG)
    shards = _shards(fields.fields("shards"))
    weights = {shard_id: shard.weight if shard else 1 for shard_id, shard in shards.items()}
    homes = read_homes(fields, weights, key_type, previous)
    numbers = read_numbers(fields.fields("shard_numbers"), shards, previous)
    tables = _tables(fields.fields("tables"), len(shards))
    default = _default_placement(fields, len(shards))
    fields.close()
    whole = {shard_id: shard for shard_id, shard in sorted(shards.items()) if shard is not None}
    _check_names(catalog, whole, problems)
    if problems or catalog is None or key_type is None:
        raise InvalidMap(problems)
    return ShardMap(
        cluster_id=cluster_id or "",
        epoch=epoch or 0,
        key_type=key_type,
        shards=whole,
        catalog=catalog[0],
        catalog_replicas=catalog[1:],
        slots=homes.slots,
        slot_epochs=homes.slot_epochs,
        pins=homes.pins,
        tables=tables,
        default_placement=default,
        numbers=numbers,
    )


def _key_type(fields: Fields) -> KeyType | None:
    tenant_key = fields.fields("tenant_key")
    key_type = (
        tenant_key.choice("type", KeyType) if tenant_key.require("type") is not None else None
    )
    tenant_key.close()
    return key_type


def _servers(fields: Fields, shard: str) -> tuple[Endpoint, ...] | None:
    """The primary, then the replicas; None when there is a problem. The mapping stays open."""
    before = len(fields.problems)
    value = fields.require("primary")
    path = dotted(fields.path, "primary")
    declared = Declared(endpoint_name(shard, 0))
    primary = None
    if value is not None:
        primary = read_endpoint(value, path, fields.problems, declared)
    servers = [primary]
    # A replica of a wrong primary is read for its own problems, without those it would inherit.
    like = primary or Endpoint("", "", 1, "", "")
    for position, (member, value) in enumerate(fields.items("replicas"), start=1):
        if position > MAX_REPLICAS:
            fields.report("replicas", f"are more than {MAX_REPLICAS}")
            break
        named = Declared(endpoint_name(shard, position), like)
        servers.append(read_endpoint(value, member, fields.problems, named))
    if shard == CATALOG:
        fields.close()
    whole = tuple(server for server in servers if server is not None)
    return whole if len(fields.problems) == before else None


def _shards(fields: Fields) -> dict[ShardId, Shard | None]:
    """Every shard by id; None stands for one with problems, so that references to it are known."""
    shards: dict[ShardId, Shard | None] = {}
    for key, path, value in fields.members():
        before = len(fields.problems)
        if key == CATALOG:
            message = "is the name of the catalog and cannot be a shard's"
            fields.problems.append(Problem(path, message))
        elif SHARD_ID.fullmatch(key) is None:
            message = "must be a lower-case letter, then a-z, 0-9 and _, at most 63 in all"
            fields.problems.append(Problem(path, message))
        shard = Fields(value, path, fields.problems)
        servers = _servers(shard, key) if isinstance(value, dict) else None
        weight = shard.integer("weight", range(MAX_WEIGHT + 1))
        durability = shard.choice("durability", Durability)
        region = shard.text("region")
        shard.close()
        shard_id = ShardId(key)
        if servers is None or len(fields.problems) > before:
            shards[shard_id] = None
        else:
            shards[shard_id] = Shard(
                id=shard_id,
                primary=servers[0],
                replicas=servers[1:],
                weight=1 if weight is None else weight,
                durability=durability or Durability.ASYNC,
                region=region,
            )
    if not shards:
        fields.problems.append(Problem(fields.path, "must have at least one shard"))
    return shards


def _tables(fields: Fields, shards: int) -> dict[TableName, Placement]:
    tables: dict[TableName, Placement] = {}
    for key, path, value in fields.members():
        schema, dot, table = key.partition(".")
        if '"' in key:
            message = "a table is written as PostgreSQL stores it, without quotes"
            fields.problems.append(Problem(path, message))
        elif not (schema and dot and table and key.isprintable()):
            message = f"a table is written with its schema: public.{key[:60]}"
            fields.problems.append(Problem(path, message))
        placement = _placement(value, path, shards, fields.problems)
        if placement is not None:
            tables[TableName(key)] = placement
    return tables


def _placement(value: Plain, path: str, shards: int, problems: list[Problem]) -> Placement | None:
    if isinstance(value, dict):
        fields = Fields(value, path, problems)
        column = fields.required_text("sharded")
        unique_ids = tuple(fields.texts("unique_ids"))
        global_unique = tuple(fields.texts("global_unique"))
        fields.close()
        return Sharded(column, unique_ids, global_unique) if column is not None else None
    if value == "unsharded" and shards > 1:
        problems.append(Problem(path, f"unsharded is for maps with one shard, not {shards}"))
        return None
    if isinstance(value, str) and value in _SIMPLE:
        return _SIMPLE[value]
    forms = "{sharded: COLUMN}, reference, global or (with one shard) unsharded"
    hint = suggestion(value, list(_SIMPLE)) if value != "sharded" else ""
    problems.append(Problem(path, f"must be {forms}{hint}"))
    return None


def _default_placement(fields: Fields, shards: int) -> Placement | None:
    value = fields.value("default_placement")
    if value is None:
        return None
    path = dotted(fields.path, "default_placement")
    if value != "unsharded":
        fields.problems.append(Problem(path, "must be unsharded, or left out"))
        return None
    return _placement(value, path, shards, fields.problems)


def _check_names(
    catalog: tuple[Endpoint, ...] | None,
    shards: Mapping[ShardId, Shard],
    problems: list[Problem],
) -> None:
    """Endpoint names are unique; so are addresses, but a shard may share the catalog's."""
    names: dict[str, str] = {}
    groups = [(str(CATALOG), "catalog", catalog or ())]
    groups += [("shards", f"shards.{shard.id}", shard.endpoints) for shard in shards.values()]
    addresses: dict[tuple[str, tuple[str, int, str]], str] = {}
    for family, group, endpoints in groups:
        for position, endpoint in enumerate(endpoints):
            member = f"replicas[{position - 1}]" if position else "primary"
            path = f"{group}.{member}"
            other = names.setdefault(endpoint.name, path)
            if other != path:
                problems.append(Problem(path, f"its name {endpoint.name} is that of {other} too"))
            other = addresses.setdefault((family, endpoint.address), path)
            if other != path:
                problems.append(Problem(path, f"is the same database as {other}"))
