"""The shard map: one immutable document per epoch that says where every tenant lives."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shardmap.endpoint import Endpoint, Shard
from shardmap.ids import CATALOG, KeyType, ShardId, TenantId
from shardmap.numbers import CATALOG_NUMBER, numbered
from shardmap.placement import Placement, TableName, Unsharded
from shardmap.slots import slot_of


@dataclass(frozen=True, slots=True)
class SlotUnit:
    """The routing unit of an unpinned tenant: its slot."""

    slot: int


@dataclass(frozen=True, slots=True)
class PinUnit:
    """The routing unit of a pinned tenant: its own pin."""

    tenant: TenantId


Unit = SlotUnit | PinUnit


@dataclass(frozen=True, slots=True)
class Pin:
    """A tenant placed by hand, out of reach of the ring. `epoch` is the unit's own."""

    shard: ShardId
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class ShardMap:
    """Which shard owns which tenant, and where each table's rows are.

    Read once per request, so that no request sees half of two maps. `epoch` orders documents;
    what fences a tenant is the epoch of its unit (its pin, else its slot).
    """

    cluster_id: str
    epoch: int
    key_type: KeyType
    shards: Mapping[ShardId, Shard]
    """In ascending order of id."""
    catalog: Endpoint
    catalog_replicas: tuple[Endpoint, ...]
    slots: tuple[ShardId, ...]
    """4,096 of them: the home of each slot."""
    slot_epochs: Mapping[int, int] = field(default_factory=dict)
    """Epochs of the slots that ever moved; the others are at 1."""
    pins: Mapping[TenantId, Pin] = field(default_factory=dict)
    tables: Mapping[TableName, Placement] = field(default_factory=dict)
    default_placement: Placement | None = None
    """What holds for tables that are not listed; None refuses them by name."""
    numbers: Mapping[ShardId, int] = field(default_factory=dict)
    """A part of all ids that a shard makes: of every shard, and of those that have left."""
    homes: tuple[ShardId, ...] = field(init=False, repr=False, compare=False)
    """The shards that may hold a tenant's rows: owners of a slot or a pin, in order of id."""
    undivided: bool = field(init=False, repr=False, compare=False)
    """There is one shard, and every table is wholly there: no tenant has rows of its own."""

    def __post_init__(self) -> None:
        # Derived once per map: every read without a tenant asks for it.
        owners = {*self.slots, *(pin.shard for pin in self.pins.values())}
        homes = tuple(shard for shard in self.shards if shard in owners)
        object.__setattr__(self, "homes", homes)
        places = (*self.tables.values(), self.default_placement)
        undivided = len(self.shards) == 1 and all(isinstance(one, Unsharded) for one in places)
        object.__setattr__(self, "undivided", undivided)
        object.__setattr__(self, "numbers", numbered(self.shards, self.numbers))

    def owner(self, tenant: TenantId) -> ShardId:
        """The shard that holds every sharded row of the tenant. O(1)."""
        pin = self.pins.get(tenant)
        return pin.shard if pin is not None else self.slots[slot_of(tenant)]

    def unit(self, tenant: TenantId) -> Unit:
        """The entry of the map that routes the tenant."""
        return PinUnit(tenant) if tenant in self.pins else SlotUnit(slot_of(tenant))

    def unit_epoch(self, unit: Unit) -> int:
        """The epoch that fences the unit's writes; grows by one with each change of home."""
        match unit:
            case PinUnit(tenant):
                return self.pins[tenant].epoch
            case SlotUnit(slot):
                return self.slot_epochs.get(slot, 1)

    def moved(self, unit: Unit, shard: ShardId, epoch: int) -> "ShardMap":
        """The same map with another home and epoch for one of its units."""
        match unit:
            case PinUnit(tenant):
                return replace(self, pins={**self.pins, tenant: Pin(shard, epoch)})
            case SlotUnit(slot):
                slots = (*self.slots[:slot], shard, *self.slots[slot + 1 :])
                epochs = {**self.slot_epochs, slot: epoch}
                return replace(self, slots=slots, slot_epochs=epochs)

    def number(self, shard: ShardId) -> int:
        """The part of ids that says which shard, or the catalog, made them."""
        return CATALOG_NUMBER if shard == CATALOG else self.numbers[shard]

    def placement(self, table: TableName) -> Placement | None:
        """Where the table's rows are, or None: unknown, to be refused."""
        return self.tables.get(table, self.default_placement)
