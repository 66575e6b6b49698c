"""`fluxshard migrate up` and `down` on a catalog and two shards."""

from types import SimpleNamespace

THERE = "select to_regclass($1) is not null"


async def test_each_statement_runs_where_its_table_is(migrations, orders):
    migrations.write(
        _0001_begin=orders
        + """
        create table countries (code text primary key);
        insert into countries values ('de'), ('fr');
        create table plans (id int primary key);
        create type mood as enum ('ok');
        create view big_orders as select * from orders where total > 1000;
        """
    )

    await migrations.run("up")

    async def where(name):
        return await migrations.everywhere(THERE, name)

    assert await where("orders") == [False, True, True]
    assert await where("countries") == [False, True, True]
    assert await where("big_orders") == [False, True, True]
    assert await where("plans") == [True, False, False]
    assert await migrations.everywhere("select to_regtype('mood') is not null") == [True] * 3
    assert await migrations.ask("shard_1-a", "select count(*) from countries") == 2
    assert await migrations.states() == {1: ("applied",) * 3}


async def test_up_again_has_nothing_to_do(migrations, orders):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")

    result = await migrations.run("up")

    assert result.stdout == "nothing to do\n"


async def test_a_dry_run_shows_each_statement_per_database_and_changes_nothing(migrations, orders):
    migrations.write(_0001_begin=orders + "create table plans (id int primary key)")

    shown = await migrations.run("plan")
    as_data = await migrations.json("up", "--dry-run")

    assert shown.stdout.splitlines()[:2] == [
        "0001_begin.sql  catalog",
        "    create table plans (id int primary key);",
    ]
    assert [work["database"] for work in as_data["works"]] == ["catalog", "shard_0", "shard_1"]
    assert await migrations.everywhere(THERE, "fluxshard.migrations") == [False] * 3


async def test_a_failure_on_one_shard_keeps_what_is_done_and_the_next_run_goes_on(
    migrations, orders
):
    migrations.write(_0001_begin=orders, _0002_note="alter table orders add note text")
    await migrations.run("up", "--to", "1")
    await migrations.databases.execute("alter table orders add note int", "shard_1")

    failed = await migrations.run("up", code=1)

    assert failed.stderr.startswith("G106 0002_note.sql:1: shard_1: column")
    assert "(42701)" in failed.stderr
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied", "applied", None)}

    await migrations.databases.execute("alter table orders drop note", "shard_1")
    again = await migrations.run("up")

    assert [line.split("  ")[:2] for line in again.stdout.splitlines()] == [
        ["0002_note", "shard_1"]
    ]
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_a_failed_file_leaves_nothing_of_itself_behind(migrations, orders):
    migrations.write(_0001_begin=orders + "create index orders_total on orders (totl)")

    failed = await migrations.run("up", code=1)

    assert '0001_begin.sql:4: shard_0: column "totl" does not exist' in failed.stderr
    assert await migrations.everywhere(THERE, "orders") == [False] * 3


async def test_a_changed_file_is_refused_and_status_says_so(migrations, orders):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0001_begin=orders.replace("numeric", "int"))

    result = await migrations.run("up", code=1)
    status = await migrations.run("status", code=1)

    said = "0001_begin.sql was changed after it was applied on catalog, shard_0, shard_1"
    assert result.stderr == f"G102 {said}\n"
    assert status.stderr == f"{said}\n"


async def test_down_undoes_the_newest_version_and_forgets_it(migrations, orders):
    migrations.write(
        _0001_begin__up=orders,
        _0002_note__up="alter table orders add note text",
        _0002_note__down="alter table orders drop note",
    )
    await migrations.run("up")

    await migrations.run("down", "--yes")

    column = "select count(*) from pg_attribute where attrelid = to_regclass('orders')"
    assert await migrations.ask("shard_0-a", f"{column} and attname = 'note'") == 0
    assert await migrations.states() == {1: ("applied",) * 3, 2: (None,) * 3}
    refused = await migrations.run("down", "--yes", code=1)
    assert refused.stderr == "G107 0001_begin has no down file (0001_begin.down.sql)\n"


