"""A shard and its endpoints as health and metrics show them: values of one moment."""

from collections.abc import Iterable
from dataclasses import dataclass

from router.live.live_endpoint import LiveEndpoint
from shardmap import Durability, ShardId


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint as health and metrics show it."""

    endpoint: str
    state: str
    """`primary`, `replica`, `fenced`, `conflict`, `impostor`, `down` or `unknown`."""
    detail: str
    timeline: int
    lsn: int
    lag_bytes: int | None
    lag_s: float | None
    trust: str
    """`trusted`, `ejected` or `on trial`, by what reads met on it."""
    share: float
    """The part of its weight that it is given now: less than 1 in its slow start."""
    latency_s: float
    in_flight: int
    connections: int
    idle: int
    waiting: int
    limit: int
    admitted: int
    """How many connections may be in use now: less than the limit while the endpoint is slow."""
    limited: int
    """How often that became less, …"""
    waits: int
    """… how often a request waited for a connection since the start, …"""
    waited_s: float
    """… for how long in all, …"""
    turned_away: int
    """… and how many found no room to wait in."""
    zone: str | None = None
    unfit: str = ""
    """Why it answers no reads as a replica; empty: it may, or is none."""


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard as health and metrics show it."""

    shard: ShardId
    primary: str | None
    quorum_lost: bool
    readable: bool
    writable: bool
    endpoints: tuple[EndpointStatus, ...]
    conflict: bool = False
    """Several servers claim to be the primary, on one timeline: nothing is written."""
    held: int = 0
    """Writes that wait for a primary."""
    declared: Durability | None = None
    """What the map says of commits; None: nothing (the catalog)."""
    reader: str | None = None
    """Who would answer a reader that has seen nothing yet; None: the primary, or nobody."""
    choice: str = ""
    """How it is chosen: the policy, and the own zone if there is one."""
    durability: Durability | None = None
    """What the primary does, as the last good probe saw it; None: not known."""

    beyond: int = 0
    """How often readers were found whose floor a promotion may have left behind."""

    @property
    def durable(self) -> bool:
        """Whether commits wait for a standby, where the map says that they do."""
        return self.declared is not Durability.QUORUM or self.durability is not Durability.ASYNC


def durability_of(primary: LiveEndpoint | None) -> Durability | None:
    """What a commit on it waits for; None: not known."""
    synchronous = primary.monitor.synchronous if primary is not None else None
    if synchronous is None:
        return None
    return Durability.QUORUM if synchronous else Durability.ASYNC


def endpoint_status(member: LiveEndpoint, unfit: str) -> EndpointStatus:
    """The endpoint at this moment."""
    standing, pool = member.standing, member.pool.standing()
    return EndpointStatus(
        endpoint=member.name,
        state=member.state,
        detail=member.monitor.detail,
        timeline=standing.timeline,
        lsn=standing.lsn,
        lag_bytes=standing.lag_bytes,
        lag_s=standing.lag_s,
        trust=standing.breaker.trust.value,
        share=standing.share,
        latency_s=standing.latency_s,
        in_flight=standing.in_flight,
        connections=pool.open,
        idle=pool.idle,
        waiting=pool.waiting,
        limit=pool.limit,
        admitted=pool.admitted,
        limited=pool.limited,
        waits=pool.waits,
        waited_s=pool.waited_s,
        turned_away=pool.turned_away,
        zone=standing.zone,
        unfit=unfit if standing.in_recovery else "",
    )


def details(members: Iterable[LiveEndpoint]) -> str:
    """What each endpoint is, and why, for whoever meets an error."""
    return "; ".join(
        f"{member.name} {member.state}" + (f" ({detail})" if detail else "")
        for member in members
        for detail in (member.monitor.detail,)
    )
