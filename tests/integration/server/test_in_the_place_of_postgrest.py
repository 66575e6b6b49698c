"""A database that Fluxshard has never seen, and the settings of a PostgREST: nothing else is needed."""

import re
import signal

import asyncpg
import jwt
import pytest
import pytest_asyncio
from postgrest import AsyncPostgrestClient
from postgrest.exceptions import APIError

SECRET = "reallyreallyreallyreallyverysafe"

SETUP = """
CREATE ROLE {login} LOGIN NOINHERIT PASSWORD 'pw';
CREATE ROLE {anon} NOLOGIN;
CREATE ROLE {editor} NOLOGIN;
CREATE ROLE {stranger} NOLOGIN;
GRANT {anon}, {editor} TO {login};
CREATE SCHEMA api;
CREATE SCHEMA other;
CREATE SCHEMA extensions;
CREATE TABLE api.clients (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE api.projects (
    id int PRIMARY KEY, name text NOT NULL, client_id int REFERENCES api.clients
);
CREATE TABLE api.notes (id serial PRIMARY KEY, owner text DEFAULT current_user, body text);
CREATE TABLE other.items (id int PRIMARY KEY);
INSERT INTO api.clients VALUES (1, 'Microsoft'), (2, 'Apple');
INSERT INTO api.projects VALUES (1, 'Windows', 1), (2, 'IOS', 2), (3, 'Orphan', NULL);
INSERT INTO other.items VALUES (7);
CREATE FUNCTION extensions.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION api.add_note(body text) RETURNS api.notes LANGUAGE sql AS
    'INSERT INTO api.notes (body) VALUES ($1) RETURNING *';
CREATE FUNCTION api.whoami() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
CREATE FUNCTION api.doubled(n int) RETURNS int LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN twice(n); END';
CREATE FUNCTION api.shout(api.projects) RETURNS text LANGUAGE sql STABLE AS
    'SELECT upper($1.name) || (random() * 0)::int';
CREATE VIEW api.busy AS
    SELECT c.id, c.name, count(p.id) AS projects, clock_timestamp() AS seen
    FROM api.clients c JOIN api.projects p ON p.client_id = c.id GROUP BY c.id;
GRANT USAGE ON SCHEMA api, other, extensions TO {anon}, {editor};
GRANT SELECT ON ALL TABLES IN SCHEMA api, other TO {anon};
GRANT ALL ON ALL TABLES IN SCHEMA api, other TO {editor};
GRANT ALL ON ALL SEQUENCES IN SCHEMA api TO {editor};
REVOKE ALL ON api.notes FROM {anon};
"""
TEARDOWN = """
DROP OWNED BY {login}, {anon}, {editor}, {stranger};
DROP ROLE {login}, {anon}, {editor}, {stranger};
"""


def bearer(**claims):
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


class Place:
    """The database, who may do what in it, and the settings that lead to it."""

    def __init__(self, databases):
        self.databases = databases
        suffix = databases.name.removeprefix("test_")
        self.roles = {kind: f"{kind}_{suffix}" for kind in ("login", "anon", "editor", "stranger")}
        self.editor = bearer(role=self.roles["editor"])

    @property
    def url(self):
        return self.databases.url("shard_0-a")

    async def execute(self, sql):
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(sql.format(**self.roles))
        finally:
            await connection.close()

    def environ(self, **more):
        return lambda port, admin_port: self._environ(port, admin_port) | more

    def _environ(self, port, admin_port):
        endpoint = self.databases.endpoints.shards[0].primary
        return {
            "PGRST_DB_URI": f"host={endpoint.host} port={endpoint.port} "
            f"dbname={endpoint.database} user={self.roles['login']} password=pw",
            "PGRST_DB_SCHEMAS": "api, other",
            "PGRST_DB_EXTRA_SEARCH_PATH": "extensions",
            "PGRST_DB_ANON_ROLE": self.roles["anon"],
            "PGRST_JWT_SECRET": SECRET,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(port),
            "PGRST_ADMIN_SERVER_PORT": str(admin_port),
            "PGRST_DB_POOL": "4",
        }


