"""`/api/v1/admin/tenants`: where tenants are and how large, for operators."""

from typing import Any, Final

from server.admin.map import PATH
from server.admin.operator import Operators, arguments, json_reply, number
from server.exchange import Reply, Request
from server.mapchange.applying import stored_map
from server.routes import Route
from server.tenants.measuring import measure, tenant_extents
from server.tenants.placing import placing
from server.tenants.sizes import Extent, TenantSize, by_shard
from shardmap import ShardMap, tenant_id

_LIMITS: Final = range(1, 10_001)


class TenantsDoor:
    """Counts on the shards when it is asked; nothing is kept."""

    def __init__(self, operators: Operators) -> None:
        self._operators = operators

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        only = self._operators.only
        return (
            Route("GET", f"{PATH}/tenants", only(self.list)),
            Route("GET", f"{PATH}/tenants/{{tenant}}", only(self.show)),
        )

    async def list(self, request: Request) -> Reply:
        """The largest tenants that have rows, and what each shard has in all."""
        limit = number(arguments(request), "limit", _LIMITS) or 100
        shard_map = await self._map()
        sizes = await measure(shard_map, self._operators.environ)
        return json_reply(
            {
                "tenants": [tenant_document(shard_map, one) for one in sizes.largest()[:limit]],
                "count": len(sizes.tenants),
                "shards": {shard: _extent(one) for shard, one in sorted(by_shard(sizes).items())},
                "sampled": sizes.sampled,
                "not_counted": list(sizes.unknown),
            }
        )

    async def show(self, request: Request) -> Reply:
        """One tenant, its rows counted exactly by table. One without rows has a home as well."""
        shard_map = await self._map()
        tenant = tenant_id(shard_map.key_type, request.params["tenant"])
        tables = await tenant_extents(shard_map, self._operators.environ, tenant)
        size = TenantSize(tenant, shard_map.owner(tenant), tables)
        return json_reply(
            {
                **tenant_document(shard_map, size),
                "tables": {table: _extent(extent) for table, extent in size.tables.items()},
            }
        )

    async def _map(self) -> ShardMap:
        return await stored_map(self._operators.catalogue()) or self._operators.current_map()


def tenant_document(shard_map: ShardMap, size: TenantSize) -> dict[str, Any]:
    """Where a tenant is and how large, for programs."""
    return {**placing(shard_map, size.tenant), **_extent(size.whole)}


def _extent(extent: Extent) -> dict[str, int]:
    return {"rows": extent.rows, "bytes": extent.bytes}
