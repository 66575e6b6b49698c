"""A cluster of two shards with a map that places its tables, and `fluxshard migrate` on it."""

import asyncio
import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from server.catalog import connected
from server.cli import main
from shardmap import (
    CatalogSource,
    Global,
    KeyType,
    Reference,
    Sharded,
    ShardMap,
    TableName,
    claim_identity,
    propose,
)


def _load(folder):
    path = Path(__file__).parents[1] / folder / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"migrate_{folder}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for it
    spec.loader.exec_module(module)
    return module


served = _load("server").served
"""Start servers, as in the tests of the server."""

TABLES = {
    "public.orders": Sharded("tenant_id"),
    "public.lines": Sharded("tenant_id"),
    "public.countries": Reference(),
    "public.plans": Global(),
}
ORDERS = """
create table orders (
    tenant_id bigint not null, id bigint not null, total numeric, primary key (tenant_id, id));
"""


@dataclass
class Migrations:
    """A directory of migrations, and the cluster that they are for."""

    databases: object
    directory: Path

    def write(self, **files):
        """`write(_0001_orders="create …")` writes 0001_orders.sql."""
        for name, sql in files.items():
            file = name.removeprefix("_").replace("__up", ".up").replace("__down", ".down")
            (self.directory / f"{file}.sql").write_text(sql)

    async def run(self, *arguments, code=0, env=None):
        """Run the command; its output. Fails unless it ends with `code`."""
        arguments = ["migrate", arguments[0], "--dir", self.directory, *arguments[1:]]
        return await self.fluxshard(*arguments, code=code, env=env)

    async def fluxshard(self, *arguments, code=0, env=None):
        """The same for any command."""
        environ = dict.fromkeys(
            ("DATABASE_URL", "FLUXBASE_DATABASE_READ_REPLICAS", "FLUXSHARD_CONFIG")
        )
        environ |= self.databases.environment | (env or {})
        result = await asyncio.to_thread(
            CliRunner(env=environ).invoke, main, [str(argument) for argument in arguments]
        )
        assert result.exit_code == code, result.output
        return result

    async def json(self, *arguments, code=0):
        """The same with --json: what it printed."""
        result = await self.run(*arguments, "--json", code=code)
        return json.loads(result.stdout)

    async def states(self):
        """What `status` says: version to the state in the catalog, shard_0 and shard_1."""
        found = await self.json("status")
        return {
            one["version"]: tuple(
                None if entry is None else entry["state"] for entry in one["databases"].values()
            )
            for one in found["versions"]
        }

    async def ask(self, server, sql, *args):
        """The first value of a query on a server."""
        connection = await asyncpg.connect(self.databases.url(server))
        try:
            return await connection.fetchval(sql, *args)
        finally:
            await connection.close()

    async def everywhere(self, sql, *args):
        """The same on the primaries of the catalog, shard_0 and shard_1."""
        return [
            await self.ask(server, sql, *args) for server in ("catalog-a", "shard_0-a", "shard_1-a")
        ]


@pytest.fixture
async def migrations(databases, tmp_path):
    """Migrations of a cluster whose map is applied."""
    await place(databases, TABLES)
    directory = tmp_path / "migrations"
    directory.mkdir()
    return Migrations(databases, directory)


async def place(databases, tables):
    """Put a map in force that places these tables, and claim its servers."""
    servers = databases.endpoints
    shards = {shard.id: shard for shard in servers.shards}
    first = ShardMap(
        cluster_id="test",
        epoch=0,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=servers.catalog.primary,
        catalog_replicas=servers.catalog.replicas,
        slots=propose(dict.fromkeys(shards, 1)),
        tables={TableName(name): placement for name, placement in tables.items()},
    )
    for shard in servers.all:
        async with connected(shard.primary, {}) as session:
            await claim_identity(session, "test", shard.id)
    async with connected(servers.catalog.primary, {}) as session:
        await CatalogSource(session).apply(first, expected_epoch=0, author="test", reason="test")


@pytest.fixture
def orders():
    """The first migration of most tests."""
    return ORDERS


@pytest.fixture
def migrations_of():
    """Migrations of other databases: `migrations_of(databases, directory)`."""
    return Migrations
