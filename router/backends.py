"""The one seam between deciding and waiting: whoever can run a statement on a shard."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

from router.context import QueryContext
from router.statement import Served
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


class ShardReply(NamedTuple):
    """Rows of one shard, with who answered. `columns` is filled when rows came back."""

    rows: Sequence[tuple[object, ...]]
    affected: int
    """Rows returned, or changed, as the command tag says."""
    columns: tuple[str, ...]
    served: Served


class Backends(Protocol):
    """Runs statements on shards: on a fresh enough replica, or on the primary.

    Raises only errors of `router.errors`. A read is repeated on another endpoint as long as the
    deadline allows; a write is sent at most once. Cancelling a call cancels its statement.
    """

    async def run(self, shard: ShardId, query: ShardQuery, context: QueryContext) -> ShardReply:
        """The shard's answer."""
        ...
