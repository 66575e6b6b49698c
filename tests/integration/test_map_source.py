"""Maps in a real catalog: compare-and-set, identities, seeding, and what tables look like."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.resources import files

import asyncpg
import pytest

from server.catalog import catalog_session, connected, recovering
from server.mapcheck import check_before_start, check_servers, claim_newcomers
from server.mapstart import Origin, starting_map
from shardmap import (
    CATALOG,
    CatalogSource,
    Durability,
    GivenCluster,
    GivenServers,
    Global,
    Identity,
    IdentityTaken,
    InvalidMap,
    KeyType,
    LastGoodCopy,
    MapConflict,
    MapRefused,
    MapUnavailable,
    Reference,
    Rule,
    Severity,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TablesUnsafe,
    claim_identity,
    content_hash,
    read_identity,
)

A, B = ShardId("shard_0"), ShardId("shard_1")


@pytest.fixture
async def sessions(first):
    """`await sessions()` gives one more connection to the catalog."""
    async with AsyncExitStack() as stack:

        async def another():
            return await stack.enter_async_context(connected(first.catalog, {}))

        yield another


@pytest.fixture
def given_servers(databases):
    """What the environment says about the test's databases."""
    environ = databases.environment

    def servers(name, replicas_name):
        replicas = tuple(environ[replicas_name].split(",")) if replicas_name in environ else ()
        return GivenServers(environ[name], name, replicas, replicas_name)

    return GivenCluster(
        servers("DATABASE_URL", "FLUXBASE_DATABASE_READ_REPLICAS"),
        tuple(
            servers(
                f"FLUXBASE_DATABASE_SHARD_{number}",
                f"FLUXBASE_DATABASE_SHARD_{number}_READ_REPLICAS",
            )
            for number in range(2)
        ),
        KeyType.INTEGER,
    )


async def apply(session, new, expected_epoch):
    return await CatalogSource(session).apply(
        new, expected_epoch=expected_epoch, author="tester", reason="a test"
    )


async def test_a_catalog_without_maps_has_none(sessions):
    source = CatalogSource(await sessions())

    assert await source.newest() is None
    assert await source.at(1) is None
    assert await source.history() == ()


async def test_an_applied_map_is_in_force_and_every_epoch_can_be_read(sessions, first):
    session = await sessions()
    source = CatalogSource(session)

    one = await apply(session, first, 0)
    two = await apply(session, replace(one, tables={"public.t": Sharded("tenant")}), 1)

    assert (one.epoch, two.epoch) == (1, 2)
    assert await source.newest() == two
    assert await source.at(1) == one
    assert await source.newer_than(1) == two
    assert await source.newer_than(2) is None
    newest, oldest = await source.history()
    assert (newest.epoch, newest.author, newest.reason) == (2, "tester", "a test")
    assert (newest.content_hash, newest.parent_hash) == (content_hash(two), content_hash(one))
    assert oldest.parent_hash is None


async def test_of_many_writers_that_apply_at_once_exactly_one_wins(sessions, first):
    writers = [await sessions() for _ in range(6)]

    async def attempt(number, old):
        tables = {**old.tables, f"public.t{number}_{old.epoch}": Reference()}
        try:
            return await apply(writers[number], replace(old, tables=tables), old.epoch)
        except MapConflict as conflict:
            return conflict

    in_force = first
    for _ in range(3):  # the first time even the table has to be made
        async with asyncio.TaskGroup() as tasks:
            attempts = [
                tasks.create_task(attempt(number, in_force)) for number in range(len(writers))
            ]
        results = [task.result() for task in attempts]

        (winner,) = [result for result in results if isinstance(result, ShardMap)]
        conflicts = {(lost.expected, lost.found) for lost in results if lost is not winner}
        assert conflicts == {(in_force.epoch, in_force.epoch + 1)}
        assert await CatalogSource(writers[0]).newest() == winner
        in_force = winner


async def test_what_needs_data_to_move_is_not_applied(sessions, first):
    session = await sessions()
    one = await apply(session, first, 0)

    with pytest.raises(MapRefused, match="would move"):
        await apply(session, replace(one, slots=(A,) * 4096), 1)

    assert await CatalogSource(session).newest() == one


