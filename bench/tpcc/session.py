"""Interactive transactions of the SQL API: one WebSocket each, one message for each statement."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import aiohttp

AGAIN: Final = frozenset({"40001", "40P01"})
"""What PostgreSQL ends with by chance: serialization failures and deadlocks."""
TIMEOUT_S: Final = 30.0


class Refused(Exception):
    """A statement or a commit was not answered with success."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class RolledBack(Exception):
    """The transaction is to be rolled back, as the standard wants it."""


class Reply(NamedTuple):
    """What a statement gave."""

    rows: list[list[Any]]
    changed: int


class Transaction:
    """An open one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def ask(self, sql: str, *params: object) -> Reply:
        """Run a statement.

        Raises:
            Refused: It failed.
        """
        found = await self._say({"sql": sql, "params": params})
        return Reply(found.get("rows", []), found.get("row_count", 0))

    async def end(self, how: str) -> None:
        """Commit, or roll back.

        Raises:
            Refused: It failed.
        """
        await self._say({how: True})

    async def _say(self, message: dict[str, object]) -> dict[str, Any]:
        await self._socket.send_str(json.dumps(message))
        answer = await self._socket.receive(TIMEOUT_S)
        if answer.type is not aiohttp.WSMsgType.TEXT:
            raise Refused("closed", str(answer.extra or answer.data))
        found: dict[str, Any] = json.loads(answer.data)
        if "error" in found:
            raise Refused(str(found["error"]["code"]), str(found["error"]["message"]))
        return found


class Database:
    """The SQL API, as the service."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http = http
        self._url = f"{url}/api/v1/sql/transaction"
        self._headers = {"Authorization": f"Bearer {token}"}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that is committed at the end, and rolled back when something is raised.

        Raises:
            Refused: It could not begin, or not be committed.
        """
        try:
            async with self._http.ws_connect(self._url, headers=self._headers) as socket:
                transaction = Transaction(socket)
                try:
                    yield transaction
                except RolledBack:
                    await transaction.end("rollback")
                    raise
                await transaction.end("commit")
        except aiohttp.WSServerHandshakeError as error:
            raise Refused(str(error.status), error.message) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused(type(error).__name__, str(error)) from error
