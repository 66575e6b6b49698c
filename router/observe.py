"""Facts that the router reports; logs and metrics both read them, nobody formats here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from shardmap import ShardId


class StatementServed(NamedTuple):
    """One shard answered one statement."""

    shard: ShardId
    endpoint: str
    replica: bool
    write: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class StatementErred:
    """One shard did not answer: `code` is ours, or `sqlstate:…`."""

    shard: ShardId
    endpoint: str
    code: str


@dataclass(frozen=True, slots=True)
class ReadRetried:
    """A read that failed on one endpoint goes to another."""

    shard: ShardId
    endpoint: str
    code: str


@dataclass(frozen=True, slots=True)
class FreshnessMissed:
    """No replica reached the reader's floor in time: the primary answers."""

    shard: ShardId
    waited_s: float


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """An endpoint's state as probes see it, such as `up`, `down`, `primary` or `replica`."""

    shard: ShardId
    endpoint: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class CommitLost:
    """A commit's outcome is unknown: the server was lost while it committed."""

    shard: ShardId
    endpoint: str


@dataclass(frozen=True, slots=True)
class MapAdopted:
    """A new shard map is in use."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SchemaAdopted:
    """A new reading of the catalogs is in use."""

    version: str
    tables: int


Observation = (
    StatementServed
    | StatementErred
    | ReadRetried
    | FreshnessMissed
    | EndpointChanged
    | CommitLost
    | MapAdopted
    | SchemaAdopted
)

Observer = Callable[[Observation], None]
"""Called on the event loop for every fact; must not wait and must not raise."""
