"""A twin of the router's backends: one plain connection per shard, no pools, roles or replicas.

For tests of what the router decides and combines, against real PostgreSQL servers.
"""

import re
from contextlib import AsyncExitStack

import asyncpg

from router import (
    WHOLE_ROWS,
    RowCountUnexpected,
    Served,
    ShardQuery,
    ShardReply,
    StatementFailed,
)
from tests.fakes.together import run_parts


class DirectBackends:
    """Runs each statement on the connection of its shard, writes in a transaction."""

    def __init__(self, connections):
        self.connections = connections

    async def run(self, shard, query: ShardQuery, context) -> ShardReply:
        try:
            async with self.connections[shard].transaction():
                return await self._run(shard, query)
        except asyncpg.PostgresError as error:
            raise StatementFailed(error.sqlstate, str(error)) from error

    async def run_together(self, write, context):
        try:
            async with AsyncExitStack() as transactions:
                for part in write.parts:
                    connection = self.connections[part.shard]
                    await transactions.enter_async_context(connection.transaction())
                return await run_parts(write, self._run)
        except asyncpg.PostgresError as error:
            raise StatementFailed(error.sqlstate, str(error)) from error

    async def _run(self, shard, query):
        connection = self.connections[shard]
        prepared = await connection.prepare(query.sql)
        rows = [tuple(record) for record in await prepared.fetch(*query.args)]
        affected = _affected(prepared.get_statusmsg())
        if query.row_count_column is not None:
            affected = rows[0][query.row_count_column]
        if query.exactly is not None and affected != query.exactly:
            raise RowCountUnexpected(query.exactly, affected)
        if query.inline_position:
            rows = [row[:-2] for row in rows]
        columns = tuple(attribute.name for attribute in prepared.get_attributes())
        return ShardReply(rows, affected, columns, Served(shard, f"{shard}-a", replica=False))

    async def open(self, shard, query: ShardQuery, context, until) -> "DirectRows":
        return DirectRows(await self.run(shard, query, context))


class DirectRows:
    """A cursor that has all its rows, and gives the first `WHOLE_ROWS` + 1, then few at a time."""

    FEW = 7

    def __init__(self, reply):
        self.served = reply.served
        self.columns = reply.columns
        self._rows = reply.rows
        self._next = WHOLE_ROWS + 1
        self.abandoned = False

    async def batch(self):
        found, self._rows = self._rows[: self._next], self._rows[self._next :]
        self._next = self.FEW
        return found

    @property
    def ended(self):
        return len(self._rows) < self._next

    def abandon(self):
        self._rows = []
        self.abandoned = True


def _affected(status):
    numbers = re.findall(r"\d+", status or "")
    return int(numbers[-1]) if numbers else 0
