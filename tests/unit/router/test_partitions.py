"""A partition is where its table is, whatever the map says of tables that it does not name."""

import importlib.util
from pathlib import Path

import pytest

from router.analysis.placing import placed
from shardmap import Reference, Sharded, TableName

_spec = importlib.util.spec_from_file_location(
    "partitions_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

PARTITION, OTHER = TableName("public.orders_2024"), TableName("public.other")


@pytest.mark.parametrize("default", [None, Reference()])
def test_the_placement_of_its_table_holds(default):
    placement = placed(world.SCHEMA, lambda name: world.MAP.placement(name) or default)

    assert placement(PARTITION) == Sharded("tenant_id")
    assert placement(OTHER) == default


@pytest.mark.parametrize("default", [None, Reference()])
def test_a_view_over_sharded_tables_is_no_reference_table(default):
    placement = placed(world.SCHEMA, lambda name: world.MAP.placement(name) or default)

    assert placement(TableName("public.order_counts")) == Sharded("tenant_id")
    assert placement(TableName("public.note_counts")) is None
    assert placement(TableName("public.country_names")) == Reference()
