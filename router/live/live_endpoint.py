"""One endpoint in use: its connections, its monitor, and what is known of it."""

import time
from collections.abc import Callable

import asyncpg

from router.backend_settings import BackendSettings
from router.live.breaker import Trust
from router.live.cap import ConnectionCap
from router.live.connection import HeldConnection, LoginSource, open_held, open_session
from router.live.health import Monitor
from router.live.pools import EndpointPool
from router.live.replicas import Standing
from router.observe import Observer
from router.tasks import TaskOwner
from shardmap import Endpoint, Identity

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
        self.pool = EndpointPool(
            identity.shard_id, endpoint.name, self._open, settings, owner, cap, observe
        )
        self.monitor = Monitor(self._open_probe, settings, self.standing)
        self.monitor.changed.append(self._changed)
        self._login = login
        self._settings = settings
        self._report = report
        self._owner = owner
        self._background = (
            owner.start(self.monitor.watch(), name=f"watch {self.name}"),
            owner.start(
                self.pool.keep(lambda: self.standing.alive), name=f"keep connections {self.name}"
            ),
        )

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
        self.pool.close()
        for task in self._background:
            if task is not None:
                task.cancel()

    def _changed(self) -> None:
        if self.standing.alive or self._retired:
            return
        detail = self.monitor.detail
        self.enter("impostor" if self.monitor.impostor else "down", detail)
        if self.monitor.suspected:
            return  # what waits and what is idle may still be well
        self.pool.fail_waiting(f"{self.name} is down: {detail}")
        if time.monotonic() - self.monitor.heard_at > self._settings.abandon_after_s:
            self.pool.abandon_reads()

    async def _open(self, role: str, lifetime_share: float) -> HeldConnection:
        return await open_held(
            self.endpoint,
            self._login,
            self._settings,
            self.identity,
            role,
            lifetime_share=lifetime_share,
        )

    async def _open_probe(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await open_session(self.endpoint, self._login, self._settings, self.identity, None)
