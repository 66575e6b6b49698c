"""The same random statement on two shards and on one PostgreSQL: same rows, or a named refusal."""

import asyncio
import importlib.util
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import (
    Deadline,
    Form,
    JsonRows,
    QueryContext,
    Router,
    RouterError,
    Statement,
    StatementFailed,
)
from shardmap import CATALOG, ShardId, TenantId

ROOT = Path(__file__).parents[1]


def _load(path):
    spec = importlib.util.spec_from_file_location(f"oracle_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plans_world = _load(ROOT / "plans" / "world.py")
DirectBackends = _load(ROOT / "fakes" / "direct_backends.py").DirectBackends

SHARDS = (ShardId("shard_0"), ShardId("shard_1"))
TENANTS = range(1, 7)
TABLE = """
CREATE TABLE orders (
    tenant_id int NOT NULL, id bigint NOT NULL, note text, total numeric, created_at timestamptz,
    data jsonb, german text, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE items (
    tenant_id int NOT NULL, id bigint NOT NULL, order_id bigint, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE countries (code text PRIMARY KEY, name text);
INSERT INTO countries VALUES ('a', 'Austria'), ('b', 'Brazil'), ('ä', 'Äland'), (' ', 'Nowhere');
"""

NOTES = [None, "", "a", "A", "b", "ä", "Z", "a b", "%", "_", "ß", "\U0001f600", " "]
TOTALS = [None, "0", "-1.5", "1.50", "1.5", "NaN", "Infinity", "99999999999999999999.01", "7"]
TIMES = [
    None,
    "2024-01-01T00:00:00Z",
    "infinity",
    "-infinity",
    "2024-01-01T00:00:00.000001Z",
    "1999-12-31T23:59:59+05:30",
]


def rows_of(tenant):
    """Twenty rows with NULLs, ties and awkward values, the same in every run."""
    for number in range(20):
        mixed = number * 7 + tenant
        yield {
            "tenant_id": tenant,
            "id": number,
            "note": NOTES[mixed % len(NOTES)],
            "total": TOTALS[(mixed * 5) % len(TOTALS)],
            "created_at": TIMES[(mixed * 3) % len(TIMES)],
            "data": {"n": number % 3},
        }


@dataclass
class World:
    runner: asyncio.Runner
    router: Router
    shards: dict
    one: asyncpg.Connection

    def run(self, work):
        return self.runner.run(work)


async def _open(databases, shard_map):
    await databases.execute(TABLE)
    connections = {
        shard.id: await asyncpg.connect(databases.url(shard.primary.name))
        for shard in databases.endpoints.all
    }
    one = connections.pop(CATALOG)
    for tenant in TENANTS:
        rows = json.dumps(list(rows_of(tenant)))
        owner = connections[shard_map.owner(TenantId(str(tenant)))]
        for connection in (owner, one):
            await connection.execute(
                "INSERT INTO orders SELECT * FROM json_populate_recordset(NULL::orders, $1)", rows
            )
            await connection.execute(
                "INSERT INTO items SELECT tenant_id, id, id % 5 FROM orders WHERE tenant_id = $1",
                tenant,
            )
    return connections, one


@pytest.fixture
def world(cluster, request):
    """Two shards and one PostgreSQL (the catalog's server) that holds the same rows."""
    conftest = request.config.pluginmanager.get_plugin("conftest") or _load(ROOT / "conftest.py")
    with asyncio.Runner() as runner:
        name = f"oracle_{id(runner):x}"
        server = conftest.TestDatabases(cluster, "postgres")
        runner.run(server.execute(f'CREATE DATABASE "{name}"'))
        shard_map = plans_world.MAP
        shards, one = runner.run(_open(conftest.TestDatabases(cluster, name), shard_map))
        router = Router(DirectBackends(shards), lambda: shard_map, lambda: plans_world.SCHEMA)
        yield World(runner, router, shards, one)
        for connection in (*shards.values(), one):
            runner.run(connection.close())
        runner.run(server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


# What is asked

COLUMNS = {
    "tenant_id": ("int4", [str(t) for t in TENANTS] + ["99"]),
    "id": ("int8", [str(n) for n in range(0, 21, 3)]),
    "note": ("text", NOTES),
    "total": ("numeric", TOTALS),
    "created_at": ("timestamptz", TIMES),
}


@dataclass(frozen=True)
class Condition:
    sql: str
    args: tuple


@st.composite
def comparisons(draw, table):
    name = draw(st.sampled_from(sorted(COLUMNS)))
    kind, values = COLUMNS[name]
    column = f'{table}."{name}"' if draw(st.booleans()) else f'"{name}"'
    shape = draw(st.sampled_from(["compare", "in", "any", "null", "distinct"]))
    if shape == "null":
        return Condition(f"{column} IS {draw(st.sampled_from(['', 'NOT ']))}NULL", ())
    if shape in {"any", "in"}:
        found = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        if shape == "any":
            return Condition(f"{column} = ANY (?::text[]::{kind}[])", (found,))
        marks = ", ".join(f"?::text::{kind}" for _ in found)
        return Condition(f"{column} IN ({marks})", tuple(found))
    value = draw(st.sampled_from(values))
    operator = "IS NOT DISTINCT FROM"
    if shape == "compare":
        operator = draw(st.sampled_from(["=", "=", "=", "<>", "<", ">="]))
    return Condition(f"{column} {operator} ?::text::{kind}", (value,))


def conditions(table):
    return st.recursive(
        comparisons(table),
        lambda inner: (
            st.builds(
                lambda left, right, word: Condition(
                    f"({left.sql} {word} {right.sql})", left.args + right.args
                ),
                inner,
                inner,
                st.sampled_from(["AND", "AND", "OR"]),
            )
            | inner.map(lambda one: Condition(f"NOT ({one.sql})", one.args))
        ),
        max_leaves=4,
    )


@dataclass(frozen=True)
class Case:
    """A statement with `?` for arguments, and `{tenant}` where the router adds the predicate."""

    sql: str
    args: tuple
    tenant: int | None
    ordered: bool
    form: Form
    count: bool = False


OUTPUTS = ['"id", "note"', "*", '"tenant_id" AS "t", "total"::text AS "x"', '"orders".*, "id" AS i']


@st.composite
def reads(draw):
    tenant = draw(st.none() | st.sampled_from(TENANTS))
    where = draw(st.none() | conditions("orders"))
    output = draw(st.sampled_from(OUTPUTS))
    sql = f"SELECT {output} FROM public.orders"
    sql, args = _where(sql, where, "orders", tenant)
    terms = draw(
        st.lists(st.sampled_from(["note", "total", "created_at"]), unique=True, max_size=2)
    )
    order = [
        f'"orders"."{name}" {draw(st.sampled_from(["ASC", "DESC", ""]))}'
        f" {draw(st.sampled_from(['', 'NULLS FIRST', 'NULLS LAST']))}"
        for name in terms
    ]
    ordered = draw(st.booleans())
    if ordered:
        order += ['"orders"."tenant_id"', '"orders"."id" DESC']
    if order:
        sql += " ORDER BY " + ", ".join(order)
    if ordered and draw(st.booleans()):
        sql += " LIMIT ?::bigint"
        args += (draw(st.sampled_from([0, 1, 5, 1000])),)
        if draw(st.booleans()):
            sql += " OFFSET ?::bigint"
            args += (draw(st.sampled_from([0, 1, 7, 500])),)
    form = draw(st.sampled_from(Form))
    count = form is Form.JSON and draw(st.booleans())
    return Case(sql, args, tenant, ordered, form, count)


@st.composite
def joins(draw):
    tenant = draw(st.none() | st.sampled_from(TENANTS))
    sql = draw(
        st.sampled_from(
            [
                'SELECT o."id", c."name" FROM orders o JOIN countries c ON c."code" = o."note"',
                'SELECT o."id", c."name" FROM orders o LEFT JOIN countries c ON c."code" = o."note"',
                'SELECT c."name", o."id" FROM countries c LEFT JOIN {orders} o ON c."code" = o."note"',
                'SELECT o."id", i."id" FROM orders o LEFT JOIN {items} i ON i."order_id" = o."id"',
                "SELECT o.note, count(*) FROM orders o {where} GROUP BY o.note HAVING count(*) > 1",
                "SELECT DISTINCT note FROM orders o {where}",
                "SELECT sum(id), max(note) FROM orders o {where}",
                "SELECT id FROM orders o {where} UNION SELECT id + 1 FROM items {where_items}",
                "WITH orders AS (SELECT id FROM orders o {where}) SELECT count(*) FROM orders",
                "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM items i WHERE i.id = o.id)",
            ]
        )
    )
    return Case(sql, (), tenant, ordered=False, form=draw(st.sampled_from(Form)))


@st.composite
def writes(draw):
    tenant = draw(st.none() | st.sampled_from(TENANTS))
    returning = draw(st.sampled_from(["", " RETURNING *", ' RETURNING "id" AS "x"']))
    form = draw(st.sampled_from(Form))
    verb = draw(st.sampled_from(["insert", "update", "delete", "upsert"]))
    if verb in {"insert", "upsert"}:
        count = draw(st.integers(1, 3))
        records = [
            {
                "id": draw(st.integers(0, 30)),
                "note": draw(st.sampled_from(NOTES)),
                **({} if tenant is not None else {"tenant_id": draw(st.sampled_from(TENANTS))}),
            }
            for _ in range(count)
        ]
        columns = ["id", "note"] + ([] if tenant is not None else ["tenant_id"])
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(f'x."{name}"' for name in columns)
        sql = (
            f"INSERT INTO public.orders ({names}{{fill_name}}) SELECT {values}{{fill}} FROM"
            " json_to_recordset(?::text::json) AS x(id int8, note text, tenant_id int4)"
        )
        if verb == "upsert":
            sql += " ON CONFLICT (tenant_id, id) DO UPDATE SET note = EXCLUDED.note"
        rows = JsonRows(json.dumps(records), records)
        return Case(sql + returning, (rows,), tenant, ordered=False, form=form)
    where = draw(conditions("orders"))
    head = "DELETE FROM orders"
    args = ()
    if verb == "update":
        head = "UPDATE public.orders SET note = ?::text::text"
        args = (draw(st.sampled_from(NOTES)),)
    sql, more = _where(head, where, "orders", tenant)
    return Case(sql + returning, args + more, tenant, ordered=False, form=form)


def _where(sql, where, table, tenant):
    clauses = [f"({where.sql})"] if where is not None else []
    text = sql + (" WHERE " + " AND ".join(clauses) if clauses else "{only_where}")
    return text + ("{and}" if clauses else ""), where.args if where is not None else ()


def spelled(case, *, oracle):
    """The SQL for the router (it scopes by itself), or for the oracle (scoped here by hand)."""
    t = case.tenant if oracle and case.tenant is not None else None
    fills = {
        "{only_where}": f" WHERE orders.tenant_id = {t}",
        "{and}": f" AND orders.tenant_id = {t}",
        "{where}": f"WHERE o.tenant_id = {t}",
        "{where_items}": f"WHERE items.tenant_id = {t}",
        "{orders}": f"(SELECT * FROM orders WHERE tenant_id = {t})",
        "{items}": f"(SELECT * FROM items WHERE tenant_id = {t})",
        "{fill_name}": ", tenant_id",
        "{fill}": f", {t}",
    }
    plain = {"{orders}": "orders", "{items}": "items"}
    sql = case.sql
    for mark, text in fills.items():
        sql = sql.replace(mark, text if t is not None else plain.get(mark, ""))
    if t is not None and (" o JOIN" in sql or "orders o LEFT JOIN" in sql):
        sql += f" WHERE o.tenant_id = {t}"
    elif t is not None and "EXISTS" in sql:
        sql = sql.replace(
            "i.id = o.id)", f"i.id = o.id AND i.tenant_id = {t}) AND o.tenant_id = {t}"
        )
    number = 0
    while "?" in sql:
        number += 1
        sql = sql.replace("?", f"${number}", 1)
    return sql


# How it is compared


def context(tenant):
    return QueryContext(
        role="authenticated" if tenant is not None else "service_role",
        tenant=TenantId(str(tenant)) if tenant is not None else None,
        session="oracle",
        claims="{}",
        deadline=Deadline.after(60),
    )


async def ask_router(world, case):
    statement = Statement(spelled(case, oracle=False), case.args, case.form, case.count)
    result = await world.router.answer(statement, context(case.tenant))
    rows = json.loads(result.body) if case.form is Form.JSON else [tuple(r) for r in result.rows]
    writes_only = not rows and "RETURNING" not in case.sql and "SELECT" not in case.sql[:6]
    return (result.row_count if writes_only else rows), result.total


async def ask_one(world, case):
    """The oracle's answer in the same form, made with other words than the router's."""
    args = [arg.text if isinstance(arg, JsonRows) else arg for arg in case.args]
    prepared = await world.one.prepare(spelled(case, oracle=True))
    records = await prepared.fetch(*args)
    if not case.sql.startswith(("SELECT", "WITH")) and "RETURNING" not in case.sql:
        return int(prepared.get_statusmsg().split()[-1]), None
    rows = [tuple(record) for record in records]
    total = None
    if case.form is Form.JSON:
        rows = await _as_json(world, case, args)
    if case.count:
        bare = spelled(case, oracle=True).split(" ORDER BY ")[0].split(" LIMIT ")[0]
        total = await world.one.fetchval(
            f"SELECT count(*) FROM ({bare}) AS q", *args[: bare.count("$")]
        )
    return rows, total


async def _as_json(world, case, args):
    sql = spelled(case, oracle=True)
    if not case.sql.startswith(("SELECT", "WITH")):
        return None  # the write ran already: rows of its JSON are compared by content below
    texts = await world.one.fetch(f"SELECT row_to_json(q)::text FROM ({sql}) AS q", *args)
    return [json.loads(record[0]) for record in texts]


async def contents(connections):
    found = Counter()
    for connection in connections:
        for record in await connection.fetch("SELECT to_json(o)::text FROM orders o"):
            found[record[0]] += 1
    return found


def comparable(rows, ordered):
    if isinstance(rows, int) or ordered:
        return repr(rows)
    return sorted(map(repr, rows))


def agree(world, case):
    """Both answer the same, or the router refuses by name and runs nothing."""
    try:
        found, total = world.run(ask_router(world, case))
    except StatementFailed as failure:
        with pytest.raises(asyncpg.PostgresError) as caught:
            world.run(ask_one(world, case))
        assert caught.value.sqlstate == failure.sqlstate  # noqa: PT017 - one of two outcomes
        return "failed"
    except RouterError as refusal:
        return refusal.code
    wanted, wanted_total = world.run(ask_one(world, case))
    if wanted is not None:
        assert comparable(found, case.ordered) == comparable(wanted, case.ordered)
    assert total == wanted_total
    return "answered"


STATISTICS = Counter()


def profile(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@profile(300)
@given(case=reads())
def test_reads_give_the_same_rows(world, case):
    STATISTICS[agree(world, case)] += 1


@profile(60)
@given(case=joins())
def test_joins_aggregates_and_ctes_give_the_same_rows(world, case):
    STATISTICS[agree(world, case)] += 1


@profile(200)
@given(case=writes())
def test_writes_leave_the_same_rows(world, case):
    STATISTICS[agree(world, case)] += 1

    assert world.run(contents(world.shards.values())) == world.run(contents([world.one]))


def test_most_statements_are_answered_and_not_refused():
    answered = STATISTICS["answered"] + STATISTICS["failed"]
    assert answered > 0.5 * sum(STATISTICS.values()), dict(STATISTICS)
