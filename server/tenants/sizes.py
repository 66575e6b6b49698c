"""How large tenants are: rows and bytes by table, counted or estimated from a sample."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shardmap import ShardId, ShardMap, TableName, TenantId


@dataclass(frozen=True, slots=True)
class Extent:
    """Rows, and the bytes of their values: without indexes, and compressed as they are stored."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: "Extent") -> "Extent":
        return Extent(self.rows + other.rows, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class TenantSize:
    """One tenant at home."""

    tenant: TenantId
    shard: ShardId
    tables: Mapping[TableName, Extent]

    @property
    def whole(self) -> Extent:
        """All of its tables."""
        return sum(self.tables.values(), Extent())


@dataclass(frozen=True, slots=True)
class TableCount:
    """What counting one table by tenant gave. `sampled`: from a part of it, scaled up."""

    shard: ShardId
    table: TableName
    by_tenant: Mapping[TenantId, Extent]
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every tenant that has rows. `unknown`: tables that could not be counted, and why."""

    tenants: Mapping[TenantId, TenantSize]
    sampled: bool = False
    unknown: tuple[str, ...] = ()

    def of(self, tenant: TenantId) -> Extent:
        """How large the tenant is; nothing where it has no rows."""
        found = self.tenants.get(tenant)
        return found.whole if found is not None else Extent()

    def largest(self) -> list[TenantSize]:
        """The tenants, the largest first; equal ones by key."""
        return sorted(
            self.tenants.values(), key=lambda one: (-one.whole.bytes, -one.whole.rows, one.tenant)
        )


@dataclass(slots=True)
class _Gathered:
    shard: ShardId
    tables: dict[TableName, Extent] = field(default_factory=dict)


def sizes_of(
    counts: Iterable[TableCount], shard_map: ShardMap, unknown: tuple[str, ...] = ()
) -> Sizes:
    """Sizes by tenant, from the counts of all shards.

    What a shard has of tenants that are at home elsewhere is on its way, or waits to be cleaned
    away; it is no part of their size.
    """
    found: dict[TenantId, _Gathered] = {}
    sampled = False
    for count in counts:
        sampled = sampled or count.sampled
        for tenant, extent in count.by_tenant.items():
            if shard_map.owner(tenant) == count.shard:
                gathered = found.setdefault(tenant, _Gathered(count.shard))
                gathered.tables[count.table] = extent
    tenants = {
        tenant: TenantSize(tenant, gathered.shard, gathered.tables)
        for tenant, gathered in found.items()
    }
    return Sizes(tenants, sampled, unknown)


def by_shard(sizes: Sizes) -> dict[ShardId, Extent]:
    """The load of every shard that has any."""
    found: defaultdict[ShardId, Extent] = defaultdict(Extent)
    for size in sizes.tenants.values():
        found[size.shard] += size.whole
    return dict(found)


def bytes_text(count: int) -> str:
    """`1.2 MB`: two digits are enough to decide by."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
