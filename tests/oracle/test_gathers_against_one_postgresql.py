"""Statements of an operator over all tenants: on several shards exactly as on one PostgreSQL."""

import asyncio
import importlib.util
import re
from pathlib import Path

import asyncpg
import pytest

from router import Form, PullUpLimits, PullUpTooLarge, Router, SchemasDiffer, Statement

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("gather_world", HERE / "gather_world.py")
gathering = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(gathering)

SHARDS = 3


def statements():
    """Each statement of `gathers.sql`, without comments."""
    for text in (HERE / "gathers.sql").read_text().split(";\n"):
        lines = [line for line in text.splitlines() if not line.startswith("--")]
        if sql := "\n".join(lines).strip():
            yield sql


STATEMENTS = list(statements())
REFUSED_SHARE = 0.05
"""Of the statements in `gathers.sql`."""


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def world(cluster, runner):
    """Three shards and one PostgreSQL: four databases of one server."""
    name = f"gathers_{id(runner):x}"
    names = [f"{name}_{number}" for number in range(SHARDS)]
    server = "catalog-a"

    async def execute(*statements):
        connection = await asyncpg.connect(cluster.url(server, "postgres"))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    databases = [*names, f"{name}_one"]
    runner.run(execute(*(f'CREATE DATABASE "{each}"' for each in databases)))
    opened = runner.run(
        gathering.open_world(lambda each: cluster.url(server, each), names, databases[-1])
    )
    yield opened
    runner.run(opened.close())
    runner.run(execute(*(f'DROP DATABASE "{each}" WITH (FORCE)' for each in databases)))


def is_ordered(sql):
    return "ORDER BY" in sql.rsplit(")", 1)[-1]


def has_page(sql):
    return re.search("LIMIT|OFFSET|FETCH", sql.rsplit(")", 1)[-1]) is not None


@pytest.mark.parametrize("form", Form, ids=[form.name for form in Form])
@pytest.mark.parametrize("sql", STATEMENTS)
def test_several_shards_answer_as_one_postgresql_does(world, runner, sql, form):
    ordered = is_ordered(sql)
    counted = form is Form.JSON and not has_page(sql)

    found, wanted = runner.run(
        gathering.answers(world, sql, (), form, ordered=ordered, counted=counted)
    )

    assert wanted is None or found == wanted


def test_few_of_the_statements_are_refused(world, runner):
    async def refused():
        found = []
        for sql in STATEMENTS:
            answer, _ = await gathering.answers(world, sql, (), Form.ROWS, ordered=False)
            if isinstance(answer, str) and answer.startswith("refused"):
                found.append(f"{answer}: {sql}")
        return found

    found = runner.run(refused())

    assert len(found) <= REFUSED_SHARE * len(STATEMENTS), "\n".join(found)


ARGUMENTS = {
    "SELECT note, count(*) FROM orders WHERE qty > $1 AND note <> $2 GROUP BY note": (1, "a"),
    "SELECT id, $1::text FROM orders WHERE id < $2 ORDER BY lower(note), tenant_id, id": ("x", 4),
    "SELECT sum(price) + $2 FROM orders WHERE id BETWEEN $3 AND $1": (7, 1, 2),
    "SELECT id FROM orders WHERE note = ANY ($1) AND EXISTS (SELECT FROM items WHERE label = $2)": (
        ["a", "ß"],
        "a",
    ),
    "SELECT id FROM orders ORDER BY german, tenant_id, id LIMIT $1 OFFSET $2": (4, 3),
    "SELECT a.id FROM orders a JOIN orders b USING (tenant_id, id) WHERE a.qty = $2 AND b.id > $1": (
        2,
        3,
    ),
    "SELECT count(*) FILTER (WHERE note = $1), max(id) FROM orders WHERE tenant_id = ANY ($2)": (
        "a",
        [1, 2, 3, 4],
    ),
    "SELECT id, lower(note) AS l FROM orders WHERE qty < $3 ORDER BY l, tenant_id, id LIMIT $2 OFFSET $1": (
        2,
        5,
        9,
    ),
    "SELECT avg(qty) FROM orders WHERE qty < $2 HAVING count(*) > $1": (3, 9),
    "SELECT CASE WHEN $1 THEN count(*) END, sum(qty) FROM orders WHERE id > $2": (True, 3),
    "SELECT qty + $1, count(*) FROM orders WHERE qty < 9 GROUP BY qty + $1": (1,),
    "SELECT count(*) FROM orders WHERE tenant_id IN ($1, $2, $3)": (1, 2, 3),
    "SELECT count(*) FROM orders a JOIN orders b USING (tenant_id) WHERE a.id > $1": (7,),
}


@pytest.mark.parametrize(("sql", "args"), ARGUMENTS.items())
def test_arguments_reach_every_part_of_a_gather(world, runner, sql, args):
    found, wanted = runner.run(
        gathering.answers(world, sql, args, Form.ROWS, ordered=is_ordered(sql))
    )

    assert found == wanted


def limited(world, limits):
    old = world.router
    return Router(world.backends, old._map, old._schema, limits)


def test_more_rows_than_allowed_are_refused_by_name(world, runner):
    statement = Statement("SELECT count(*) OVER () FROM orders")

    with pytest.raises(PullUpTooLarge, match="more than 95 rows"):
        runner.run(limited(world, PullUpLimits(rows=95)).answer(statement, gathering.service()))

    router = limited(world, PullUpLimits(rows=96))
    assert runner.run(router.answer(statement, gathering.service())).row_count == 96


def test_more_bytes_than_allowed_are_refused_by_name(world, runner):
    statement = Statement("SELECT count(*) OVER () FROM orders")

    with pytest.raises(PullUpTooLarge, match="more than 1000 bytes"):
        runner.run(limited(world, PullUpLimits(bytes=1000)).answer(statement, gathering.service()))


def test_rows_do_not_travel_between_tables_of_different_columns(world, runner):
    last = list(world.shards.values())[-1]
    statement = Statement("SELECT count(*) OVER () FROM items")
    runner.run(last.execute("ALTER TABLE items ADD COLUMN extra int"))

    try:
        with pytest.raises(SchemasDiffer, match="extra integer"):
            runner.run(world.router.answer(statement, gathering.service()))
    finally:
        runner.run(last.execute("ALTER TABLE items DROP COLUMN extra"))
