"""An application's database is adopted: looked at, run unchanged, migrated, then sharded."""

import asyncpg

from shardmap import Reference, Sharded, Unsharded, read_map

APPLICATION = """
create table orgs (id bigint primary key, name text);
create table users (id bigint primary key, org_id bigint not null references orgs, email text unique);
create table orders (id bigint primary key, org_id bigint not null references orgs, country text);
create table lines (id bigint primary key, order_id bigint not null references orders, n int);
create table notes (id bigint primary key, line_id bigint not null references lines, text text);
create table countries (code text primary key);
insert into orgs values (1, 'a'), (2, 'b');
insert into users values (1, 1, 'a@x'), (2, 2, 'b@x');
insert into orders values (10, 1, 'ch'), (20, 2, 'at');
insert into lines values (100, 10, 1), (200, 20, 2);
insert into notes values (1000, 100, 'x'), (2000, 200, 'y');
"""


async def test_a_database_is_adopted_migrated_and_sharded(databases, fluxshard, tmp_path):
    await databases.execute(APPLICATION, "shard_0")
    server = databases.endpoints.shards[0].primary
    url = f"postgres://{server.user}@/{server.database}?host={server.host}&port={server.port}"
    place = (url, "--credentials", server.credentials)
    catalog = {**databases.environment, "DATABASE_URL": databases.url("shard_0-a")}

    adopted = await fluxshard("adopt", *place, "-o", tmp_path / "out", "--apply", env=catalog)
    again = await fluxshard("adopt", *place, "--apply", env=catalog)
    unchanged = read_map((await fluxshard("map", "get", env=catalog)).stdout)
    connection = await asyncpg.connect(databases.url("shard_0-a"))
    try:
        await connection.execute((tmp_path / "out" / "migration.sql").read_text())
        await connection.execute("alter table users drop constraint users_email_key")
        rows = await connection.fetch("select org_id, id from notes order by id")
    finally:
        await connection.close()
    applied = await fluxshard(
        "map",
        "apply",
        tmp_path / "out" / "2-sharded.yaml",
        "--reason",
        "sharded",
        "--yes",
        env=catalog,
    )

    assert adopted.exit_code == 0, adopted.output
    assert adopted.stdout.splitlines()[:7] == [
        "tenants are told by org_id (bigint), whose own table is public.orgs",
        "  public.countries: reference",
        "  public.lines: sharded by org_id; lacks the column, which public.orders has",
        "  public.notes: sharded by org_id; lacks the column, which public.lines has",
        "  public.orders: sharded by org_id",
        "  public.orgs: sharded by id",
        "  public.users: sharded by org_id",
    ]
    assert "[key-spans-tenants]" in adopted.stdout
    assert (again.exit_code, again.stderr) == (1, "M104 epoch: the database has a map already\n")
    assert (unchanged.default_placement, unchanged.tables) == (Unsharded(), {})
    assert [tuple(row) for row in rows] == [(1, 1000), (2, 2000)]
    assert applied.exit_code == 0, applied.output
    newest = read_map((await fluxshard("map", "get", env=catalog)).stdout)
    assert newest.tables["public.notes"] == Sharded("org_id")
    assert newest.tables["public.countries"] == Reference()


async def test_a_database_without_tenants_says_so(databases, fluxshard):
    await databases.execute("create table things (id int primary key)", "shard_0")
    server = databases.endpoints.shards[0].primary
    url = f"postgres://{server.user}@/{server.database}?host={server.host}&port={server.port}"

    guessed = await fluxshard("adopt", url, "--credentials", server.credentials)
    named = await fluxshard(
        "adopt", url, "--credentials", server.credentials, "--tenant-column", "nobody"
    )

    assert (guessed.exit_code, named.exit_code) == (1, 1)
    assert "say --tenant-column" in guessed.stderr
    assert "no table has a column nobody" in named.stderr
