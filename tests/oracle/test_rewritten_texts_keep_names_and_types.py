"""What holds a statement to its tenant changes neither names nor types of what it gives."""

import importlib.util
from pathlib import Path

import asyncpg
import pytest
import yaml

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location(
    "rewritten_world", HERE / "test_router_against_one_postgresql.py"
)
oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle)


def rewritten():
    """Golden statements of tenants with the texts that are sent for them."""
    for path in ("reads", "writes", "functions", "forms"):
        for case in yaml.safe_load((HERE.parent / "plans" / f"{path}.yaml").read_text()):
            query, plan = case["query"], case["plan"]
            if "tenant" in query and "form" not in query and "sql" in plan:
                yield case["name"], query["sql"], plan["sql"]


async def described(connection, sql):
    prepared = await connection.prepare(sql)
    return [(each.name, each.type.name) for each in prepared.get_attributes()]


async def test_rewritten_texts_give_the_same_names_and_types(databases):
    views = "".join(
        f"CREATE VIEW {view.name} AS {view.definition};" for view in oracle.plans_world.VIEWS
    )
    await databases.execute(oracle.TABLE + "CREATE SEQUENCE s;" + views)
    connection = await asyncpg.connect(databases.url("shard_0-a"))
    compared = 0

    for name, sql, sent in rewritten():
        if sql.startswith("EXPLAIN"):
            continue
        try:
            wanted = await described(connection, sql)
        except asyncpg.PostgresError as error:
            with pytest.raises(type(error)):
                await described(connection, sent)
            continue
        assert await described(connection, sent) == wanted, name
        compared += 1

    assert compared > 70
    await connection.close()
