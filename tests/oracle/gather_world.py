"""Several shards and one PostgreSQL with the same rows of every type, and how they are compared."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from router import (
    Deadline,
    Form,
    QueryContext,
    Router,
    RouterError,
    Statement,
    StatementFailed,
)
from router.catalogue.introspection import INTROSPECTION, merged, read_tables
from shardmap import (
    CATALOG,
    Endpoint,
    Global,
    KeyType,
    Reference,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
)

ROOT = Path(__file__).parents[1]


def _load(path):
    spec = importlib.util.spec_from_file_location(f"gathers_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DirectBackends = _load(ROOT / "fakes" / "direct_backends.py").DirectBackends

TENANTS = range(1, 9)

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE orders (
    tenant_id int NOT NULL, id bigint NOT NULL, note text, german text COLLATE "{german}",
    total numeric, price numeric(12, 2), qty int, small int2, rate float8, real4 float4,
    created_at timestamptz, day date, data jsonb, tags text[], done bool, feeling mood,
    code varchar(8), PRIMARY KEY (tenant_id, id)
);
CREATE TABLE items (
    tenant_id int NOT NULL, id bigint NOT NULL, order_id bigint, qty int, price numeric(10, 2),
    label text, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE things (
    tenant_id int NOT NULL, dropped int, id int PRIMARY KEY, big bigint, num numeric,
    fixed numeric(10, 3), f4 float4, f8 float8, word text, short varchar(3), padded char(5),
    one "char", called name, bytes bytea, raw json, doc jsonb, at timestamptz, local timestamp,
    day date, hour time, zoned timetz, span interval, ints int[], texts text[], jsons jsonb[],
    mood mood, moods mood[], pair pair, pairs pair[], pos positive, bits bit(3), varied bit varying,
    net inet, cidr cidr, mac macaddr, uid uuid, cash money, page path, spot point, area box,
    range int4range, many int4multirange, vec tsvector, que tsquery, "odd ""name" text, "r" text
);
ALTER TABLE things DROP COLUMN dropped;
CREATE TABLE countries (code text PRIMARY KEY, name text, rank int);
INSERT INTO countries VALUES ('a', 'Austria', 1), ('b', 'Brazil', 2), ('ä', 'Äland', 3),
    (' ', 'Nowhere', NULL), ('z', NULL, 4);
CREATE TABLE settings (key text, value text);
"""

GERMAN = """
SELECT collname FROM pg_collation
WHERE collname IN ('de-x-icu', 'de_DE.utf8', 'en_US.utf8') ORDER BY collname LIMIT 1
"""
"""A collation that does not order by bytes, if the server has one."""

TEXT_KINDS = ("date", "time", "timetz", "timestamp", "timestamptz", "interval", "path")
"""Types that the driver has no Python value for: no year 44 BC, no 24:00."""

NOTES = [None, "", "a", "A", "b", "ä", "Z", "a b", '"', "\\", "ß", "\U0001f600", " ", "a,b", "{}"]
TOTALS = [None, "0", "-1.5", "1.25", "NaN", "Infinity", "99999999999999999999.01", "7", "0.001"]
RATES = [None, 0.5, -2.25, 1024.0, 3.0, 0.125]
"""Sums of these are exact in any order; those of most floats are not, in PostgreSQL neither."""
TIMES = [None, "2024-01-01 00:00Z", "infinity", "-infinity", "2024-01-31 12:00:00.000001Z"]
MOODS = [None, "sad", "ok", "happy"]


def orders_of(tenant):
    """Twelve orders with NULLs, ties and awkward values, the same in every run."""
    for number in range(12):
        mixed = number * 7 + tenant * 3
        yield {
            "tenant_id": tenant,
            "id": number,
            "note": NOTES[mixed % len(NOTES)],
            "german": NOTES[(mixed * 2) % len(NOTES)],
            "total": TOTALS[(mixed * 5) % 4] if number % 2 else TOTALS[mixed % len(TOTALS)],
            "price": [None, "1.10", "2.25", "-3.33", "1000.01"][mixed % 5],
            "qty": [None, 1, 2, 3, 2147483647][mixed % 5],
            "small": [None, 1, -2, 32767][mixed % 4],
            "rate": RATES[mixed % len(RATES)],
            "real4": [None, 0.5, 2.5][mixed % 3],
            "created_at": TIMES[mixed % len(TIMES)],
            "day": [None, "2024-02-29", "2024-03-01", "0044-03-15 BC"][mixed % 4],
            "data": [None, {"n": number % 3}, [1, "x"], 5][mixed % 4],
            "tags": [None, [], ["a"], ["b", None, "NULL"]][mixed % 4],
            "done": [None, True, False][mixed % 3],
            "feeling": MOODS[mixed % 4],
            "code": [None, "x", "yy"][mixed % 3],
        }


