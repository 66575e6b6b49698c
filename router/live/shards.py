"""The endpoints of one shard: who is the primary now, and who may answer this reader."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final

from router.backend_settings import BackendSettings
from router.context import Deadline
from router.errors import (
    DeadlineExceeded,
    PrimariesConflict,
    PrimaryAway,
    QuorumLost,
    ShardDown,
)
from router.fences import NONE, ShardFences
from router.live.choice import Chooser
from router.live.eligible import Eligible
from router.live.evidence import ask
from router.live.freshness import Position
from router.live.history import Reach, ShardHistory
from router.live.holding import Holding
from router.live.known_fences import newest_fences
from router.live.lag import Trail, lag_s
from router.live.live_endpoint import LiveEndpoint
from router.live.replicas import leaders, newest_timeline, proven
from router.live.shard_status import ShardStatus, details, durability_of, endpoint_status
from router.observe import DurabilityMissed, FreshnessMissed, Observer, WriteHeld
from shardmap import Durability, ShardId

PROOF_WAIT_S: Final = 0.5
"""How long to wait for a probe to say who the primary is, before a write is refused."""
LAST_HOPE_S: Final = 1.0
"""How long a read waits for a replica to catch up when there is no primary to ask instead."""
FIRST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = 0.05


class ShardEndpoints:
    """Who answers for one shard. What is declared primary or replica does not count, probes do."""

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        shard: ShardId,
        members: Sequence[LiveEndpoint],
        settings: BackendSettings,
        observe: Observer,
        history: ShardHistory,
        declared: Durability | None = None,
        before: "ShardEndpoints | None" = None,
    ) -> None:
        self.shard = shard
        self.history = history
        self.members = tuple(members)
        self.declared = declared
        self._standings = [member.standing for member in members]
        self._settings = settings
        self._observe = observe
        self._eligible = Eligible(shard, self.members, history, settings, observe)
        self._limits = self._eligible.limits
        self.chooser = Chooser(self._standings, settings.choice, settings.zone)
        self._trail: Trail = Trail() if before is None else before._trail  # noqa: SLF001 - our own past
        """Where the primary was, and when."""
        self.newest_timeline: int = 0 if before is None else before.newest_timeline
        """The highest timeline that a server of this shard was seen on, never to be left again."""
        self._holding = Holding(settings.held_writes, self._hurry)
        self._durable = True
        self._replaced = False
        self._successor: ShardEndpoints | None = None
        self._primary: int | None = None
        self._conflict = False
        self.fences: ShardFences = NONE if before is None else before.fences
        """As the newest probe has them."""
        self._ready: list[int] = []
        """The replicas that may answer, as of the last probe of any of them …"""
        self._ready_until = 0.0
        """… which holds for so long."""
        for member in self.members:
            member.monitor.changed.append(self._evaluate)
        self._evaluate()

    def leave(self, successor: "ShardEndpoints | None") -> None:
        """Stop listening to the endpoints: another view of the shard takes over, if there is one.

        Whoever still asks this one for a reader is given one of those.
        """
        self._successor = successor
        self._eligible.on_trial = []
        self._ready_until = float("-inf")
        for member in self.members:
            member.monitor.changed.remove(self._evaluate)
        self._replaced = True
        self._holding.release()

    def reader_at_once(
        self, floor: Position | None, excluded: Collection[int] = ()
    ) -> LiveEndpoint | None:
        """A fresh enough replica; the primary when no replica may answer; else None: ask again."""
        now = time.monotonic()
        if floor is not None and floor.timeline < self.history.timeline and self.beyond(floor):
            return self._usable_primary(now, excluded)
        if self._eligible.on_trial and not excluded:
            tried = self._eligible.tried_out(now, floor)
            if tried is not None:
                return tried
        if excluded or now > self._ready_until:
            if self._successor is not None:
                return self._successor.reader_at_once(floor)
            among = self.candidates(now, excluded)
        else:
            among = self._ready
        if among:
            index = self.chooser.choose(among, floor)
            return self.members[index] if index is not None else None
        return self._usable_primary(now, excluded)

    async def reader(
        self, floor: Position | None, deadline: Deadline, excluded: Collection[int] = ()
    ) -> LiveEndpoint:
        """Who answers a read that nobody was known to be fit for: probes are asked, not guessed.

        A replica that reaches the floor within `freshness_wait_s`, else the primary.

        Raises:
            ShardDown: No endpoint that could answer is reachable.
            DeadlineExceeded: The request's time ran out.
        """
        began = time.monotonic()
        grace_s = self._settings.freshness_wait_s
        pause_s = FIRST_PAUSE_S
        asked: set[asyncio.Future[None]] | None = None
        while True:
            if self._successor is not None:
                return await self._successor.reader(floor, deadline)
            now = time.monotonic()
            waited_s = now - began
            among = self.candidates(now, excluded)
            index = self._chosen(among, floor)
            if index is not None:
                return self.members[index]
            if not among or waited_s >= grace_s:
                primary = self._usable_primary(now, excluded)
                if primary is not None:
                    if among:
                        self._observe(FreshnessMissed(self.shard, waited_s))
                    return primary
            if waited_s >= LAST_HOPE_S or (not among and asked is not None and not asked):
                raise ShardDown(self.shard, self._why_down(behind=bool(among)))
            if not asked:
                if asked is not None:
                    await asyncio.sleep(min(pause_s, self._left(deadline)))
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                asked = self._ask(among, excluded)
                continue
            limit_s = (grace_s if among and waited_s < grace_s else LAST_HOPE_S) - waited_s
            _, asked = await asyncio.wait(
                asked,
                timeout=min(limit_s, self._left(deadline)),
                return_when=asyncio.FIRST_COMPLETED,
            )

    def _chosen(self, among: Sequence[int], floor: Position | None) -> int | None:
        """One of the replicas that show all that the floor stands for."""
        if floor is not None and self.history.reach(floor) is not Reach.HELD:
            return None
        return self.chooser.choose(among, floor)

    def beyond(self, floor: Position) -> bool:
        """Whether a promotion may have left behind what the floor stands for; said aloud if so."""
        primary = self.members[self._primary] if self._primary is not None else None
        quorum = durability_of(primary) is Durability.QUORUM
        beyond = self.history.beyond(self.shard, floor, quorum=quorum)
        if beyond is not None:
            self._observe(beyond)
        return beyond is not None

    def writer_at_once(self) -> LiveEndpoint | None:
        """The primary, when it is known to be one and its commits are being confirmed.

        Raises:
            QuorumLost: No standby confirms commits, so that a new one would hang.
            PrimariesConflict: There are several, and nobody can say which one is right.
        """
        primary = self._usable_primary(time.monotonic(), ())
        if primary is None:
            if self._conflict:
                raise PrimariesConflict(self.shard, self._why_no_primary())
            return None
        waiting_s = primary.monitor.quorum.waiting_s(time.monotonic())
        if waiting_s > self._settings.quorum_grace_s:
            raise QuorumLost(
                self.shard,
                f"no standby has confirmed a commit of shard {self.shard} for {waiting_s:.1f} s",
            )
        return primary

    async def writer(self, deadline: Deadline) -> LiveEndpoint:
        """The primary, asking the probes; held up to `write_hold_s` until there is one.

        Held writes go on in the order they came. Nothing was sent when this raises.

        Raises:
            PrimaryAway: There is none, or too many writes wait for one.
            PrimariesConflict: There are several.
            QuorumLost: No standby confirms commits, so that a new one would hang.
        """
        if self._holding.full:
            raise PrimaryAway(
                self.shard,
                f"{self._why_no_primary()}; {len(self._holding)} writes wait for one already",
            )
        began = time.monotonic()
        found = False
        try:
            with self._holding.place() as place:
                primary = await self._held(place.called, began, deadline)
                while primary is None:  # it was there when we were called, and is not any more
                    place.take()
                    primary = await self._held(place.called, began, deadline)
            found = True
            return primary
        finally:
            self._observe(WriteHeld(self.shard, time.monotonic() - began, found))

    async def _held(
        self, called: "asyncio.Future[None]", began: float, deadline: Deadline
    ) -> LiveEndpoint | None:
        """The primary; None: we were called, and have to look again."""
        hold_s = self._settings.write_hold_s
        ends = min(began + max(hold_s, PROOF_WAIT_S), deadline.at)
        asked = self._ask((), ())
        while True:
            primary = self.writer_at_once()
            if primary is not None:
                return primary
            if called.done() and not self._replaced:
                return None
            now = time.monotonic()
            if now >= ends or self._replaced or (not asked and now - began >= hold_s):
                raise PrimaryAway(self.shard, self._why_no_primary())
            done, _ = await asyncio.wait(
                {called, *asked}, timeout=ends - now, return_when=asyncio.FIRST_COMPLETED
            )
            asked -= done

    def left_behind(self, position: Position) -> bool:
        """Whether a commit at this position is on a timeline that a promotion has left behind."""
        return position.timeline < self.newest_timeline

    def all_but_other_replicas(self, late: LiveEndpoint) -> tuple[int, ...] | None:
        """Whom to exclude so that another replica than this answers; None: there is no other."""
        index = self.index(late.name)
        others = set() if index is None else set(self.candidates(time.monotonic(), (index,)))
        if not others:
            return None
        return tuple(index for index in range(len(self.members)) if index not in others)

    def primary(self) -> LiveEndpoint | None:
        """The primary, if there is one now."""
        return self._usable_primary(time.monotonic(), ())

    def index(self, endpoint: str) -> int | None:
        """The position of the endpoint of that name, to exclude it."""
        for index, member in enumerate(self.members):
            if member.name == endpoint:
                return index
        return None

    def status(self) -> ShardStatus:
        """The shard at this moment."""
        now = time.monotonic()
        primary = self._usable_primary(now, ())
        quorum_lost = (
            primary is not None
            and primary.monitor.quorum.waiting_s(now) > self._settings.quorum_grace_s
        )
        replicas = self.candidates(now, ())
        reader = self.chooser.next(replicas)
        zone = f" in zone {self._settings.zone}" if self._settings.zone else ""
        return ShardStatus(
            shard=self.shard,
            primary=primary.name if primary is not None else None,
            quorum_lost=quorum_lost,
            readable=primary is not None or bool(replicas),
            writable=primary is not None and not quorum_lost,
            endpoints=tuple(
                endpoint_status(member, self._eligible.unfit(index, now, self.newest_timeline))
                for index, member in enumerate(self.members)
            ),
            reader=None if reader is None else self.members[reader].name,
            choice=f"{self._settings.choice.value}{zone}",
            conflict=self._conflict,
            held=len(self._holding),
            declared=self.declared,
            durability=durability_of(primary),
            beyond=self.history.found_beyond,
        )

    def candidates(self, now: float, excluded: Collection[int]) -> list[int]:
        """The replicas that may answer, but for freshness."""
        primary = self._usable_primary(now, excluded) is not None
        return self._eligible.candidates(now, self.newest_timeline, excluded, primary=primary)

    def _usable_primary(self, now: float, excluded: Collection[int]) -> LiveEndpoint | None:
        index = self._primary
        if index is None or index in excluded:
            return None
        if not proven(self._standings[index], now, self._limits):
            return None
        return self.members[index]

    def _evaluate(self) -> None:
        """Work out the primary and the lags anew: called after every probe."""
        now = time.monotonic()
        self.newest_timeline = newest_timeline(
            self._standings, now, self._limits, self.newest_timeline
        )
        leading = leaders(self._standings, now, self._limits, self.newest_timeline)
        self._primary = leading[0] if len(leading) == 1 else None
        self._conflict = len(leading) > 1
        self.fences = newest_fences(self.members, self.fences)
        if self.history.note(self.members, leading):
            ask(self)  # what they have reached since may be enough
        primary = self._standings[self._primary] if self._primary is not None else None
        if primary is not None:
            self._trail.note(primary.probed_at, primary.timeline, primary.probed_lsn)
        for index, member in enumerate(self.members):
            standing = member.standing
            standing.lag_bytes = (
                max(0, primary.lsn - standing.lsn)
                if primary is not None and standing.in_recovery
                else None
            )
            standing.lag_s = lag_s(self._trail, standing) if standing.in_recovery else None
            standing.as_of = self._trail.as_of(standing.lsn) if standing.in_recovery else None
            if not standing.alive:
                continue
            if standing.in_recovery:
                member.enter("replica", "")
            elif index == self._primary:
                member.enter("primary", f"timeline {standing.timeline}")
            elif index in leading:
                member.enter("conflict", f"two primaries on timeline {standing.timeline}")
            elif standing.timeline < self.newest_timeline:
                member.enter("fenced", f"a primary left behind on timeline {standing.timeline}")
                member.monitor.doubt()
        usable = self._usable_primary(now, ()) is not None
        self._eligible.judge(now, self.newest_timeline, primary=usable)
        self._ready = self.candidates(now, ())
        self.chooser.weigh(self._ready, now, self._settings.slow_start_s)
        proved_at = min((self._standings[index].proved_at for index in self._ready), default=now)
        self._ready_until = proved_at + self._limits.proof_age_s
        self._check_durability()
        if self._primary is not None and self._holding:
            self._holding.release()

    def _check_durability(self) -> None:
        """Say once when the primary does not do what the map says of commits, and when it does."""
        primary = self.members[self._primary] if self._primary is not None else None
        if self.declared is not Durability.QUORUM or primary is None:
            return
        durable = durability_of(primary) is not Durability.ASYNC
        if durable != self._durable:
            self._durable = durable
            self._observe(DurabilityMissed(self.shard, primary.name, over=durable))

    def _hurry(self, wanted: bool) -> None:  # noqa: FBT001 - as declared
        for member in self.members:
            member.monitor.hurry(wanted)

    def _ask(
        self, among: Collection[int], excluded: Collection[int]
    ) -> "set[asyncio.Future[None]]":
        """Ask for a probe of these endpoints; when there are none, of all that may answer."""
        return {
            member.monitor.ask()
            for index, member in enumerate(self.members)
            if index in among or not (among or index in excluded)
        }

    def _left(self, deadline: Deadline) -> float:
        left_s = deadline.remaining_s()
        if left_s <= 0:
            raise DeadlineExceeded(f"no endpoint of shard {self.shard} was found in time")
        return left_s

    def _why_down(self, *, behind: bool) -> str:
        if behind:
            return f"no endpoint of shard {self.shard} has reached what this session has seen"
        return f"no endpoint of shard {self.shard} can answer: {details(self.members)}"

    def _why_no_primary(self) -> str:
        return f"shard {self.shard} has no primary at the moment: {details(self.members)}"
