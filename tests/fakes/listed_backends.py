"""A twin of the router's backends that has its rows in lists, for tests of answers in pieces."""

import asyncio

from router import Served, ShardReply


class ListedBackends:
    """Gives the rows of each shard: the first batch as asked for, then batches of `batch`.

    A row behind the first batch that is an exception is raised.

    `hold` keeps batches behind the first from coming. `opened` has the `ListedRows` by shard.
    """

    def __init__(self, shards, *, columns=("value", "k0"), batch=100):
        self.shards = shards
        self.columns = columns
        self.batch = batch
        self.opened = {}
        self.queries = []
        self.reply = None
        self.hold = None
        self.stuck = asyncio.Event()

    async def run(self, shard, query, context):
        self.queries.append((shard, query))
        if self.reply is None:
            raise AssertionError("nothing is run at once here")
        return ShardReply(self.reply, self.reply[0][1], (), Served(shard, shard, replica=True))

    async def open(self, shard, query, context, until):
        self.queries.append((shard, query))
        rows = self.shards[shard]
        if isinstance(rows, Exception):
            raise rows
        if rows == "never":
            self.stuck.set()
            await asyncio.Event().wait()
        self.opened[shard] = ListedRows(self, shard, rows, query.first_rows)
        return self.opened[shard]


class ListedRows:
    def __init__(self, backends, shard, rows, first_rows):
        self.served = Served(shard, shard, replica=True)
        self.columns = backends.columns
        self.abandoned = False
        self.cancelled = False
        self.ended = False
        self.fetched = 0
        self._backends = backends
        self._rows = list(rows)
        self._first = self._take(first_rows)

    def _take(self, size):
        found, self._rows = self._rows[:size], self._rows[size:]
        self.fetched += len(found)
        self.ended = len(found) < size
        return found

    async def batch(self):
        if self._first or self.ended:
            found, self._first = self._first, []
            return found
        if self._backends.hold is not None:
            try:
                await self._backends.hold.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        found = self._take(self._backends.batch)
        for row in found:
            if isinstance(row, Exception):
                raise row
        return found

    def abandon(self):
        self.abandoned = True