def items_of(tenant):
    for number in range(9):
        mixed = number * 5 + tenant
        yield {
            "tenant_id": tenant,
            "id": number,
            "order_id": [None, 0, 1, 3, 50][mixed % 5],
            "qty": [None, 1, 2][mixed % 3],
            "price": [None, "0.10", "9.99"][(mixed * 2) % 3],
            "label": NOTES[mixed % len(NOTES)],
        }


THINGS = [
    """1, {id}, 9223372036854775807, 'NaN', 1.5, 'NaN', '-0', E'q"\\\\''\\n,{{}}()', 'abc', 'ab', 'x',
    'n', E'\\\\x00ff', '{{"a": 1,  "a":2}}', 'null', 'infinity', '-infinity', '0044-03-15 BC',
    '24:00', '12:00:00.000001+05:30', '1 mon -2 days 03:04:05.6', '[2:3]={{1,NULL}}',
    '{{{{a,b}},{{c,"NULL"}}}}', ARRAY['1'::jsonb, 'null'], 'ok', '{{sad,NULL}}', '(1,"x,y""z")',
    '{{"(1,)",NULL}}', 5, B'101', B'', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03',
    '00000000-0000-0000-0000-00000000000f', '12.34', '[(0,0),(1.5,-0)]', '(1.5,-0)', '(1,1),(0,0)',
    '[1,5)', '{{[1,2),[5,)}}', 'a:1A b', 'a & !b', 'odd', 'r'""",
    """2, {id}, -1, '-Infinity', 0, '-0', 'NaN', '', '', '', '', '', '', 'null', '"x"',
    '0044-03-15 12:00:00.5 BC', '9999-12-31', 'infinity', '00:00', '00:00+00', '-1 year', '{{}}',
    '{{}}', '{{}}', 'sad', '{{}}', '(,)', '{{}}', 1, B'000', B'1', '1.2.3.4', '::/0',
    '08:00:2b:01:02:04', NULL, '-0.01', '((1,1))', '(Infinity,NaN)', '(2,2),(1,1)', 'empty', '{{}}', '',
    '', ' ', '"'""",
    """3, {id}, 0, 'Infinity', 12.345, 1.1, 1e-300, ' x ', 'a', 'a', '1', 'é', 'é', '[1.10,
    {{"b":[]}}]', '1.10', '2024-01-01T00:00:00.000001Z', '2024-06-01', '-infinity', '23:59:59.999999',
    '1:00-15:59', '1 day', '{{1}}', '{{NULL,"",a}}', ARRAY[NULL, '"s"'::jsonb], 'happy', '{{ok}}',
    NULL, '{{"(2,b)"}}', 2, B'111', B'10101', '::ffff:1.2.3.4', '1.2.3.0/24', 'ff:ff:ff:ff:ff:ff',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '0', NULL, '(0,0)', '(0,0),(0,0)', '(,)', '{{(,)}}',
    '''x''', '''y''', E'\\t', 'rr'""",
    "4, {id}" + ", NULL" * 43,
]
"""One row of `things` each, for tenant 1 to 4 and again for 5 to 8."""


def shard_map(count):
    """So many shards, with the tables placed."""
    shards = [ShardId(f"shard_{number}") for number in range(count)]

    def endpoint(name):
        return Endpoint(name, "127.0.0.1", 5432, "fluxbase", "fluxshard")

    return ShardMap(
        cluster_id="gathers",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard: Shard(shard, endpoint(f"{shard}-a")) for shard in shards},
        catalog=endpoint(CATALOG),
        catalog_replicas=(),
        slots=tuple(shards[slot % count] for slot in range(4096)),
        pins={},
        tables={
            TableName("public.orders"): Sharded("tenant_id"),
            TableName("public.items"): Sharded("tenant_id"),
            TableName("public.things"): Sharded("tenant_id"),
            TableName("public.countries"): Reference(),
            TableName("public.settings"): Global(),
        },
    )


