"""Statements that a key sends to one shard give what one PostgreSQL with all rows gives."""

import importlib.util
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
import yaml

from router import Statement, StatementFailed

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location(
    "keyed_world", HERE / "test_router_against_one_postgresql.py"
)
oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle)

world = oracle.world


def keyed():
    for path in ("keys", "forms"):
        for case in yaml.safe_load((HERE.parent / "plans" / f"{path}.yaml").read_text()):
            query = case["query"]
            untenanted = query.get("role") == "service_role" and "tenant" not in query
            if untenanted and "EXPLAIN" not in query["sql"]:
                yield pytest.param(query["sql"], query.get("args", ()), id=case["name"])


async def answered(world, sql, args):
    try:
        result = await world.router.answer(Statement(sql, tuple(args)), oracle.context(None))
    except StatementFailed as failure:
        return failure.sqlstate
    return Counter(map(repr, result.rows))


async def wanted(world, sql, args):
    fitting = [int(arg) if isinstance(arg, str) and arg.isdecimal() else arg for arg in args]
    try:
        return Counter(repr(tuple(record)) for record in await world.one.fetch(sql, *fitting))
    except asyncpg.PostgresError as error:
        return error.sqlstate


@pytest.fixture(scope="module")
def shared_world(cluster, request):
    """One world for all statements, which leave the same rows on both sides."""
    for made in world.__wrapped__(cluster, request):
        for connection in (*made.shards.values(), made.one):
            for view in oracle.plans_world.VIEWS:
                made.run(connection.execute(f"CREATE VIEW {view.name} AS {view.definition}"))
        yield made


@pytest.mark.parametrize(("sql", "args"), list(keyed()))
def test_a_keyed_statement_gives_the_same_rows(shared_world, sql, args):
    fitting = [int(arg) if isinstance(arg, str) else arg for arg in args]

    found = shared_world.run(answered(shared_world, sql, fitting))

    assert found == shared_world.run(wanted(shared_world, sql, args))
    contents = oracle.contents(shared_world.shards.values())
    assert shared_world.run(contents) == shared_world.run(oracle.contents([shared_world.one]))
