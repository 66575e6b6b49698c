"""A map against the servers that it names: their tables, and who they say they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.catalog import connected
from shardmap import (
    CATALOG,
    CredentialsUnavailable,
    Endpoint,
    Identity,
    MapUnavailable,
    Problem,
    ShardId,
    ShardMap,
    claim_identity,
    expected_identities,
    merged,
    read_facts,
    read_identity,
    table_problems,
    tables_of,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What asking every primary gave. `unreachable`: who could not be asked, and why."""

    problems: tuple[Problem, ...]
    unreachable: Mapping[ShardId, str]


async def check_servers(
    shard_map: ShardMap, environ: Mapping[str, str], stored: ShardMap | None
) -> Findings:
    """Ask each primary for its tables and its identity, one after the other; nothing is changed.

    `stored` is the map in force: its shards and its catalog have been claimed, so they have to say
    who they are, wherever they are now.
    """
    tables: dict[ShardId, tuple[Problem, ...]] = {}
    problems: list[Problem] = []
    unreachable: dict[ShardId, str] = {}
    for shard, primary, identity in _primaries(shard_map):
        try:
            async with connected(primary, environ) as session:
                found = await read_identity(session)
                facts = await read_facts(session, tables_of(shard_map, shard))
        except (MapUnavailable, CredentialsUnavailable) as error:
            unreachable[shard] = str(error)
            continue
        tables[shard] = table_problems(shard_map, shard, facts)
        claimed = stored is not None and shard in {CATALOG, *stored.shards}
        problems += _identity_problems(shard_map, shard, identity, found, claimed=claimed)
    return Findings((*problems, *merged(tables)), unreachable)


async def claim_newcomers(
    shard_map: ShardMap, environ: Mapping[str, str], stored: ShardMap | None
) -> None:
    """Claim the servers of shards that the map in force does not have.

    Raises:
        MapUnavailable: One does not answer.
        IdentityTaken: One is another shard already.
        CredentialsUnavailable: A login cannot be found.
    """
    for shard, primary, identity in _primaries(shard_map):
        if stored is None or (shard in shard_map.shards and shard not in stored.shards):
            async with connected(primary, environ) as session:
                await claim_identity(session, identity.cluster_id, identity.shard_id)


def _primaries(shard_map: ShardMap) -> list[tuple[ShardId, Endpoint, Identity]]:
    """Each server to ask, under the name that the document has for it.

    Those of one database, a catalog and its only shard, are two: their tables differ.
    """
    names = (CATALOG, *shard_map.shards)
    return [
        (name, primary, identity)
        for name, (primary, identity) in zip(names, expected_identities(shard_map), strict=True)
    ]


def _identity_problems(
    shard_map: ShardMap, shard: ShardId, wanted: Identity, found: Identity | None, *, claimed: bool
) -> list[Problem]:
    path = f"shards.{shard}.primary" if shard in shard_map.shards else "catalog.primary"
    if found is None:
        if not claimed:
            return []
        return [
            Problem(
                path,
                f"the server does not know that it is {wanted.shard_id} of cluster "
                f"{wanted.cluster_id}: is this the right address?",
            )
        ]
    if found != wanted:
        return [
            Problem(
                path,
                f"the server is {found.shard_id} of cluster {found.cluster_id}, "
                f"not {wanted.shard_id} of cluster {wanted.cluster_id}",
            )
        ]
    return []
