"""What a workload is: tables with data, and the operations of its clients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.workloads.operation import Operation
from shardmap import Placement, ShardId, ShardMap, TableName


@dataclass(frozen=True, slots=True)
class Size:
    """How much data, and whose."""

    tenants: int = 20
    rows: int = 5_000
    """Of each tenant."""
    only: Sequence[int] = ()
    """Operations of these tenants alone; empty: of all."""


class Workload(Protocol):
    """One workload at one size. Its tables are made once; operations are endless and seeded."""

    @property
    def data(self) -> str:
        """The name of its tables and rows; workloads of one name can share a world."""
        ...

    @property
    def tables(self) -> Mapping[TableName, Placement]:
        """Where the map places its tables."""
        ...

    @property
    def tenants(self) -> Sequence[int]:
        """Whose tokens its operations are sent with; `SERVICE` for the service's."""
        ...

    def fill(self, shard_map: ShardMap, shard: ShardId) -> Sequence[str]:
        """The statements that make tables and data of a shard."""
        ...

    def operations(self, client: int, seed: int) -> Iterator[Operation]:
        """What a client does, without end."""
        ...
