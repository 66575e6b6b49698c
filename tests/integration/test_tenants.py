"""A tenant's life by command: listed, shown, taken out, brought in, deleted."""

import json
import zipfile
from dataclasses import replace

import asyncpg
import pytest

from router import prepare_database
from server.catalog import connected
from shardmap import Sharded, TableName, TenantId

TABLES = """
create table public.orders (
    tenant_id int not null, id int generated always as identity, note text, price numeric(12, 4),
    loud text generated always as (upper(note)) stored, tags text[], primary key (tenant_id, id));
create table public.aa_lines (
    tenant_id int not null, order_id int not null, line int, body jsonb, primary key (tenant_id, order_id, line),
    foreign key (tenant_id, order_id) references public.orders (tenant_id, id));
alter table public.orders enable row level security;
alter table public.orders force row level security;
"""
TENANTS = [TenantId(str(number)) for number in range(6)]


async def fetch(databases, server, query):
    connection = await asyncpg.connect(databases.url(server))
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


@pytest.fixture
async def placed(applied, fluxshard, document, databases):
    """Two shards with orders and their lines of six tenants."""
    await databases.execute(TABLES, "shard_0", "shard_1")
    for shard in applied.shards.values():
        async with connected(shard.primary, {}) as session:
            await prepare_database(session, number=applied.number(shard.id))
        own = ",".join(one for one in TENANTS if applied.owner(one) == shard.id)
        await databases.execute(
            f"""
            insert into orders (tenant_id, note, price, tags)
            select tenant, E'tab\\t and \\\\ and "quotes"', n * 1.0050, array['a,b', null]
            from unnest(array[{own}]::int[]) tenant, generate_series(1, 10) n;
            insert into aa_lines select tenant_id, id, line, '{{"n": 1.50}}' from orders, generate_series(1, 3) line
            """,
            shard.id,
        )
    names = ("aa_lines", "orders")
    tables = {TableName(f"public.{name}"): Sharded("tenant_id") for name in names}
    file = document(replace(applied, tables=tables))
    result = await fluxshard("map", "apply", file, "--reason", "place", "--yes")
    assert result.exit_code == 0, result.output
    return replace(applied, epoch=2, tables=tables)


async def test_tenants_are_listed_by_size_and_shown_by_table(placed, fluxshard):
    listed = json.loads((await fluxshard("tenants", "list", "--json")).stdout)
    text = await fluxshard("tenants", "list", "--limit", "2")
    shown = await fluxshard("tenants", "show", "3")
    wrong = await fluxshard("tenants", "show", "x")

    assert {one["tenant"]: one["shard"] for one in listed["tenants"]} == {
        one: placed.owner(one) for one in TENANTS
    }
    assert {one["rows"] for one in listed["tenants"]} == {40}
    assert text.stdout.splitlines()[-1] == "… and 4 more"
    assert shown.stdout.splitlines()[0].startswith(f"tenant 3 on {placed.owner('3')}, by its slot")
    assert [line.split()[:2] for line in sorted(shown.stdout.splitlines()[2:])] == [
        ["public.aa_lines", "30"],
        ["public.orders", "10"],
    ]
    assert wrong.exit_code == 1


async def test_what_was_exported_comes_back_as_it_was(placed, fluxshard, databases, tmp_path):
    server, file = f"{placed.owner('3')}-a", tmp_path / "three.zip"
    everything = (
        "select t.*::text from (select 'o', o::text from orders o union all"
        " select 'l', l::text from aa_lines l) t order by 1"
    )
    before = await fetch(databases, server, everything)

    exported = await fluxshard("tenants", "export", "3", file)
    again = await fluxshard("tenants", "export", "3", file)
    there = await fluxshard("tenants", "import", file)
    asked = await fluxshard("tenants", "delete", "3", "--reason", "left us", "--grace", "0s")
    purged = await fluxshard("tenants", "purge", "--yes")
    gone = await fetch(databases, server, "select count(*) from orders where tenant_id = 3")
    checked = await fluxshard("tenants", "import", file, "--check", env={})
    elsewhere = "alter table orders alter id set start 5 set increment 16 restart"
    await databases.execute(elsewhere, placed.owner("3"))
    imported = await fluxshard("tenants", "import", file, "--reason", "came back")
    audit = json.loads((await fluxshard("audit", "--action", "tenant", "--json")).stdout)

    assert exported.exit_code == 0, exported.output
    assert exported.stdout.startswith("40 rows of 2 tables, schema ")
    assert (again.exit_code, again.stderr) == (2, f"{file}: File exists\n")
    assert there.exit_code == 1
    assert "T102 public.orders: the tenant has rows already" in there.stderr
    assert (asked.exit_code, purged.exit_code, gone) == (0, 0, [(0,)]), purged.output
    assert "tenant 3: 40 rows deleted" in purged.stdout
    assert checked.stdout.startswith("tenant 3, 40 rows, of ")
    assert imported.exit_code == 0, imported.output
    assert await fetch(databases, server, everything) == before
    assert [one["action"] for one in audit] == [
        "tenant import",
        "tenant purge",
        "tenant delete",
        "tenant export",
    ]
    following = "insert into orders (tenant_id, note) values (3, 'the next') returning id"
    ((number,),) = await fetch(databases, server, following)
    assert number % 16 == 5