class NotingBackends(DirectBackends):
    """Direct backends that note names and types of what the last statement gave."""

    def __init__(self, connections):
        super().__init__(connections)
        self.last = ()

    async def run(self, shard, query, context):
        reply = await super().run(shard, query, context)
        prepared = await self.connections[shard].prepare(query.sql)
        self.last = tuple((a.name, a.type.name) for a in prepared.get_attributes())
        return reply


@dataclass
class World:
    """A router over several shards, and one PostgreSQL with all their rows."""

    router: Router
    backends: NotingBackends
    shards: dict
    one: asyncpg.Connection

    async def close(self):
        for connection in (*self.shards.values(), self.one):
            await connection.close()


async def open_world(url, names, one):
    """Fill the databases `names` as shards, and `one` as the oracle; `url(database)` leads there."""
    connections = []
    for name in (*names, one):
        connection = await asyncpg.connect(url(name))
        await connection.execute("SET timezone = 'UTC'")
        german = await connection.fetchval(GERMAN)
        await connection.execute(TABLES.replace("{german}", german or "C"))
        for kind in TEXT_KINDS:
            await connection.set_type_codec(
                kind, schema="pg_catalog", encoder=str, decoder=str, format="text"
            )
        connections.append(connection)
    *shards, oracle = connections
    placed = shard_map(len(shards))
    by_id = dict(zip(placed.shards, shards, strict=True))
    for tenant in TENANTS:
        owner = by_id[placed.owner(TenantId(str(tenant)))]
        for connection in (owner, oracle):
            await _fill(connection, tenant)
    rows = await oracle.fetch(INTROSPECTION, ["public"])
    tables = read_tables(dict(row) for row in rows)
    schema = merged(tables, tables, placed, ("public",))
    backends = NotingBackends(by_id)
    router = Router(backends, lambda: placed, lambda: schema)
    return World(router, backends, by_id, oracle)


async def _fill(connection, tenant):
    for table, rows in (("orders", orders_of(tenant)), ("items", items_of(tenant))):
        await connection.execute(
            f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1)",
            json.dumps(list(rows)),
        )
    values = THINGS[(tenant - 1) % 4].format(id=tenant)
    values = str(tenant) + values[1:]
    await connection.execute(f"INSERT INTO things VALUES ({values})")


def service():
    """The caller of every statement: nobody's tenant."""
    return QueryContext("service_role", None, "gathers", "{}", Deadline.after(60))


async def answers(world, sql, args, form, *, ordered, counted=False):
    """Both answers in a form that can be compared: (names and types, rows); or what was said.

    The router's may also be `refused: <code>`.
    """
    statement = Statement(sql, args, form, counted=counted)
    try:
        result = await world.router.answer(statement, service())
    except StatementFailed as failure:
        found = f"failed: {failure.sqlstate}"
    except RouterError as refusal:
        return f"refused: {refusal.code} {refusal.message}", None
    else:
        found = _shown(world.backends.last, result, form, ordered=ordered)
    try:
        wanted = await _of_one(world, sql, args, form, ordered=ordered, counted=counted)
    except asyncpg.PostgresError as error:
        wanted = f"failed: {error.sqlstate}"
    return found, wanted


def _shown(columns, result, form, *, ordered):
    if form is Form.JSON:
        body = result.body if ordered else sorted(map(repr, json.loads(result.body)))
        return body, result.row_count, result.total
    width = len(result.columns)
    return columns[:width], _rows(result.rows, ordered=ordered)


def _rows(rows, *, ordered):
    shown = [repr(tuple(row)) for row in rows]
    return shown if ordered else sorted(shown)


async def _of_one(world, sql, args, form, *, ordered, counted):
    if form is Form.JSON:
        row = await world.one.fetchrow(
            f"SELECT coalesce(json_agg(q.*), '[]')::text, count(*) FROM ({sql}) AS q", *args
        )
        body = row[0] if ordered else sorted(map(repr, json.loads(row[0])))
        return body, row[1], row[1] if counted else None
    prepared = await world.one.prepare(sql)
    rows = await prepared.fetch(*args)
    columns = tuple((a.name, a.type.name) for a in prepared.get_attributes())
    return columns, _rows(rows, ordered=ordered)