@pytest.mark.parametrize(
    ("state", "leaves"),
    [("copying", False), ("moved", False), ("aborting", False), ("cleaned", True)],
)
async def test_a_shard_that_a_move_still_needs_stays_in_the_map(sessions, first, state, leaves):
    session, source = await sessions(), CatalogSource(await sessions())
    emptied = await apply(session, replace(first, slots=(A,) * len(first.slots)), 0)
    without = replace(emptied, shards={A: emptied.shards[A]})
    await session.execute(files("server.moves").joinpath("journal.sql").read_text())
    await session.execute(
        "insert into fluxshard.moves (token, cluster_id, units, tenants, source, target, state,"
        " max_pause_s, author) values ('t', 'test', '{slot:1}', '{}', $1, $2, $3, 1, 'tester')",
        B,
        A,
        state,
    )

    if leaves:
        assert (await apply(session, without, 1)).shards.keys() == {A}
    else:
        with pytest.raises(MapRefused, match=f"shards.{B}: is needed by move 1, which is {state}"):
            await apply(session, without, 1)
        assert (await source.newest()) == emptied


async def test_a_row_that_was_changed_by_hand_is_no_map(sessions, first):
    session = await sessions()
    await apply(session, first, 0)

    await session.execute(
        "update fluxshard.maps set document = jsonb_set(document, '{cluster_id}', '\"x\"')"
    )

    with pytest.raises(InvalidMap, match="is not as it was applied"):
        await CatalogSource(session).newest()


async def test_a_server_is_claimed_once_and_for_one_shard(sessions):
    session = await sessions()
    assert await read_identity(session) is None

    await claim_identity(session, "c1", A)
    await claim_identity(session, "c1", A)

    assert await read_identity(session) == Identity("c1", A)
    with pytest.raises(IdentityTaken, match="the server is shard_0 of cluster c1, not shard_1"):
        await claim_identity(session, "c1", B)
    with pytest.raises(IdentityTaken, match="not shard_0 of cluster c2"):
        await claim_identity(session, "c2", A)


async def test_of_many_that_claim_a_server_at_once_one_wins_and_the_others_are_refused(sessions):
    claimers = [await sessions() for _ in range(6)]

    async def attempt(session, cluster):
        try:
            await claim_identity(session, cluster, A)
        except IdentityTaken as taken:
            return taken
        return cluster

    async with asyncio.TaskGroup() as tasks:
        attempts = [
            tasks.create_task(attempt(session, f"c{number}"))
            for number, session in enumerate(claimers)
        ]

    results = [task.result() for task in attempts]
    assert len([result for result in results if isinstance(result, str)]) == 1


async def test_the_catalogs_primary_is_found_whatever_was_declared(first):
    endpoints = (*first.catalog_replicas, first.catalog)

    async with catalog_session(endpoints, {}, writable=True) as session:
        assert not await recovering(session)


async def test_a_standby_is_enough_to_read_but_not_to_apply(first):
    async with catalog_session(first.catalog_replicas, {}, writable=False) as session:
        assert await recovering(session)

    with pytest.raises(MapUnavailable, match="is a standby"):
        async with catalog_session(first.catalog_replicas, {}, writable=True):
            pass


async def test_a_connection_that_is_lost_while_in_use_is_an_unavailable_catalog(first, sessions):
    other = await sessions()

    async def ask_after_the_end():
        async with connected(first.catalog, {}) as session:
            await other.execute(f"select pg_terminate_backend({session.get_server_pid()})")
            await session.fetchval("select 1")

    with pytest.raises(MapUnavailable, match="catalog-a"):
        await ask_after_the_end()


async def test_a_catalog_that_is_nowhere_is_unavailable(first, tmp_path):
    nowhere = replace(first.catalog, host=str(tmp_path))

    with pytest.raises(MapUnavailable, match="No such file or directory"):
        async with catalog_session((nowhere,), {}, writable=False):
            pass


async def test_a_wrong_password_is_an_unavailable_catalog(first):
    stranger = replace(first.catalog, user="nobody_at_all", credentials="env:PW")

    with pytest.raises(MapUnavailable, match="nobody_at_all"):
        async with connected(stranger, {"PW": "wrong"}):
            pass


