"""What one endpoint is right now: probed every quarter of a second on a connection of its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import asyncpg

from router.backend_settings import BackendSettings
from router.errors import IdentityMismatch, ShardUnavailable
from router.fences import ShardFences
from router.live.discovered import Standby
from router.live.failures import DRIVER_ERRORS
from router.live.history import read_history_file
from router.live.known_fences import FENCES, read_fences
from router.live.quorum import HIDDEN, Quorum, confirmed, needed
from router.live.replicas import Standing

HISTORY_FILE: Final = "SELECT pg_catalog.pg_read_file('pg_wal/' || $1 || '.history', true)"
"""Where the ancestors of a timeline ended; for superusers, and roles that may execute the function."""

PROBE: Final = files("router.live").joinpath("probe.sql").read_text()
STANDBYS: Final = files("router.live").joinpath("standbys.sql").read_text()

LOOK_AGAIN_S: Final = 10.0
"""Age at which the probe's connection is opened anew: another server may answer at the address by
now, while those who are connected to the old one notice nothing."""
HURRIED_S: Final = 0.05
"""Between two probes while writes wait for a primary."""

ProbeOpener = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]


@dataclass(frozen=True, slots=True)
class Health:
    """What one good probe said."""

    in_recovery: bool
    timeline: int
    lsn: int
    replayed_s: float | None
    """How old the last replayed transaction is while received WAL waits; 0: none waits."""
    synchronous: int
    """How many standbys must confirm a commit; 0 on replicas."""
    confirmed_lsn: int | None
    """What they have confirmed; None: unknown."""
    sync_hidden: bool
    """The login role may not see the standbys (it lacks pg_monitor)."""
    prepared: tuple[tuple[str, float], ...]
    """Names and ages in seconds of our transactions that are prepared on a primary."""
    started: float
    """When the server started, in seconds of its own clock: no other one did at that moment."""


def read_health(row: asyncpg.Record) -> Health:
    """The probe's row as a value."""
    states = row["sync_states"] or ()
    synchronous = needed(row["synchronous_standby_names"] or "")
    return Health(
        in_recovery=row["recovering"],
        timeline=row["timeline"] or 0,
        lsn=row["lsn"] or 0,
        replayed_s=row["replayed_s"],
        synchronous=synchronous,
        confirmed_lsn=confirmed(synchronous, states, row["flush_lsns"] or ())
        if synchronous
        else None,
        sync_hidden=HIDDEN in states,
        prepared=tuple(zip(row["prepared_names"] or (), row["prepared_ages"] or (), strict=True)),
        started=row["started"],
    )


def read_standbys(rows: Sequence[asyncpg.Record]) -> tuple[Standby, ...] | None:
    """The standbys of a primary; None: the login role may not see them."""
    if any(row["hidden"] for row in rows):
        return None
    return tuple(Standby(row["application_name"] or "", row["client_address"]) for row in rows)


