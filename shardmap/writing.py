"""A ShardMap as a document, as text, and as the hash of its content."""

import hashlib
import json
from collections.abc import Iterable
from typing import Final, assert_never

import yaml

from shardmap.address import place_url
from shardmap.document import VERSION
from shardmap.endpoint import Endpoint, Pooling, Shard
from shardmap.endpoints import endpoint_name
from shardmap.ids import CATALOG, KeyType, TenantId
from shardmap.map import Pin, ShardMap
from shardmap.markup import Plain
from shardmap.placement import Global, Placement, Reference, Sharded, Unsharded
from shardmap.ranges import format_ranges
from shardmap.slots import HASH

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WIDTH: Final = 100


def write_document(shard_map: ShardMap) -> dict[str, Plain]:
    """The document of a map, in the order in which people read it; `read_document` inverts it."""
    document: dict[str, Plain] = {"version": VERSION, "cluster_id": shard_map.cluster_id}
    if shard_map.epoch:
        document["epoch"] = shard_map.epoch
    document["tenant_key"] = {"type": shard_map.key_type.value}
    document["hash"] = HASH
    document["catalog"] = _servers(CATALOG, (shard_map.catalog, *shard_map.catalog_replicas))
    document["shards"] = {shard.id: _shard(shard) for shard in shard_map.shards.values()}
    if shard_map.default_placement is not None:
        document["default_placement"] = placement_form(shard_map.default_placement)
    tables = sorted(shard_map.tables.items())
    document["tables"] = {name: placement_form(placement) for name, placement in tables}
    document["pins"] = {
        tenant: pin_form(shard_map.pins[tenant])
        for tenant in ordered_tenants(shard_map.pins, shard_map.key_type)
    }
    document["slot_epochs"] = {
        str(epoch): format_ranges(
            slot for slot, other in shard_map.slot_epochs.items() if other == epoch
        )
        for epoch in sorted({*shard_map.slot_epochs.values()} - {1})
    }
    document["shard_numbers"] = dict[str, Plain](shard_map.numbers.items())
    document["slots"] = {
        owner: format_ranges(slot for slot, other in enumerate(shard_map.slots) if other == owner)
        for owner in sorted(set(shard_map.slots))
    }
    return document


def write_yaml(shard_map: ShardMap) -> str:
    """The document as YAML."""
    text: str = yaml.dump(
        write_document(shard_map),
        Dumper=_DUMPER,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
    )
    return text


def write_json(shard_map: ShardMap) -> str:
    """The document as JSON, indented for people."""
    return json.dumps(write_document(shard_map), indent=2, ensure_ascii=False) + "\n"


def canonical_json(document: Plain) -> str:
    """The document as the JSON that is hashed: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def document_hash(document: Plain) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal.

    Of the document and not of what is read from it, so that a later release, which may write the
    same map differently, still recognises what this one stored.
    """
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def content_hash(shard_map: ShardMap) -> str:
    """The hash of the map's document: equal for maps that say the same."""
    return document_hash(write_document(shard_map))


def ordered_tenants(tenants: Iterable[TenantId], key_type: KeyType) -> list[TenantId]:
    """The tenants in the order of their type: numbers by value, others by their text."""
    return sorted(tenants, key=int) if key_type is KeyType.INTEGER else sorted(tenants)


def placement_form(placement: Placement) -> Plain:
    """How a document writes a placement."""
    match placement:
        case Sharded(column, unique_ids, global_unique):
            form: dict[str, Plain] = {"sharded": column}
            for key, sets in (("unique_ids", unique_ids), ("global_unique", global_unique)):
                if sets:
                    form[key] = [names[0] if len(names) == 1 else list(names) for names in sets]
            return form
        case Reference():
            return "reference"
        case Global():
            return "global"
        case Unsharded():
            return "unsharded"
        case _:
            assert_never(placement)


def pin_form(pin: Pin) -> Plain:
    """How a document writes a pin: the shard alone while its epoch is the first."""
    return pin.shard if pin.epoch == 1 else {"shard": pin.shard, "epoch": pin.epoch}


def _shard(shard: Shard) -> Plain:
    form = _servers(shard.id, shard.endpoints)
    form["weight"] = shard.weight
    form["durability"] = shard.durability.value
    if shard.region is not None:
        form["region"] = shard.region
    return form


def _servers(shard: str, endpoints: tuple[Endpoint, ...]) -> dict[str, Plain]:
    primary, *replicas = endpoints
    form: dict[str, Plain] = {"primary": _endpoint(primary, endpoint_name(shard, 0), None)}
    if replicas:
        form["replicas"] = [
            _endpoint(replica, endpoint_name(shard, position), primary)
            for position, replica in enumerate(replicas, start=1)
        ]
    return form


def _endpoint(endpoint: Endpoint, default_name: str, like: Endpoint | None) -> Plain:
    """What the reader would not fill in by itself; database and user are always said."""
    form: dict[str, Plain] = {}
    if endpoint.name != default_name:
        form["name"] = endpoint.name
    form["host"] = endpoint.host
    form["port"] = endpoint.port
    form["database"] = endpoint.database
    form["user"] = endpoint.user
    if endpoint.credentials is not None or (like is not None and like.credentials is not None):
        form["credentials"] = endpoint.credentials
    if endpoint.tls is not None or (like is not None and like.tls is not None):
        form["tls"] = endpoint.tls.value if endpoint.tls is not None else None
    if endpoint.zone is not None:
        form["zone"] = endpoint.zone
    if endpoint.weight != 1:
        form["weight"] = endpoint.weight
    if endpoint.pooling is not Pooling.NONE:
        form["pooling"] = endpoint.pooling.value
    if endpoint.direct is not None:
        form["direct"] = place_url(endpoint.direct)
    return form
