"""Proof that the primary is still the primary, made after a reader asked for it.

A primary that was replaced need not know it. On a shard whose commits wait for standbys it proves
itself by a commit of its own: standbys that follow another primary do not confirm it. On other
shards the evidence is that every endpoint that answers denies to be another. Readers that wait at
the same time share one proof, which begins after the last of them came.
"""

import asyncio
import time
from typing import Final

from router.backend_settings import BackendSettings
from router.context import Deadline, QueryContext
from router.errors import CommitUnknown, PrimaryAway, QuorumLost, RouterError, ShardDown
from router.live.evidence import ask, primary_as_of
from router.live.execution import run_to_its_end
from router.live.failures import DRIVER_ERRORS
from router.live.faults import Faults
from router.live.live_endpoint import LiveEndpoint
from router.live.preamble import LOGIN
from router.live.shards import ShardEndpoints
from router.tasks import TaskOwner
from shardmap import ShardId

CONFIRM: Final = (
    "BEGIN READ WRITE; SET LOCAL synchronous_commit = on;"
    " SELECT pg_catalog.pg_logical_emit_message(true, 'fluxshard', ''); COMMIT"
)
"""The least that has to be confirmed: one record that nobody reads, and the commit."""
CONFIRM_S: Final = 2.0
"""Longer than a commit ever takes that is going to be confirmed."""

_Proof = asyncio.Future[LiveEndpoint]


class Confirmations:
    """Makes proofs, for each shard one at a time."""

    def __init__(self, settings: BackendSettings, faults: Faults, owner: TaskOwner) -> None:
        self._settings = settings
        self._faults = faults
        self._owner = owner
        self._next: dict[ShardId, _Proof] = {}
        self._working: set[ShardId] = set()

    async def primary(self, group: ShardEndpoints, deadline: Deadline) -> LiveEndpoint:
        """The endpoint that was the shard's primary at some moment after this call.

        Raises:
            PrimaryAway: None is.
            QuorumLost: Its standbys do not confirm it.
            DeadlineExceeded: The request's time ran out.
        """
        shard = group.shard
        proof = self._next.get(shard)
        if proof is None:
            proof = self._next[shard] = asyncio.get_running_loop().create_future()
            proof.add_done_callback(_taken_note_of)
        if shard not in self._working:
            self._working.add(shard)
            if self._owner.start(self._work(group), name=f"confirm {shard}") is None:
                raise ShardDown(shard, "the server is stopping")
        try:
            async with asyncio.timeout(max(0.0, deadline.remaining_s())):
                return await asyncio.shield(proof)
        except TimeoutError as error:
            raise QuorumLost(
                shard, f"the primary of shard {shard} was not confirmed in time"
            ) from error

    async def _work(self, group: ShardEndpoints) -> None:
        """Make proofs as long as somebody waits for one that has not begun."""
        shard = group.shard
        try:
            while (proof := self._next.pop(shard, None)) is not None:
                try:
                    proof.set_result(await self._proved(group))
                except RouterError as error:
                    proof.set_exception(error)
                finally:
                    if not proof.done():
                        proof.cancel()
        finally:
            self._working.discard(shard)

    async def _proved(self, group: ShardEndpoints) -> LiveEndpoint:
        deadline = Deadline.after(CONFIRM_S)
        live = group.writer_at_once() or await group.writer(deadline)
        if live.monitor.synchronous:
            await self._confirmed(group, live, deadline)
            return live
        return await self._undisputed(group, live, deadline)

    async def _confirmed(
        self, group: ShardEndpoints, live: LiveEndpoint, deadline: Deadline
    ) -> None:
        shard = group.shard
        context = QueryContext(LOGIN, None, "", "{}", deadline)
        held = live.pool.take(LOGIN) or await self._faults.acquired(live, context)
        put_back = live.pool.drop
        try:
            await run_to_its_end(held, CONFIRM, deadline.remaining_s())
            put_back = live.pool.give_back
        except CommitUnknown as error:
            raise QuorumLost(shard, f"no standby confirms that {live.name} is primary") from error
        except DRIVER_ERRORS as error:
            raise self._faults.noted(error, shard, live, held, context, read=False) from error
        finally:
            put_back(held)

    async def _undisputed(
        self, group: ShardEndpoints, live: LiveEndpoint, deadline: Deadline
    ) -> LiveEndpoint:
        """Whoever the endpoints that answer now agree on."""
        began = time.monotonic()
        asked = ask(group)
        if asked:
            await asyncio.wait(asked, timeout=deadline.remaining_s())
        primary = primary_as_of(group, began)
        if primary is None:
            raise PrimaryAway(group.shard, f"{live.name} was not confirmed to be the primary")
        return primary


def _taken_note_of(proof: _Proof) -> None:
    """Retrieve the failure, in case nobody waits any more."""
    if not proof.cancelled():
        proof.exception()
