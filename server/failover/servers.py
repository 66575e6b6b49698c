"""Sessions of an operator's login on the servers of one shard, and what each server says of itself.

The only place of this package where the driver's errors are caught. Sessions are on the database
`postgres`, which stays open when those of clients are shut, and wait for no standby.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final, TypeAlias

import asyncpg

from server.failover.errors import FailoverBroken
from server.failover.facts import ServerFacts
from shardmap import CredentialsUnavailable, Endpoint, Login

CONNECT_TIMEOUT_S: Final = 3.0
ANSWER_TIMEOUT_S: Final = 5.0
"""A frozen server takes connections and answers nothing: it counts as away after so long."""
PROMOTE_TIMEOUT_S: Final = 60
MAINTENANCE: Final = "postgres"
FACTS: Final = files("server.failover").joinpath("facts.sql").read_text()

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Servers:
    """The servers of a shard, by the names of their endpoints."""

    def __init__(self, endpoints: Sequence[Endpoint], login: Callable[[Endpoint], Login]) -> None:
        self._endpoints: Mapping[str, Endpoint] = {one.name: one.straight for one in endpoints}
        self._login = login

    def address(self, name: str) -> tuple[str, int]:
        """Host and port of a server."""
        endpoint = self._endpoints[name]
        return endpoint.host, endpoint.port

    async def facts(self) -> tuple[ServerFacts, ...]:
        """What each server says of itself, all asked at once, in the map's order."""
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self.fact(name)) for name in self._endpoints]
        return tuple(task.result() for task in asked)

    async def fact(self, name: str) -> ServerFacts:
        """What one server says of itself, or why it does not."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                session = await self._connected(name)
                try:
                    row = await session.fetchrow(FACTS)
                finally:
                    session.terminate()
        except TimeoutError:
            return ServerFacts(name, away="it does not answer in time")
        except (*_AWAY, CredentialsUnavailable) as error:
            return ServerFacts(name, away=str(error) or type(error).__name__)
        if row is None:
            raise AssertionError("the facts are one row")
        return ServerFacts(
            name,
            None,
            row["recovering"],
            row["system"],
            row["timeline"] or 0,
            row["lsn"] or 0,
            row["replayed"] or 0,
            row["receiving"],
            row["synchronous"] or "",
            row["conninfo"],
            row["slot"] or "",
            row["directory"],
            row["superuser"] or False,
            row["may_promote"],
        )

    @asynccontextmanager
    async def session(self, name: str) -> AsyncIterator[Session]:
        """A session on one server.

        Raises:
            FailoverBroken: It cannot be had, or broke; or the server refused a statement.
        """
        try:
            session = await self._connected(name)
            try:
                yield session
            finally:
                session.terminate()
        except (*_AWAY, CredentialsUnavailable) as error:
            reason = str(error) or type(error).__name__
            raise FailoverBroken(f"{name} did not do its part: {reason}") from error

    async def _connected(self, name: str) -> Session:
        endpoint = self._endpoints[name]
        login = self._login(endpoint)
        session: Session = await asyncpg.connect(
            host=endpoint.host,
            port=endpoint.port,
            database=MAINTENANCE,
            user=login.user,
            password=login.password,
            ssl=endpoint.tls.value if endpoint.tls is not None else None,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=PROMOTE_TIMEOUT_S + ANSWER_TIMEOUT_S,
            statement_cache_size=0,
            server_settings={
                "application_name": "fluxshard failover",
                "synchronous_commit": "local",
                "default_transaction_read_only": "off",
                "statement_timeout": "0",
            },
        )
        return session
