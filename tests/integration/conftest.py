"""Fixtures of the commands about maps, moves and tenants.

fluxshard
    `await fluxshard("map", …)` runs the command with the test's catalog; `env`, `stdin`.
first, applied
    A map of the test's own databases, not applied yet; and applied as epoch 1.
document
    `document(shard_map)` is a file with it.
"""

import asyncio
from dataclasses import replace

import pytest
from click.testing import CliRunner

from server.cli import main
from shardmap import KeyType, ShardMap, propose, write_yaml


@pytest.fixture
def first(databases):
    """A map of the test's own databases that has not been applied."""
    servers = databases.endpoints
    shards = {shard.id: shard for shard in servers.shards}
    return ShardMap(
        cluster_id="test",
        epoch=0,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=servers.catalog.primary,
        catalog_replicas=servers.catalog.replicas,
        slots=propose(dict.fromkeys(shards, 1)),
    )


@pytest.fixture
def fluxshard(databases):
    """`await fluxshard("map", …)` runs the command in the test's directory, with its catalog."""

    async def run(*arguments, env=None, stdin=None):
        environ = dict.fromkeys(
            ("DATABASE_URL", "FLUXBASE_DATABASE_READ_REPLICAS", "FLUXSHARD_CONFIG")
        )
        environ |= databases.environment if env is None else env
        runner = CliRunner(env=environ)
        return await asyncio.to_thread(
            runner.invoke, main, [str(argument) for argument in arguments], input=stdin
        )

    return run


@pytest.fixture
def document(tmp_path):
    """`document(shard_map)` is a file with it."""

    def write(shard_map):
        file = tmp_path / "map.yaml"
        file.write_text(shard_map if isinstance(shard_map, str) else write_yaml(shard_map))
        return file

    return write


@pytest.fixture
async def applied(fluxshard, document, first):
    """Epoch 1, applied by command."""
    result = await fluxshard("map", "apply", document(first), "--reason", "begin", "--yes")
    assert result.exit_code == 0, result.output
    return replace(first, epoch=1)
