"""A twin of the router's backends that has its rows in lists, for tests of answers in pieces."""

import asyncio

from router import Served, ShardReply


class ListedBackends:
    """Gives the rows of each shard in batches of `batch`. A row that is an exception is raised.

    `hold` keeps batches behind the first from coming. `opened` has the `ListedRows` by shard.
    """

    def __init__(self, shards, *, columns=("value", "k0"), batch=2):
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
        self.opened[shard] = ListedRows(self, shard, rows)
        return self.opened[shard]


class ListedRows:
    def __init__(self, backends, shard, rows):
        self.served = Served(shard, shard, replica=True)
        self.columns = backends.columns
        self.abandoned = False
        self.fetched = 0
        self.cancelled = False
        self._backends = backends
        self._rows = list(rows)

    @property
    def ended(self):
        return not self._rows if self.fetched else len(self._rows) < self._backends.batch

    async def batch(self):
        if self.fetched and self._backends.hold is not None and not self.ended:
            try:
                await self._backends.hold.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        size = self._backends.batch
        found, self._rows = self._rows[:size], self._rows[size:]
        self.fetched += len(found)
        for row in found:
            if isinstance(row, Exception):
                raise row
        return found

    def abandon(self):
        self.abandoned = True
