"""The tables of a statement with what the map and the schema say about them."""

from collections.abc import Callable
from dataclasses import dataclass

from router.analysis.scopes import TableUse, Use
from router.errors import StatementNotUnderstood, TableNotPlaced, UnsupportedAcrossShards
from router.schema import Schema, Table
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


def check_names(tables: tuple[Located, ...]) -> None:
    """Refuse names that do not say for certain which column or table is meant.

    Raises:
        UnsupportedAcrossShards: An alias gives a sharded table's columns other names.
        StatementNotUnderstood: Two tables of one FROM have one name, one of them sharded.
    """
    named: dict[tuple[int, str], Located] = {}
    for located in tables:
        alias = located.use.node.args.get("alias")
        sharded = located.tenant_column is not None
        if sharded and alias is not None and alias.args.get("columns"):
            raise UnsupportedAcrossShards("a column list behind a sharded table's alias")
        if located.use.use is Use.INSERT:
            continue
        other = named.setdefault((located.use.region.start, located.use.alias), located)
        if other is not located and (sharded or other.tenant_column is not None):
            raise StatementNotUnderstood(f"the name {located.use.alias} of two tables")
