"""No statement of a tenant at the SQL door meets another tenant's rows, alone or in a transaction."""

import json
from pathlib import Path

ATTACKS = Path(__file__).parents[2] / "oracle" / "attacks.sql"
TENANT, OTHER = 1, 3

DDL = """
CREATE TABLE orders (
    tenant_id int NOT NULL, id bigint NOT NULL, note text, total numeric, created_at timestamptz,
    data jsonb, german text, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE items (
    tenant_id int NOT NULL, id bigint NOT NULL, order_id bigint, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE plans (id int PRIMARY KEY, name text);
INSERT INTO countries VALUES ('a', 'Austria'), ('b', 'Brazil');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, items, countries TO authenticated;
"""
FILL = """
DELETE FROM orders WHERE tenant_id = {0}; DELETE FROM items WHERE tenant_id = {0};
INSERT INTO orders SELECT {0}, g, 'n' || g % 4, g * 1.5, NULL, '{{"n": 1}}' FROM generate_series(1, 12) g;
INSERT INTO items SELECT {0}, g, g % 5 FROM generate_series(1, 12) AS g;
"""
OTHERS = """
SELECT coalesce((SELECT json_agg(o ORDER BY id)::text FROM orders AS o WHERE tenant_id = 3), '')
    || coalesce((SELECT json_agg(i ORDER BY id)::text FROM items AS i WHERE tenant_id = 3), '')
    || (SELECT count(*) FROM orders WHERE tenant_id <> 1)
    || (SELECT count(*) FROM items WHERE tenant_id <> 1)
"""


def attacks():
    for line in ATTACKS.read_text().splitlines()[1:]:
        yield line.replace("\\n", "\n")


def shown(status, body):
    """The answer without what says who gave it; rows in any order, tables have none."""
    text = json.dumps(body, sort_keys=True)
    for part in [body, *body.get("results", ())] if isinstance(body, dict) else []:
        part.pop("served_by", None)
        if "rows" in part:
            part["rows"].sort(key=json.dumps)
        text = json.dumps(body, sort_keys=True)
    return status, text


async def test_no_attack_reads_or_writes_rows_of_another_tenant(fresh_databases, open_door):
    alone = await open_door(await fresh_databases(), DDL, (TENANT, OTHER))
    shared = await open_door(await fresh_databases(), DDL, (TENANT, OTHER))
    one = await alone.superuser("shard_0-a")
    two = await shared.superuser("shard_0-a")
    answered = 0
    try:
        await two.execute(FILL.format(OTHER))
        before = await two.fetchval(OTHERS)
        for sql in attacks():
            for ask in ("sql", "statements"):
                await one.execute(FILL.format(TENANT))
                await two.execute(FILL.format(TENANT))
                body = {ask: sql if ask == "sql" else [sql, "SELECT count(*) FROM orders"]}
                wanted = shown(*await alone.ask(body, tenant=TENANT))
                found = shown(*await shared.ask(body, tenant=TENANT))
                assert found == wanted, sql
                assert await two.fetchval(OTHERS) == before, sql
                answered += found[0] == 200
    finally:
        await one.close()
        await two.close()
    assert answered > 150
