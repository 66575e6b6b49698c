"""Role, claims and query in one round trip: several messages of the protocol before one Sync.

What stands before a Sync is one transaction. PostgreSQL enforces role and claims that an earlier
message has set (set within the statement itself they would come too late), and they are gone
behind the Sync. A second message in the same packet then cleans the session, whatever code of
users ran in between.

asyncpg opens, authenticates, encrypts and ends the connection, and does everything else on it. It
cannot send this, so the transport is ours for the length of one exchange, while asyncpg is idle.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import asyncpg
from asyncpg import connect_utils

from router.live import messages
from router.live.messages import Row
from router.live.preamble import clean

CLAIMS: Final = (
    "SELECT pg_catalog.set_config('row_security', 'on', true),"
    " pg_catalog.set_config('role', $1, true),"
    " pg_catalog.set_config('request.jwt.claims', $2, true),"
    " pg_catalog.set_config('fluxshard.tenant', $3, true)"
)
_CLAIMS_NAME: Final = b"fluxshard_claims"
CANCEL_TIMEOUT_S: Final = 1.0
MAX_PREPARED: Final = 256
"""Statements kept prepared for exchanges, per connection."""

_numbers: Final = itertools.count(1)


class OneSync:
    """Exchanges on one connection of asyncpg, one at a time."""

    __slots__ = ("_claims_prepared", "_names", "_raw", "_unwanted", "stray")

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._raw: Any = raw
        self._names: OrderedDict[str, bytes] = OrderedDict()
        self._unwanted: list[bytes] = []
        """Prepared statements to be closed along with the next exchange."""
        self._claims_prepared = False
        self.stray = False
        """An exchange was left while the server was at work: it must be cancelled."""

    def forget(self) -> None:
        """Prepare statements anew from now on: the schema has changed."""
        self._unwanted += self._names.values()
        self._names.clear()

    async def ask(
        self, sql: str, args: Sequence[object], claims: bytes, role: str, timeout_s: float
    ) -> list[Row]:
        """The rows of the statement, as text, with role and claims of `claims_message`.

        The session is clean afterwards, also after an error of the server.

        Raises:
            Unsendable: An argument has no text form that is known here. Nothing was sent.
            UnicodeEncodeError: A text cannot be sent. Nothing was sent.
            asyncpg.PostgresError: The server's error.
            TimeoutError: Time ran out. The server may be at work still.
            OSError: The connection is lost.
        """
        name = self._names.get(sql)
        preparing = b""
        if name is None:
            name = b"fluxshard_%d" % next(_numbers)
            preparing = messages.parse(name, sql)
        else:
            self._names.move_to_end(sql)
        bound = messages.bind(name, args)
        leaving = b"".join(map(messages.close, self._unwanted)) if self._unwanted else b""
        first = b"" if self._claims_prepared else messages.parse(_CLAIMS_NAME, CLAIMS)
        exchange = _Exchange(self._raw, expected_parses=bool(first) + bool(preparing))
        self.stray = True
        rows = await exchange.run(
            b"".join(
                (
                    leaving,
                    first,
                    claims,
                    preparing,
                    bound,
                    messages.EXECUTE,
                    messages.SYNC,
                    _cleaning(role),
                )
            ),
            timeout_s,
        )
        self.stray = False
        self._unwanted.clear()
        if exchange.parsed >= 1:
            self._claims_prepared = True
        if preparing and exchange.parsed == exchange.expected_parses:
            self._keep(sql, name)
        if exchange.error is not None:
            raise asyncpg.PostgresError.new(exchange.error)
        return rows

    async def ask_within(  # noqa: PLR0913 - a transaction in all its parts
        self,
        before: str,
        sql: str,
        args: Sequence[object],
        after: str,
        timeout_s: float,
        *,
        asked: str = "",
    ) -> list[Row]:
        """The rows of the statement, as text, in a transaction that `before` begins and `after` ends.

        Those of `asked`, a statement without arguments that runs behind it, follow them.

        For sessions behind a pooler: the three messages are of one transaction, so they reach one
        server, and nothing is prepared that would have to be there the next time.

        Raises:
            Exception: As `ask` does.
        """
        packet = b"".join(
            (
                messages.simple_query(before),
                messages.parse(b"", sql),
                messages.bind(b"", args),
                messages.EXECUTE,
                *(
                    (messages.parse(b"", asked), messages.bind(b"", ()), messages.EXECUTE)
                    if asked
                    else ()
                ),
                messages.SYNC,
                messages.simple_query(after),
            )
        )
        exchange = _Exchange(self._raw, expected_parses=1, before=1)
        self.stray = True
        rows = await exchange.run(packet, timeout_s)
        self.stray = False
        if exchange.error is not None:
            raise asyncpg.PostgresError.new(exchange.error)
        return rows

    async def cancel(self) -> None:
        """Ask the server to stop what it does. Bounded; failing means the server is gone."""
        raw, protocol = self._raw, self._raw._protocol  # noqa: SLF001 - asyncpg keeps the key
        self.stray = False
        if protocol is None or raw.is_closed():
            return
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                await connect_utils._cancel(  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
                    loop=raw._loop,  # noqa: SLF001
                    addr=raw._addr,  # noqa: SLF001
                    params=raw._params,  # noqa: SLF001
                    backend_pid=protocol.backend_pid,
                    backend_secret=protocol.backend_secret,
                )
        except OSError:  # TimeoutError is one
            pass

    def _keep(self, sql: str, name: bytes) -> None:
        self._names[sql] = name
        if len(self._names) > MAX_PREPARED:
            _, unwanted = self._names.popitem(last=False)
            self._unwanted.append(unwanted)


@lru_cache(maxsize=4096)
def claims_message(role: str, claims: str, tenant: str) -> bytes:
    """What sets role, claims and tenant for the messages behind it, up to the Sync.

    Raises:
        UnicodeEncodeError: A text cannot be sent.
    """
    return messages.bind(_CLAIMS_NAME, (role, claims, tenant)) + messages.EXECUTE


@lru_cache(maxsize=256)
def _cleaning(role: str) -> bytes:
    return messages.simple_query(clean(role))


class _Exchange(asyncio.Protocol):
    """Has the transport from the first byte sent to the last ReadyForQuery.

    There are two, of the statement and of what cleans up behind it, and `before` more of what
    comes before. Where nothing does, the claims are the first thing executed under the same Sync.
    """

    def __init__(self, raw: Any, *, expected_parses: int, before: int = 0) -> None:
        self._transport: asyncio.Transport = raw._transport  # noqa: SLF001 - lent to us
        self._driver: asyncio.Protocol = raw._protocol  # noqa: SLF001
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._rows: list[Row] = []
        self._executed = 0
        self._ready = 0
        self._before = before
        self.expected_parses = expected_parses
        self.parsed = 0
        self.error: dict[str, str] | None = None

    async def run(self, data: bytes, timeout_s: float) -> list[Row]:
        """Send, and wait for the last ReadyForQuery."""
        transport = self._transport
        if transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        transport.set_protocol(self)
        timer = asyncio.get_running_loop().call_later(timeout_s, self._late)
        try:
            transport.write(data)
            await self._done
        finally:
            timer.cancel()
            if transport.get_protocol() is self:
                transport.set_protocol(self._driver)
        return self._rows

    def data_received(self, data: bytes) -> None:  # noqa: C901 - one case per kind
        """Take whole messages off the buffer."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, size = 0, len(data)
        while size - at >= messages.HEAD_BYTES:
            kind, end = messages.head(data, at)
            if end > size:
                break
            if kind == messages.COMMAND_COMPLETE:
                self._executed += 1
            elif kind == messages.DATA_ROW:
                # behind the row of the claims, or behind all that comes before
                if self._ready == self._before and (self._before or self._executed == 1):
                    self._rows.append(messages.row(data, at + messages.HEAD_BYTES))
            elif kind == messages.READY:
                self._ready += 1
            elif kind == messages.PARSE_COMPLETE:
                self.parsed += 1
            elif kind == messages.ERROR and self.error is None:
                self.error = messages.error_fields(data, at + messages.HEAD_BYTES, end)
            at = end  # others (BindComplete, notices, parameters) say nothing that we need
        self._rest = data[at:]
        if self._ready == self._before + 2 and not self._done.done():
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: asyncpg is told, and whoever waits."""
        self._driver.connection_lost(exc)
        if not self._done.done():
            fatal = self.error is not None
            if fatal:
                self._done.set_result(None)  # the server said why
            else:
                self._done.set_exception(
                    ConnectionResetError(str(exc) if exc else "the server closed the connection")
                )

    def _late(self) -> None:
        if not self._done.done():
            self._done.set_exception(TimeoutError())
