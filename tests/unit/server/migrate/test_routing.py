import pytest

from server.migrate.places import ALL, CATALOG_ONLY, SHARDS_ONLY, databases_of


def places(world, sql, a_map=None):
    return [one.places for one in world.routed(sql, a_map).statements]


@pytest.mark.parametrize(
    "sql",
    [
        "create table orders (id int)",
        "create unlogged table if not exists public.orders (id int)",
        "create table orders_1 partition of orders for values from (1) to (2)",
        "create table old_orders (x int) inherits (orders)",
        'alter table only "orders" add column x int',
        "create unique index concurrently on only orders (tenant_id, id)",
        "create trigger t after insert or update of x on orders execute function f()",
        "create policy p on orders using (true)",
        "drop policy if exists p on orders",
        "drop table if exists orders, countries cascade",
        "comment on column orders.total is 'x'",
        "comment on constraint c on orders is 'x'",
        "grant select (id), update on table orders to authenticated",
        "revoke all on orders from anon",
        "insert into orders (id) select id from countries",
        "update only orders set x = 1",
        "delete from sales.deals",
        "truncate orders, lines",
        "lock table orders",
        "create view v as select * from orders join countries c on true",
        "create or replace view v as with a as (select 1) select * from a, countries",
        "create sequence s owned by public.orders.id",
        "vacuum (analyze) orders",
        "create statistics s on a, b from orders",
        "with a as (delete from lines returning *) select * from a",
        "copy orders to '/tmp/x'",
        "select setval('x', 1) from orders",
        "alter table orders rename to old_orders",
    ],
)
def test_a_statement_about_tables_of_the_shards_runs_there(world, sql):
    assert places(world, sql) == [SHARDS_ONLY]


def test_a_statement_about_global_tables_runs_in_the_catalog(world):
    assert places(world, "insert into plans values (1)") == [CATALOG_ONLY]


@pytest.mark.parametrize(
    "sql",
    [
        "create type mood as enum ('a')",
        "create function f() returns int language sql as 'select 1'",
        "create extension if not exists pg_trgm",
        "do $$ begin end $$",
        "create schema sales",
        "grant usage on schema sales to authenticated",
        "grant select on all tables in schema public to anon",
        "create temp table t (id int)",
        "select 1",
    ],
)
def test_a_statement_about_no_table_runs_everywhere(world, sql):
    assert places(world, sql) == [ALL]


def test_what_was_created_before_is_known_by_its_name(world):
    assert (
        places(
            world,
            "create table plans (id int); create index plans_id on plans (id); drop index plans_id;"
            "create view v as select * from orders; alter view v rename to w; drop view w;"
            "create table orders_1 partition of orders default; create index i on orders_1 (id);",
        )
        == [CATALOG_ONLY] * 3 + [SHARDS_ONLY] * 5
    )


FUNCTIONS = "create {}; alter function f(int) owner to me; drop function if exists f(int), f(text)"


@pytest.mark.parametrize(
    "sql",
    [
        "function f(int) returns int language sql as 'select 1 from orders'",
        "function f(int) returns int language sql as $$ select 1; select id from lines $$",
        "function f(int) returns setof orders language plpgsql as $f$ begin end $f$",
        (
            "or replace function public.f(a int default 1) returns int begin atomic"
            " select id from orders; end"
        ),
        (
            "function f(int) returns void language plpgsql as $$ declare x int; begin"
            " if x > 0 then update orders set x = 1; end if; alter table lines add y int; end $$"
        ),
    ],
)
def test_a_function_is_where_the_tables_of_its_body_are(world, sql):
    assert places(world, FUNCTIONS.format(sql)) == [SHARDS_ONLY] * 3


def test_a_function_about_no_table_or_about_tables_of_both_places_is_everywhere(world):
    assert (
        places(
            world,
            "create function f() returns trigger language plpgsql as $$ begin return new; end $$;"
            "create function g() returns int language plpgsql as"
            " $$ begin delete from orders; delete from plans; end $$;"
            "comment on function g() is 'x'; grant execute on function g(), f() to anon",
        )
        == [ALL] * 4
    )


def test_a_trigger_needs_its_function_where_its_table_is(world):
    function = (
        "create function f() returns trigger language plpgsql as"
        " $$ begin insert into lines values (1); end $$;"
        "create trigger t after insert on {} for each row execute function f()"
    )

    (_, there) = world.routed(function.format("orders")).statements
    (_, elsewhere) = world.routed(function.format("plans")).statements

    assert there.places == SHARDS_ONLY
    assert elsewhere.scattered == ("public.plans", "public.f()")


def test_a_block_of_code_runs_where_its_tables_are(world):
    assert places(
        world,
        "do $$ begin if true then alter table if exists orders add x int; end if; end $$;"
        "do $$ begin perform 1; end $$;"
        "create publication p for table plans; alter publication p add table orders",
    ) == [SHARDS_ONLY, ALL, CATALOG_ONLY, SHARDS_ONLY]


def test_sequences_of_columns_are_where_their_table_is(world):
    assert places(
        world,
        "create table plans (id serial); create table orders (id bigint generated always as"
        " identity); alter table orders add n bigserial; grant usage on sequence plans_id_seq to"
        " authenticated; alter sequence orders_id_seq restart; alter sequence public.orders_n_seq"
        " cycle",
    ) == [CATALOG_ONLY, SHARDS_ONLY, SHARDS_ONLY, CATALOG_ONLY, SHARDS_ONLY, SHARDS_ONLY]


def test_tables_that_are_never_together_are_named(world):
    (view,) = world.routed("create view v as select * from orders, plans").statements
    (drop,) = world.routed("drop table orders, plans").statements
    (copy,) = world.routed("insert into plans select * from countries").statements

    assert view.scattered == ("public.orders", "public.plans")
    assert drop.scattered == ("public.orders", "public.plans")
    assert copy.scattered == ("public.plans", "public.countries")


def test_only_at_the_top_decides_for_the_whole_file(world):
    sql = "-- fluxshard: only: catalog\ncreate type t as enum (); select * from orders, plans"

    assert places(world, sql) == [CATALOG_ONLY, CATALOG_ONLY]


def test_one_database_that_is_catalog_and_shard_is_one_place(world):
    (database,) = databases_of(world.single())

    assert database.name == "shard_0"
    assert database.places == ALL
    assert all(
        one.runs_in(database)
        for one in world.routed(
            "create table anything (id int); create type t as enum ()", world.single()
        ).statements
    )


def test_the_catalog_comes_before_the_shards(world):
    assert [one.name for one in databases_of(world.sharded())] == ["catalog", "shard_0", "shard_1"]
