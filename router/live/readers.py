"""Which endpoint answers a read, by the consistency asked for; and what later reads owe to it.

Writes have one place, reads several: a reader's floor says which of them are fresh enough. Here
floors are looked up before a read and raised after it, also among instances, and the other
policies find their endpoint.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final, assert_never

from router.backend_settings import BackendSettings
from router.consistency import ANY, SESSION, Policy
from router.context import QueryContext
from router.errors import DeadlineExceeded, ShardDown
from router.live.confirming import Confirmations
from router.live.evidence import ask, primary_as_of, reader_as_of
from router.live.exchange import FloorExchange
from router.live.failures import BehindFloor
from router.live.freshness import Floors, Position, higher
from router.live.live_endpoint import LiveEndpoint
from router.live.live_map import LiveMap
from router.live.shards import ShardEndpoints
from router.observe import FreshnessMissed, Observer
from shardmap import ShardId, TenantId

EVERYBODY: Final = "*"
"""Who owns the floor of writes whose tenant is not in their context: all tenants' reads heed it."""
_UNTRACKED: Final = frozenset({Policy.ANY, Policy.BOUNDED})
"""Reads that promise nothing to the reads after them."""


Place = tuple[LiveEndpoint, Position | None]
"""Where a read goes, and what it must have reached there."""


