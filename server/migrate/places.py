"""Where a statement of a migration runs: in the catalog, on the shards, or in both."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shardmap import CATALOG, Endpoint, Identity, ShardId, ShardMap, expected_identities


class Place(StrEnum):
    """One of the two kinds of databases."""

    CATALOG = "catalog"
    SHARDS = "shards"


Places = frozenset[Place]

ALL: Final[Places] = frozenset(Place)
CATALOG_ONLY: Final[Places] = frozenset({Place.CATALOG})
SHARDS_ONLY: Final[Places] = frozenset({Place.SHARDS})


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the cluster, with all endpoints that may be its primary."""

    name: ShardId
    endpoints: tuple[Endpoint, ...]
    identity: Identity
    places: Places
    """Both, when the catalog and the only shard are one database."""


def databases_of(shard_map: ShardMap) -> tuple[Database, ...]:
    """The databases of a cluster: the catalog first, so that it fails first; then the shards."""
    (catalog, catalog_identity), *shards = expected_identities(shard_map)
    same = {primary.address for primary, _ in shards}
    found = [
        Database(
            shard.id,
            shard.endpoints,
            identity,
            ALL if primary.address == catalog.address else SHARDS_ONLY,
        )
        for shard, (primary, identity) in zip(shard_map.shards.values(), shards, strict=True)
    ]
    if catalog.address in same:
        return tuple(sorted(found, key=lambda one: one.places != ALL))
    own = Database(CATALOG, (catalog, *shard_map.catalog_replicas), catalog_identity, CATALOG_ONLY)
    return (own, *found)
