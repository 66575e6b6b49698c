"""Replicas that no map names: found by asking primaries for their standbys, used once they are proved.

What is found becomes a member of its shard like those of the map, until it is gone: no longer
connected to the primary, and not answering us either. That a primary restarts, or is replaced,
therefore loses nobody.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.backend_settings import BackendSettings
from router.errors import ShardUnavailable
from router.live.discovered import Address, Unaddressed, endpoints
from router.live.failures import DRIVER_ERRORS
from router.live.health import PROBE, read_health
from router.live.live_endpoint import LiveEndpoint
from router.live.live_map import LiveMap
from router.live.opening import LoginSource, open_session
from router.live.shards import ShardEndpoints
from router.observe import Discovered, Observer, ReplicaDiscovered
from shardmap import Endpoint, Identity, ShardId

MAX_FOUND: Final = 25
"""As many replicas as a map may declare for one shard."""

_Place = tuple[ShardId, Address]


@dataclass(slots=True)
class _Refusal:
    reason: str
    until: float
    """When it is tried again."""


class Discovery:
    """Keeps what is found of each shard in step with what its primary says."""

    def __init__(
        self,
        live_map: LiveMap,
        settings: BackendSettings,
        login: LoginSource,
        observe: Observer,
    ) -> None:
        self._live_map = live_map
        self._settings = settings
        self._login = login
        self._observe = observe
        self._refusals: dict[_Place, _Refusal] = {}
        self._known: dict[_Place, str] = {}
        """Places at which a member of the shard listens under another address, by its name."""
        self._seen_at: dict[_Place, float] = {}
        """When each was last heard of, by its primary or by itself."""

    async def keep(self) -> None:
        """Look from time to time, for ever; the owner cancels."""
        while True:
            for shard, group in tuple(self._live_map.groups.items()):
                await self._look(shard, group)
            await asyncio.sleep(self._settings.discover_interval_s)

    async def _look(self, shard: ShardId, group: ShardEndpoints) -> None:
        """Take in what the shard's primary says now, if there is one."""
        now = time.monotonic()
        primary = group.primary()
        new: list[Endpoint] = []
        if primary is not None and primary.monitor.standbys is None:
            hidden = "its login role may not see the standbys: it lacks pg_monitor"
            self._refuse((shard, ("", 0, "")), primary.name, hidden, now)
        elif primary is not None and primary.monitor.standbys:
            unknown = [  # who is called as a member is, is that member
                one for one in primary.monitor.standbys if group.index(one.application_name) is None
            ]
            for found in endpoints(
                shard, unknown, primary.endpoint.straight, self._settings.discover_port
            ):
                if isinstance(found, Unaddressed):
                    place = (shard, ("", 0, found.application_name))
                    self._refuse(place, found.application_name, found.reason, now)
                    continue
                self._seen_at[shard, found.address] = now
                if self._worth_asking(shard, found, group, now):
                    new.append(found)
        members = {member.endpoint.address: member for member in group.members}
        before = self._live_map.found(shard)
        kept = [one for one in before if self._stays(shard, one, members, now)]
        proved = await self._proved(shard, group, new[: MAX_FOUND - len(kept)])
        if proved or len(kept) < len(before):
            self._live_map.use_found(shard, (*kept, *proved))

    def _worth_asking(
        self, shard: ShardId, found: Endpoint, group: ShardEndpoints, now: float
    ) -> bool:
        place = (shard, found.address)
        if any(member.endpoint.address == found.address for member in group.members):
            return False
        known = self._known.get(place)
        if known is not None and group.index(known) is not None:
            return False
        refusal = self._refusals.get(place)
        return refusal is None or now >= refusal.until

    def _stays(
        self,
        shard: ShardId,
        found: Endpoint,
        members: dict[Address, LiveEndpoint],
        now: float,
    ) -> bool:
        """Whether one that was found before is still of use."""
        member = members.get(found.address)
        if member is None or member.name != found.name:  # the map has it now
            return False
        twin = _twin(member, member.monitor.started, members.values())
        if twin is not None:
            self._known[shard, found.address] = twin.name
            self._say(shard, found.name, Discovered.KNOWN, f"it is {twin.name}")
            return False
        place = (shard, found.address)
        if member.standing.alive:
            self._seen_at[place] = now
        if now - self._seen_at.get(place, now) <= self._settings.forget_after_s:
            return True
        self._say(shard, found.name, Discovered.GONE, member.monitor.detail)
        return False

    async def _proved(
        self, shard: ShardId, group: ShardEndpoints, new: Iterable[Endpoint]
    ) -> tuple[Endpoint, ...]:
        """Those of them at which a replica of the shard answers."""
        identity = group.members[0].identity
        async with asyncio.TaskGroup() as tasks:
            asked = [
                (one, tasks.create_task(self._vetted(shard, one, identity, group))) for one in new
            ]
        proved = tuple(one for one, task in asked if task.result())
        for one in proved:
            self._refusals.pop((shard, one.address), None)
            self._say(shard, one.name, Discovered.FOUND, "")
        return proved

    async def _vetted(
        self, shard: ShardId, found: Endpoint, identity: Identity, group: ShardEndpoints
    ) -> bool:
        """Whether the endpoint is a replica of the shard, and no member of it by another name."""
        place = (shard, found.address)
        session = None
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                session = await open_session(found, self._login, self._settings, identity, None)
                row = await session.fetchrow(PROBE)
        except ShardUnavailable as error:
            reason = error.message
        except TimeoutError:
            reason = f"no answer within {self._settings.connect_timeout_s:g} s"
        except DRIVER_ERRORS as error:
            reason = str(error) or type(error).__name__
        else:
            health = read_health(row) if row is not None else None
            if health is None or not health.in_recovery:
                reason = "it is no replica"
            else:
                twin = _twin(None, health.started, group.members)
                if twin is None:
                    return True
                self._known[place] = twin.name
                self._say(shard, found.name, Discovered.KNOWN, f"it is {twin.name}")
                return False
        finally:
            if session is not None:
                session.terminate()
        self._refuse(place, found.name, reason, time.monotonic())
        return False

    def _refuse(self, place: _Place, name: str, reason: str, now: float) -> None:
        """Say why it is not used, once for as long as that stays the same."""
        before = self._refusals.get(place)
        if before is None or before.reason != reason:
            self._say(place[0], name, Discovered.REFUSED, reason)
        self._refusals[place] = _Refusal(reason, now + self._settings.discover_again_s)

    def _say(self, shard: ShardId, name: str, outcome: Discovered, detail: str) -> None:
        self._observe(ReplicaDiscovered(shard, name, outcome, detail))


def _twin(
    member: LiveEndpoint | None, started: float | None, members: Iterable[LiveEndpoint]
) -> LiveEndpoint | None:
    """Another member that is the same server: one that started in the same microsecond."""
    if started is None:
        return None
    return next(
        (
            other
            for other in members
            if other is not member and other.standing.alive and other.monitor.started == started
        ),
        None,
    )
