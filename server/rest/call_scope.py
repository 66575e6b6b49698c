"""On whose shard a function runs that somebody calls who is of no tenant: the service role.

Nothing in a call says which tables the function reads. With a tenant it runs where that tenant is;
without one, a function that reads sharded tables would see one shard's rows and be believed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from router import Routine, Schema
from server.exchange import Principal
from server.rest.errors import FeatureMissing
from shardmap import KeyType, TableName, TenantId, tenant_id

_INTEGERS: Final = frozenset({"int2", "int4", "int8"})


class CallScope:
    """Knows which arguments name a tenant: those that are named as tables' tenant columns are."""

    def __init__(self, tenant_column: Callable[[TableName], str | None]) -> None:
        self._tenant_column = tenant_column
        self._columns: tuple[Schema, frozenset[str]] | None = None

    def caller(
        self, who: Principal, schema: Schema, routine: Routine, given: Mapping[str, object]
    ) -> Principal:
        """The caller as the call is made: of the tenant that an argument names, if they have none.

        Raises:
            FeatureMissing: The function may read rows of tenants, and none is named.
            InvalidTenantKey: What is named is no tenant key.
        """
        if who.tenant is not None or not who.service:
            return who
        columns = self._named(schema)
        if not columns:
            return who
        for argument in routine.arguments:
            value = given.get(argument.name)
            if argument.name in columns and value is not None:
                return replace(who, tenant=_tenant(argument.type, value))
        known = schema.functions.get((routine.schema, routine.name))
        if known is not None and known.immutable:
            return who
        raise FeatureMissing(
            "A call without a tenant of a function that is not immutable",
            hint=f"Send X-Tenant-ID, or name the tenant by an argument {min(columns)}.",
        )

    def _named(self, schema: Schema) -> frozenset[str]:
        if self._columns is None or self._columns[0] is not schema:
            columns = (self._tenant_column(table) for table in schema.tables)
            self._columns = (schema, frozenset(filter(None, columns)))
        return self._columns[1]


def _tenant(kind: str, value: object) -> TenantId:
    if kind in _INTEGERS:
        return tenant_id(KeyType.INTEGER, value)
    return tenant_id(KeyType.UUID if kind == "uuid" else KeyType.TEXT, value)
