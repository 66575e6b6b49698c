import asyncio
import os
import re
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shardmap import CatalogSource, Sharded, TableName

SLOW = """
CREATE FUNCTION slept(seconds float) RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT pg_sleep(seconds)::text $$;
CREATE VIEW slow AS SELECT 1 AS id, slept(1.5) AS slept;
CREATE VIEW very_slow AS SELECT 1 AS id, slept(60) AS slept;
CREATE TABLE things (id int PRIMARY KEY, name text);
INSERT INTO things VALUES (1, 'one'), (2, 'two');
GRANT SELECT ON things, slow, very_slow TO PUBLIC;
"""


@pytest.fixture
async def one_database(databases):
    """Settings of a server without shards."""
    await databases.execute(SLOW, "shard_0")
    return {"DATABASE_URL": databases.url("shard_0-a")}


async def sleeping(databases):
    connection = await asyncpg.connect(databases.url("shard_0-a"))
    try:
        return await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND datname = current_database() AND query LIKE '%slow%' AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


def metrics(response):
    assert response.status_code == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def eventually(condition):
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


class TestOneProcess:
    async def test_it_serves_tables_health_and_metrics(self, one_database, served):
        server = await served(one_database)

        rows = await server.get(
            "/api/v1/tables/things?order=id.asc", headers=server.bearer(role="authenticated")
        )
        rest = await server.get("/rest/v1/things?id=eq.2", headers=server.bearer(role="anon"))
        health = (await server.get("/health")).json()
        own_port = await server.get("/health", port=server.metrics_port)

        assert rows.json() == [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
        assert rest.json() == [{"id": 2, "name": "two"}]
        assert (health["status"], health["services"]["database"]) == ("ok", True)
        assert all(shard["readable"] for shard in health["shards"].values())
        assert own_port.text == "OK"
        assert (await server.get("/")).json() == {"status": "ok"}
        assert (await server.get("/live")).json() == {"status": "live"}
        for port in (server.port, server.metrics_port):
            found = metrics(await server.get("/metrics", port=port))
            labels = (("method", "GET"), ("path", "/api/v1/tables/{table}"), ("status", "200"))
            assert found["fluxbase_http_requests_total", *labels] == 1
            assert found["fluxshard_workers",] == 1

    async def test_a_request_in_flight_is_answered_before_the_end(
        self, one_database, databases, served
    ):
        server = await served(one_database)
        directory = server.run_directory
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            asked = asyncio.create_task(
                client.get(f"{server.url}/rest/v1/slow", headers=server.bearer(role="anon"))
            )
            await eventually(lambda: sleeping(databases))
            server.signal(signal.SIGTERM)
            answer = await asked

        assert (answer.status_code, answer.json()) == (200, [{"id": 1, "slept": ""}])
        assert answer.headers["connection"] == "close"
        assert await server.ended() == 0
        assert "drained left=0" in server.log
        assert not directory.exists()

    async def test_it_says_that_it_is_not_ready_before_it_stops_listening(
        self, one_database, served
    ):
        server = await served({**one_database, "FLUXSHARD_DRAIN_DELAY": "1s"})
        server.signal(signal.SIGTERM)

        async def draining():
            answer = await server.get("/ready")
            return answer.status_code == 503 and answer.json() == {"status": "draining"}

        await eventually(draining)
        assert (await server.get("/live")).status_code == 200

        async def refused():
            try:
                await server.get("/live")
            except httpx.TransportError:
                return True
            return False

        await eventually(refused)
        assert await server.ended() == 0

    async def test_a_request_that_outlasts_the_drain_is_cancelled(
        self, one_database, databases, served
    ):
        server = await served({**one_database, "FLUXSHARD_DRAIN_TIMEOUT": "100ms"})
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            asked = asyncio.create_task(
                client.get(f"{server.url}/rest/v1/very_slow", headers=server.bearer(role="anon"))
            )
            await eventually(lambda: sleeping(databases))
            server.signal(signal.SIGTERM)

            with pytest.raises(httpx.TransportError):
                await asked
        assert await server.ended() == 0

        async def nothing_runs():
            return await sleeping(databases) == 0

        await eventually(nothing_runs)

    async def test_a_second_signal_ends_it_at_once(self, one_database, databases, served):
        server = await served(one_database)
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            asked = asyncio.create_task(
                client.get(f"{server.url}/rest/v1/very_slow", headers=server.bearer(role="anon"))
            )
            await eventually(lambda: sleeping(databases))
            server.signal(signal.SIGINT)
            await eventually(lambda: logged(server, "draining reason=SIGINT"))
            server.signal(signal.SIGINT)

            assert await server.ended() == 130
            with pytest.raises(httpx.TransportError):
                await asked

    async def test_a_client_that_leaves_cancels_its_statement(
        self, one_database, databases, served
    ):
        server = await served(one_database)
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            asked = asyncio.create_task(
                client.get(f"{server.url}/rest/v1/very_slow", headers=server.bearer(role="anon"))
            )
            await eventually(lambda: sleeping(databases))
            asked.cancel()

        async def nothing_runs():
            return await sleeping(databases) == 0

        await eventually(nothing_runs)

    async def test_a_statement_ends_with_the_time_of_its_request(self, one_database, served):
        server = await served({**one_database, "FLUXSHARD_REQUEST_TIMEOUT": "300ms"})

        answer = await server.get("/rest/v1/very_slow", headers=server.bearer(role="anon"))

        assert (answer.status_code, answer.json()["code"]) == (504, "P301")


def alive(process_ids):
    return any(Path(f"/proc/{process_id}").exists() for process_id in process_ids)


async def none_alive(process_ids):
    return not alive(process_ids)


async def logged(server, text):
    return text in server.log


class TestSeveralProcesses:
    async def test_metrics_are_the_sum_of_all_workers(self, one_database, served):
        server = await served(one_database, "--workers", "3")
        for _ in range(30):
            assert (await server.get("/live")).status_code == 200

        async def summed():
            found = metrics(await server.get("/metrics", port=server.metrics_port))
            labels = (("method", "GET"), ("path", "/live"), ("status", "200"))
            return (
                found.get(("fluxbase_http_requests_total", *labels)) == 30
                and found["fluxshard_workers",] == 3
            )

        await eventually(summed)
        assert len(server.workers) == 3
        server.signal(signal.SIGTERM)
        assert await server.ended() == 0

    async def test_a_worker_that_was_killed_is_replaced(self, one_database, served):
        server = await served(one_database, "--workers", "2")
        await eventually(lambda: count_of(server, "INFO  serving", 2))
        first, second = server.workers

        signal_process(first, signal.SIGKILL)

        async def replaced():
            return first not in server.workers and len(server.workers) == 2

        await eventually(replaced)
        await eventually(lambda: count_of(server, "INFO  serving", 3))
        assert second in server.workers
        assert re.search(r"ERROR worker_ended worker=\d reason=SIGKILL", server.log)
        for _ in range(10):
            assert (await server.get("/ready")).status_code == 200

    async def test_workers_end_when_their_supervisor_is_killed(self, one_database, served):
        server = await served(one_database, "--workers", "2")
        workers = server.workers

        server.signal(signal.SIGKILL)
        await server.ended()

        await eventually(lambda: none_alive(workers))
        with pytest.raises(httpx.TransportError):
            await server.get("/live")

    async def test_all_workers_drain(self, one_database, databases, served):
        server = await served(one_database, "--workers", "2")
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            asked = [
                asyncio.create_task(
                    client.get(f"{server.url}/rest/v1/slow", headers=server.bearer(role="anon"))
                )
                for _ in range(4)
            ]

            async def all_asked():
                return await sleeping(databases) == 4

            await eventually(all_asked)
            server.signal(signal.SIGTERM)
            answers = [await one for one in asked]

        assert [answer.status_code for answer in answers] == [200] * 4
        assert await server.ended() == 0

    async def test_a_second_signal_ends_all_of_them_at_once(self, one_database, databases, served):
        server = await served(one_database, "--workers", "2")
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            asked = asyncio.create_task(
                client.get(f"{server.url}/rest/v1/very_slow", headers=server.bearer(role="anon"))
            )
            await eventually(lambda: sleeping(databases))
            workers = server.workers
            server.signal(signal.SIGTERM)
            await eventually(lambda: logged(server, "draining reason=SIGTERM workers=2"))
            server.signal(signal.SIGTERM)

            assert await server.ended() == 130
            with pytest.raises(httpx.TransportError):
                await asked
        assert not alive(workers)

    async def test_what_a_killed_server_left_is_removed_by_the_next(self, one_database, served):
        killed = await served(one_database, "--workers", "2")
        left = killed.run_directory
        workers = killed.workers
        killed.signal(signal.SIGKILL)
        await killed.ended()

        await eventually(lambda: none_alive(workers))
        await served(one_database)

        assert not left.exists()


def signal_process(process_id, number):
    os.kill(process_id, number)


async def count_of(server, text, number):
    return server.log.count(text) >= number


class TestStarting:
    async def test_every_wrong_setting_is_told_and_it_does_not_start(self, served):
        server = await served(
            {"FLUXBASE_AUTH_JWT_SECRET": "short", "FLUXSHARD_WORKERS": "many"}, wait=False
        )

        assert await server.ended() == 2
        assert server.log.splitlines() == [
            "setting FLUXSHARD_WORKERS: 'many' is no whole number",
            "setting DATABASE_URL: is not set",
            "setting FLUXBASE_AUTH_JWT_SECRET: must have at least 32 bytes",
        ]

    async def test_a_port_that_is_taken_is_named(self, one_database, served):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            server = await served({**one_database, "FLUXBASE_SERVER_ADDRESS": address}, wait=False)

            assert await server.ended() == 1
        assert f"CANNOT_LISTEN: cannot listen on {address}: Address already in use" in server.log

    async def test_more_connections_than_a_server_allows_are_refused_with_the_sum(
        self, one_database, served
    ):
        server = await served(
            {**one_database, "FLUXBASE_DATABASE_MAX_CONNECTIONS": "5000"}, wait=False
        )

        assert await server.ended() == 1
        assert "P502" in server.log
        assert re.search(r"allows \d+ connections.*= 500\d", server.log)

    async def test_a_login_role_without_rights_is_told_what_to_run_and_where(
        self, databases, served
    ):
        role = f"unprivileged_{databases.name}"
        await databases.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD 'secret';"
            f" GRANT CREATE ON DATABASE {databases.name} TO {role}",
            "shard_0",
        )
        try:
            login = re.sub("//[^@]*@", f"//{role}:secret@", databases.url("shard_0-a"))
            server = await served({"DATABASE_URL": login}, wait=False)

            assert await server.ended() == 1
        finally:
            await databases.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", "shard_0")
        assert re.search(rf"P501: shard_0-a \(.*/{databases.name}\) cannot be prepared", server.log)
        assert f"SET fluxshard.login = '{role}';" in server.log

    async def test_a_database_that_is_away_is_named(self, served, tmp_path):
        url = f"postgres://nobody@/nothing?host={tmp_path}"
        server = await served({"DATABASE_URL": url}, wait=False)

        assert await server.ended() == 1
        assert "M105" in server.log

    async def test_names_that_mean_nothing_are_warned_about(self, one_database, served):
        server = await served(
            {
                **one_database,
                "FLUXSHARD_WRITE_HOLDS": "1s",
                "FLUXBASE_RATE_LIMIT_ENABLED": "true",
            }
        )

        assert (
            "WARN  setting_unknown name=FLUXSHARD_WRITE_HOLDS source=environment "
            "meant=FLUXSHARD_WRITE_HOLD" in server.log
        )
        assert "INFO  settings_without_effect_yet names=FLUXBASE_RATE_LIMIT_ENABLED" in server.log

    async def test_it_starts_from_the_last_good_map_while_the_catalog_is_away(
        self, disposable_cluster, served
    ):
        cluster = await disposable_cluster(shards=1, replicas=0)
        environ = {**cluster.environment(), "FLUXSHARD_DRAIN_TIMEOUT": "1s"}
        first = await served(environ)
        first.signal(signal.SIGTERM)
        assert await first.ended() == 0
        await cluster.kill("catalog-a", signal.SIGKILL)

        second = await served(environ, wait=False)

        await eventually(lambda: logged(second, "INFO  serving"))
        assert 'map_found origin="last good copy" epoch=1' in second.log
        health = (await second.get("/health")).json()
        assert (health["status"], health["services"]["database"]) == ("degraded", True)
        assert (await second.get("/ready")).status_code == 200


