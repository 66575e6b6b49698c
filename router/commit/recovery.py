"""Recovery: what a process left prepared when it died is committed or rolled back, as decided.

Every process does it for every shard. The probes say what is prepared; what is older than a commit
takes is ended by the decision on its deciding shard, which is made now if nobody made it.
"""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from typing import Final

from router.backend_settings import BackendSettings
from router.commit.decisions import Decisions
from router.commit.prepared import GlobalId, InDoubt, abandoned, forgettable
from router.context import Deadline
from router.errors import RouterError
from router.live.health import Monitor
from router.live.live_map import LiveMap
from router.live.shards import ShardEndpoints
from router.observe import Observer, RecoveryDelayed, TransactionRecovered
from shardmap import ShardId

ATTEMPT_S: Final = 5.0
"""For one transaction, or one shard's forgetting; what is not done then is tried again."""
TIDY_INTERVAL_S: Final = 60.0
"""Between two searches for decisions that dead processes did not forget."""
DECISIONS: Final = "decisions to forget"
"""What is said to be delayed when it is no transaction."""
MOST_REMEMBERED: Final = 10_000
"""Decisions to forget on a shard that is away; those beyond are found by `tidy`."""


class Recovery:
    """Ends abandoned transactions, for ever, one sweep after the other."""

    def __init__(
        self, live: LiveMap, decisions: Decisions, settings: BackendSettings, observe: Observer
    ) -> None:
        self.in_flight: set[str] = set()
        """Transactions that this process is about to end by itself."""
        self._live = live
        self._decisions = decisions
        self._settings = settings
        self._observe = observe
        self._done: dict[ShardId, list[str]] = defaultdict(list)
        self._wake = asyncio.Event()
        self._ended: set[tuple[ShardId, str]] = set()
        """What was ended since the last probe that listed it."""
        self._delayed: dict[tuple[ShardId, str], str] = {}
        """What was reported as delayed, so that it is said once."""

    def done(self, gid: GlobalId) -> None:
        """The transaction has ended everywhere: its decision may be forgotten, soon."""
        self._done[gid.decider].append(gid.transaction)

    async def keep(self) -> None:
        """Sweep for ever; the owner cancels."""
        tidied_at = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.recovery_interval_s):
                    await self._wake.wait()
            self._wake.clear()
            await self.sweep()
            await self._forget()
            if time.monotonic() - tidied_at > TIDY_INTERVAL_S:
                tidied_at = time.monotonic()
                await self.tidy()

    async def sweep(self) -> None:
        """End whatever the last probes found abandoned."""
        listed: set[tuple[ShardId, str]] = set()
        async with asyncio.TaskGroup() as tasks:
            for shard, group in self._shards().items():
                primary = group.primary()
                for in_doubt in self._abandoned(primary.monitor if primary is not None else None):
                    key = (shard, in_doubt.gid.transaction)
                    listed.add(key)
                    if key not in self._ended:  # else the last probe is older than its end
                        tasks.create_task(self._end(shard, in_doubt))
        self._ended &= listed
        for key in self._delayed.keys() - listed:
            if key[1] != DECISIONS:
                del self._delayed[key]

    def _abandoned(self, monitor: Monitor | None) -> tuple[InDoubt, ...]:
        if monitor is None:
            return ()
        cluster, old_s = self._live.shard_map.cluster_id, self._settings.recovery_age_s
        return abandoned(monitor.prepared, cluster, self.in_flight, old_s)

    async def tidy(self) -> None:
        """Remove the decisions of dead processes that nobody will ask for again."""
        old: dict[ShardId, dict[str, tuple[str, ...]]] = {}
        for shard in self._shards():
            try:
                found = await self._decisions.old(shard, Deadline.after(ATTEMPT_S))
            except RouterError as error:
                self._delay(shard, DECISIONS, error)
            else:
                old[shard] = {name: tuple(who) for name, who in found.items()}
        if not any(old.values()):
            return
        prepared = await self._prepared_now()
        for shard, decided in old.items():
            done = forgettable(decided, prepared)
            if done:
                self._done[shard].extend(done)
        await self._forget()

    async def _prepared_now(self) -> dict[ShardId, frozenset[str]]:
        """What is prepared on each shard that answers a probe which begins now."""
        asked = {
            shard: (primary.monitor, primary.monitor.ask())
            for shard, group in self._shards().items()
            if (primary := group.primary()) is not None
        }
        if asked:
            await asyncio.wait([probe for _, probe in asked.values()], timeout=ATTEMPT_S)
        return {
            shard: frozenset(
                gid.transaction
                for name, _ in monitor.prepared
                if (gid := GlobalId.read(name)) is not None
            )
            for shard, (monitor, probe) in asked.items()
            if probe.done() and monitor.standing.alive
        }

    async def _end(self, shard: ShardId, in_doubt: InDoubt) -> None:
        gid = in_doubt.gid
        deadline = Deadline.after(ATTEMPT_S)
        key = (shard, gid.transaction)
        try:
            committed = await self._decisions.settle(gid, deadline)
            await self._decisions.finish(shard, gid, deadline, committed=committed)
        except RouterError as error:
            self._delay(shard, gid.transaction, error)
            return
        self._ended.add(key)
        self._observe(TransactionRecovered(shard, gid.transaction, committed, in_doubt.age_s))

    async def _forget(self) -> None:
        for shard in tuple(self._done):
            transactions = self._done.pop(shard)
            try:
                await self._decisions.forget(shard, transactions, Deadline.after(ATTEMPT_S))
            except RouterError as error:
                self._delay(shard, DECISIONS, error)
                self._done[shard] += transactions[-MOST_REMEMBERED:]

    def _delay(self, shard: ShardId, transaction: str, error: RouterError) -> None:
        """Report a delay, unless the same was the last that was said of it."""
        key = (shard, transaction)
        if self._delayed.get(key) != error.message:
            self._delayed[key] = error.message
            self._observe(RecoveryDelayed(shard, transaction, error.message))

    def _shards(self) -> dict[ShardId, ShardEndpoints]:
        groups = self._live.groups
        return {shard: groups[shard] for shard in self._live.shard_map.shards}
