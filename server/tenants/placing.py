"""Where a tenant is, and by which entry of the map, for programs."""

from typing import Any

from shardmap import PinUnit, ShardMap, TenantId, slot_of


def placing(shard_map: ShardMap, tenant: TenantId) -> dict[str, Any]:
    """What the map says of the tenant."""
    unit = shard_map.unit(tenant)
    return {
        "tenant": tenant,
        "shard": shard_map.owner(tenant),
        "unit": "pin" if isinstance(unit, PinUnit) else "slot",
        "slot": slot_of(tenant),
        "unit_epoch": shard_map.unit_epoch(unit),
    }
