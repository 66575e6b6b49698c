"""Where a table's rows are: by tenant, on every shard, or in the catalog."""

from dataclasses import dataclass
from typing import NewType

TableName = NewType("TableName", str)
"""`schema.table`, as PostgreSQL stores the names (no quotes, no case folding)."""


@dataclass(frozen=True, slots=True)
class Sharded:
    """Each row lives on the shard that owns the tenant in `column`.

    Rule 8: what makes rows unique contains that column, or the columns of one of `unique_ids`,
    which are unique in the whole cluster by the way they are made, or of one of `global_unique`,
    whose values are kept so by every write.
    """

    column: str
    unique_ids: tuple[tuple[str, ...], ...] = ()
    global_unique: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole table is on every shard, the same everywhere."""


@dataclass(frozen=True, slots=True)
class Global:
    """The table is in the catalog's database only, for the service role only."""


@dataclass(frozen=True, slots=True)
class Unsharded:
    """The table is on the one shard there is. Only maps with a single shard have it."""


Placement = Sharded | Reference | Global | Unsharded
