"""Decisions about transactions on several shards: looked up, settled, carried out, forgotten.

All of it is safe to repeat and to race: whoever comes second finds what the first has done.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from router.commit.prepared import GlobalId
from router.context import SERVICE_ROLE, Deadline
from router.errors import PoolTimeout, RouterError, ShardDown
from router.live.connection import HeldConnection
from router.live.execution import left_ms, left_s, run_to_its_end
from router.live.failures import DRIVER_ERRORS, EndpointLost, Scene, says_ended, translated
from router.live.freshness import Position
from router.live.preamble import as_login, commit_and_clean, quote_literal
from router.live.shards import ShardEndpoints
from shardmap import ShardId

COMMITTED_KEPT_S: Final = 60
"""A decision to commit is younger than that while its own process is about to forget it."""
ABORTED_KEPT_S: Final = 3600
"""A decision to roll back stands in the way of a late commit, whose session ends long before."""

_UNDO: Final = """\
INSERT INTO fluxshard.decision (transaction, committed, participants) VALUES ({}, false, '{{}}')
ON CONFLICT (transaction) DO NOTHING"""
_DECIDED: Final = "SELECT committed FROM fluxshard.decision WHERE transaction = $1"
_FORGET: Final = "DELETE FROM fluxshard.decision WHERE transaction = ANY ($1::text[])"
_OLD: Final = """\
SELECT transaction, committed, participants FROM fluxshard.decision
WHERE decided_at < pg_catalog.clock_timestamp()
                   - pg_catalog.make_interval(secs => CASE WHEN committed THEN $1::float8 ELSE $2::float8 END)
ORDER BY decided_at LIMIT 1000"""

Groups = Callable[[], Mapping[ShardId, ShardEndpoints]]
"""The shards of the map in force."""


class Decisions:
    """The decisions on the primaries of the map in force."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    async def settle(self, gid: GlobalId, deadline: Deadline) -> bool:
        """Whether the transaction is committed. If that is open it never will be from now on.

        Raises:
            RouterError: The deciding shard cannot be asked now.
        """
        async with self._session(gid.decider, SERVICE_ROLE, deadline) as held:
            undo = _UNDO.format(quote_literal(gid.transaction))
            await held.execute(f"{_begin(deadline)}; {undo}", left_s(deadline))
            (row,), _ = await held.fetch(_DECIDED, (gid.transaction,), left_s(deadline))
            # What was found or written is acted upon only when it is there to stay.
            await _committed(held, deadline)
        return bool(row[0])

    async def finish(
        self, shard: ShardId, gid: GlobalId, deadline: Deadline, *, committed: bool
    ) -> Position:
        """Carry out the decision on one shard; up to where its WAL then is durable.

        Raises:
            RouterError: It is not done, or that is not known.
        """
        verb = "COMMIT" if committed else "ROLLBACK"
        async with self._session(shard, gid.role, deadline) as held:
            await held.execute("SET statement_timeout = 0", left_s(deadline))
            try:
                held.abandonable = False
                name = quote_literal(str(gid))
                await run_to_its_end(held, f"{verb} PREPARED {name}", left_s(deadline))
            except DRIVER_ERRORS as error:
                if not says_ended(error):
                    raise
            held.abandonable = True
            return await held.written_position(left_s(deadline))

    async def position(self, shard: ShardId, deadline: Deadline) -> Position:
        """Up to where the shard's WAL is durable now.

        Raises:
            RouterError: It cannot be read now.
        """
        async with self._session(shard, SERVICE_ROLE, deadline) as held:
            return await held.written_position(left_s(deadline))

    async def forget(self, shard: ShardId, transactions: Sequence[str], deadline: Deadline) -> None:
        """Remove decisions that nobody will ask for again.

        Raises:
            RouterError: They may still be there.
        """
        async with self._session(shard, SERVICE_ROLE, deadline) as held:
            await held.execute(_begin(deadline), left_s(deadline))
            await held.fetch(_FORGET, (list(transactions),), left_s(deadline))
            await _committed(held, deadline)

    async def old(self, shard: ShardId, deadline: Deadline) -> Mapping[str, Sequence[str]]:
        """The participants of the decisions that should long be forgotten; of undone ones nobody.

        Raises:
            RouterError: They cannot be read now.
        """
        async with self._session(shard, SERVICE_ROLE, deadline) as held:
            await held.execute(_begin(deadline), left_s(deadline))
            kept = (COMMITTED_KEPT_S, ABORTED_KEPT_S)
            rows, _ = await held.fetch(_OLD, kept, left_s(deadline))
            await _committed(held, deadline)
        return {row[0]: row[2] if row[1] else () for row in rows}

    @asynccontextmanager
    async def _session(
        self, shard: ShardId, role: str, deadline: Deadline
    ) -> AsyncIterator[HeldConnection]:
        """A connection of the primary; cut off without a cancel when something fails."""
        group = self._groups().get(shard)
        if group is None:
            raise ShardDown(shard, f"the shard map in use has no shard {shard}")
        live = group.writer_at_once() or await group.writer(deadline)
        try:
            pool = live.sessions
            held = pool.take(role) or await pool.acquire(role, left_s(deadline))
        except PoolTimeout:
            raise
        except EndpointLost as error:
            live.suspect(error.message)
            raise
        put_back = pool.drop
        try:
            yield held
            put_back = pool.tidy
        except DRIVER_ERRORS as error:
            expired = deadline.remaining_s() <= 0
            scene = Scene(shard, live.name, read=False, closed=held.closed, expired=expired)
            meaning: RouterError = translated(error, scene)
            if isinstance(meaning, EndpointLost) and meaning.down:
                live.suspect(meaning.message)
            raise meaning from error
        finally:
            put_back(held)


def _begin(deadline: Deadline) -> str:
    """A transaction of the login role, with a limit of its own."""
    return f"BEGIN READ WRITE; SET LOCAL statement_timeout = {left_ms(deadline)}; {as_login()}"


async def _committed(held: HeldConnection, deadline: Deadline) -> None:
    held.abandonable = False
    await run_to_its_end(held, commit_and_clean(held.role), left_s(deadline))
    held.abandonable = True
