"""Where a tenant's data lives, and what changes between two maps."""

from shardmap.address import Address, is_url, parse_url, split_host_port
from shardmap.credentials import Login, is_reference, resolve
from shardmap.endpoint import Durability, Endpoint, Role, Shard
from shardmap.errors import (
    CredentialsUnavailable,
    IdentityTaken,
    InvalidMap,
    InvalidTenantKey,
    InvalidUrl,
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
    "Address",
    "CredentialsUnavailable",
    "Durability",
    "Endpoint",
    "Global",
    "IdentityTaken",
    "InvalidMap",
    "InvalidTenantKey",
    "InvalidUrl",
    "KeyType",
    "Login",
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
    "is_reference",
    "is_url",
    "parse_url",
    "resolve",
    "slot_of",
    "split_host_port",
    "tenant_id",
]
