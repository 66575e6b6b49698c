"""A plan: where one statement goes with these arguments, and how the answers become one.

Plans are data: they can be compared, printed and checked in. No connection, closure or tree.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from router.analysis.query import PulledTable, Reply, SortKey, Total
from router.backends import ShardQuery, Together
from shardmap import ShardId


@dataclass(frozen=True, slots=True)
class OneShard:
    """Every row concerned is on the shard that owns one tenant, or on the only home there is."""

    shard: ShardId


@dataclass(frozen=True, slots=True)
class AnyShard:
    """Each shard could answer alone; this one is asked."""

    shard: ShardId


@dataclass(frozen=True, slots=True)
class SomeShards:
    """The rows are on the shards of several named tenants."""

    shards: tuple[ShardId, ...]


@dataclass(frozen=True, slots=True)
class EveryShard:
    """The rows can be on any shard that is the home of a tenant."""

    shards: tuple[ShardId, ...]


Route = OneShard | AnyShard | SomeShards | EveryShard


@dataclass(frozen=True, slots=True)
class Single:
    """One shard's answer is the answer."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Rows of several shards, merged by hidden sort columns (none: in order of shards), then cut.

    `limit` None means all rows. NULLs and directions are each key's own.
    """

    sort: tuple[SortKey, ...]
    limit: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class Collect:
    """Replies of a write on several shards: numbers added, rows one shard after the other.

    `order` gives each row of the input the position of its shard: where every shard returned all
    its rows they are put back into that order.
    """

    order: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class PullUp:
    """The shards' replies are rows of tables; `shard` computes the statement over them.

    They follow the arguments of `query` as arrays, in the order of `tables`. More rows or bytes
    than this, of all tables and shards together, are refused.
    """

    tables: tuple[PulledTable, ...]
    shard: ShardId
    query: ShardQuery
    most_rows: int
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Each shard's answer is one row of integers, of which each column becomes one of all."""

    columns: tuple[Total, ...]


Combine = Single | Merge | Collect | PullUp | Totals


class PullUpLimits(NamedTuple):
    """How much one statement may fetch from all shards into one server."""

    rows: int = 100_000
    bytes: int = 64 * 1024 * 1024


PULL_UP_LIMITS: Final = PullUpLimits()


class Plan(NamedTuple):
    """What to run where."""

    route: Route
    query: ShardQuery
    combine: Combine
    reply: Reply
    total: bool
    together: Together | None = None
    """What each shard runs, where that is not the same; committed on all of them or on none."""


def shards_of(route: Route) -> tuple[ShardId, ...]:
    """The shards that a route asks, in order."""
    match route:
        case OneShard(shard) | AnyShard(shard):
            return (shard,)
        case SomeShards(shards) | EveryShard(shards):
            return shards
