"""What a tenant is answered is the same whether other tenants have rows on its shard or not."""

import importlib.util
import json
from pathlib import Path

import asyncpg

from router import Form, Router, RouterError, Statement
from shardmap import ShardId

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location(
    "attacked_world", HERE / "test_router_against_one_postgresql.py"
)
oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle)

TENANT, OTHER = 1, 3  # both at home on shard_0
ROWS = """
SELECT coalesce(json_agg(o ORDER BY o.tenant_id, o.id)::text, '') || coalesce((
    SELECT json_agg(i ORDER BY i.tenant_id, i.id) FROM items AS i WHERE (i.tenant_id = 1) = $1
)::text, '') FROM orders AS o WHERE (o.tenant_id = 1) = $1
"""


def statements():
    for line in (HERE / "attacks.sql").read_text().splitlines()[1:]:
        yield line.replace("\\n", "\n")


async def opened(databases, *tenants):
    views = "".join(
        f"CREATE VIEW {view.name} AS {view.definition};" for view in oracle.plans_world.VIEWS
    )
    await databases.execute(oracle.TABLE + views)
    shard = next(shard for shard in databases.endpoints.all if shard.id == "shard_0")
    connection = await asyncpg.connect(databases.url(shard.primary.name))
    for tenant in tenants:
        await connection.execute(
            "INSERT INTO orders SELECT * FROM json_populate_recordset(NULL::orders, $1)",
            json.dumps(list(oracle.rows_of(tenant))),
        )
        await connection.execute(
            "INSERT INTO items SELECT tenant_id, id, id % 5 FROM orders WHERE tenant_id = $1",
            tenant,
        )
    return connection


def in_any_order(body):
    """The texts of an array's rows: statements without ORDER BY leave their order to the plan."""
    return None if body is None else sorted(body.removeprefix("[").removesuffix("]").split(", \n "))


async def outcome(connection, statement):
    """The answer with the tenant's rows afterwards, and the rows of others; all undone."""
    router = Router(
        oracle.DirectBackends({ShardId("shard_0"): connection}),
        lambda: oracle.plans_world.MAP,
        lambda: oracle.plans_world.SCHEMA,
    )
    undone = connection.transaction()
    await undone.start()
    try:
        result = await router.answer(statement, oracle.context(TENANT))
        found = (result.row_count, sorted(map(repr, result.rows)), in_any_order(result.body))
        own, others = [await connection.fetchval(ROWS, mine) for mine in (True, False)]
    except RouterError as error:
        return f"{error.code}: {error.message}", None
    finally:
        await undone.rollback()
    return (found, own), others


async def test_no_statement_reads_or_writes_rows_of_another_tenant(fresh_databases):
    alone = await opened(await fresh_databases(), TENANT)
    shared = await opened(await fresh_databases(), TENANT, OTHER)
    before = await shared.fetchval(ROWS, False)
    answered = 0

    for sql in statements():
        for form in Form:
            wanted, _ = await outcome(alone, Statement(sql, (), form))
            found, others = await outcome(shared, Statement(sql, (), form))
            assert found == wanted, sql
            assert others in {None, before}, sql
            answered += others is not None

    assert answered > 200
    await alone.close()
    await shared.close()
