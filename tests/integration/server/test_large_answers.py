"""Large answers of a whole server over two shards: bounded memory, and ends that nobody mistakes."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest

from shardmap import CatalogSource, Sharded, TableName, TenantId

ROWS = 80_000
"""On each of two shards; about 16 MiB of JSON together, more than all buffers on the way hold."""

DDL = f"""
CREATE TABLE readings (tenant_id int NOT NULL, id bigint NOT NULL, name text NOT NULL);
INSERT INTO readings
SELECT {{tenant}}, n * 2 + {{place}}, repeat('x', 60) || n FROM generate_series(1, {ROWS}) AS n;
CREATE INDEX ON readings (id);
GRANT SELECT ON readings TO authenticated, service_role;
"""
ALL = "/rest/v1/readings?select=id,name&order=id"
WAIT_S = 60


@pytest.fixture
async def server(databases, served):
    """A server over two shards with many readings."""
    server = await served(databases.environment)
    source = await asyncpg.connect(databases.url("catalog-a"))
    current = await CatalogSource(source).newest()
    for place, shard in enumerate(current.homes):
        tenant = next(n for n in range(1, 99) if current.owner(TenantId(str(n))) == shard)
        await databases.execute(DDL.format(tenant=tenant, place=place), shard)
    placed = {TableName("public.readings"): Sharded("tenant_id")}
    await CatalogSource(source).apply(
        replace(current, epoch=current.epoch + 1, tables=placed),
        expected_epoch=current.epoch,
        author="test",
        reason="readings",
    )
    await source.close()

    async def known():
        page = await server.get(f"{ALL}&limit=4", headers=service(server))
        return page.status_code == 200 and [row["id"] for row in page.json()] == [2, 3, 4, 5]

    await eventually(known)
    return server


def service(server):
    return server.bearer(role="service_role")


async def eventually(condition):
    async with asyncio.timeout(WAIT_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def asked(server, version="HTTP/1.1"):
    """A connection on which all rows were asked for, and the head has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = service(server)["Authorization"]
    writer.write(f"GET {ALL} {version}\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(WAIT_S):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.split(b"\r\n")[0].endswith(b" 200 OK")
        yield reader
    finally:
        writer.transport.abort()


async def in_transactions(databases, then="NULL"):
    """How many sessions of any server are in a transaction; `then` is evaluated for each."""
    found = 0
    for server in ("shard_0-a", "shard_0-b", "shard_0-c", "shard_1-a", "shard_1-b", "shard_1-c"):
        connection = await asyncpg.connect(databases.url(server))
        found += len(
            await connection.fetch(
                f"SELECT {then} FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
                " AND datname = current_database()"
            )
        )
        await connection.close()
    return found


def memory_kib(server, name):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def forget_peak(server):
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


async def test_all_rows_come_in_order_and_the_process_does_not_grow(server):
    idle = memory_kib(server, "VmRSS")
    forget_peak(server)
    async with httpx.AsyncClient(timeout=WAIT_S, verify=False) as client:
        answer = await client.get(f"{server.url}{ALL}", headers=service(server))
    grown = memory_kib(server, "VmHWM") - idle

    assert answer.status_code == 200
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["content-range"] == "0-*/*"
    assert "content-length" not in answer.headers
    assert [row["id"] for row in json.loads(answer.content)] == list(range(2, 2 * ROWS + 2))
    assert grown < len(answer.content) / 1024 / 2


async def test_a_session_that_ends_on_the_way_breaks_the_answer_off(server, databases):
    async with httpx.AsyncClient(timeout=WAIT_S, verify=False) as client:
        stream = client.stream("GET", f"{server.url}{ALL}", headers=service(server))
        async with stream as answer:
            assert answer.status_code == 200
            await eventually(lambda: _at_least_one(databases))
            await in_transactions(databases, then="pg_terminate_backend(pid)")

            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await answer.aread()

    await eventually(lambda: _logged(server, "answer_broken"))
    metrics = (await server.get("/metrics")).text
    assert 'fluxshard_answers_broken_total{code="P202",path="/rest/v1/{table}"} 1.0' in metrics
    await eventually(lambda: _none(databases))
    again = await server.get(f"{ALL}&limit=1", headers=service(server))
    assert again.json() == [{"id": 2, "name": "x" * 60 + "1"}]


async def test_a_client_of_http_1_0_is_told_by_a_reset(server, databases):
    async with asked(server, "HTTP/1.0") as reader:
        await eventually(lambda: _at_least_one(databases))
        await in_transactions(databases, then="pg_terminate_backend(pid)")

        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), WAIT_S)


async def test_a_client_that_leaves_frees_all_sessions(server, databases):
    async with asked(server):
        await eventually(lambda: _at_least_one(databases))

    await eventually(lambda: _none(databases))
    metrics = (await server.get("/metrics")).text
    assert "fluxshard_answers_broken_total{" not in metrics


async def _logged(server, text):
    return text in server.log


async def _at_least_one(databases):
    return await in_transactions(databases) > 0


async def _none(databases):
    return await in_transactions(databases) == 0
