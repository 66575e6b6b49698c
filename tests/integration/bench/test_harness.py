"""Every command of the harness once, with few operations: that its figures are there and add up."""

import itertools
import json
from collections import Counter

import asyncpg
import pytest
import pytest_asyncio
from click.testing import CliRunner

from bench.cli import command
from bench.limits import ServiceTime
from bench.load import LoadSpec, measure
from bench.peers.poolers import PROGRAMS, installed
from bench.result import read_result
from bench.workloads import Size, workload
from bench.world import SERVED_BY, WorldSpec, open_for

SIZE = Size(tenants=6, rows=60)
LIMIT = ServiceTime(2, 0.02)
CAPACITY = 100
QUICK = ("--seconds", "0.5", "--warm", "0.2")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world():
    """One shard with two replicas, each server limited."""
    spec = WorldSpec(replicas=2, limit=LIMIT, settings=SERVED_BY)
    async with open_for(spec, workload("mixed", SIZE)) as opened:
        yield opened


def load(name="point-read", **more):
    return LoadSpec(workload=name, size=SIZE, clients=8, warm_s=0.2, seconds=0.6, **more)


@pytest.mark.asyncio(loop_scope="module")
async def test_limited_servers_answer_no_more_than_their_capacity_and_share_the_reads(world):
    found = await measure(world, load())

    assert found.failed == 0
    assert 0 < found.rate <= 2 * CAPACITY * 1.1
    served = {name.split()[0] for name in found.served}
    assert served == {"shard_0/shard_0-b", "shard_0/shard_0-c"}
    assert found.all.at_ms(0) >= LIMIT.service_s * 1000 * 0.9
    assert {"fluxshard", "postgresql", "limiting proxy", "load generator"} == set(
        found.spent["seconds"]
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_every_arrival_of_an_open_loop_is_accounted_for(world):
    found = await measure(world, load(rate=50, processes=2))

    accounts = found.accounts
    assert accounts["due"] == pytest.approx(30, abs=2)
    assert accounts["due"] == accounts["sent"] + accounts["dropped"] + accounts["waiting"]
    assert accounts["answered"] == found.answered + sum(found.errors.values())


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_done_meanwhile_is_on_the_timeline(world):
    async def during(timeline):
        await timeline.at(0.2)
        timeline.mark("half way")

    found = await measure(world, load("mixed"), during)

    (event,) = found.events
    assert event.name == "half way"
    assert event.at_s >= 0.2
    assert set(found.latencies) == {"read", "write"}


@pytest.mark.asyncio(loop_scope="module")
async def test_an_answer_without_the_rows_that_are_there_is_an_error(world):
    wrong = LoadSpec(workload="point-read", size=Size(6, 60_000), warm_s=0.1, seconds=0.5)

    found = await measure(world, wrong)

    assert found.errors["no rows"] > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_server_behind_its_limit_is_the_same_server(world):
    async with world.superuser("shard_0-a") as straight:
        shard = world.shard_map.shards["shard_0"]
        url = world.cluster.url("shard_0-a").split("?")[0]
        gated = await asyncpg.connect(url, host=world.gates.host, port=shard.primary.port)
        try:
            size = "SELECT pg_backend_pid() IS NOT NULL, repeat('x', 300000)"
            assert tuple(await gated.fetchrow(size)) == tuple(await straight.fetchrow(size))
            await gated.copy_records_to_table(
                "points", records=[(1, -1, "copied", 1, None)][:0], columns=["tenant_id"]
            )
            async with gated.transaction():
                assert await gated.fetchval("SELECT 1") == 1
        finally:
            await gated.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_replicas_show_commits_late_when_they_are_told_to(world):
    update = "UPDATE points SET name = 'late' WHERE tenant_id = 1 AND id = 1"
    look = "SELECT name FROM points WHERE tenant_id = 1 AND id = 1"
    async with world.superuser("shard_0-a") as primary, world.superuser("shard_0-b") as replica:
        await primary.execute("UPDATE points SET name = 'old' WHERE tenant_id = 1 AND id = 1")
        await world.caught_up()
        await world.delay(3600)

        await primary.execute(update)
        assert await replica.fetchval(look) == "old"

        await world.delay(0)
        await world.caught_up()
        assert await replica.fetchval(look) == "late"


def done(tmp_path, *words):
    """A command's result and what it printed."""
    ended = CliRunner().invoke(command, [*words, "--out", str(tmp_path)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return read_result(tmp_path / "result.json"), ended.output


def test_a_run_of_two_shards_is_written_and_comparable(tmp_path):
    result, printed = done(
        tmp_path, "run", "scatter", "--shards", "2", "--replicas", "0", "--rows", "40", *QUICK
    )

    assert "operations/s, 0 failed" in printed
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".txt", ".html", ".png"}
    assert all(one.answered for one in result.runs[0].rounds)
    file = str(tmp_path / "result.json")
    compared = CliRunner().invoke(command, ["compare", file, file, "--json"])
    assert {ratio["ratio"] for ratio in json.loads(compared.stdout)["ratios"]} == {1.0}


def test_reads_against_replicas_are_ratios_to_one(tmp_path):
    result, _ = done(
        tmp_path, "replicas", "--replicas", "0,1", "--no-control", "--rounds", "1",
        "--clients", "8", "--bound", "100000", "--limit", "service:20ms*2", "--near", "0.5", *QUICK,
    )  # fmt: skip

    found = result.figures["replicas"]
    assert set(found) == {"0", "1"}
    assert found["1"]["saturated_ratio"] == found["1"]["kept_ratio"] == 1.0
    assert 0 < found["0"]["saturated_per_s"] <= CAPACITY * 1.15
    assert (tmp_path / "replicas.png").exists()


def test_peers_that_are_installed_are_measured_and_the_others_named(tmp_path):
    result, printed = done(
        tmp_path, "peers", "--rounds", "1", "--clients", "4", "--seconds", "1", "--warm", "0.1"
    )

    missing = [PROGRAMS[name] for name in PROGRAMS if installed(name) is None]
    measured = {"pgbench", "asyncpg", "fluxshard", *PROGRAMS} - set(missing)
    assert set(result.figures["peers"]) == measured
    assert all(found["per_s"] > 0 for found in result.figures["peers"].values())
    for name in missing:
        assert f"{name} is not installed here" in printed


def test_tpcc_over_two_shards_keeps_every_condition(tmp_path):
    result, _ = done(
        tmp_path, "tpcc", "--items", "200", "--customers", "30", "--remote-lines", "15",
        "--clients", "6", "--seconds", "3", "--warm", "0.2",
    )  # fmt: skip

    assert result.figures["conditions broken"] == {}
    assert result.figures["transactions in two parts"] > 0
    assert Counter(result.runs[0].rounds[0].errors) == {}


def test_workloads_on_the_same_tables_share_a_world(tmp_path):
    names = ["ycsb-a", "ycsb-d", "ycsb-e", "ycsb-f"]
    result, printed = done(
        tmp_path, "run", *names, "--replicas", "0", "--rows", "40", "--tenants", "6", "--clients",
        "4", *QUICK,
    )  # fmt: skip

    assert printed.count("starting") == 1
    assert [run.name for run in result.runs] == names
    for run in result.runs:
        operations = itertools.islice(workload(run.name, SIZE).operations(0, 1), 500)
        (one,) = run.rounds
        assert one.failed == 0
        assert set(one.latencies) <= {each.kind for each in operations}
