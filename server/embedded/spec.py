"""What a cluster should be: how many servers, where, how they listen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shardmap import Durability

DEFAULT_SHARDS: Final = 2
DEFAULT_REPLICAS: Final = 2
DEFAULT_BASE_PORT: Final = 15400
MAX_REPLICAS: Final = 25
"""Servers of a shard are named by letters, a to z."""
PORTS: Final = range(1024, 32768)
"""Above begins the range of ephemeral ports: a bind there would fail at random."""


@dataclass(frozen=True, slots=True)
class Tcp:
    """The servers listen on 127.0.0.1, at `base_port` and the ports after it."""

    base_port: int = DEFAULT_BASE_PORT


@dataclass(frozen=True, slots=True)
class Sockets:
    """The servers listen on Unix sockets in the cluster's directory only."""


Listen = Tcp | Sockets


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """What is asked for. None means: as the cluster is, else the default.

    `shards` and `replicas` (of every shard and of the catalog) can grow later, never shrink.
    `pg_bindir` is the `bin` directory of a PostgreSQL 15 or newer.
    """

    directory: Path
    shards: int | None = None
    replicas: int | None = None
    listen: Listen | None = None
    durability: Durability | None = None
    """Quorum unless said otherwise; without replicas there is nothing to wait for."""
    pg_bindir: Path | None = None