@pytest_asyncio.fixture
async def place(databases):
    made = Place(databases)
    await made.execute(SETUP)
    yield made
    await made.execute(TEARDOWN)


async def test_an_unmodified_client_meets_a_database_as_it_is(place, served):
    server = await served(place.environ())
    nobody = AsyncPostgrestClient(server.url, schema="api")
    editor = AsyncPostgrestClient(server.url, schema="api", headers=place.editor)

    embedded = await nobody.from_("projects").select("name, clients(name)").order("id").execute()
    assert embedded.data == [
        {"name": "Windows", "clients": {"name": "Microsoft"}},
        {"name": "IOS", "clients": {"name": "Apple"}},
        {"name": "Orphan", "clients": None},
    ]
    one = await nobody.from_("clients").select("id").eq("name", "Apple").single().execute()
    assert one.data == {"id": 2}
    busy = await nobody.from_("busy").select("name, projects").order("name").execute()
    assert busy.data == [{"name": "Apple", "projects": 1}, {"name": "Microsoft", "projects": 1}]

    with pytest.raises(APIError) as refused:
        await nobody.from_("notes").select("*").execute()
    assert (refused.value.code, refused.value.message) == (
        "42501",
        "permission denied for table notes",
    )

    made = await editor.from_("notes").insert([{"body": "a"}, {"body": "b"}]).execute()
    assert [row["owner"] for row in made.data] == [place.roles["editor"]] * 2
    called = await editor.rpc("add_note", {"body": "c"}).execute()
    assert called.data["body"] == "c"
    changed = await editor.from_("notes").update({"body": "d"}).eq("body", "c").execute()
    assert [row["body"] for row in changed.data] == ["d"]
    gone = await editor.from_("notes").delete().gt("id", 0).execute()
    assert len(gone.data) == 3

    assert (await editor.rpc("whoami", {}).execute()).data == place.roles["editor"]
    assert (await nobody.rpc("whoami", {}).execute()).data == place.roles["anon"]
    assert (await nobody.rpc("doubled", {"n": 21}).execute()).data == 42
    await nobody.aclose()
    await editor.aclose()

    here = await server.get("/projects?select=id&order=id&limit=1")
    assert (here.status_code, here.json()) == (200, [{"id": 1}])
    assert here.headers["Content-Location"] == "/projects?limit=1&order=id&select=id"
    root = await server.get("/")
    assert root.json().get("swagger") == "2.0", root.text + server.log
    assert "fluxshard" not in {row[0] for row in await _schemas(place)}


async def _schemas(place):
    connection = await asyncpg.connect(place.url)
    try:
        return await connection.fetch("SELECT nspname FROM pg_namespace")
    finally:
        await connection.close()


