"""Forms for several shards are made only of what can go to several."""

import importlib.util
from pathlib import Path

import pytest

from router import Form
from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.scoping import Setting
from shardmap import KeyType

_spec = importlib.util.spec_from_file_location(
    "forms_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

SETTING = Setting(world.SCHEMA, world.MAP.placement, KeyType.INTEGER, "test")


def forms_of(sql):
    query = analyse(Ask(sql, Form.ROWS, counted=False), Caller(scoped=False, service=True), SETTING)
    return query.gather, query.pull_up, query.gather_refusal


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM orders WHERE tenant_id = $1",
        "SELECT count(*) FROM orders WHERE id > 3 AND tenant_id = $1 GROUP BY note",
    ],
)
def test_a_read_that_names_one_tenant_by_an_argument_has_none(sql):
    assert forms_of(sql) == (None, None, None)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM orders",
        "SELECT id FROM orders WHERE tenant_id IN ($1, $2)",
        "SELECT id FROM orders WHERE tenant_id = $1 OR id = 3",
        "SELECT id FROM orders WHERE tenant_id = ANY($1)",
    ],
)
def test_a_read_that_may_concern_several_tenants_has_them(sql):
    assert any(forms_of(sql))


def test_a_list_of_one_literal_counts_as_several_since_templates_make_it_longer():
    assert any(forms_of("SELECT id FROM orders WHERE tenant_id IN (2)"))