async def test_the_first_start_makes_the_map_and_claims_every_server(
    databases, given_servers, tmp_path
):
    environ = databases.environment

    started = await starting_map(given_servers, None, environ, author="tester")

    assert started.origin is Origin.SEEDED
    assert started.shard_map.epoch == 1
    assert not started.warnings
    declared = {shard.durability for shard in started.shard_map.shards.values()}
    assert declared == {Durability.QUORUM}  # as the servers do
    for shard, server in [(CATALOG, "catalog"), (A, "shard_0"), (B, "shard_1")]:
        connection = await asyncpg.connect(databases.url(f"{server}-a"))
        assert await read_identity(connection) == Identity(started.shard_map.cluster_id, shard)
        await connection.close()

    again = await starting_map(given_servers, LastGoodCopy(tmp_path / "m"), environ, author="x")
    assert (again.origin, again.shard_map) == (Origin.CATALOG, started.shard_map)


async def test_servers_that_start_together_agree_on_the_first_map(databases, given_servers):
    async with asyncio.TaskGroup() as tasks:
        starts = [
            tasks.create_task(
                starting_map(given_servers, None, databases.environment, author=f"s{number}")
            )
            for number in range(5)
        ]

    assert len({content_hash(start.result().shard_map) for start in starts}) == 1


async def test_a_database_alone_is_the_catalog_and_the_shard(databases, given_servers, sessions):
    alone = replace(given_servers, shards=())

    started = await starting_map(alone, None, databases.environment, author="tester")

    assert list(started.shard_map.shards) == [A]
    assert await read_identity(await sessions()) == Identity(started.shard_map.cluster_id, A)


async def test_a_first_map_is_refused_when_a_server_is_anothers(databases, given_servers, sessions):
    connection = await asyncpg.connect(databases.url("shard_1-a"))
    await claim_identity(connection, "other", B)
    await connection.close()

    with pytest.raises(IdentityTaken, match="shard_1 of cluster other"):
        await starting_map(given_servers, None, databases.environment, author="tester")

    assert await CatalogSource(await sessions()).newest() is None


async def test_with_the_catalog_away_a_server_starts_from_the_last_good_copy(
    databases, given_servers, first, tmp_path
):
    kept = LastGoodCopy(tmp_path / "map.json")
    kept.keep(replace(first, epoch=7))
    away = replace(
        given_servers,
        catalog=GivenServers(
            f"postgres://u@/d?host={tmp_path}", "DATABASE_URL", (), "READ_REPLICAS"
        ),
    )

    started = await starting_map(away, kept, databases.environment, author="tester")

    assert (started.origin, started.shard_map.epoch) == (Origin.LAST_GOOD, 7)
    assert "No such file" in started.catalog_trouble
    assert [warning.path for warning in started.warnings] == ["DATABASE_URL"]


async def test_with_neither_catalog_nor_copy_there_is_no_start(given_servers, tmp_path):
    away = replace(
        given_servers,
        catalog=GivenServers(f"postgres://u:p@/d?host={tmp_path}", "DATABASE_URL"),
    )
    environ = {"DATABASE_URL": away.catalog.url}

    with pytest.raises(MapUnavailable, match=r"No such file.*map\.json: No such file"):
        await starting_map(away, LastGoodCopy(tmp_path / "map.json"), environ, author="x")


GOOD_TABLES = """
create domain tenant_no as bigint not null;
create table countries (code text primary key, part_of text references countries);
create table orders (
    tenant_id tenant_no, id bigint, country text references countries, primary key (tenant_id, id)
);
create table order_lines (
    tenant_id bigint not null, id int, order_id bigint, unique (tenant_id, id) include (order_id),
    foreign key (tenant_id, order_id) references orders (tenant_id, id)
) partition by hash (tenant_id);
create table order_lines_0 partition of order_lines for values with (modulus 1, remainder 0);
create table "Odd.Name" (tenant_id smallint not null, "a b" int);
create view open_orders as select tenant_id, id from orders;
"""

BAD_TABLES = """
create table plans (id int primary key);
create table countries (code text primary key, plan int references plans);
create table orders (
    tenant_id text, id bigint primary key, slug text unique, room int, country text,
    exclude using btree (room with =), plan int references plans
);
create unique index orders_lower on orders (lower(slug)) where slug <> '';
create unique index orders_include on orders (id) include (tenant_id);
create table order_lines (
    tenant_id bigint not null, order_id bigint unique references orders (id), line int
) partition by hash (order_id);
create table order_lines_0 partition of order_lines for values with (modulus 1, remainder 0);
create unique index order_lines_0_own on order_lines_0 (line);
create table "Odd.Name" ("tenant id" smallint);
create collation loose (provider = icu, locale = 'und', deterministic = false);
"""

