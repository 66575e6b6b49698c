"""`fluxshard migrate` when it is killed, when others are in the way, and when servers are at work."""

import asyncio
import os
import signal
import sys

import asyncpg
import httpx

INDEX_STATE = "select indisvalid from pg_index where indexrelid = to_regclass('orders_total')"


async def start(migrations, *arguments):
    """`fluxshard migrate` as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "migrate", arguments[0], "--dir", migrations.directory,
        *arguments[1:],
        env={"PATH": os.environ["PATH"], **migrations.databases.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def line_with(process, text):
    """The first line from here on that holds the text."""
    async with asyncio.timeout(60):
        while True:
            line = await process.stdout.readline()
            assert line, (await process.stderr.read()).decode()
            if text in line:
                return line


async def open_transaction(migrations, server, sql):
    """A session that has run the SQL in a transaction and does not end it."""
    connection = await asyncpg.connect(migrations.databases.url(server))
    await connection.execute(f"begin; {sql}")
    return connection


async def test_killed_between_shards_it_goes_on_where_it_was(migrations, orders, eventually):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0002_note="alter table orders add note text")
    reader = await open_transaction(migrations, "shard_1-a", "select from orders")
    process = await start(migrations, "up")

    async def stuck():
        return (await migrations.states()).get(2) == ("applied", "applied", None)

    try:
        await eventually(stuck, pause_s=0.1)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    finally:
        await reader.close()
    await migrations.run("up")

    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_who_else_is_migrating_is_named_and_can_be_waited_for(migrations, orders, eventually):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0002_note="alter table orders add note text")
    reader = await open_transaction(migrations, "shard_0-a", "select from orders")
    first = await start(migrations, "up")
    locked = "select count(*) from pg_locks where locktype = 'advisory' and granted"

    async def at_it():
        return await migrations.ask("catalog-a", locked) > 0

    try:
        await eventually(at_it)
        second = await migrations.run("up", code=1)
        third = asyncio.create_task(migrations.run("up", "--wait", "1m"))
    finally:
        await reader.close()

    assert second.stderr.startswith("G104 fluxshard migrate ")
    assert second.stderr.rstrip().endswith("is migrating catalog")
    assert await first.wait() == 0
    assert (await third).stdout == "nothing to do\n"


async def test_a_long_transaction_is_not_queued_behind_and_traffic_goes_on(
    migrations, orders, eventually
):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0002_note="alter table orders add note text")
    writer = await open_transaction(
        migrations, "shard_0-a", "insert into orders (tenant_id, id) values (1, 1)"
    )
    process = await start(migrations, "up", "--lock-timeout", "100ms")
    try:
        waits = await line_with(process, b"waits")
        reader = await asyncpg.connect(migrations.databases.url("shard_0-a"))
        try:  # it may stand behind a try, which ends after 100 ms
            assert await reader.fetchval("select count(*) from orders", timeout=10) == 0
        finally:
            await reader.close()
        assert process.returncode is None
    finally:
        await writer.execute("commit")
        await writer.close()

    assert await process.wait() == 0
    assert b"idle in transaction" in waits
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_a_lock_that_is_never_free_is_given_up_and_its_holder_named(migrations, orders):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0002_note="alter table orders add note text")
    reader = await open_transaction(migrations, "shard_1-a", "select from orders")
    pid = reader.get_server_pid()

    try:
        result = await migrations.run(
            "up", "--lock-timeout", "50ms", "--lock-patience", "300ms", code=1
        )
    finally:
        await reader.close()

    assert result.stderr.startswith("G105 0002_note.sql: shard_1: no lock within 0.3 s of trying")
    assert f"held by pid {pid} (" in result.stderr
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied", "applied", None)}


async def test_an_index_is_built_concurrently_and_rebuilt_after_a_failed_build(
    migrations, orders, databases
):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    await databases.execute("insert into orders values (1, 1, 5), (1, 2, 5)", "shard_1")
    migrations.write(
        _0002_index="create unique index concurrently orders_total on orders (tenant_id, total)"
    )

    failed = await migrations.run("up", code=1)

    assert "could not create unique index" in failed.stderr
    assert await migrations.ask("shard_0-a", INDEX_STATE) is True
    assert await migrations.ask("shard_1-a", INDEX_STATE) is False
    assert (
        "index public.orders_total on shard_1 is INVALID"
        in (await migrations.run("check", code=1)).stderr
    )
    await databases.execute("delete from orders where id = 2", "shard_1")
    again = await migrations.run("up")

    assert "builds anew the INVALID index public.orders_total" in again.stdout
    assert await migrations.ask("shard_1-a", INDEX_STATE) is True
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_killed_while_an_index_is_built_it_is_built_all_the_same(
    migrations, orders, eventually
):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(
        _0002_index="create index concurrently orders_total on orders (total);"
        " alter table orders add note text"
    )
    writer = await open_transaction(
        migrations, "shard_0-a", "insert into orders (tenant_id, id) values (1, 1)"
    )
    process = await start(migrations, "up")

    async def building():
        return await migrations.ask("shard_0-a", INDEX_STATE) is False

    try:
        await eventually(building)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert (await migrations.states())[2] == ("applied", "applying", None)
    finally:
        await writer.close()
    await migrations.run("up")

    assert await migrations.ask("shard_0-a", INDEX_STATE) is True
    assert await migrations.ask("shard_1-a", INDEX_STATE) is True
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_a_call_whose_end_nobody_saw_is_refused_until_somebody_has_looked(
    migrations, orders, eventually
):
    migrations.write(
        _0001_begin=orders + "create table countries (code text);"
        "create procedure fill() language plpgsql as $$ begin"
        " insert into countries values ('de'); commit; perform pg_advisory_lock(1); end $$"
    )
    await migrations.run("up")
    migrations.write(
        _0002_fill="-- fluxshard: no-transaction\n-- fluxshard: only: shards\ncall fill()"
    )
    holder = await asyncpg.connect(migrations.databases.url("shard_0-a"))
    await holder.execute("select pg_advisory_lock(1)")
    process = await start(migrations, "up")

    async def called():
        return await migrations.ask("shard_0-a", "select count(*) from countries") == 1

    try:
        await eventually(called)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        refused = await migrations.run("up", "--wait", "30s", code=1)
    finally:
        await holder.close()
    await migrations.run("up", "--skip")

    assert refused.stderr.startswith("G110 0002_fill.sql:3: CALL was begun on shard_0")
    assert await migrations.ask("shard_0-a", "select count(*) from countries") == 1
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_drift_is_named_thing_by_thing(migrations, orders, databases):
    migrations.write(
        _0001_begin=orders
        + "create table lines (tenant_id int not null); create table countries (code text);"
        "create table plans (id int); create function f() returns int language sql as 'select 1'"
    )
    await migrations.run("up")

    same = await migrations.run("check")
    await databases.execute(
        "alter table orders alter total type int, add check (total > 0), add note text;"
        "create index by_total on orders (total); drop table lines;"
        "create or replace function f() returns int language sql as 'select 2'",
        "shard_1",
    )
    drifted = await migrations.run("check", code=1)
    as_data = await migrations.json("check", code=1)

    assert same.stdout == "all shards have the same schema\n"
    assert [(one["kind"], one["name"]) for one in as_data["differences"]] == [
        ("index", "public.by_total"),
        ("function", "public.f()"),
        ("table", "public.lines"),
        ("order of columns", "public.orders"),
        ("column", "public.orders.note"),
        ("constraint", "public.orders.orders_total_check"),
        ("column", "public.orders.total"),
    ]
    assert "column public.orders.total: numeric on shard_0; integer on shard_1" in drifted.stderr
    assert "table public.lines is in the shard map, and not on shard_1" in drifted.stderr


async def test_a_column_is_added_under_traffic_and_usable_at_once(
    migrations, orders, served, eventually
):
    migrations.write(_0001_begin=orders + "grant select, insert, update on orders to authenticated")
    await migrations.run("up")
    server = await served({**migrations.databases.environment, "FLUXSHARD_SCHEMA_REFRESH": "1h"})
    answers = []
    ending = asyncio.Event()

    async def at_work(number):
        headers = server.bearer(role="authenticated", tenant_id=number, sub=str(number))
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
            row = 0
            while not ending.is_set():
                row += 1
                answers.append(await client.post("/rest/v1/orders", json={"id": row, "total": row}))
                answers.append(await client.get("/rest/v1/orders?order=id.desc&limit=3"))

    async def more():
        count = len(answers) + 40
        await eventually(lambda: len(answers) > count)

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, 5):
            tasks.create_task(at_work(number))
        await more()
        known = server.log.count("schema_adopted")
        migrations.write(_0002_note="alter table orders add note text not null default 'none'")
        await migrations.run("up")
        await eventually(lambda: server.log.count("schema_adopted") > known)
        headers = server.bearer(role="authenticated", tenant_id=9, sub="9")
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
            written = await client.post("/rest/v1/orders", json={"id": 1, "note": "mine"})
            read = await client.get("/rest/v1/orders?note=eq.mine&select=id,note")
        every = await server.get(
            "/rest/v1/orders?select=note&limit=1", headers=server.bearer(role="service_role")
        )
        await more()
        ending.set()

    assert {answer.status_code for answer in answers} == {200, 201}
    assert written.status_code == 201, written.text
    assert read.json() == [{"id": 1, "note": "mine"}]
    assert every.status_code == 200, every.text


async def test_what_only_some_shards_have_is_not_served_until_all_have_it(
    migrations, orders, served, eventually
):
    migrations.write(_0001_begin=orders + "create table lines (tenant_id int not null)")
    await migrations.run("up")
    await migrations.databases.execute(
        "alter table orders add note text; alter table lines add n int", "shard_0"
    )
    await migrations.databases.execute("alter table lines add n text", "shard_1")
    server = await served(migrations.databases.environment)
    service = server.bearer(role="service_role")

    columns = await server.get("/rest/v1/orders?select=id,note", headers=service)
    ordered = await server.get("/rest/v1/orders?select=id&order=note", headers=service)
    types = await server.get("/rest/v1/lines?select=n", headers=service)
    plain = await server.get("/rest/v1/orders?select=id,total", headers=service)

    assert (columns.status_code, columns.json()["code"]) == (400, "42703")
    assert (ordered.status_code, ordered.json()["code"]) == (400, "42703")
    assert (types.status_code, types.json()["code"]) == (503, "P207")
    assert types.json()["message"] == (
        "the shards do not agree on table public.lines: column n is int4 on shard_0"
        " and text on shard_1"
    )
    assert (plain.status_code, plain.json()) == (200, [])
    await migrations.databases.execute("alter table orders add note text", "shard_1")

    async def there():
        return (
            await server.get("/rest/v1/orders?select=id,note", headers=service)
        ).status_code == 200

    await eventually(there)


async def test_when_the_catalog_ends_the_lock_nothing_more_is_begun(migrations, orders):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0002_note="alter table orders add note text")
    reader = await open_transaction(migrations, "shard_0-a", "select from orders")
    process = await start(migrations, "up", "--lock-timeout", "50ms")
    try:
        await line_with(process, b"waits")
        ended = await migrations.ask(
            "catalog-a",
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where application_name like 'fluxshard migrate%' and datname = current_database()",
        )
    finally:
        await reader.close()
    _, said = await process.communicate()

    assert ended == 1
    assert (process.returncode, said[:4]) == (1, b"G109")
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied", "applied", None)}
    await migrations.run("up")
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}
