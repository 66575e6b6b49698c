"""Shard maps in words: a summary, where one tenant lives and why, and the history."""

from collections.abc import Sequence
from typing import Any

from shardmap import (
    HASH,
    Endpoint,
    MapRecord,
    PinUnit,
    ShardMap,
    TenantId,
    slot_of,
)


def explanation(shard_map: ShardMap, tenant: TenantId) -> dict[str, Any]:
    """Where the tenant lives and what decides it, for programs."""
    unit = shard_map.unit(tenant)
    shard = shard_map.shards[shard_map.owner(tenant)]
    return {
        "tenant": tenant,
        "key_type": shard_map.key_type.value,
        "hash": HASH,
        "slot": slot_of(tenant),
        "unit": "pin" if isinstance(unit, PinUnit) else "slot",
        "unit_epoch": shard_map.unit_epoch(unit),
        "slot_home": shard_map.slots[slot_of(tenant)],
        "shard": shard.id,
        "primary": _endpoint(shard.primary),
        "replicas": [_endpoint(replica) for replica in shard.replicas],
        "durability": shard.durability.value,
        "region": shard.region,
        "cluster_id": shard_map.cluster_id,
        "map_epoch": shard_map.epoch,
    }


def explanation_text(found: dict[str, Any]) -> str:
    """The same for people."""
    pinned = found["unit"] == "pin"
    rows = [
        ("tenant", f"{found['tenant']} ({found['key_type']})"),
        ("slot", f"{found['slot']} ({found['hash']}), of {found['slot_home']}"),
        ("pinned", f"to {found['shard']}" if pinned else "no"),
        ("unit", f"its {'pin' if pinned else 'slot'}, epoch {found['unit_epoch']}"),
        ("shard", f"{found['shard']} ({found['durability']})"),
        ("primary", found["primary"]),
        *(("replica", replica) for replica in found["replicas"]),
        ("map", f"epoch {found['map_epoch']} of cluster {found['cluster_id']}"),
    ]
    return "".join(f"{name:<8}  {value}\n" for name, value in rows)


def history_text(records: Sequence[MapRecord]) -> str:
    """A table of who applied what, with the reason last because it may be long."""
    rows = [("EPOCH", "APPLIED", "AUTHOR", "CONTENT", "REASON")]
    rows += [
        (
            str(record.epoch),
            record.created_at.isoformat(sep=" ", timespec="seconds"),
            record.author,
            record.content_hash[:12],
            record.reason,
        )
        for record in records
    ]
    return columns_text(rows)


def columns_text(rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, its first row the names of the columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def _endpoint(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{endpoint.name} {endpoint.user}@{host}:{endpoint.port}/{endpoint.database}"