TABLES = {
    "public.orders": Sharded("tenant_id"),
    "public.order_lines": Sharded("tenant_id"),
    "public.Odd.Name": Sharded("tenant_id"),
    "public.open_orders": Sharded("tenant_id"),
    "public.countries": Reference(),
    "public.plans": Global(),
}


async def test_tables_that_fit_their_map_have_no_problem(databases, first):
    await databases.execute(GOOD_TABLES, A, B)
    await databases.execute("create table plans (id int)", CATALOG)

    findings = await check_servers(replace(first, tables=TABLES), {}, None)

    assert findings.problems == ()
    assert findings.unreachable == {}


async def test_every_table_that_does_not_fit_is_told_with_the_shards_that_have_it(databases, first):
    await databases.execute(BAD_TABLES.replace("create collation", "-- "), A)
    await databases.execute(GOOD_TABLES, B)

    findings = await check_servers(replace(first, tables=TABLES), {}, None)

    on = "(on shard_0)"
    spans = f"does not contain tenant_id, so it spans tenants {on}"
    assert sorted(str(problem) for problem in findings.problems) == sorted(
        [
            "tables.public.plans: there is no such table (on catalog)",
            (
                "tables.public.countries: the foreign key countries_plan_fkey refers to "
                f"public.plans, which is not on every shard {on}"
            ),
            "tables.public.Odd.Name: has no column tenant_id; did you mean tenant id? " + on,
            f"tables.public.open_orders: there is no such table {on}",
            f"tables.public.order_lines: the unique index order_lines_order_id_key {spans}",
            f"tables.public.order_lines: the unique index order_lines_0_own {spans}",
            (
                "tables.public.order_lines: the foreign key order_lines_order_id_fkey does not tie "
                f"tenant_id to public.orders.tenant_id, so it spans tenants {on}"
            ),
            (
                "tables.public.orders: tenant_id is text; a tenant key of type integer is smallint "
                f"or integer or bigint {on}"
            ),
            (
                "tables.public.orders: tenant_id may be NULL: "
                f"alter table public.orders alter tenant_id set not null {on}"
            ),
            f"tables.public.orders: the primary key orders_pkey {spans}",
            f"tables.public.orders: the unique index orders_slug_key {spans}",
            f"tables.public.orders: the unique index orders_lower {spans}",
            f"tables.public.orders: the unique index orders_include {spans}",
            f"tables.public.orders: the exclusion constraint orders_room_excl {spans}",
            (
                "tables.public.orders: the foreign key orders_plan_fkey refers to public.plans, "
                f"which is not on the tenant's shard {on}"
            ),
        ]
    )


async def test_an_exclusion_constraint_that_compares_the_tenant_for_equality_is_a_key(
    databases, first
):
    await databases.execute(
        "create extension btree_gist;"
        "create table orders (tenant_id int not null, room int,"
        " exclude using gist (tenant_id with =, room with =));"
        "create table order_lines (tenant_id int not null, room int,"
        " exclude using gist (tenant_id with <>, room with =))",
        A,
        B,
    )
    tables = {name: TABLES[name] for name in ("public.orders", "public.order_lines")}

    findings = await check_servers(replace(first, tables=tables), {}, None)

    assert [problem.path for problem in findings.problems] == ["tables.public.order_lines"]


async def test_a_nondeterministic_collation_of_the_tenant_column_is_found(databases, first):
    # Such a collation needs ICU, which the servers of these tests lack: one is made to look so.
    await databases.execute(
        'create collation loose from "C";'
        "create table orders (tenant_id text collate loose not null);"
        "update pg_collation set collisdeterministic = false where collname = 'loose'",
        A,
        B,
    )
    text_map = replace(first, key_type=KeyType.TEXT, tables={"public.orders": Sharded("tenant_id")})

    findings = await check_servers(text_map, {}, None)

    assert "nondeterministic" in str(findings.problems[0])


async def test_a_server_that_does_not_answer_is_told_apart_from_problems(first, tmp_path):
    shard = first.shards[B]
    away = replace(shard, primary=replace(shard.primary, host=str(tmp_path)))

    findings = await check_servers(replace(first, shards={**first.shards, B: away}), {}, None)

    assert findings.problems == ()
    assert list(findings.unreachable) == [B]


