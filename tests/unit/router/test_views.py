"""A view is a sharded table when its definition proves that each row is made of one tenant's rows."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from router import Kind, RouterError
from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.scoping import Setting
from router.analysis.views import view_placement
from router.statement import Form
from shardmap import KeyType, Sharded, TableName

_spec = importlib.util.spec_from_file_location(
    "views_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)


def made(definition, *names, kind=Kind.VIEW):
    columns = [world.column(name, "int4") for name in names or ("tenant_id",)]
    return replace(world.table("public.v", *columns, kind=kind), definition=definition)


def proved(definition, *names):
    return view_placement(made(definition, *names), world.SCHEMA, world.MAP.placement)


@pytest.mark.parametrize(
    "definition",
    [
        "SELECT tenant_id FROM orders;",
        "SELECT o.tenant_id FROM orders o WHERE o.id > 3 ORDER BY o.id",
        "SELECT DISTINCT tenant_id FROM orders",
        "SELECT o.tenant_id FROM orders o JOIN items i ON i.tenant_id = o.tenant_id",
        "SELECT o.tenant_id FROM orders o JOIN items i USING (tenant_id, id)",
        "SELECT o.tenant_id FROM orders o, items i WHERE o.tenant_id = i.tenant_id",
        "SELECT o.tenant_id FROM orders o LEFT JOIN items i ON i.tenant_id = o.tenant_id",
        "SELECT o.tenant_id FROM orders o JOIN countries c ON c.code = o.note",
        "SELECT tenant_id FROM orders o WHERE 1 IN (SELECT 1 FROM items i WHERE i.tenant_id = o.tenant_id)",
        "SELECT o.tenant_id FROM orders o GROUP BY o.tenant_id HAVING count(*) > 3",
        "SELECT tenant_id FROM orders GROUP BY note, 1",
        "SELECT tenant_id FROM orders UNION ALL SELECT tenant_id FROM items",
        "SELECT c.tenant_id FROM order_counts c",
    ],
)
def test_the_tenant_column_of_all_tables_is_the_views(definition):
    assert proved(definition) == Sharded("tenant_id")


@pytest.mark.parametrize(
    "definition",
    [
        "SELECT id AS tenant_id FROM orders",
        "SELECT tenant_id + 0 AS tenant_id FROM orders",
        "SELECT max(tenant_id) AS tenant_id FROM orders",
        "SELECT tenant_id FROM orders LIMIT 5",
        "SELECT tenant_id FROM orders OFFSET 5",
        "SELECT DISTINCT ON (note) tenant_id FROM orders",
        "SELECT tenant_id FROM orders GROUP BY ROLLUP (tenant_id)",
        "SELECT i.tenant_id FROM orders o LEFT JOIN items i ON i.tenant_id = o.tenant_id",
        "SELECT o.tenant_id FROM orders o FULL JOIN items i ON i.tenant_id = o.tenant_id",
        "SELECT o.tenant_id FROM orders o LEFT JOIN items i ON true",
        "SELECT o.tenant_id FROM orders o WHERE id IN (SELECT order_id FROM items)",
        "SELECT o.tenant_id FROM orders o, (SELECT count(*) FROM items) i",
        "SELECT tenant_id FROM (SELECT tenant_id FROM orders LIMIT 3) o",
        "WITH o AS (SELECT * FROM orders) SELECT tenant_id FROM o",
        "SELECT tenant_id FROM orders UNION SELECT id FROM items",
        "SELECT tenant_id FROM orders EXCEPT SELECT order_id FROM items",
        "SELECT tenant_id FROM orders WHERE mine(id)",
        "SELECT tenant_id FROM orders WHERE random() > 0.5",
        "SELECT tenant_id FROM latest_orders",
        "SELECT tenant_id FROM nowhere",
        "SELECT p.id FROM orders o, plans p",
        "no SQL at all",
    ],
)
def test_what_rows_of_several_tenants_can_make_proves_nothing(definition):
    assert proved(definition) is None


def test_a_count_beside_the_tenant_needs_the_tenant_in_its_group():
    windowed = "SELECT tenant_id, count(*) OVER () AS n FROM orders"
    grouped = "SELECT tenant_id, count(*) AS n FROM orders GROUP BY tenant_id"

    assert proved(windowed, "tenant_id", "n") is None
    assert proved(grouped, "tenant_id", "n") == Sharded("tenant_id")


def test_a_view_over_itself_proves_nothing():
    view = made("SELECT tenant_id FROM v")
    schema = replace(world.SCHEMA, tables={**world.SCHEMA.tables, view.name: view})

    assert view_placement(view, schema, world.MAP.placement) is None


@pytest.mark.parametrize("claimed", [Sharded("tenant_id"), Sharded("id")])
def test_what_the_map_says_of_a_view_is_no_proof_for_a_tenant(claimed):
    view = made("SELECT id AS tenant_id, tenant_id AS id FROM orders WHERE true LIMIT 9")
    schema = replace(world.SCHEMA, tables={**world.SCHEMA.tables, view.name: view})

    def placements(name):
        return claimed if name == TableName("public.v") else world.MAP.placement(name)

    setting = Setting(schema, placements, KeyType.INTEGER, "views")
    ask = Ask("SELECT * FROM v", Form.ROWS, counted=False)

    with pytest.raises(RouterError, match="whose rows may be made of several tenants' rows"):
        analyse(ask, Caller(scoped=True, service=False), setting)
    assert analyse(ask, Caller(scoped=False, service=True), setting).sql == ask.sql
