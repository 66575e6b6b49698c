"""What an error means for the endpoint that it came from: noted where it happens, for reads and writes."""

from collections.abc import Callable
from typing import Final

from router.backend_settings import BackendSettings
from router.context import QueryContext, party
from router.errors import DeadlineExceeded, IdentityMismatch, RouterError, StatementFailed
from router.live.connection import HeldConnection
from router.live.failures import (
    EndpointLost,
    PlanOutdated,
    RecoveryConflict,
    Scene,
    says_ill,
    translated,
)
from router.live.live_endpoint import LiveEndpoint
from router.live.pools import EndpointPool
from router.observe import Observer, StatementErred
from router.pooling_errors import PoolerUndeclared
from shardmap import ShardId

SCHEMA_ERRORS: Final = frozenset({"42P01", "42703", "42501"})
"""undefined_table, undefined_column, and insufficient_privilege, which is also what a policy that
is newer than our picture of the schema gives: the picture may be old."""

EARLY_S: Final = 0.01
"""PostgreSQL's timer has whole milliseconds, so a statement may be cancelled just before its time."""

CLOCK_SLACK_S: Final = 0.002
"""By how much the server's clock may ring before ours: both round."""


class Faults:
    """Takes note of errors: endpoints that look ill leave traffic, statements are made anew."""

    def __init__(
        self, settings: BackendSettings, observe: Observer, schema_doubted: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._schema_doubted = schema_doubted

    async def acquired(
        self, live: LiveEndpoint, context: QueryContext, pool: EndpointPool | None = None
    ) -> HeldConnection:
        """A connection from the endpoint's pool, or another pool of it, opened or waited for.

        Raises:
            EndpointLost: There is none to be had; the endpoint is out of traffic.
            PoolTimeout: None came free in time, or the server has no room for another.
            PoolQueueFull: Too many wait.
        """
        timeout_s = min(context.deadline.remaining_s(), self._settings.acquire_timeout_s)
        try:
            return await (pool or live.pool).acquire(context.role, timeout_s, party(context))
        except EndpointLost as error:
            live.suspect(error.message)
            raise
        except IdentityMismatch as error:
            live.suspect(error.message)
            raise EndpointLost(error.shard, live.name, error.message) from error

    def noted(  # noqa: PLR0913 - the scene of an error
        self,
        error: Exception,
        shard: ShardId,
        live: LiveEndpoint,
        held: HeldConnection,
        context: QueryContext,
        *,
        read: bool,
    ) -> RouterError:
        """The router's error for the driver's, with what it says about the endpoint noted."""
        expired = context.deadline.remaining_s() <= EARLY_S
        failure = translated(error, Scene(shard, live.name, read, held.closed, expired))
        code = failure.code
        match failure:
            case EndpointLost(down=True) | PoolerUndeclared():
                live.suspect(failure.message)
            case PlanOutdated():
                live.outdate(held)
            case DeadlineExceeded() | RecoveryConflict() if read:
                live.erred(failure.message)
            case StatementFailed():
                code = f"sqlstate:{failure.sqlstate}"
                if read and says_ill(failure.sqlstate):
                    live.erred(f"{failure.sqlstate}: {failure.message}")
                if failure.sqlstate in SCHEMA_ERRORS:
                    self._schema_doubted()
        self._observe(StatementErred(shard, live.name, code))
        return failure
