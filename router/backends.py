"""The one seam between deciding and waiting: whoever can run a statement on a shard."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from typing import NamedTuple, Protocol

from router.context import Deadline, QueryContext
from router.description import Description
from router.fences import Entries
from router.statement import WHOLE_ROWS, Served
from router.transaction_options import TransactionOptions
from router.write_key import Outcome, WriteKey
from shardmap import ShardId


class Access(Enum):
    """What a statement needs of the server that runs it."""

    READ = auto()
    """Any endpoint that has reached the reader's floor."""
    WRITE = auto()
    """The primary."""


class ShardQuery(NamedTuple):
    """One statement as it goes to one shard.

    `inline_position`: it gives exactly one row, and that row ends in two more columns, written by
    the router: `pg_is_in_recovery()` and the position that the snapshot cannot be ahead of. The
    backend takes them off. Otherwise the backend asks for the position itself, after the rows.
    `claims`: the statement may run code that reads the claims (policies, triggers, functions).
    """

    sql: str
    args: tuple[object, ...]
    access: Access
    claims: bool
    inline_position: bool = False
    exactly: int | None = None
    """Fail, rolling back, when another number of rows was returned or changed."""
    row_count_column: int | None = None
    """Where the single row of a JSON envelope holds its number of rows; None: count the rows."""
    first_rows: int = WHOLE_ROWS + 1
    """How many rows the first batch holds at most, where rows are fetched when asked for."""
    entries: Entries = ()
    """What it enters on the shard before it runs, see `router.fences`."""


class Part(NamedTuple):
    """What one shard runs of a write on several."""

    shard: ShardId
    query: ShardQuery


class Together(NamedTuple):
    """One write on several shards: the parts commit together or not at all.

    The parts are in order of shards; the first one's commit is the decision for all.
    """

    parts: tuple[Part, ...]
    exactly: int | None = None
    """Fail, rolling back, when all parts together gave another number of rows."""
    copied: str | None = None
    """The table whose rows the others take over from the first part, which runs before them.

    The last column of what it gives is the rows for them. Each row is the text of a JSON array; in
    a JSON envelope all of them are one such text. The others take them as one argument, a JSON
    array of arrays; without a row they are left out. Writers of one table take turns.
    """
    unique: tuple[str, ...] = ()
    """It writes globally unique columns of these names: their values are kept in the same commit,
    on shards of the values' own."""


class ShardReply(NamedTuple):
    """Rows of one shard, with who answered. `columns` is filled when rows came back."""

    rows: Sequence[tuple[object, ...]]
    affected: int
    """Rows returned, or changed, as the command tag says."""
    columns: tuple[str, ...]
    served: Served


class ShardRows(Protocol):
    """The rows of one shard's read, from a cursor that is open on its server.

    It occupies a connection until its last batch has been taken, or it is abandoned.
    """

    served: Served
    columns: tuple[str, ...]

    async def batch(self) -> Sequence[tuple[object, ...]]:
        """The next rows, as many as fit into a bounded memory; none: there are no more.

        Raises only errors of `router.errors`; after one there are no more. It is not repeated
        elsewhere: another server's rows would not continue these.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to be fetched from the server."""
        ...

    def abandon(self) -> None:
        """Take no more rows; the connection is freed. Harmless at any time, and at once."""
        ...


class ShardTransaction(Protocol):
    """An open transaction on one shard's primary. It occupies a connection until it is left."""

    async def run(self, query: ShardQuery, deadline: Deadline) -> ShardReply:
        """One statement's answer; one that fails ends the transaction."""
        ...

    async def commit(self, deadline: Deadline) -> None:
        """Commit it."""
        ...

    def leave(self) -> None:
        """Free the connection; what is not committed is rolled back. Harmless at any time."""
        ...


class ShardReads(Protocol):
    """Whoever can run a read on a shard."""

    async def run(self, shard: ShardId, query: ShardQuery, context: QueryContext) -> ShardReply:
        """The shard's answer."""
        ...


class Backends(Protocol):
    """Runs statements on shards: on a fresh enough replica, or on the primary.

    Raises only errors of `router.errors`. A read is repeated on another endpoint as long as the
    deadline allows; a write is sent at most once. Cancelling a call cancels its statement.
    """

    async def run(self, shard: ShardId, query: ShardQuery, context: QueryContext) -> ShardReply:
        """The shard's answer."""
        ...

    async def begin(
        self,
        shard: ShardId,
        context: QueryContext,
        options: TransactionOptions,
        entries: Entries = (),
    ) -> ShardTransaction:
        """A transaction on the shard's primary. The context's time is for all of it.

        `entries` are made as it begins; those of its statements before they run.
        """
        ...

    async def describe(
        self, shard: ShardId, sql: str, access: Access, context: QueryContext
    ) -> Description:
        """What a statement takes and gives on the shard; it is not run."""
        ...

    async def open(
        self, shard: ShardId, query: ShardQuery, context: QueryContext, until: Deadline
    ) -> ShardRows:
        """The shard's answer to a read as rows that are fetched when they are asked for.

        The first batch is there: it holds up to `first_rows`, and until then the read is repeated
        like any other. The context's time is for each batch, `until` for all of them.
        """
        ...

    def snapshot(
        self, shards: Sequence[ShardId], context: QueryContext
    ) -> AbstractAsyncContextManager[ShardReads]:
        """The shards at one moment at which no write on several of them is between its commits."""
        ...

    async def run_together(self, write: Together, context: QueryContext) -> Sequence[ShardReply]:
        """The replies of the parts, in their order, once all of them are committed.

        Of a copied write only the first part's reply, without the column of copies.
        """
        ...

    async def once(
        self,
        key: WriteKey,
        context: QueryContext,
        work: "Callable[[Backends], Awaitable[Outcome]]",
    ) -> bytes | None:
        """Do work whose writes commit together with its answer; or the answer it had before.

        The work writes by the backends that it is given. It may be asked for several times, as
        long as nothing of it remains.
        """
        ...
