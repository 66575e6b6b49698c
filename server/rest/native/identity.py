"""What identifies a row of a table to the native API: the one column of its key."""

from router import Table
from server.rest.errors import KeyUnusable
from server.rest.filters import NATIVE_OPERATORS, Compare, Field
from server.rest.relations import TenantColumn


def id_column(table: Table, tenant_column: TenantColumn) -> str:
    """The primary key; where that is the tenant column and another one, the other one.

    Raises:
        KeyUnusable: The key has more columns, or there is none.
    """
    key = table.primary_key
    if len(key) > 1:
        tenant = tenant_column(table.name)
        key = tuple(name for name in key if name != tenant)
    if len(key) != 1:
        raise KeyUnusable(table.name)
    return key[0]


def identified(table: Table, tenant_column: TenantColumn, value: int) -> Compare:
    """The condition that a row has the id at that position of the values.

    Raises:
        KeyUnusable: No single column identifies a row.
    """
    return Compare(Field(id_column(table, tenant_column)), NATIVE_OPERATORS["eq"], value)
