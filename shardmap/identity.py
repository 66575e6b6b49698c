"""Which shard a server says it is: a row that it keeps, claimed once and never changed."""

from dataclasses import dataclass
from typing import Final

from shardmap.connection import Connection, install
from shardmap.endpoint import Endpoint
from shardmap.errors import IdentityTaken
from shardmap.ids import CATALOG, ShardId
from shardmap.map import ShardMap

IDENTITY_EXISTS: Final = "select to_regclass('fluxshard.identity') is not null as present"
IDENTITY: Final = "select cluster_id, shard_id from fluxshard.identity"
"""One row, or none in a server that nobody claimed. Run it only where the table exists."""
_CLAIM: Final = """
insert into fluxshard.identity (cluster_id, shard_id) values ($1, $2) on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which shard of which cluster a server is."""

    cluster_id: str
    shard_id: ShardId


def expected_identities(shard_map: ShardMap) -> tuple[tuple[Endpoint, Identity], ...]:
    """What each primary of the map has to say, the catalog's first.

    A catalog in the same database as a shard is that shard: a server has one identity.
    """
    shards = tuple(
        (shard.primary, Identity(shard_map.cluster_id, shard.id))
        for shard in shard_map.shards.values()
    )
    name = next(
        (one.shard_id for primary, one in shards if primary.address == shard_map.catalog.address),
        CATALOG,
    )
    return ((shard_map.catalog, Identity(shard_map.cluster_id, name)), *shards)


async def read_identity(connection: Connection) -> Identity | None:
    """What the server says it is; None when nobody has claimed it."""
    present = await connection.fetchrow(IDENTITY_EXISTS)
    if present is None or not present["present"]:
        return None
    row = await connection.fetchrow(IDENTITY)
    return Identity(row["cluster_id"], ShardId(row["shard_id"])) if row is not None else None


async def settle_identity(connection: Connection, wanted: Identity) -> Identity:
    """The server's identity, which is the wanted one if it had none. Safe to race."""
    found = await read_identity(connection)
    if found is None:
        await install(connection, "identity.sql")
        await connection.fetchrow(_CLAIM, wanted.cluster_id, wanted.shard_id)
        found = await read_identity(connection)
    return found or wanted


async def claim_identity(connection: Connection, cluster_id: str, shard_id: ShardId) -> None:
    """Make the server that shard, if nobody has claimed it yet.

    Raises:
        IdentityTaken: It is another shard, or another cluster's.
    """
    found = await settle_identity(connection, Identity(cluster_id, shard_id))
    if found != Identity(cluster_id, shard_id):
        raise IdentityTaken(
            expected=(cluster_id, shard_id), found=(found.cluster_id, found.shard_id)
        )