async def test_what_the_lint_finds_keeps_up_from_running_until_it_is_allowed(migrations, orders):
    migrations.write(_0001_begin=orders)
    await migrations.run("up")
    migrations.write(_0002_drop="alter table orders drop column total")

    lint = await migrations.json("lint", code=1)
    refused = await migrations.run("up", code=1)
    await migrations.run("up", "--allow", "L102")

    assert [(one["code"], one["line"]) for one in lint] == [("L102", 1)]
    assert refused.stderr.startswith("G103 0002_drop.sql:1: L102 error: drops the column total")
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}


async def test_tables_can_be_made_on_a_cluster_that_no_server_has_prepared(migrations, orders):
    migrations.write(
        _0001_begin=orders
        + "grant select on orders to authenticated; alter table orders enable row level security;"
        "create policy own on orders to authenticated"
        " using (tenant_id = (select auth.tenant()::bigint))"
    )

    await migrations.run("up")

    assert await migrations.ask(
        "shard_1-a", "select has_table_privilege('service_role', 'orders', 'insert')"
    )


async def test_one_database_without_shards_is_migrated_before_any_server_has_started(
    databases, tmp_path, orders, migrations_of
):
    environment = {"DATABASE_URL": databases.environment["DATABASE_URL"]}
    directory = tmp_path / "migrations"
    directory.mkdir()
    alone = migrations_of(SimpleNamespace(environment=environment, url=databases.url), directory)
    alone.write(_0001_begin=orders + "create table anything (id int primary key)")

    before = await alone.json("status")
    await alone.run("up")

    assert before["databases"] == ["shard_0"]
    assert await alone.ask("catalog-a", THERE, "anything")
    assert await alone.states() == {1: ("applied",)}


async def test_the_admin_role_migrates_and_the_service_role_may_use_what_it_makes(
    migrations, orders, databases
):
    name = f"admin_{databases.name}"
    await databases.execute(f"create role {name} login superuser password 'x'")
    migrations.write(_0001_begin=orders)

    try:
        await migrations.run(
            "up",
            env={
                "FLUXBASE_DATABASE_ADMIN_USER": name,
                "FLUXBASE_DATABASE_ADMIN_PASSWORD": "x",
            },
        )

        owner = "select tableowner from pg_tables where tablename = 'orders'"
        granted = "select has_table_privilege('service_role', 'orders', 'insert')"
        assert await migrations.ask("shard_0-a", owner) == name
        assert await migrations.ask("shard_0-a", granted)
    finally:
        await databases.execute(f"drop owned by {name} cascade; drop role {name}")


async def test_what_other_tools_have_made_is_noted_and_not_run(migrations, orders):
    migrations.write(_0001_begin=orders, _0002_note="alter table orders add note text")
    await migrations.databases.execute(orders, "shard_0", "shard_1")

    noted = await migrations.run("baseline", "1", "--yes")
    await migrations.run("up")
    again = await migrations.run("baseline", "1", "--yes")
    unknown = await migrations.run("baseline", "3", "--yes", code=1)

    assert noted.stdout == "0001_begin  noted as applied\n"
    assert await migrations.states() == {1: ("applied",) * 3, 2: ("applied",) * 3}
    assert again.stdout == "nothing to do\n"
    assert unknown.stderr == "G102 there is no file of version 3\n"


async def test_a_statement_without_a_table_that_fails_in_the_catalog_says_how_to_place_it(
    migrations, orders
):
    migrations.write(_0001_begin=orders + "select count(*), 'x' from only_here")

    failed = await migrations.run("up", code=1)

    assert failed.stderr.rstrip().endswith("-- fluxshard: only: shards (42P01)")


async def test_a_new_cluster_goes_from_settings_over_the_map_to_tables(
    databases, tmp_path, orders, migrations_of
):
    directory = tmp_path / "migrations"
    directory.mkdir()
    fresh = migrations_of(databases, directory)
    fresh.write(_0001_begin=orders)
    file = tmp_path / "map.yaml"

    unplaced = await fresh.run("up", code=1)
    await fresh.fluxshard("map", "get", "-o", file)
    file.write_text(
        file.read_text().replace("tables: {}", "tables: {public.orders: {sharded: tenant_id}}")
    )
    await fresh.fluxshard("map", "apply", file, "--reason", "place orders", "--yes")
    await fresh.run("up")

    assert unplaced.stderr.startswith("G103 0001_begin.sql:2: L201 error: makes the table public.")
    assert await fresh.everywhere(THERE, "orders") == [False, True, True]