class TestShards:
    DDL = """
    CREATE TABLE notes (tenant_id int, id int, body text, PRIMARY KEY (tenant_id, id));
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (tenant_id = (auth.jwt() ->> 'tenant_id')::int);
    GRANT ALL ON notes TO anon, authenticated;
    """

    async def test_a_new_map_is_taken_by_every_worker_and_writes_are_read_back_at_once(
        self, databases, served
    ):
        server = await served(databases.environment, "--workers", "2")
        await databases.execute(self.DDL, "shard_0", "shard_1")
        before = await server.get("/rest/v1/notes", headers=server.bearer(role="service_role"))

        async with catalog(databases) as source:
            current = await source.newest()
            tables = {TableName("public.notes"): Sharded("tenant_id")}
            await source.apply(
                replace(current, epoch=current.epoch + 1, tables=tables),
                expected_epoch=current.epoch,
                author="test",
                reason="notes",
            )

        async def adopted():
            found = metrics(await server.get("/metrics"))
            labels = (("method", "GET"), ("path", "/rest/v1/{table}"), ("status", "200"))
            await server.get("/rest/v1/notes", headers=server.bearer(role="service_role"))
            return (
                found["fluxshard_map_epoch",] == current.epoch + 1
                and found.get(("fluxbase_http_requests_total", *labels), 0) > 4
            )

        await eventually(adopted)
        assert (before.status_code, before.json()["code"]) in {(404, "PGRST205"), (400, "PGRST127")}
        for number in range(40):
            tenant = number % 7
            user = server.bearer(role="authenticated", tenant_id=tenant, sub=f"user-{tenant}")
            async with httpx.AsyncClient(timeout=30, headers=user, verify=False) as client:
                row = {"id": number, "body": "x"}
                made = await client.post(f"{server.url}/rest/v1/notes", json=row)
            async with httpx.AsyncClient(timeout=30, headers=user, verify=False) as client:
                seen = await client.get(f"{server.url}/rest/v1/notes?id=eq.{number}")

            assert made.status_code == 201, made.text
            assert seen.json() == [{"tenant_id": tenant, **row}]
        found = metrics(await server.get("/metrics"))
        replicas = sum(
            value
            for (name, *labels), value in found.items()
            if name == "fluxbase_db_queries_total"
            and dict(labels)["endpoint"].endswith(("-b", "-c"))
        )
        assert replicas > 0


@asynccontextmanager
async def catalog(databases):
    connection = await asyncpg.connect(databases.url("catalog-a"))
    try:
        yield CatalogSource(connection)
    finally:
        await connection.close()
