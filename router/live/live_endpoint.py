"""One endpoint in use: its connections, its monitor, and what is known of it."""

import time
from collections.abc import Callable
from dataclasses import replace

import asyncpg

from router.backend_settings import BackendSettings
from router.live.breaker import Trust
from router.live.cap import ConnectionCap
from router.live.connection import HeldConnection
from router.live.health import Monitor
from router.live.opening import LoginSource, open_held, open_session
from router.live.pools import EndpointPool
from router.live.replicas import Standing
from router.observe import Observer
from router.pooling_errors import SessionNeeded
from router.tasks import TaskOwner
from shardmap import Endpoint, Identity, Pooling

Reporter = Callable[["LiveEndpoint", str, str], None]
"""Told of each change of state: the endpoint, its new state, why."""


class LiveEndpoint:
    """The connections and the standing of one database on one server.

    A shard and the catalog may share it, when they are the same database.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - an endpoint is put together in one place
        self,
        endpoint: Endpoint,
        identity: Identity,
        login: LoginSource,
        settings: BackendSettings,
        owner: TaskOwner,
        report: Reporter,
        cap: ConnectionCap,
        observe: Observer,
    ) -> None:
        self.endpoint = endpoint
        self.name = endpoint.name
        self.identity = identity
        self.standing = Standing(weight=endpoint.weight, zone=endpoint.zone)
        self.state = "unknown"
        self._retired = False
        self._login = login
        self._settings = settings
        self._report = report
        self._owner = owner
        shared = (owner, cap, observe)
        self.pool = EndpointPool(
            identity.shard_id,
            endpoint.name,
            self._open,
            settings,
            *shared,
            limit=settings.max_connections,
            pooled=endpoint.pooling is not Pooling.NONE,
        )
        self._sessions: EndpointPool | None = self.pool
        """What has sessions of its own; None: nothing that we know a way to."""
        if endpoint.pooling is Pooling.TRANSACTION:
            self._sessions = None
            if endpoint.direct is not None:
                self._sessions = EndpointPool(
                    identity.shard_id,
                    f"{endpoint.name} (direct)",
                    self._open_straight,
                    replace(settings, min_connections=0),
                    *shared,
                    limit=settings.direct_connections,
                )
        others = (self._sessions,) if self._sessions not in {None, self.pool} else ()
        self._pools = (self.pool, *others)
        self.monitor = Monitor(self._open_probe, settings, self.standing)
        self._started: float | None = None
        """When the server started that our connections lead to."""
        self.monitor.changed.append(self._changed)
        self._background = (
            owner.start(self.monitor.watch(), name=f"watch {self.name}"),
            *(
                owner.start(pool.keep(lambda: self.standing.alive), name=f"keep {self.name}")
                for pool in self._pools
            ),
        )

    @property
    def sessions(self) -> EndpointPool:
        """Connections with sessions of their own: the pool, where no pooler takes them away.

        Raises:
            SessionNeeded: There is such a pooler, and no way past it.
        """
        if self._sessions is None:
            raise SessionNeeded(f"only a pooler in transaction mode leads to {self.name}")
        return self._sessions

    def outdate(self, held: HeldConnection) -> None:
        """A prepared statement of this connection is outdated: so may be everybody's."""
        for pool in self._pools:
            pool.outdate(held)

    def suspect(self, detail: str) -> None:
        """Take it out of traffic at once, because a request met an error; a probe brings it back.

        What is lost together counts as one failure.
        """
        if self._retired:
            return
        if self.standing.alive:
            self.standing.breaker.failed(detail, hard=True)
        self.monitor.suspect(detail)

    def erred(self, detail: str) -> None:
        """A read failed in a way that may be its fault, on a connection that is well."""
        breaker = self.standing.breaker
        breaker.failed(detail, hard=False)
        tried = breaker.trust is Trust.ON_TRIAL
        if tried or breaker.in_row >= self._settings.ejecting.failures_in_row:
            self.monitor.touch()

    def demoted(self) -> None:
        """It refused a write as read-only: a primary no more, whatever the last probe said."""
        self.standing.in_recovery = True
        self.monitor.doubt()
        self.monitor.touch()

    def rename(self, endpoint: Endpoint) -> None:
        """Take over the name, weight and zone that a newer map gives to the same database."""
        self.endpoint = endpoint
        self.name = endpoint.name
        self.standing.weight = endpoint.weight
        self.standing.zone = endpoint.zone

    def enter(self, state: str, detail: str) -> None:
        """Report the state when it is another than before."""
        if state != self.state:
            self.state = state
            self._report(self, state, detail)

    def retire(self) -> None:
        """Leave the map: no new work; what runs may end."""
        self._retired = True
        self.standing.alive = False
        for pool in self._pools:
            pool.close()
        for task in self._background:
            if task is not None:
                task.cancel()

    def cut(self) -> None:
        """Cut off whatever is still open."""
        for pool in self._pools:
            pool.cut()

    def _changed(self) -> None:
        started = self.monitor.started
        if started != self._started:
            if self._started is not None:
                for pool in self._pools:
                    pool.displace()
            self._started = started
        if self.standing.alive or self._retired:
            return
        detail = self.monitor.detail
        self.enter("impostor" if self.monitor.impostor else "down", detail)
        if self.monitor.suspected:
            return  # what waits and what is idle may still be well
        silent_s = time.monotonic() - self.monitor.heard_at
        for pool in self._pools:
            pool.fail_waiting(f"{self.name} is down: {detail}")
            if silent_s > self._settings.abandon_after_s:
                pool.abandon_reads()

    async def _open(self, role: str, lifetime_share: float) -> HeldConnection:
        return await self._opened(self.endpoint, role, lifetime_share)

    async def _open_straight(self, role: str, lifetime_share: float) -> HeldConnection:
        return await self._opened(self.endpoint.straight, role, lifetime_share)

    async def _opened(self, endpoint: Endpoint, role: str, lifetime_share: float) -> HeldConnection:
        return await open_held(
            endpoint,
            self._login,
            self._settings,
            self.identity,
            role,
            lifetime_share=lifetime_share,
        )

    async def _open_probe(self) -> "asyncpg.Connection[asyncpg.Record]":
        straight = self.endpoint.straight
        return await open_session(straight, self._login, self._settings, self.identity, None)