class Monitor:
    """Watches one endpoint and keeps its `Standing`.

    Errors that requests meet count at once (`suspect`); trust comes back only by a good probe.
    `changed` is called after each probe and each suspicion.
    """

    def __init__(self, opener: ProbeOpener, settings: BackendSettings, standing: Standing) -> None:
        self._opener = opener
        self._settings = settings
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._wake = asyncio.Event()
        self._asking: list[asyncio.Future[None]] = []
        self.standing = standing
        self.quorum = Quorum()
        self.synchronous: int | None = None
        """How many standbys confirm a commit, by the last good probe; None: it was no primary."""
        self._hurried = 0
        self._opened_at = 0.0
        self.prepared: tuple[tuple[str, float], ...] = ()
        """Names and ages in seconds of our transactions that the last good probe found prepared."""
        self.started: float | None = None
        """When the server started, by its own clock."""
        self.standbys: tuple[Standby, ...] | None = ()
        """Those that are connected to it, if replicas are to be discovered; None: hidden."""
        self.fences: ShardFences | None = None
        """What it last said of the fences; None: nothing, or it has none."""
        self.detail = "not probed yet"
        """Why it is down, or empty."""
        self.impostor = False
        """Another server answers at the address."""
        self.changed: list[Callable[[], None]] = []
        self.ancestry: Mapping[int, int] | None = None
        """Where the ancestors of this primary's timeline ended; None: it cannot be read."""
        self._ancestry_of = 1
        self.heard_at = time.monotonic()
        """When it last gave a sign of life."""
        self.suspected = False
        """It is down because of what a request met; the probe that decides is on its way."""
        self._suspected_at = float("-inf")

    async def watch(self) -> None:
        """Probe for ever; the owner cancels."""
        try:
            while True:
                asking, self._asking = self._asking, []
                self._wake.clear()
                await self._probe()
                for waiter in asking:
                    if not waiter.done():
                        waiter.set_result(None)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._wake.wait()
        finally:
            self._hang_up()
            for waiter in self._asking:
                waiter.cancel()

    def ask(self) -> "asyncio.Future[None]":
        """Done after the next probe, which starts at once. Everybody who asks meanwhile shares it."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.append(waiter)
        self._wake.set()
        return waiter

    def doubt(self) -> None:
        """Make the next probe on a new connection: another server may answer at the address."""
        self._opened_at = float("-inf")

    def look_again(self) -> None:
        """The same, and soon."""
        self.doubt()
        self._wake.set()

    def hurry(self, wanted: bool) -> None:  # noqa: FBT001 - one who waits, more or less
        """Probe more often, as long as anybody wants it."""
        self._hurried += 1 if wanted else -1
        if wanted:
            self._wake.set()

    def suspect(self, detail: str) -> None:
        """A request met an error that says the endpoint is not well: no traffic until proved."""
        self._suspected_at = time.monotonic()
        self.suspected = self.standing.alive or self.suspected
        self._fell(detail)
        self._wake.set()

    def touch(self) -> None:
        """The standing was corrected by a request: let everybody know, and probe soon."""
        self._notify()
        self._wake.set()

    def _pause_s(self) -> float:
        interval_s = self._settings.probe_interval_s
        return min(HURRIED_S, interval_s) if self._hurried else interval_s

    async def _probe(self) -> None:
        began = time.monotonic()
        before = self._connection
        try:
            async with asyncio.timeout(self._settings.probe_timeout_s):
                row = await self._asked_as_before() or await self._asked_anew()
                await self._read_ancestry(row)
                await self._read_fences()
                if self._settings.discover and self._connection is not None:
                    recovering = row is None or row["recovering"]
                    rows = () if recovering else await self._connection.fetch(STANDBYS)
                    self.standbys = read_standbys(rows)
        except IdentityMismatch as error:
            self.impostor = True
            self._failed(error.message)
        except ShardUnavailable as error:
            self._failed(error.message)
        except TimeoutError:
            self._failed(f"no answer within {self._settings.probe_timeout_s:g} s")
        except DRIVER_ERRORS as error:
            self._failed(str(error) or type(error).__name__)
        else:
            if row is not None:
                self._rose(read_health(row), began, anew=self._connection is not before)

    async def _asked_as_before(self) -> asyncpg.Record | None:
        """The answer over the open connection, or None: there is none, or it had ended.

        That the server ended one idle session says nothing of the server.
        """
        if time.monotonic() - self._opened_at > LOOK_AGAIN_S:
            self._hang_up()
        if self._connection is None:
            return None
        try:
            began = time.monotonic()
            row = await self._connection.fetchrow(PROBE)
            self.standing.probed_in(time.monotonic() - began)
        except TimeoutError:
            raise
        except DRIVER_ERRORS:
            if not self._connection.is_closed():
                raise
            self._hang_up()
            return None
        return row

    async def _asked_anew(self) -> asyncpg.Record | None:
        self._opened_at = time.monotonic()
        self._connection = await self._opener()
        return await self._connection.fetchrow(PROBE)

    async def _read_ancestry(self, row: asyncpg.Record | None) -> None:
        """Read a primary's timeline history, once for each timeline."""
        if row is None or row["recovering"] or (row["timeline"] or 0) <= self._ancestry_of:
            return
        timeline: int = row["timeline"]
        self.ancestry = None
        if self._connection is not None:
            with suppress(asyncpg.InsufficientPrivilegeError):
                text = await self._connection.fetchval(HISTORY_FILE, f"{timeline:08X}")
                self.ancestry = read_history_file(text or "")
        self._ancestry_of = timeline

    async def _read_fences(self) -> None:
        """Read the fences anew if they changed. Where nothing is prepared, nobody asks for any."""
        if self._connection is None or self._settings.bare:
            return
        known = -1 if self.fences is None else self.fences.version
        try:
            row = await self._connection.fetchrow(FENCES, known)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            row = None  # nobody has prepared the database yet, so nothing ever moved
        if row is None:
            self.fences = None
        elif row["rows"] is not None:
            self.fences = read_fences(row["version"], row["rows"])

    def _rose(self, health: Health, began: float, *, anew: bool) -> None:
        standing = self.standing
        anew = anew and health.started != self.started
        self.impostor = False
        self.heard_at = time.monotonic()
        # Another server, or one that was rewound: only then may positions go back.
        standing.lsn = health.lsn if anew else max(standing.lsn, health.lsn)
        standing.timeline = health.timeline if anew else max(standing.timeline, health.timeline)
        standing.in_recovery = health.in_recovery
        standing.replayed_s = health.replayed_s
        standing.probed_at, standing.probed_lsn = began, health.lsn
        self.synchronous = None if health.in_recovery else health.synchronous
        self.prepared = health.prepared
        self.started = health.started
        if began > self._suspected_at:  # else it may have answered just before it fell
            standing.proved_at = began
            standing.rise(self.heard_at)
            self.suspected = False
            self.detail = ""
        standing.fade()
        if health.confirmed_lsn is None:
            self.quorum.forget()
        else:
            self.quorum.sample(began, health.lsn, health.confirmed_lsn)
        self._notify()

    def _failed(self, detail: str) -> None:
        self._hang_up()
        self.standing.cold = True
        self.suspected = False
        self._fell(detail)

    def _fell(self, detail: str) -> None:
        self.standing.alive = False
        self.detail = detail
        self._notify()

    def _notify(self) -> None:
        for callback in self.changed:
            callback()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
