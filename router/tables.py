"""The tables of a statement with what the map and the schema say about them."""

from collections.abc import Callable
from dataclasses import dataclass

from router.errors import TableNotPlaced
from router.schema import Schema, Table
from router.scopes import TableUse
from shardmap import Placement, Sharded, TableName

Placements = Callable[[TableName], Placement | None]
"""The map's answer to where a table's rows are."""


@dataclass(frozen=True, slots=True)
class Located:
    """One mention of a table: its placement, and its columns if the schema knows it."""

    use: TableUse
    name: TableName
    placement: Placement
    table: Table | None

    @property
    def tenant_column(self) -> str | None:
        """The tenant column of a sharded table."""
        return self.placement.column if isinstance(self.placement, Sharded) else None


def locate(
    uses: tuple[TableUse, ...], schema: Schema, placements: Placements
) -> tuple[Located, ...]:
    """Each mention of a table with its placement. Unqualified names mean the default schema.

    Raises:
        TableNotPlaced: The map does not say where a table is.
    """
    found = []
    for use in uses:
        name = TableName(f"{use.schema or schema.exposed[0]}.{use.relation}")
        placement = placements(name)
        if placement is None:
            raise TableNotPlaced(name)
        found.append(Located(use, name, placement, schema.table(name)))
    return tuple(found)
