"""The connection that the waiting half of this layer needs; an asyncpg connection is one."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, Final, Protocol

INSTALL_LOCK: Final = 0x666C_7578_0001
"""The advisory lock under which tables of ours are made: `if not exists` alone races."""


class Row(Protocol):
    """One row: its values by the names of its columns."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""
        ...

    def items(self) -> Iterable[tuple[str, Any]]:
        """All names and values."""
        ...


class Connection(Protocol):
    """One session on PostgreSQL. Its driver's errors pass through: this layer knows no driver."""

    async def execute(self, query: str, /) -> str:
        """Run statements without parameters."""
        ...

    async def fetch(self, query: str, /, *args: object) -> Sequence[Row]:
        """All rows, their columns by name."""
        ...

    async def fetchrow(self, query: str, /, *args: object) -> Row | None:
        """The first row, or None."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction that ends with the context: commits, or rolls back on an error."""
        ...


def query(script: str) -> str:
    """The text of a packaged `.sql` file."""
    return files("shardmap").joinpath(script).read_text()


async def install(connection: Connection, script: str) -> None:
    """Run a packaged script of `create … if not exists`, one session at a time."""
    async with connection.transaction():
        await connection.fetchrow("select pg_advisory_xact_lock($1)", INSTALL_LOCK)
        await connection.execute(query(script))
