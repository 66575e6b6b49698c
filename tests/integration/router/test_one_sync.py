"""Role, claims and query under one Sync: enforced, gone afterwards, and as robust as the driver."""

import asyncio
import contextlib
import json

import pytest

from router import DeadlineExceeded, StatementFailed
from router.live.execution import read_in_one_sync

POLICY = """
CREATE OR REPLACE FUNCTION public.mine() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('app.left_behind', auth.jwt() ->> 'sub', false);
    PERFORM set_config('role', 'service_role', false);
    RETURN auth.jwt() ->> 'sub';
END $$;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = auth.jwt() ->> 'sub');
INSERT INTO notes (id, owner) VALUES (1, 'ada'), (2, 'bob');
"""


def enveloped(world, sql, *args):
    """A read in the form in which REST reads go."""
    text = (
        f"SELECT coalesce(json_agg(r.*), '[]')::text, count(*), {world.POSITION} FROM ({sql}) AS r"
    )
    return world.reading(text, *args, claims=True, inline_position=True, row_count_column=1)


@pytest.fixture
def ask(world, monkeypatch):
    """Run such a read, and make sure that it went in one round trip."""
    counted = []

    async def noted(*args):
        reading = await read_in_one_sync(*args)
        counted.append(reading is not None)
        return reading

    monkeypatch.setattr("router.live.reads.read_in_one_sync", noted)

    async def asked(sql, *args, **who):
        before = len(counted)
        reply = await world.run(enveloped(world, sql, *args), world.asker(**who))
        assert any(counted[before:])
        return json.loads(reply.rows[0][0])

    return asked


async def policies(world):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute(POLICY)
    await world.write("UPDATE notes SET body = 'seen'", session="somebody", claims='{"sub":"ada"}')


async def test_policies_see_the_claims_of_each_request(world, ask):
    await policies(world)

    async def seen(sub):
        return await ask("SELECT id FROM notes ORDER BY id", claims=json.dumps({"sub": sub}))

    assert await seen("ada") == [{"id": 1}]
    assert await seen("bob") == [{"id": 2}]
    assert await seen('no "body"\\ \' é') == []
    assert await seen("ada") == [{"id": 1}]


async def test_role_claims_and_tenant_are_those_of_the_caller_and_gone_afterwards(world, ask):
    shown = """SELECT current_user::text AS role, pg_backend_pid() AS pid,
        current_setting('request.jwt.claims', true) AS claims,
        current_setting('fluxshard.tenant', true) AS tenant,
        current_setting('row_security') AS rls, current_setting('transaction_read_only') AS ro"""
    for role in ("anon", "authenticated", "service_role"):
        (found,) = await ask(shown, role=role, claims='{"a":1}', tenant="7")
        after = await world.read(shown, role=role)

        assert {**found, "pid": 0} == {
            "role": role,
            "pid": 0,
            "claims": '{"a":1}',
            "tenant": "7",
            "rls": "on",
            "ro": "on",
        }
        assert after.rows[0][0] == role
        assert after.rows[0][2] in {None, ""}
        assert after.rows[0][3] in {None, ""}
        assert after.rows[0][4] == "off"


async def test_what_code_of_users_leaves_in_a_session_is_cleaned(world, ask):
    await policies(world)

    dirtied = {
        (await ask("SELECT pg_backend_pid() AS pid, mine()", claims='{"sub":"ada"}'))[0]["pid"]
        for _ in range(8)
    }
    met = set()
    for _ in range(16):
        left = await world.read(
            "SELECT pg_backend_pid(), current_setting('app.left_behind', true), current_user::text",
            session="other",
        )
        pid, setting, role = left.rows[0]
        met.add(pid)
        assert (setting or "", role) == ("", "authenticated")

    assert met & dirtied


async def test_an_error_is_postgresqls_own_and_the_connection_goes_on(world, ask):
    async def pids():
        return {(await ask("SELECT pg_backend_pid() AS pid"))[0]["pid"] for _ in range(12)}

    before = await pids()
    for _ in range(2):
        with pytest.raises(StatementFailed) as caught:
            await ask("SELECT 1 / ($1::text::int) AS x", "0")
        assert (caught.value.sqlstate, caught.value.message) == ("22012", "division by zero")
    with pytest.raises(StatementFailed) as caught:
        await ask("SELECT nothing FROM nowhere")
    assert caught.value.sqlstate == "42P01"

    assert await pids() <= before


