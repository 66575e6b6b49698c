"""The endpoints in use for the shard map in force; a new map keeps what stays the same."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Final

from router.backend_settings import BackendSettings
from router.fences import NO_FENCES, Fences, ShardFences, picture
from router.live.cap import ConnectionCap
from router.live.evidence import demand_proof
from router.live.history import ShardHistory
from router.live.live_endpoint import LiveEndpoint
from router.live.opening import LoginSource
from router.live.shards import ShardEndpoints
from router.observe import EndpointChanged, MapAdopted, Observer
from router.tasks import TaskOwner
from shardmap import (
    CATALOG,
    Durability,
    Endpoint,
    Identity,
    ShardId,
    ShardMap,
    expected_identities,
    gained,
)

FIRST_PROBES_S: Final = 2.0
"""How long to wait for each endpoint's first probe; one that is down delays nobody for longer."""

_Key = tuple[object, ...]


class LiveMap:
    """Which endpoints answer for which shard, by the map in force.

    A database that is both a shard and the catalog is one endpoint, with one set of connections.
    """

    def __init__(  # noqa: PLR0913 - what endpoints are made of
        self,
        shard_map: ShardMap,
        settings: BackendSettings,
        login: LoginSource,
        owner: TaskOwner,
        observe: Observer,
        *,
        forgetful: bool,
    ) -> None:
        self.shard_map = shard_map
        self._forgetful = forgetful
        """Nobody remembers what readers saw before this process began."""
        self._histories: dict[ShardId, ShardHistory] = {}
        self.groups: Mapping[ShardId, ShardEndpoints] = {}
        self._settings = settings
        self._login = login
        self._owner = owner
        self._observe = observe
        self._cap = ConnectionCap(settings.total_connections)
        self._endpoints: dict[_Key, LiveEndpoint] = {}
        self._found: dict[ShardId, tuple[Endpoint, ...]] = {}
        """Replicas in use that the map does not name."""
        self._opened = False
        self._fences: tuple[tuple[ShardFences, ...], Fences] | None = None

    def open(self) -> None:
        """Start with the endpoints of the map."""
        self._use(self.shard_map)
        self._opened = True

    def adopt(self, shard_map: ShardMap) -> None:
        """Use another map; endpoints that left it end when their work has."""
        gaining = gained(self.shard_map, shard_map)
        self.shard_map = shard_map
        self._use(shard_map)
        for shard in gaining:
            demand_proof(self.groups[shard])
        self._observe(MapAdopted(shard_map.epoch))

    def found(self, shard: ShardId) -> tuple[Endpoint, ...]:
        """The replicas in use for the shard that the map does not name."""
        return self._found.get(shard, ())

    def use_found(self, shard: ShardId, found: tuple[Endpoint, ...]) -> None:
        """Use these replicas beside those of the map, and no others."""
        self._found[shard] = found
        self._use(self.shard_map)

    async def probed(self) -> None:
        """Wait until every endpoint was probed once, or was given its time to be."""
        fresh = [live.monitor.ask() for live in self._endpoints.values() if live.state == "unknown"]
        if fresh:
            await asyncio.wait(fresh, timeout=FIRST_PROBES_S)

    def close(self) -> None:
        """Cut everything off."""
        for live in self._endpoints.values():
            live.retire()
            live.cut()

    def _use(self, shard_map: ShardMap) -> None:
        declared = tuple(_declared(shard_map))
        before = self._endpoints
        self._endpoints = {}
        groups: dict[ShardId, ShardEndpoints] = {}
        for shard, identity, endpoints, durability in declared:
            addresses = {endpoint.address for endpoint in endpoints}
            found = [one for one in self.found(shard) if one.address not in addresses]
            members = [self._live(endpoint, identity, before) for endpoint in (*endpoints, *found)]
            old = self.groups.get(shard)
            if old is not None and old.members == tuple(members):
                groups[shard] = old
                old.declared = durability
            else:
                groups[shard] = ShardEndpoints(
                    shard,
                    members,
                    self._settings,
                    self._observe,
                    self._history(shard),
                    durability,
                    before=old,
                )
        for shard, old in self.groups.items():
            if groups.get(shard) is not old:
                old.leave(groups.get(shard))
        self.groups = groups
        for key, live in before.items():
            if key not in self._endpoints:
                live.retire()

    def fences(self) -> Fences:
        """The fences of all shards, as far as probes know them: one picture."""
        said = tuple(group.fences for group in self.groups.values())
        if self._fences is None or self._fences[0] != said:  # the same object while they are
            before = NO_FENCES if self._fences is None else self._fences[1]
            self._fences = said, picture(before, dict(zip(self.groups, said, strict=True)))
        return self._fences[1]

    def demand_proof(self) -> None:
        """What readers were promised may be forgotten: see `evidence.demand_proof`."""
        for group in self.groups.values():
            demand_proof(group)

    def _history(self, shard: ShardId) -> ShardHistory:
        """What is known of the shard, also when its endpoints change."""
        history = self._histories.get(shard)
        if history is None:
            history = self._histories[shard] = ShardHistory()
            if self._forgetful or shard in gained(None, self.shard_map):
                history.demand_proof(time.monotonic())
        return history

    def _live(
        self, endpoint: Endpoint, identity: Identity, before: Mapping[_Key, LiveEndpoint]
    ) -> LiveEndpoint:
        key = _key(endpoint, identity)
        live = self._endpoints.get(key)
        if live is None:
            live = before.get(key)
            if live is None:
                live = LiveEndpoint(
                    endpoint,
                    identity,
                    self._login,
                    self._settings,
                    self._owner,
                    self._report,
                    self._cap,
                    self._observe,
                )
                live.standing.cold = self._opened  # others know what it has to learn
            else:
                live.rename(endpoint)
            self._endpoints[key] = live
        return live

    def _report(self, live: LiveEndpoint, state: str, detail: str) -> None:
        self._observe(EndpointChanged(live.identity.shard_id, live.name, state, detail))


def _declared(
    shard_map: ShardMap,
) -> Iterable[tuple[ShardId, Identity, tuple[Endpoint, ...], Durability | None]]:
    """Each shard, then the catalog: what its servers must say, its endpoints, its durability."""
    for shard in shard_map.shards.values():
        identity = Identity(shard_map.cluster_id, shard.id)
        yield shard.id, identity, shard.endpoints, shard.durability
    catalog, identity = expected_identities(shard_map)[0]
    yield CATALOG, identity, (catalog, *shard_map.catalog_replicas), None


def _key(endpoint: Endpoint, identity: Identity) -> _Key:
    way = (endpoint.pooling, endpoint.direct)
    return (*endpoint.address, endpoint.user, endpoint.credentials, endpoint.tls, *way, identity)
