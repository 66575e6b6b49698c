"""`fluxshard sql` and `fluxshard explain`, on the servers of the map in force."""

import asyncio
import json
from dataclasses import replace

import pytest_asyncio
from click.testing import CliRunner

from server.cli import main
from shardmap import write_yaml


@pytest_asyncio.fixture
async def fluxshard(door, tmp_path):
    """`await fluxshard("sql", …)` runs the command with the door's catalog, whose map is applied."""

    async def run(*arguments, stdin=None):
        environ = dict.fromkeys(("FLUXBASE_DATABASE_READ_REPLICAS", "FLUXSHARD_CONFIG"))
        environ |= door.databases.environment
        runner = CliRunner(env=environ)
        return await asyncio.to_thread(
            runner.invoke, main, [str(argument) for argument in arguments], input=stdin
        )

    file = tmp_path / "map.yaml"
    file.write_text(write_yaml(replace(door.shard_map, epoch=0)))
    applied = await run("map", "apply", file, "--reason", "begin", "--yes")
    assert applied.exit_code == 0, applied.output
    return run


async def test_rows_are_printed_as_a_table(fluxshard):
    result = await fluxshard("sql", "SELECT 1 AS one, 'x' AS word, NULL AS nothing")

    assert result.exit_code == 0, result.output
    assert result.stdout == "one | word | nothing\n----+------+--------\n  1 | x    |\n(1 row)\n"


async def test_rows_are_printed_as_csv_and_json(fluxshard):
    sql = "SELECT * FROM countries ORDER BY code"

    as_csv = await fluxshard("sql", "--csv", sql)
    as_json = await fluxshard("sql", "--json", "-", stdin=sql)

    assert as_csv.stdout == "code,name\nat,Austria\nbr,Brazil\n"
    assert json.loads(as_json.stdout)["rows"] == [["at", "Austria"], ["br", "Brazil"]]


async def test_a_tenant_is_held_to_its_rows(fluxshard, door, tmp_path):
    file = tmp_path / "write.sql"
    file.write_text("INSERT INTO orders (id, note) VALUES ($1, $2) -- a file")
    options = ("--tenant", door.A, "--param", "7", "--param", "hello")
    assert (await fluxshard("sql", "-f", file, *options)).stdout == "(1 row)\n"

    own = await fluxshard("sql", "--csv", "--tenant", door.A, "SELECT tenant_id, id FROM orders")
    other = await fluxshard("sql", "--csv", "--tenant", door.A2, "SELECT id FROM orders")

    assert own.stdout == f"tenant_id,id\n{door.A},7\n"
    assert other.stdout == "id\n"


async def test_refusals_are_told_by_code_and_end_with_1(fluxshard):
    for options, code in (
        (("DELETE FROM orders",), "P108"),
        (("--read-only", "DELETE FROM orders WHERE tenant_id = 1"), "P121"),
        (("SELECT 1/0 AS x",), "22012"),
        (("SELECT 1; SELECT 2",), "P101"),
    ):
        result = await fluxshard("sql", *options)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"{code}: ")


async def test_explain_names_the_endpoint_that_would_answer(fluxshard, door):
    read = await fluxshard("explain", "--json", f"SELECT * FROM orders WHERE tenant_id = {door.A}")
    write = await fluxshard("explain", "--tenant", door.B, "UPDATE orders SET note = 'x'")

    (endpoint,) = json.loads(read.stdout)["endpoints"]
    assert endpoint["shard"] == "shard_0"
    assert endpoint["endpoint"] in {"shard_0-b", "shard_0-c"}
    assert endpoint["states"]["shard_0-a"] == "primary"
    assert "endpoint  shard_1: shard_1-a, the primary: it writes" in write.stdout
    assert "map       epoch 1" in write.stdout


async def test_a_batch_is_explained_with_the_tables_as_they_are(fluxshard):
    line = json.dumps({"id": 1, "sql": "SELECT id FROM orders ORDER BY data"})

    result = await fluxshard("explain", "--batch", "-", stdin=line)

    assert json.loads(result.stdout)["id"] == 1
    assert result.exit_code == 0