async def test_after_a_failover_tenants_are_found_on_whoever_is_the_primary_now(
    placed, fluxshard, document, databases, tmp_path
):
    file = tmp_path / "three.zip"
    swapped = {
        shard.id: replace(
            shard, primary=shard.replicas[0], replicas=(*shard.replicas[1:], shard.primary)
        )
        for shard in placed.shards.values()
    }
    declared = document(replace(placed, shards=swapped))
    applied = await fluxshard("map", "apply", declared, "--reason", "swap", "--yes")
    assert applied.exit_code == 0, applied.output

    done = [
        await fluxshard("tenants", *arguments)
        for arguments in (
            ("export", "3", file),
            ("delete", "3", "--reason", "left us", "--grace", "0s"),
            ("purge", "--yes"),
            ("import", file),
        )
    ]

    assert [one.exit_code for one in done] == [0] * 4, [one.output for one in done]
    kept = "select count(*) from aa_lines where tenant_id = 3"
    assert await fetch(databases, f"{placed.owner('3')}-a", kept) == [(30,)]


async def test_archives_that_lie_are_refused(placed, fluxshard, databases, tmp_path):
    file, forged, broken = (tmp_path / f"{name}.zip" for name in ("good", "forged", "broken"))
    await fluxshard("tenants", "export", "3", file)
    with zipfile.ZipFile(file) as good, zipfile.ZipFile(forged, "x") as bad:
        for name in good.namelist():
            text = good.read(name)
            bad.writestr(name, text.replace(b'"tenant": "3"', b'"tenant": "99"'))
    with zipfile.ZipFile(file) as good, zipfile.ZipFile(broken, "x") as bad:
        for name in good.namelist():
            text = good.read(name)
            bad.writestr(name, text.replace(b"quotes", b"quotas") if "orders" in name else text)

    other = await fluxshard("tenants", "import", forged)
    damaged = await fluxshard("tenants", "import", broken)
    none = await fluxshard("tenants", "import", databases_file(tmp_path))

    assert (other.exit_code, damaged.exit_code, none.exit_code) == (1, 1, 1)
    assert "T101 tables/public.orders.copy: holds rows of another tenant than 99" in other.stderr
    assert "T101 tables/public.orders.copy: the checksum does not hold" in damaged.stderr
    assert "T101" in none.stderr
    for server in ("shard_0-a", "shard_1-a"):
        found = await fetch(databases, server, "select count(*) from orders where tenant_id = 99")
        assert found == [(0,)]


def databases_file(tmp_path):
    file = tmp_path / "text.zip"
    file.write_text("no archive")
    return file


async def test_a_deletion_is_withdrawn_within_the_time_of_grace(placed, fluxshard, databases):
    asked = await fluxshard("tenants", "delete", "3", "--reason", "left us")
    early = await fluxshard("tenants", "purge", "--yes")
    stays = await fluxshard("tenants", "restore", "3", "--reason", "paid")
    again = await fluxshard("tenants", "restore", "3", "--reason", "paid")
    never = await fluxshard("tenants", "delete", "3", "--reason", "x", "--grace", "soon")

    query = "select count(*) from orders where tenant_id = 3"
    assert asked.exit_code == stays.exit_code == early.exit_code == 0
    assert "tenant 3: not before" in early.stdout
    assert await fetch(databases, f"{placed.owner('3')}-a", query) == [(10,)]
    assert (again.exit_code, never.exit_code) == (1, 2)
