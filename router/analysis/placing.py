"""Where tables are that the shard map does not name itself: partitions, and views."""

from router.analysis.tables import Located, Placements
from router.analysis.views import view_placement
from router.errors import UnsupportedAcrossShards
from router.schema import Schema
from shardmap import Global, Placement, Sharded, TableName, Unsharded


def placed(schema: Schema, placements: Placements) -> Placements:
    """The map's placements; a partition is where its table is, a view where its definition says."""

    def placement(name: TableName) -> Placement | None:
        explicit = placements(name)
        if isinstance(explicit, Sharded | Unsharded):
            return explicit
        table = schema.table(name)
        if table is None:
            root = schema.partitioned(name)
            return placements(root) if root is not None else explicit
        if table.definition is None:
            return explicit
        proved = view_placement(table, schema, placements)
        return explicit if proved is None and isinstance(explicit, Global) else proved

    return placement


def check_views(tables: tuple[Located, ...], schema: Schema, placements: Placements) -> None:
    """Refuse views for a tenant whose definition does not prove what the map says of them.

    Raises:
        UnsupportedAcrossShards: Rows of such a view could be made of several tenants' rows.
    """
    for located in tables:
        table = located.table
        if table is None or table.definition is None or isinstance(located.placement, Unsharded):
            continue
        if view_placement(table, schema, placements) != located.placement:
            raise UnsupportedAcrossShards(
                f"view {located.name}, whose rows may be made of several tenants' rows,",
                hint="Let it give the tenant column, and join its tables by it.",
            )