@pytest.mark.parametrize(
    ("sql", "arg", "value"),
    [
        ("$1::text", "é\\'\"\U0001f600", "é\\'\"\U0001f600"),
        ("$1::text", None, None),
        ("$1::text", "", ""),
        ("$1::bigint", 7, 7),
        ("$1::text::numeric", "1.50", 1.5),
        ("$1::text[]", ["a", None, "", 'b"c\\', "NULL", "{x,y}"], ["a", None, "", 'b"c\\', "NULL", "{x,y}"]),
        ("$1::text[]", [], []),
        ("$1::bigint[]", [1, 2], [1, 2]),
    ],
)  # fmt: skip
async def test_arguments_arrive_as_they_are(world, ask, sql, arg, value):
    for _ in range(2):  # prepared, and prepared already
        assert await ask(f"SELECT {sql} AS v", arg) == [{"v": value}]


async def test_an_argument_without_a_text_form_goes_the_long_way(world):
    query = enveloped(world, "SELECT $1::float8 AS v", 1.5)

    assert json.loads((await world.run(query)).rows[0][0]) == [{"v": 1.5}]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_text_that_postgresql_cannot_hold_is_refused(world, ask, text):
    with pytest.raises(StatementFailed) as caught:
        await world.run(enveloped(world, "SELECT $1::text AS v", text))

    assert caught.value.sqlstate == "22021"
    assert await ask("SELECT 1 AS v") == [{"v": 1}]


async def test_large_answers_arrive_whole(world, ask):
    rows = await ask("SELECT n, repeat('x', 100) AS x FROM generate_series(1, 5000) AS n")

    assert len(rows) == 5000
    assert rows[-1] == {"n": 5000, "x": "x" * 100}


async def test_a_changed_table_is_prepared_anew(world, ask):
    sql = "SELECT * FROM notes"
    await ask(sql)

    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("ALTER TABLE notes ADD COLUMN more int DEFAULT 5")
        await connection.execute("INSERT INTO notes (id) VALUES (1)")
    await world.write("UPDATE notes SET body = 'x'")

    assert (await ask(sql))[0]["more"] == 5


async def test_a_caller_that_leaves_cancels_the_statement(world, until, ask):
    async def running():
        total = 0
        for server in (world.PRIMARY, *world.REPLICAS):
            async with world.superuser(server) as connection:
                total += await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                    " AND pid <> pg_backend_pid() AND position('pg_sleep(61)' IN query) > 0"
                )
        return total

    call = asyncio.create_task(world.run(enveloped(world, "SELECT pg_sleep(61)")))
    await until(running)

    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call

    async def ended():
        return await running() == 0

    await until(ended)
    assert await ask("SELECT 1 AS v") == [{"v": 1}]


async def test_a_deadline_that_passes_ends_it(world, ask):
    with pytest.raises(DeadlineExceeded):
        await world.run(enveloped(world, "SELECT pg_sleep(62)"), world.asker(seconds=0.2))

    assert await ask("SELECT 1 AS v") == [{"v": 1}]


async def test_a_session_that_the_server_ends_is_no_error_for_the_next(world, ask, until):
    found = {(await ask("SELECT pg_backend_pid() AS pid"))[0]["pid"] for _ in range(8)}
    for server in (world.PRIMARY, *world.REPLICAS):
        async with world.superuser(server) as connection:
            for pid in found:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid = $1 AND application_name = 'fluxshard'",
                    pid,
                )

    assert await ask("SELECT 1 AS v") == [{"v": 1}]


async def test_a_session_that_ends_in_the_middle_is_tried_elsewhere(world, ask, until):
    async def sleeping():
        for server in world.REPLICAS:
            async with world.superuser(server) as connection:
                pid = await connection.fetchval(
                    "SELECT pid FROM pg_stat_activity WHERE state = 'active'"
                    " AND pid <> pg_backend_pid() AND position('pg_sleep(0.6)' IN query) > 0"
                )
                if pid is not None:
                    return await connection.fetchval("SELECT pg_terminate_backend($1)", pid)
        return False

    call = asyncio.create_task(ask("SELECT 5 AS v, pg_sleep(0.6)"))
    await until(sleeping)

    assert (await call)[0]["v"] == 5


async def test_many_statements_are_closed_on_the_server_again(world, ask, monkeypatch):
    monkeypatch.setattr("router.live.one_sync.MAX_PREPARED", 3)
    for number in range(40):
        assert await ask(f"SELECT {number} AS v") == [{"v": number}]
    shown = "SELECT count(*) AS n FROM pg_prepared_statements WHERE name ~ '^fluxshard_[0-9]'"

    assert max([(await ask(shown))[0]["n"] for _ in range(8)]) <= 5