class Readers:
    """Finds endpoints for reads, and raises floors by what reads and writes have seen."""

    def __init__(  # noqa: PLR0913, PLR0917 - what freshness is told from
        self,
        settings: BackendSettings,
        live: LiveMap,
        floors: Floors,
        exchange: FloorExchange | None,
        confirmations: Confirmations,
        observe: Observer,
    ) -> None:
        self._grace_s = settings.freshness_wait_s
        self._live = live
        self._floors = floors
        self._exchange = exchange
        self._confirmations = confirmations
        self._observe = observe
        if exchange is not None:
            exchange.on_forgotten(live.demand_proof)

    def at_once(
        self, group: ShardEndpoints, context: QueryContext, excluded: Collection[int]
    ) -> Place | None:
        """Where the read goes if that takes no waiting, else None: ask `found`."""
        consistency = context.consistency
        if consistency is SESSION and self._exchange is None:
            floor = self._floors.floor(context.session, group.shard)
            if context.seen:
                floor = higher(floor, context.seen.get(group.shard))
        elif consistency is ANY:
            floor = None
        else:
            return None
        live = group.reader_at_once(floor, excluded)
        return None if live is None else (live, floor)

    async def found(
        self, group: ShardEndpoints, context: QueryContext, excluded: Collection[int]
    ) -> Place:
        """Where the read goes.

        Raises:
            ShardDown: No endpoint that is fresh enough can be reached.
            PrimaryAway, QuorumLost: For `strong`: nobody is proved to be the primary.
            DeadlineExceeded: The request's time ran out.
        """
        policy = context.consistency.policy
        match policy:
            case Policy.ANY:
                return await group.reader(None, context.deadline, excluded), None
            case Policy.BOUNDED:
                floor = context.seen.get(group.shard)
                return await self._within(group, context, floor, excluded), floor
            case Policy.STRONG:
                return await self._strong(group, context)
            case Policy.TENANT if context.tenant is None:  # of all tenants
                return await self._strong(group, context)
            case Policy.SESSION | Policy.TENANT:
                return await self._fresh(group, context, excluded)
            case _:
                assert_never(policy)

    def saw(
        self, shard: ShardId, context: QueryContext, floor: Position | None, position: Position
    ) -> bool:
        """Take in what a read has seen; whether `told` has to be awaited before the answer."""
        if context.reached is not None:
            context.reached.append((shard, position))
        if floor is not None and position.lsn <= floor.lsn and position.timeline <= floor.timeline:
            return False
        policy = context.consistency.policy
        if policy in _UNTRACKED:
            return False
        self._floors.raise_to(context.session, shard, position)
        if policy is Policy.TENANT and context.tenant is not None:
            self._floors.raise_to(tenant_owner(context.tenant), shard, position)
        return self._exchange is not None

    async def told(self, shard: ShardId, context: QueryContext, position: Position) -> None:
        """Let other instances know what a read has seen."""
        if self._exchange is not None:
            await self._exchange.publish(self._owners(context), shard, position)

    async def wrote(self, shard: ShardId, context: QueryContext, position: Position) -> None:
        """Take in that a write is committed: to be awaited before it is acknowledged."""
        tenant = context.tenant
        owners = _once((context.session, EVERYBODY if tenant is None else tenant_owner(tenant)))
        if context.reached is not None:
            context.reached.append((shard, position))
        before = self._floors.floor(context.session, shard)
        if before is not None and before.timeline < position.timeline:
            group = self._live.groups.get(shard)
            if group is not None:
                group.beyond(before)
        for owner in owners:
            self._floors.raise_to(owner, shard, position)
        if self._exchange is not None:
            await self._exchange.publish(owners, shard, position)

    async def _fresh(
        self, group: ShardEndpoints, context: QueryContext, excluded: Collection[int]
    ) -> Place:
        shard = group.shard
        owners = self._owners(context)
        known = True
        if self._exchange is not None:
            known = await self._exchange.learn(owners, shard)
            seen_at = group.history.primary_at
            if seen_at is not None:  # what was forgotten since may not be replayed everywhere
                known &= time.monotonic() - seen_at < self._exchange.retention_s / 2
        floor = context.seen.get(shard)
        for owner in owners:
            floor = higher(floor, self._floors.floor(owner, shard))
        if not known:
            return await self._primary(group, context, "cannot be looked up"), floor
        live = group.reader_at_once(floor, excluded)
        if live is None:
            live = await group.reader(floor, context.deadline, excluded)
        return live, floor

    async def _strong(self, group: ShardEndpoints, context: QueryContext) -> Place:
        return await self._confirmations.primary(group, context.deadline), None

    async def _within(
        self,
        group: ShardEndpoints,
        context: QueryContext,
        floor: Position | None,
        excluded: Collection[int],
    ) -> LiveEndpoint:
        """A replica that shows what was committed until so long ago; else the primary."""
        bound_s = context.consistency.bound_s
        began = time.monotonic()
        asked: set[asyncio.Future[None]] | None = None
        while True:
            now = time.monotonic()
            moment = min(began, now - bound_s)
            live = reader_as_of(group, moment, floor, excluded)
            if live is not None:
                return live
            if asked is None:
                asked = ask(group)
            if not asked or now - began >= self._grace_s:
                primary = primary_as_of(group, moment)
                if primary is not None:
                    self._observe(FreshnessMissed(group.shard, now - began))
                    return primary
                if not asked:
                    raise ShardDown(
                        group.shard,
                        f"no endpoint of shard {group.shard} is known to show what was committed"
                        f" {bound_s * 1000:g} ms ago",
                    )
            left_s = _left_s(context)
            waited_s = now - began
            limit_s = self._grace_s - waited_s if waited_s < self._grace_s else left_s
            _, asked = await asyncio.wait(
                asked, timeout=min(limit_s, left_s), return_when=asyncio.FIRST_COMPLETED
            )

    async def _primary(
        self, group: ShardEndpoints, context: QueryContext, why: str
    ) -> LiveEndpoint:
        """The primary, since the floor of the reader is not known to be reached by anybody else."""
        primary = group.primary()
        if primary is None:
            asked = ask(group)
            if asked:
                await asyncio.wait(asked, timeout=_left_s(context))
            primary = group.primary()
        if primary is None:
            raise ShardDown(
                group.shard,
                f"what this session has seen of shard {group.shard} {why}, and its primary is away",
            )
        return primary

    def _owners(self, context: QueryContext) -> Sequence[str]:
        if context.consistency.policy is Policy.TENANT and context.tenant is not None:
            return _once((context.session, tenant_owner(context.tenant), EVERYBODY))
        return (context.session,)


def tenant_owner(tenant: TenantId) -> str:
    """Who owns the floor of a tenant: also the session of tokens that name nobody but the tenant."""
    return f"tenant:{tenant}"


def behind(shard: ShardId, live: LiveEndpoint, lsn: int) -> BehindFloor:
    """Take in that a server is not as far as it was known to be, and say so.

    It was restarted within the last probe's interval, and shows an older state for a moment.
    """
    live.standing.lsn = min(live.standing.lsn, lsn)
    live.monitor.ask()
    return BehindFloor(shard, live.name, f"{live.name} is behind what it was")


def _once(owners: Sequence[str]) -> Sequence[str]:
    return tuple(dict.fromkeys(owners))


def _left_s(context: QueryContext) -> float:
    left_s = context.deadline.remaining_s()
    if left_s <= 0:
        raise DeadlineExceeded("no endpoint that is fresh enough was found in time")
    return left_s
