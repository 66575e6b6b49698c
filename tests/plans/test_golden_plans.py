"""Every golden plan, by clause, and every refusal with its exact message."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from router import Deadline, Form, JsonRows, QueryContext, Router, RouterError, Statement
from router.plans.explain import explain
from shardmap import TenantId

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("plans_world", HERE / "world.py")
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)


def cases():
    for path in sorted(HERE.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


def planned(query):
    """The golden text of what the router would do."""
    router = Router(backends=None, shard_map=lambda: world.MAP, schema=lambda: world.SCHEMA)
    args = tuple(
        JsonRows(arg["text"], arg["rows"]) if isinstance(arg, dict) else arg
        for arg in query.get("args", ())
    )
    statement = Statement(
        query["sql"], args, Form[query.get("form", "ROWS")], counted=query.get("count", False)
    )
    tenant = query.get("tenant")
    context = QueryContext(
        role=query.get("role", "authenticated"),
        tenant=TenantId(str(tenant)) if tenant is not None else None,
        session="golden",
        claims="{}",
        deadline=Deadline.after(60),
    )
    try:
        return explain(router.plan(statement, context))
    except RouterError as error:
        refusal = f"{error.code}: {error.message}"
        return f"{refusal} ({error.hint})" if error.hint else refusal


@pytest.mark.parametrize("case", list(cases()))
def test_the_plan_is_the_golden_one(case):
    found = planned(case["query"])

    if isinstance(case["plan"], dict):
        assert isinstance(found, dict), found
        assert {key: found[key] for key in case["plan"]} == case["plan"]
    else:
        assert found == case["plan"]
