"""A function whose body nobody has read runs where one shard has all that it could mean."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from router import Deadline, QueryContext, Router, RouterError, Statement
from router.analysis.functions import BUILT_IN, Function
from router.catalogue.introspection import worst
from router.plans.explain import explain
from shardmap import TenantId

_spec = importlib.util.spec_from_file_location(
    "functions_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

OWN = Function("public", "mine", volatile=False, immutable=False, known=False)
SAFE = Function("public", "safe", volatile=False, immutable=True, known=True)
STABLE = Function("public", "stable", volatile=False, immutable=False, known=True)
SCHEMA = replace(world.SCHEMA, functions=worst((*BUILT_IN.values(), OWN, SAFE, STABLE)))


def route(sql, tenant=None):
    router = Router(None, lambda: world.MAP, lambda: SCHEMA)
    context = QueryContext("service_role", tenant, "s", "{}", Deadline.after(60))
    try:
        return explain(router.plan(Statement(sql), context))["route"]
    except RouterError as refusal:
        return refusal.code


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT mine(1)", "P106"),
        ("SELECT nowhere(1)", "P106"),
        ("SELECT mine(id) FROM orders", "P102"),
        ("SELECT name, mine(1) FROM countries", "P106"),
        ("SELECT mine(id) FROM orders WHERE tenant_id = 2", "one: shard_1"),
        ("SELECT safe(id) FROM orders", "every: shard_0, shard_1"),
        ("SELECT stable(id) FROM orders", "P102"),
        ("SELECT stable(1)", "P106"),
        ("SELECT stable(id) FROM orders WHERE tenant_id = 2", "one: shard_1"),
    ],
)
def test_without_a_tenant_it_needs_keys_or_its_owners_word(sql, expected):
    assert route(sql) == expected


def test_with_a_tenant_its_shard_answers():
    assert route("SELECT mine(1)", TenantId("2")) == "any: shard_1"


def test_of_several_databases_the_worst_counts():
    found = worst((SAFE, Function("public", "safe", volatile=True, immutable=False, known=True)))

    assert found["public", "safe"] == Function(
        "public", "safe", volatile=True, immutable=False, known=True
    )