async def test_who_asks_where_and_what_is_refused_is_said_as_postgrest_says_it(place, served):
    server = await served(
        place.environ(PGRST_SERVER_TRACE_HEADER="X-Trace", PGRST_SERVER_TIMING_ENABLED="true")
    )

    async def answer(path, **headers):
        found = await server.get(path, headers=headers)
        return found.status_code, found.json(), found.headers

    other = await answer("/items", **{"Accept-Profile": "other"})
    assert other[:2] == (200, [{"id": 7}])
    assert other[2]["Content-Profile"] == "other"
    assert (await answer("/items"))[:2] == (
        404,
        {
            "code": "PGRST205",
            "message": "Could not find the table 'api.items' in the schema cache",
            "details": None,
            "hint": None,
        },
    )
    assert (await answer("/project"))[1]["hint"] == "Perhaps you meant the table 'api.projects'"
    assert (await answer("/items", **{"Accept-Profile": "secret"}))[:2] == (
        406,
        {
            "code": "PGRST106",
            "message": "Invalid schema: secret",
            "details": None,
            "hint": "Only the following schemas are exposed: api, other",
        },
    )
    assert (await answer("/a/b"))[1]["code"] == "PGRST125"
    assert (await answer("/rest/v1/items"))[1]["code"] == "PGRST125"

    nobody_s = await answer("/projects", **bearer(role="nobody_is_called_so"))
    assert nobody_s[:2] == (
        401,
        {
            "code": "22023",
            "message": 'role "nobody_is_called_so" does not exist',
            "details": None,
            "hint": None,
        },
    )
    not_granted = await answer("/projects", **bearer(role=place.roles["stranger"]))
    assert not_granted[0] == 403
    assert not_granted[1]["code"] == "42501"
    assert not_granted[1]["message"].startswith("permission denied to set role")
    assert (await answer("/projects", **bearer(role="\0login")))[0] == 401
    assert (await answer("/projects", **bearer(sub="x")))[0] == 200
    assert (await answer("/notes", **bearer(sub="x")))[0] == 401
    expired = await answer("/projects", **bearer(exp=1))
    assert (expired[0], expired[1]["code"], expired[1]["message"]) == (
        401,
        "PGRST303",
        "JWT expired",
    )
    assert expired[2]["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="JWT expired"'
    )
    traced = (await answer("/projects", **{"X-Trace": "abc"}))[2]
    assert traced["X-Trace"] == "abc"
    timing = re.fullmatch(
        r"jwt;dur=(\d+\.\d{3}), response;dur=(\d+\.\d{3})", traced["Server-Timing"]
    )
    assert float(timing[2]) > 0

    page = await answer("/projects?limit=1", Origin="https://anywhere.example")
    assert page[2]["Access-Control-Allow-Origin"] == "https://anywhere.example"

    for path in ("/live", "/ready", "/metrics", "/config", "/schema_cache"):
        assert (await server.get(path, port=server.metrics_port)).status_code == 200, path
        assert (await server.get(path)).status_code == 404, path
    config = (await server.get("/config", port=server.metrics_port)).text
    assert SECRET not in config
    assert "pw" not in config


async def test_without_a_role_for_nobody_or_a_secret_tokens_are_asked_for_or_refused(place, served):
    server = await served(place.environ(PGRST_DB_ANON_ROLE="", PGRST_JWT_SECRET=""))

    nobody = await server.get("/projects")
    assert (nobody.status_code, nobody.json()["code"], nobody.json()["message"]) == (
        401,
        "PGRST302",
        "Anonymous access is disabled",
    )
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    somebody = await server.get("/projects", headers=place.editor)
    assert (somebody.status_code, somebody.json()["code"], somebody.json()["message"]) == (
        500,
        "PGRST300",
        "Server lacks JWT secret",
    )


async def test_what_changes_in_the_database_is_taken_when_it_is_told(place, served, eventually):
    server = await served(place.environ())

    async def status(path, **headers):
        return (await server.get(path, headers=headers)).status_code

    await place.execute(
        "CREATE TABLE api.told (id int); GRANT SELECT ON api.told TO {anon};"
        "NOTIFY pgrst, 'reload schema'"
    )
    await _holds(eventually, lambda: status("/told"), 200)
    await place.execute(
        "CREATE TABLE api.signalled (id int); GRANT SELECT ON api.signalled TO {anon}"
    )
    server.signal(signal.SIGUSR1)
    await _holds(eventually, lambda: status("/signalled"), 200)

    other = jwt.encode({"role": place.roles["editor"]}, "x" * 32, algorithm="HS256")
    headers = {"Authorization": f"Bearer {other}"}
    assert await status("/notes", **headers) == 401
    await place.execute(
        "ALTER ROLE {login} SET pgrst.jwt_secret = '" + "x" * 32 + "';"
        "ALTER ROLE {login} SET pgrst.db_schemas = 'api, other, extensions';"
        "CREATE TABLE extensions.more (id int); GRANT SELECT ON extensions.more TO {anon};"
        "NOTIFY pgrst, 'reload config'"
    )
    await _holds(eventually, lambda: status("/notes", **headers), 200)
    await _holds(eventually, lambda: status("/more", **{"Accept-Profile": "extensions"}), 200)
    assert await status("/notes", **place.editor) == 401

    await place.execute("ALTER ROLE {login} SET pgrst.jwt_secret = 'too short'")
    server.signal(signal.SIGUSR2)
    await eventually(lambda: "config_unusable" in server.log)
    assert await status("/notes", **headers) == 200


async def _holds(eventually, ask, wanted):
    async def held():
        return await ask() == wanted

    await eventually(held)
