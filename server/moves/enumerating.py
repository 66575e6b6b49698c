"""Which tenants have rows in some slots: the hash is not PostgreSQL's, so their keys are read."""

from collections.abc import Collection, Sequence

from server.moves.group import quoted, relation, sharded_tables
from server.moves.sessions import Places, Session
from shardmap import ShardId, ShardMap, TenantId, slot_of, tenant_id


async def tenants_of_slots(
    places: Places, shard: ShardId, slots: Sequence[int]
) -> tuple[TenantId, ...]:
    """The unpinned tenants of these slots that have rows on the shard, in order of key.

    Raises:
        MoveAway: The shard does not answer.
    """
    async with places.primary(shard) as session:
        return await enumerate_tenants(session, places.shard_map, frozenset(slots))


async def enumerate_tenants(
    session: Session, shard_map: ShardMap, slots: Collection[int]
) -> tuple[TenantId, ...]:
    """The same, asked in a session. One skip scan for each table: as many look-ups as tenants."""
    found: set[TenantId] = set()
    for table, column in sharded_tables(shard_map).items():
        name, key = relation(table), quoted(column)
        rows = await session.fetch(
            f"WITH RECURSIVE keys AS ("  # noqa: S608 - quoted names
            f" (SELECT {key} AS key FROM {name} WHERE {key} IS NOT NULL ORDER BY {key} LIMIT 1)"
            f" UNION ALL SELECT (SELECT t.{key} FROM {name} AS t WHERE t.{key} > keys.key"
            f" ORDER BY t.{key} LIMIT 1) FROM keys WHERE keys.key IS NOT NULL)"
            f" SELECT key::text AS key FROM keys WHERE key IS NOT NULL"
        )
        found |= {tenant_id(shard_map.key_type, row["key"]) for row in rows}
    return tuple(
        sorted(
            tenant for tenant in found if tenant not in shard_map.pins and slot_of(tenant) in slots
        )
    )
