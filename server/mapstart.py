"""The map that a server starts with: the catalog's, the first one from settings, or the last good copy."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import asyncpg

from server.catalog import catalog_session, connected
from server.settings import Settings
from shardmap import (
    CatalogSource,
    Durability,
    GivenCluster,
    GivenServers,
    Identity,
    LastGoodCopy,
    MapUnavailable,
    Problem,
    ShardMap,
    claim_identity,
    differences,
    expected_identities,
    first_from,
    settle_identity,
)


class Origin(StrEnum):
    """Where the map of a starting server came from."""

    CATALOG = "catalog"
    SEEDED = "seeded"
    """It is epoch 1, made from the settings just now."""
    LAST_GOOD = "last good copy"
    STANDALONE = "standalone"
    """It is made from the settings at each start, and stored nowhere."""


@dataclass(frozen=True, slots=True)
class StartingMap:
    """The map to begin with. `warnings`: where the settings contradict it."""

    shard_map: ShardMap
    origin: Origin
    warnings: tuple[Problem, ...] = ()
    catalog_trouble: str | None = None
    """Why the catalog did not answer, when the map is the last good copy."""


def given_cluster(settings: Settings) -> GivenCluster:
    """What the settings say about servers, as the shard map wants to hear it."""
    database = settings.database
    return GivenCluster(
        catalog=GivenServers(
            url=database.url or "",
            url_name=database.url_name,
            replicas=database.read_replicas,
            replicas_name="FLUXBASE_DATABASE_READ_REPLICAS",
        ),
        shards=tuple(
            GivenServers(shard.url, shard.url_name, shard.read_replicas, shard.read_replicas_name)
            for shard in database.shards
        ),
        key_type=settings.auth.tenant_key_type,
    )


def new_cluster_id() -> str:
    """A name for a new cluster that no other one has."""
    return f"c-{uuid.uuid4()}"


async def starting_map(
    given: GivenCluster, copy: LastGoodCopy | None, environ: Mapping[str, str], *, author: str
) -> StartingMap:
    """The map in force, made from the settings where there is none yet; all may race to do so.

    Raises:
        InvalidMap: The settings describe no cluster, or the catalog holds no map of this release.
        IdentityTaken: A server of a first map belongs to another shard or cluster.
        MapUnavailable: The catalog does not answer, and there is no last good copy; or a shard
            does not answer, and it has to be claimed for the first map.
        CredentialsUnavailable: A login cannot be found.
    """
    declared = first_from(given, "undecided")  # for its addresses: its problems are found at once
    endpoints = (declared.catalog, *declared.catalog_replicas)
    try:
        async with catalog_session(endpoints, environ, writable=False) as session:
            stored = await CatalogSource(session).newest()
    except MapUnavailable as error:
        if copy is None:
            raise
        try:
            kept = copy.read()
        except MapUnavailable as no_copy:
            raise MapUnavailable(f"{error}; {no_copy}") from error
        return StartingMap(kept, Origin.LAST_GOOD, differences(kept, given), str(error))
    if stored is not None:
        return StartingMap(stored, Origin.CATALOG, differences(stored, given))
    return StartingMap(await _seed(given, declared, environ, author), Origin.SEEDED)


async def _seed(
    given: GivenCluster, declared: ShardMap, environ: Mapping[str, str], author: str
) -> ShardMap:
    """Claim every server, then put epoch 1 in force.

    The catalog's own row decides the cluster's id, so that instances that start together all make
    the same map, and a catalog of a cluster whose maps were lost keeps its shards.
    """
    endpoints = (declared.catalog, *declared.catalog_replicas)
    async with catalog_session(endpoints, environ, writable=True) as session:
        (_, wanted), *_ = expected_identities(declared)
        fresh = Identity(new_cluster_id(), wanted.shard_id)
        settled = await settle_identity(session, fresh)
        first = first_from(given, settled.cluster_id)
        synchronous: set[str] = set()
        for primary, identity in expected_identities(first):
            if primary.address == first.catalog.address:
                await claim_identity(session, identity.cluster_id, identity.shard_id)
                if await _waits_for_standbys(session):
                    synchronous.add(identity.shard_id)
                continue
            async with connected(primary, environ) as server:
                await claim_identity(server, identity.cluster_id, identity.shard_id)
                if await _waits_for_standbys(server):
                    synchronous.add(identity.shard_id)
        first = replace(
            first,
            shards={
                shard.id: replace(shard, durability=Durability.QUORUM)
                if shard.id in synchronous
                else shard
                for shard in first.shards.values()
            },
        )
        return await CatalogSource(session).newest_or_first(
            lambda: first, author=author, reason="made from the settings"
        )


async def _waits_for_standbys(session: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether commits there wait for a standby: then the first map says so of the shard."""
    names: str = await session.fetchval("SHOW synchronous_standby_names")
    return bool(names.strip())
