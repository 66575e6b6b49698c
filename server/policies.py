"""Which consistency the reads of a table, or of the SQL API, have unless their caller says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from router import SESSION, Consistency
from shardmap import TableName

SQL: Final = "sql"
"""How the SQL API is named among tables. A table of that name is written with its schema."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The default, and the exceptions by name of table (`schema.table`) or `sql`."""

    default: Consistency = SESSION
    exceptions: Mapping[str, Consistency] = field(default_factory=dict)

    def of_table(self, table: TableName) -> Consistency:
        """The policy of reads of the table."""
        return self.exceptions.get(table, self.default)

    @property
    def of_sql(self) -> Consistency:
        """The policy of reads by the SQL API."""
        return self.exceptions.get(SQL, self.default)


def policies(
    default: Consistency, routes: Mapping[str, Consistency], default_schema: str
) -> Policies:
    """The policies of settings, in which tables of the default schema may be named without it."""
    return Policies(
        default,
        {
            name if name == SQL or "." in name else f"{default_schema}.{name}": policy
            for name, policy in routes.items()
        },
    )
