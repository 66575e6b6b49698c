"""Whole servers and the tables of their map: what a start finds, ids, globally unique columns."""

import asyncio
from dataclasses import replace

import asyncpg
import httpx
import pytest

from server.mapcheck import settle_uniques
from shardmap import CatalogSource, Sharded, TableName

MEMBERS = """
CREATE TABLE members (
    tenant_id int NOT NULL, id bigint NOT NULL DEFAULT fluxshard.next_id(), email text,
    PRIMARY KEY (tenant_id, id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON members TO authenticated;
"""
UNIQUE = Sharded("tenant_id", global_unique=(("email",),))


@pytest.fixture
def place(databases):
    """`await place(name=placement)` puts tables into the next map, as `map apply` does."""

    async def placed(**tables):
        connection = await asyncpg.connect(databases.url("catalog-a"))
        try:
            source = CatalogSource(connection)
            current = await source.newest()
            tables = {TableName(f"public.{name}"): each for name, each in tables.items()}
            new = replace(current, epoch=current.epoch + 1, tables=tables)
            await settle_uniques(new, {**databases.environment}, current)
            await source.apply(new, expected_epoch=current.epoch, author="test", reason="tables")
        finally:
            await connection.close()

    return placed


@pytest.fixture
async def first_start(databases, served):
    """A server was there once: the databases are prepared, and epoch 1 is in force."""
    server = await served(databases.environment)
    server.process.terminate()
    assert await server.ended() == 0


async def test_a_start_warns_of_tables_that_do_not_fit_and_serves(
    databases, first_start, served, place
):
    await databases.execute(
        MEMBERS.replace("PRIMARY KEY (tenant_id, id)", "PRIMARY KEY (id)"), "shard_0", "shard_1"
    )
    await place(members=Sharded("tenant_id"))

    server = await served(databases.environment)

    assert "table_unfit" in server.log
    assert "rule=key-spans-tenants" in server.log
    assert "row-security-off" not in server.log


async def test_a_server_does_not_start_on_tables_in_which_tenants_meet(
    databases, first_start, served, place
):
    await databases.execute(
        "CREATE TABLE members (tenant_id char(4) PRIMARY KEY)", "shard_0", "shard_1"
    )
    await place(members=Sharded("tenant_id"))

    server = await served(databases.environment, wait=False)

    assert await server.ended() == 1
    assert "M110: tables.public.members: tenant_id is character; a tenant key" in server.log
    assert "[tenant-column-type]" in server.log


async def test_ids_and_globally_unique_columns_over_http(databases, first_start, served, place):
    await databases.execute(MEMBERS, "shard_0", "shard_1")
    await place(members=UNIQUE)
    server = await served(databases.environment)

    async def register(tenant, email):
        user = server.bearer(role="authenticated", tenant_id=tenant, sub=f"user-{tenant}")
        async with httpx.AsyncClient(timeout=30, headers=user, verify=False) as client:
            return await client.post(
                f"{server.url}/rest/v1/members",
                json={"email": email},
                headers={"Prefer": "return=representation"},
            )

    made = await asyncio.gather(*(register(tenant, f"m{tenant}@x") for tenant in range(12)))
    raced = await asyncio.gather(*(register(tenant, "same@x") for tenant in range(12)))

    ids = [answer.json()[0]["id"] for answer in made]
    assert {answer.status_code for answer in made} == {201}
    assert {one >> 12 & 1023 for one in ids} == {1, 2}
    assert len(set(ids)) == 12
    assert sorted(answer.status_code for answer in raced) == [201] + [409] * 11
    refused = next(answer.json() for answer in raced if answer.status_code == 409)
    assert refused["code"] == "23505"
    assert refused["message"].endswith('unique constraint "members_email_global_unique"')
    assert refused["details"] == "Key (email) already exists."