async def test_a_swapped_address_is_found_before_the_map_is_applied(first, sessions):
    session = await sessions()
    await claim_newcomers(first, {}, None)
    one = await apply(session, first, 0)
    shards = {
        A: Shard(A, replace(first.shards[B].primary, name="shard_0-a")),
        B: Shard(B, replace(first.shards[A].primary, name="shard_1-a")),
    }

    findings = await check_servers(replace(one, shards=shards), {}, one)

    assert [str(problem) for problem in findings.problems] == [
        (
            "shards.shard_0.primary: the server is shard_1 of cluster test, "
            "not shard_0 of cluster test"
        ),
        (
            "shards.shard_1.primary: the server is shard_0 of cluster test, "
            "not shard_1 of cluster test"
        ),
    ]


async def test_a_known_shard_at_an_empty_server_is_found(first, fresh_databases):
    await claim_newcomers(first, {}, None)
    empty = (await fresh_databases()).endpoints.shards[0].primary
    shards = {**first.shards, A: Shard(A, empty)}

    findings = await check_servers(replace(first, shards=shards), {}, first)

    assert [str(problem) for problem in findings.problems] == [
        (
            "shards.shard_0.primary: the server does not know that it is shard_0 of cluster test: "
            "is this the right address?"
        )
    ]


async def test_numbers_of_shards_are_checked_and_claimed_with_their_servers(first, fresh_databases):
    await claim_newcomers(first, {}, None)

    swapped = await check_servers(replace(first, numbers={A: 2, B: 1}), {}, None)
    guessed = await check_servers(
        replace(first, numbers={A: 2, B: 1}), {}, None, numbers_given=False
    )
    right = await check_servers(first, {}, first)

    assert [str(one) for one in swapped.problems] == [
        "shards.shard_0.primary: the server makes ids as shard number 1, not 2",
        "shards.shard_1.primary: the server makes ids as shard number 2, not 1",
    ]
    assert {one.severity for one in swapped.problems} == {Severity.UNSAFE}
    assert guessed.problems == right.problems == ()
    with pytest.raises(TablesUnsafe, match=r"as shard number 1, not 2 \[shard-number\]"):
        await check_before_start(replace(first, numbers={A: 2, B: 1}), {})


async def test_a_text_key_of_limited_length_is_found_under_domains_too(databases, first):
    await databases.execute(
        "create domain code as varchar(9); create domain label as text;"
        "create table orders (tenant_id varchar(9) not null);"
        "create table lines (tenant_id code not null);"
        "create table notes (tenant_id label not null);"
        "create table plain (tenant_id varchar not null)",
        A,
        B,
    )
    names = ("orders", "lines", "notes", "plain")
    tables = {f"public.{name}": Sharded("tenant_id") for name in names}

    findings = await check_servers(replace(first, key_type=KeyType.TEXT, tables=tables), {}, None)

    assert [(one.rule, one.path) for one in findings.problems] == [
        (Rule.TENANT_COLUMN_TYPE, "tables.public.lines"),
        (Rule.TENANT_COLUMN_TYPE, "tables.public.orders"),
    ]


async def test_the_remedies_for_sequences_are_remedies(databases, first):
    await databases.execute(
        "create schema fluxshard;"
        "create function fluxshard.next_id() returns bigint language sql return 1;"
        "create table orders (tenant_id int, id serial, primary key (tenant_id, id));"
        "create table lines (tenant_id int, id bigint generated always as identity,"
        " primary key (tenant_id, id))",
        A,
        B,
    )
    await databases.execute("select nextval('orders_id_seq') from generate_series(1, 40)", A)
    tables = {f"public.{name}": Sharded("tenant_id") for name in ("orders", "lines")}
    placed = replace(first, tables=tables)

    lines, orders = (await check_servers(placed, {}, None)).warnings
    for shard in (A, B):
        line = next(line for line in orders.hint.splitlines() if line.startswith(f"or on {shard}:"))
        await databases.execute(line.partition(": ")[2], shard)
        await databases.execute(lines.hint.splitlines()[0].partition(": ")[2], shard)

    assert {lines.rule, orders.rule} == {Rule.SEQUENCES_OVERLAP}
    assert (await check_servers(placed, {}, None)).warnings == ()


async def test_row_security_is_told_and_keeps_nothing_from_being_applied(databases, first):
    await databases.execute(GOOD_TABLES + "alter table orders enable row level security", A, B)
    await databases.execute("create table plans (id int)", CATALOG)

    findings = await check_servers(replace(first, tables=TABLES), {}, None)

    assert findings.problems == findings.warnings == ()
    assert {one.path for one in findings.all} == {
        "tables.public.Odd.Name",
        "tables.public.order_lines",
    }
