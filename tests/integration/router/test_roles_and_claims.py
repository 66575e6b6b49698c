"""Who a statement runs as, and that nothing of one request is left for the next."""

import json
from dataclasses import replace

import pytest

from router import StatementFailed

WHOM = "SELECT current_user::text, session_user::text"
CLAIMS = "SELECT current_setting('request.jwt.claims', true)"


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("claims", [False, True], ids=["plain", "claims"])
async def test_a_read_runs_as_the_callers_role(world, role, claims):
    reply = await world.run(world.reading(WHOM, claims=claims), world.asker(role))

    assert reply.rows[0][0] == role


async def test_a_write_runs_as_the_callers_role(world):
    await world.write("INSERT INTO notes (id, owner) VALUES (1, current_user)")

    assert (await world.read("SELECT owner FROM notes")).rows == [("authenticated",)]


@pytest.mark.parametrize("claims", [False, True], ids=["plain", "claims"])
async def test_a_statement_runs_as_any_role_that_the_login_role_may_become(world, claims):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("DROP ROLE IF EXISTS \"clerk '1'\"; CREATE ROLE \"clerk '1'\"")
        await connection.execute("GRANT ALL ON notes TO \"clerk '1'\"")
    try:
        read = await world.run(world.reading(WHOM, claims=claims), world.asker("clerk '1'"))
        await world.write(
            "INSERT INTO notes (id, owner) VALUES (1, current_user)", role="clerk '1'"
        )

        assert read.rows[0][0] == "clerk '1'"
        assert (await world.read("SELECT owner FROM notes")).rows == [("clerk '1'",)]
    finally:
        async with world.superuser(world.PRIMARY) as connection:
            await connection.execute("DROP OWNED BY \"clerk '1'\"; DROP ROLE \"clerk '1'\"")


async def test_many_roles_share_the_connections_of_a_pool(make_world):
    world = await make_world(max_connections=2, min_connections=0)
    roles = [f"many_{number}" for number in range(20)]
    async with world.superuser(world.PRIMARY) as connection:
        for role in roles:
            await connection.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role}")
    try:
        for _ in range(2):
            for role in roles:
                reply = await world.run(world.reading(WHOM), world.asker(role))
                assert reply.rows[0][0] == role
    finally:
        async with world.superuser(world.PRIMARY) as connection:
            for role in roles:
                await connection.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("role", ["nobody_is_called_so", "none", 'x"; DROP TABLE notes'])
@pytest.mark.parametrize("claims", [False, True], ids=["plain", "claims"])
async def test_a_role_that_is_not_there_is_refused_and_the_connection_goes_on(world, role, claims):
    with pytest.raises(StatementFailed) as caught:
        await world.run(world.reading(WHOM, claims=claims), world.asker(role))

    assert caught.value.sqlstate == "22023"
    assert caught.value.message.endswith("does not exist")
    assert (await world.run(world.reading(WHOM), world.asker("anon"))).rows[0][0] == "anon"


async def test_a_role_without_a_grant_is_refused_by_postgresql(world):
    with pytest.raises(StatementFailed) as caught:
        await world.read("SELECT * FROM notes", role="anon")

    assert caught.value.sqlstate == "42501"


async def test_policies_see_the_claims_of_the_request(world):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("""
            ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON notes USING (owner = auth.jwt() ->> 'sub');
            INSERT INTO notes (id, owner) VALUES (1, 'ada'), (2, 'bob');
        """)
    await world.write("UPDATE notes SET body = 'seen'", claims='{"sub": "ada"}', session="x")

    async def seen(sub):
        query = world.reading("SELECT id, body FROM notes ORDER BY id", claims=True)
        who = world.asker(claims=json.dumps({"sub": sub}), session="x")
        return (await world.run(query, who)).rows

    assert await seen("ada") == [(1, "seen")]
    assert await seen("bob") == [(2, "")]
    assert await seen("nobody") == []


async def test_a_policy_that_is_newer_than_our_picture_of_the_schema_sees_the_claims(world):
    """The analysis saw a table without policies, so the read comes without claims."""
    await world.write("INSERT INTO notes (id, owner) VALUES (1, 'ada'), (2, 'bob')", session="x")
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("""
            ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON notes USING (owner = auth.jwt() ->> 'sub');
        """)
    await world.write("UPDATE notes SET body = 'seen'", claims='{"sub": "ada"}', session="x")

    query = world.reading("SELECT id, body FROM notes ORDER BY id", claims=False)
    reply = await world.run(query, world.asker(claims='{"sub": "ada"}', session="x"))

    assert reply.rows == [(1, "seen")]


async def test_the_tenant_reaches_the_helper_functions(world):
    query = world.reading("SELECT auth.tenant(), auth.role(), auth.uid()", claims=True)
    who = world.asker(claims='{"role": "editor", "sub": "x"}', tenant="42")

    assert (await world.run(query, who)).rows == [("42", "editor", None)]


