"""Where a tenant's data lives, and what changes between two maps."""

from shardmap.endpoint import Durability, Endpoint, Role, Shard
from shardmap.errors import (
    InvalidMap,
    InvalidTenantKey,
    MapConflict,
    MapRefused,
    MapUnavailable,
    Problem,
    ShardMapError,
)
from shardmap.ids import CATALOG, KeyType, ShardId, TenantId, tenant_id
from shardmap.map import Pin, PinUnit, ShardMap, SlotUnit, Unit
from shardmap.placement import Global, Placement, Reference, Sharded, TableName, Unsharded
from shardmap.slots import HASH, SLOTS, slot_of

__all__ = [
    "CATALOG",
    "HASH",
    "SLOTS",
    "Durability",
    "Endpoint",
    "Global",
    "InvalidMap",
    "InvalidTenantKey",
    "KeyType",
    "MapConflict",
    "MapRefused",
    "MapUnavailable",
    "Pin",
    "PinUnit",
    "Placement",
    "Problem",
    "Reference",
    "Role",
    "Shard",
    "ShardId",
    "ShardMap",
    "ShardMapError",
    "Sharded",
    "SlotUnit",
    "TableName",
    "TenantId",
    "Unit",
    "Unsharded",
    "slot_of",
    "tenant_id",
]
