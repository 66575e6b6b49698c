"""What `pg_proc` says of functions decides who may call them and where they run."""

import pytest

from router import Form, RouterError
from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.scoping import Setting
from shardmap import KeyType, Unsharded

DDL = """
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint';
CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION trusted(int) RETURNS int LANGUAGE sql STABLE
    SET fluxshard.tenant_safe = on AS 'SELECT $1';
CREATE FUNCTION lower(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE TABLE plain (note text);
CREATE FUNCTION note(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION title(plain) RETURNS text LANGUAGE sql AS 'SELECT $1.note';
CREATE EXTENSION citext;
CREATE SCHEMA elsewhere;
CREATE FUNCTION elsewhere.twice(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 * 2';
CREATE FUNCTION elsewhere.upper(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
"""

TENANT, SERVICE = Caller(scoped=True, service=False), Caller(scoped=False, service=True)


@pytest.fixture
async def called(world):
    """What becomes of a call: "read", "write", or the refusal."""
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute(DDL)
    schema = await world.backends.refresh_schema(now=True)
    setting = Setting(schema, lambda name: Unsharded(), KeyType.INTEGER, schema.version)

    def outcome(call, caller=TENANT):
        try:
            query = analyse(Ask(f"SELECT {call}", Form.ROWS, counted=False), caller, setting)
        except RouterError as refusal:
            return refusal.code
        return query.access.name.lower()

    return outcome


async def test_functions_are_read_or_write_as_they_are_declared(called):
    assert called("twice(1)", SERVICE) == "read"
    assert called("peek()", SERVICE) == "read"
    assert called("touch()", SERVICE) == "write"
    assert called("public.touch()", SERVICE) == "write"
    assert called("elsewhere.twice(1)", SERVICE) == "write"
    assert called("pg_catalog.now()", SERVICE) == "read"
    assert called("nothing(1)", SERVICE) == "write"


async def test_tenants_call_what_keeps_to_its_arguments_or_is_declared_safe(called):
    assert called("twice(1)") == "P106"  # its body could read anything, whatever it says
    assert called("peek()") == "P106"
    assert called("touch()") == "P106"
    assert called("trusted(1)") == "read"
    assert called("citext('x')") == "read"
    assert called("replace('a'::citext, 'a', 'b')") == "read"
    assert called("pg_get_viewdef(1)") == "P106"
    assert called("int4pl(1, 2)") == "read"
    assert called("gen_random_uuid()") == "write"


async def test_one_bad_function_of_a_name_makes_the_name_bad_where_it_can_be_meant(called):
    assert called("lower('X')") == "P106"
    assert called("lower(1)", SERVICE) == "write"
    assert called("pg_catalog.lower('X')") == "read"
    assert called("upper('x')") == "read"  # elsewhere is not in the search path


async def test_a_function_is_seen_when_it_is_called_like_a_column(called):
    assert called("(1).touch") == "P106"
    assert called("(1).touch", SERVICE) == "write"
    assert called("(1).nothing") == "read"
    assert called("p.title FROM plain AS p") == "P106"
    assert called("p.note FROM plain AS p") == "read"  # note(int) takes no row
    assert called("(1).note") == "P106"


async def test_a_new_function_gives_the_schema_a_new_version(world):
    before = await world.backends.refresh_schema(now=True)
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")

    after = await world.backends.refresh_schema(now=True)

    assert after.version != before.version
    assert after.functions["public", "f"].volatile