async def test_claims_with_quotes_and_backslashes_arrive_as_they_are(world):
    claims = json.dumps({"a": 'it\'s \\ "quoted" $1 ; -- \n é 😀'}, ensure_ascii=False)

    reply = await world.run(world.reading(CLAIMS, claims=True), world.asker(claims=claims))

    assert reply.rows == [(claims,)]


async def test_the_claims_are_gone_after_the_request(make_world):
    world = await make_world(max_connections=1)
    await world.run(world.reading(CLAIMS, claims=True), world.asker(claims='{"sub": "ada"}'))

    assert {(await world.read(CLAIMS)).rows[0][0] for _ in range(8)} <= {None, ""}


LEAKS = {
    "the role": "SELECT set_config('role', 'none', false)",
    "another role of ours": "SELECT set_config('role', 'service_role', false)",
    "the session's user": "SELECT set_config('session_authorization', 'service_role', false)",
    "claims": "SELECT set_config('request.jwt.claims', '{\"sub\": \"eve\"}', false)",
    "the search path": "SELECT set_config('search_path', 'pg_temp', false)",
    "the time zone": "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
    "how strings are read": "SELECT set_config('standard_conforming_strings', 'off', false)",
    "what is read-only": "SELECT set_config('default_transaction_read_only', 'off', false)",
    "the time limit": "SELECT set_config('statement_timeout', '0', false)",
    "what a commit waits for": "SELECT set_config('synchronous_commit', 'off', false)",
    "an advisory lock": "SELECT pg_advisory_lock(4711)",
}
STATE = """
    SELECT current_user::text, session_user::text,
           coalesce(nullif(current_setting('request.jwt.claims', true), ''), 'none'),
           current_setting('search_path'), current_setting('TimeZone'),
           current_setting('standard_conforming_strings'),
           current_setting('default_transaction_read_only'),
           current_setting('statement_timeout'), current_setting('synchronous_commit'),
           (SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


@pytest.mark.parametrize("way", ["read", "write", "failed write", "failed read"])
async def test_a_function_that_changes_its_session_changes_nobody_elses(make_world, way):
    world = await make_world(max_connections=1)
    branches = "\n".join(
        f"WHEN {n} THEN PERFORM * FROM ({leak}) AS x;" for n, leak in enumerate(LEAKS.values())
    )
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute(f"""
            CREATE FUNCTION public.leak(what int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
            BEGIN CASE what {branches} END CASE; RETURN what; END $$;
        """)
    who = world.asker(session="leaker")
    before = (await world.read(STATE)).rows

    for number, name in enumerate(LEAKS):
        match way:
            case "read":
                await world.run(world.reading("SELECT leak($1)", number, claims=True), who)
            case "failed read":
                with pytest.raises(StatementFailed):
                    await world.run(
                        world.reading("SELECT 1 / (leak($1) - $1)", number, claims=True), who
                    )
            case "write":
                await world.run(
                    world.writing("INSERT INTO notes (id) SELECT leak($1)", number), who
                )
            case _:
                with pytest.raises(StatementFailed):
                    await world.run(
                        world.writing("INSERT INTO notes (id) SELECT 1/(leak($1) - $1)", number),
                        who,
                    )

        for session in ("one", "two"):  # every endpoint has one connection
            assert (await world.read(STATE, session=session)).rows == before, name
        sql = f"WITH w AS (INSERT INTO notes (id) VALUES ($1)) {STATE}"
        written = (await world.write(sql, 1000 + number)).rows[0]
        assert written[:2] == before[0][:2], name
        assert (written[2], written[9]) == ("{}", 0), name


async def test_a_temporary_table_of_a_function_is_gone(make_world):
    world = await make_world(max_connections=1)
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("""
            CREATE FUNCTION public.litter() RETURNS int LANGUAGE plpgsql AS $$
            BEGIN CREATE TEMP TABLE litter AS SELECT 1; RETURN 1; END $$;
        """)

    for number in range(3):  # the second would fail if the table were still there
        await world.write("INSERT INTO notes (id) SELECT litter() + $1", number)


async def test_a_read_cannot_write_even_on_the_primary(world):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("""
            CREATE FUNCTION public.sly() RETURNS int LANGUAGE sql VOLATILE AS
            'INSERT INTO public.notes (id) VALUES (1) RETURNING id'
        """)

    shard = world.shard_map.shards["shard_0"]
    alone = {**world.shard_map.shards, shard.id: replace(shard, replicas=())}
    await world.backends.adopt(replace(world.shard_map, epoch=2, shards=alone))

    for claims in (False, True):
        with pytest.raises(StatementFailed) as caught:
            await world.run(world.reading("SELECT sly()", claims=claims))
        assert caught.value.sqlstate == "25006"
