"""`fluxshard map`, as an operator uses it."""

import json
from dataclasses import replace

import asyncpg
import pytest

from server.catalog import connected
from shardmap import (
    CatalogSource,
    Identity,
    Pin,
    read_identity,
    read_map,
    slot_of,
    write_yaml,
)

ORDERS = "create table public.orders (tenant_id int not null, id int, primary key (tenant_id, id))"


def at_home(shard_map, tenant):
    """A pin that moves nothing."""
    return {tenant: Pin(shard_map.owner(tenant))}


async def test_the_first_map_is_applied_and_its_servers_are_claimed(applied, fluxshard, databases):
    result = await fluxshard("map", "get")

    assert result.exit_code == 0
    assert read_map(result.stdout) == applied
    for shard in databases.endpoints.all:
        async with connected(shard.primary, {}) as session:
            assert await read_identity(session) == Identity("test", shard.id)


async def test_the_map_is_printed_as_json_and_written_to_a_file(applied, fluxshard, tmp_path):
    as_json = await fluxshard("map", "get", "--json")
    to_file = await fluxshard("map", "get", "--epoch", "1", "-o", tmp_path / "out.yaml")

    assert json.loads(as_json.stdout)["epoch"] == 1
    assert to_file.stdout == ""
    assert read_map((tmp_path / "out.yaml").read_text()) == applied


async def test_where_nothing_was_applied_there_is_nothing_to_print(fluxshard):
    result = await fluxshard("map", "get")

    assert (result.exit_code, result.stderr) == (1, "no map has been applied\n")


async def test_an_epoch_that_is_not_there_is_named(applied, fluxshard):
    result = await fluxshard("map", "get", "--epoch", "9")

    assert (result.exit_code, result.stderr) == (1, "there is no epoch 9\n")


async def test_lint_works_without_a_catalog_and_tells_all_problems(fluxshard, document, first):
    good = await fluxshard("map", "lint", document(first), env={})
    bad = await fluxshard(
        "map", "lint", document("version: 1\ntenant_key: {type: int}\nshrads: {}\n"), env={}
    )

    assert good.exit_code == 0
    assert "no epoch yet of cluster test, integer keys, 2 shards with 4 replicas" in good.stdout
    assert bad.exit_code == 1
    assert bad.stderr.splitlines() == [
        "M102 cluster_id: is missing",
        "M102 tenant_key.type: must be one of integer, uuid, text; did you mean integer?",
        "M102 catalog.primary: is missing",
        "M102 shards: must have at least one shard",
        "M102 shrads: is unknown here; did you mean shards?",
    ]


async def test_lint_reads_standard_input(fluxshard, first):
    result = await fluxshard("map", "lint", "-", env={}, stdin=write_yaml(first))

    assert result.exit_code == 0


async def test_lint_looks_at_live_tables_when_asked(fluxshard, document, first, databases):
    placed = document(
        write_yaml(first).replace("tables: {}", "tables: {public.orders: {sharded: tenant_id}}")
    )

    missing = await fluxshard("map", "lint", placed, "--live", env={})
    await databases.execute(ORDERS, "shard_0", "shard_1")
    there = await fluxshard("map", "lint", placed, "--live", env={})

    assert (missing.exit_code, missing.stderr) == (
        1,
        "error: tables.public.orders: there is no such table (on shard_0, shard_1) [table-missing]\n",
    )
    assert there.exit_code == 0
    assert there.stderr.startswith("note: tables.public.orders: row level security is off")


async def test_lint_live_says_when_a_server_could_not_be_asked(fluxshard, document, first):
    shard = first.shards["shard_1"]
    away = replace(shard, primary=replace(shard.primary, host="/nowhere"))
    text = write_yaml(replace(first, shards={**first.shards, "shard_1": away}))

    result = await fluxshard("map", "lint", document(text), "--live", env={})

    assert result.exit_code == 3
    assert result.stderr.startswith("shard_1 was not checked: shard_1-a (/nowhere:")


async def test_plan_shows_the_change_and_changes_nothing(applied, fluxshard, document, databases):
    await databases.execute(ORDERS, "shard_0", "shard_1")
    text = write_yaml(applied).replace(
        "tables: {}", "tables: {public.orders: {sharded: tenant_id}}"
    )

    result = await fluxshard("map", "plan", document(text))
    as_json = await fluxshard("map", "plan", document(text), "--json")
    history = await fluxshard("map", "history")

    assert (result.exit_code, result.stdout) == (
        0,
        "+ tables.public.orders: {sharded: tenant_id}\n",
    )
    assert json.loads(as_json.stdout)["to_epoch"] == 2
    assert len(history.stdout.splitlines()) == 2


async def test_plan_shows_what_would_move(applied, fluxshard, document):
    moved = replace(applied, slots=("shard_0",) * 4096)

    result = await fluxshard("map", "plan", document(moved))

    assert result.exit_code == 0
    assert "! slots: 2048 of shard_1 move to shard_0: " in result.stdout
    assert (
        "  2048 slots from shard_1 to shard_0: 0 tenants, 0 rows, 0 B, about 2 s" in result.stdout
    )


async def test_plan_shows_what_would_be_refused(applied, fluxshard, document):
    alone = replace(
        applied, shards={"shard_0": applied.shards["shard_0"]}, slots=("shard_0",) * 4096
    )

    result = await fluxshard("map", "plan", document(alone))

    assert result.exit_code == 1
    assert (
        "refused: shards.shard_1: owns 2048 slots and 0 pins: `fluxshard drain shard_1` first"
        in (result.stdout)
    )


async def test_plan_of_a_first_map_needs_no_slots(fluxshard, document, first):
    text = write_yaml(first)
    text = text[: text.index("slots:")]

    result = await fluxshard("map", "plan", document(text))

    assert result.exit_code == 0
    assert "slots: shard_0 2048, shard_1 2048" in result.stdout


async def test_plan_from_env_proposes_other_addresses_to_be_applied(
    applied, fluxshard, databases, tmp_path
):
    environ = dict(databases.environment)
    del environ["FLUXBASE_DATABASE_SHARD_1_READ_REPLICAS"]
    environ["FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS"] = "elsewhere:5433"
    file = tmp_path / "next.yaml"

    plan = await fluxshard("map", "plan", "--from-env", "-o", file, env=environ)
    apply = await fluxshard("map", "apply", file, "--reason", "new replica", "--yes", env=environ)
    again = await fluxshard("map", "plan", "--from-env", env=environ)

    assert plan.exit_code == 0, plan.output
    assert "shards.shard_0.replicas[0].host" in plan.stdout
    assert "shard_1" not in plan.stdout
    assert apply.exit_code == 0, apply.output
    assert again.stdout == "no changes\n"


async def test_plan_from_env_without_a_map_shows_the_first_one(fluxshard, tmp_path):
    result = await fluxshard("map", "plan", "--from-env", "-o", tmp_path / "first.yaml")

    assert result.exit_code == 0
    assert result.stdout.startswith("the first map: epoch 1 of cluster c-")
    assert read_map((tmp_path / "first.yaml").read_text()).homes == ("shard_0", "shard_1")


async def test_apply_asks_first_and_takes_no_for_an_answer(applied, fluxshard, document):
    file = document(replace(applied, pins=at_home(applied, "7")))

    no = await fluxshard("map", "apply", file, "--reason", "pin", stdin="n\n")
    yes = await fluxshard("map", "apply", file, "--reason", "pin", stdin="y\n")

    assert no.exit_code == 1
    assert "Apply this as epoch 2? [y/N]: n" in no.stdout
    assert yes.exit_code == 0
    assert yes.stdout.endswith("epoch 2 is in force\n")


async def test_apply_of_what_is_in_force_changes_nothing(applied, fluxshard, document):
    result = await fluxshard("map", "apply", document(applied), "--reason", "again", "--yes")

    assert (result.exit_code, result.stdout) == (0, "no changes\n")


async def test_apply_refuses_a_document_that_was_made_from_another_epoch(
    applied, fluxshard, document
):
    first_change = replace(applied, pins=at_home(applied, "7"))
    await fluxshard("map", "apply", document(first_change), "--reason", "x", "--yes")
    stale = replace(applied, pins=at_home(applied, "42"))

    result = await fluxshard("map", "apply", document(stale), "--reason", "y", "--yes")

    assert result.exit_code == 1
    assert (
        "refused: epoch: the change was made from epoch 1, the catalog has epoch 2" in result.stdout
    )


async def test_apply_refuses_tables_that_do_not_fit(applied, fluxshard, document, databases):
    await databases.execute("create table public.orders (id int primary key)", "shard_0", "shard_1")
    text = write_yaml(applied).replace(
        "tables: {}", "tables: {public.orders: {sharded: tenant_id}}"
    )

    result = await fluxshard("map", "apply", document(text), "--reason", "x", "--yes")

    assert (result.exit_code, result.stderr) == (
        1,
        (
            "refused: tables.public.orders: has no column tenant_id (on shard_0, shard_1) "
            "[tenant-column-missing]\n"
        ),
    )


async def test_apply_goes_on_without_a_known_server_but_says_so(applied, fluxshard, document):
    shard = applied.shards["shard_1"]
    away = replace(shard, primary=replace(shard.primary, host="/nowhere"))
    new = replace(applied, shards={**applied.shards, "shard_1": away})

    result = await fluxshard("map", "apply", document(new), "--reason", "moved", "--yes")

    assert result.exit_code == 0
    assert result.stderr.startswith("warning: shard_1 was not checked: ")


async def test_a_shard_cannot_join_without_answering(applied, fluxshard, document):
    shard = applied.shards["shard_1"]
    absent = replace(
        shard,
        id="shard_2",
        primary=replace(shard.primary, name="shard_2-a", host="/nowhere"),
        replicas=(),
    )
    new = replace(applied, shards={**applied.shards, "shard_2": absent})

    result = await fluxshard("map", "apply", document(new), "--reason", "join", "--yes")

    assert result.exit_code == 1
    assert result.stderr.startswith(
        "refused: shards.shard_2.primary: does not answer, and has to prove who it is"
    )


async def test_the_catalog_only_moves_to_a_server_that_is_it(
    applied, fluxshard, document, fresh_databases
):
    nowhere = replace(applied, catalog=replace(applied.catalog, host="/nowhere"))
    empty = (await fresh_databases()).endpoints.catalog.primary
    elsewhere = replace(applied, catalog=empty, catalog_replicas=())

    away = await fluxshard("map", "apply", document(nowhere), "--reason", "x", "--yes")
    blank = await fluxshard("map", "apply", document(elsewhere), "--reason", "x", "--yes")

    assert away.exit_code == blank.exit_code == 1
    assert away.stderr.startswith("refused: catalog.primary: does not answer, and has to prove")
    assert blank.stderr == (
        "refused: catalog.primary: the server does not know that it is catalog of cluster test: "
        "is this the right address? [shard-identity]\n"
    )


async def test_a_shard_joins_without_slots_and_is_claimed(
    applied, fluxshard, document, fresh_databases
):
    other = await fresh_databases()
    server = replace(other.endpoints.shards[0].primary, name="shard_2-a")
    joined = replace(applied.shards["shard_1"], id="shard_2", primary=server, replicas=())
    new = replace(applied, shards={**applied.shards, "shard_2": joined})

    result = await fluxshard("map", "apply", document(new), "--reason", "join", "--yes")

    assert result.exit_code == 0, result.output
    async with connected(server, {}) as session:
        assert await read_identity(session) == Identity("test", "shard_2")


async def test_a_server_of_another_cluster_cannot_join(
    applied, fluxshard, document, fresh_databases
):
    other = await fresh_databases()
    server = replace(other.endpoints.shards[0].primary, name="shard_2-a")
    await other.execute(
        "create schema fluxshard; create table fluxshard.identity (singleton boolean default true,"
        " cluster_id text, shard_id text);"
        "insert into fluxshard.identity (cluster_id, shard_id) values ('foreign', 'shard_0')",
        "shard_0",
    )
    joined = replace(applied.shards["shard_1"], id="shard_2", primary=server, replicas=())
    new = replace(applied, shards={**applied.shards, "shard_2": joined})

    result = await fluxshard("map", "apply", document(new), "--reason", "join", "--yes")

    assert (result.exit_code, result.stderr) == (
        1,
        (
            "refused: shards.shard_2.primary: the server is shard_0 of cluster foreign, "
            "not shard_2 of cluster test [shard-identity]\n"
        ),
    )


async def test_explain_says_where_a_tenant_lives_and_why(applied, fluxshard, document):
    by_slot = await fluxshard("map", "explain", "007")
    pinned = replace(applied, epoch=9, pins=at_home(applied, "7"))
    by_pin = await fluxshard("map", "explain", "7", "--map", document(pinned), "--json", env={})

    home = applied.owner("7")
    assert by_slot.exit_code == 0
    assert by_slot.stdout.splitlines()[:5] == [
        "tenant    7 (integer)",
        f"slot      {slot_of('7')} (blake2b-8/4096), of {home}",
        "pinned    no",
        "unit      its slot, epoch 1",
        f"shard     {home} (quorum)",
    ]
    assert by_slot.stdout.splitlines()[-1] == "map       epoch 1 of cluster test"
    primary = applied.shards[home].primary
    assert f"primary   {home}-a {primary.user}@{primary.host}:{primary.port}/" in by_slot.stdout
    assert json.loads(by_pin.stdout)["unit"] == "pin"
    assert json.loads(by_pin.stdout)["map_epoch"] == 9


async def test_explain_refuses_what_is_no_tenant_key(applied, fluxshard):
    result = await fluxshard("map", "explain", "x")

    assert (result.exit_code, result.stderr) == (
        1,
        'M101 invalid input syntax for type integer: "x"\n',
    )


async def test_history_tells_who_when_and_why(applied, fluxshard):
    table = await fluxshard("map", "history")
    as_json = await fluxshard("map", "history", "--json")

    assert table.stdout.splitlines()[0].split() == [
        "EPOCH",
        "APPLIED",
        "AUTHOR",
        "CONTENT",
        "REASON",
    ]
    assert table.stdout.splitlines()[1].endswith("  begin")
    assert json.loads(as_json.stdout)[0]["epoch"] == 1


async def test_the_catalog_may_be_named_by_its_url(applied, fluxshard, databases):
    result = await fluxshard("map", "get", "--catalog", databases.url("catalog-a"), env={})

    assert read_map(result.stdout) == applied


@pytest.mark.parametrize(
    "command", [["get"], ["history"], ["explain", "7"], ["plan", "--from-env"]]
)
async def test_a_catalog_that_does_not_answer_has_its_own_exit_code(fluxshard, command):
    result = await fluxshard(
        "map", *command, env={"DATABASE_URL": "postgres://u:s3cret@/d?host=/nowhere"}
    )

    assert result.exit_code == 3
    assert result.stderr.startswith("M105 catalog-a (/nowhere:5432/d): No such file")


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (["get"], {}, "DATABASE_URL: is not set"),
        (["get", "--catalog", "postgres://u:s3cret@a,b/d"], {}, "--catalog: several hosts"),
        (["plan"], {}, "give either FILE or --from-env"),
        (["lint", "/nowhere.yaml"], {}, "No such file"),
        (["apply", "-"], {}, "Missing option '--reason'"),
    ],
)
async def test_wrong_usage_has_its_own_exit_code(fluxshard, arguments, env, message):
    result = await fluxshard("map", *arguments, env=env)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "s3cret" not in result.output


async def test_what_applying_leaves_is_what_a_server_finds(applied, fluxshard, databases):
    async with connected(databases.endpoints.catalog.primary, {}) as session:
        assert await CatalogSource(session).newest() == applied


async def test_tables_are_placed_before_a_migration_makes_them(
    applied, fluxshard, document, databases
):
    def placing(shard_map):
        tables = "tables: {public.orders: {sharded: tenant_id}, public.plans: global}"
        return document(write_yaml(shard_map).replace("tables: {}", tables))

    await databases.execute(ORDERS, "shard_0")
    refused = await fluxshard("map", "apply", placing(applied), "--reason", "r", "--yes")
    await databases.execute("drop table orders", "shard_0")
    placed = await fluxshard("map", "apply", placing(applied), "--reason", "r", "--yes")

    assert refused.exit_code == 1
    assert "refused: tables.public.orders: there is no such table (on shard_1)" in refused.stderr
    assert placed.exit_code == 0, placed.output
    assert placed.stderr.splitlines() == [
        (
            "note: tables.public.plans: there is no such table (on catalog); "
            "fluxshard migrate makes it"
        ),
        (
            "note: tables.public.orders: there is no such table (on shard_0, shard_1); "
            "fluxshard migrate makes it"
        ),
    ]


MEMBERS = """
create table public.members (tenant_id int not null, id int, email text, primary key (tenant_id, id));
create unique index members_email on public.members (email);
alter table public.members enable row level security
"""


def with_members(shard_map, columns="[email]"):
    return write_yaml(shard_map).replace(
        "tables: {}",
        f"tables: {{public.members: {{sharded: tenant_id, global_unique: {columns}}}}}",
    )


async def guards(databases):
    connection = await asyncpg.connect(databases.url("shard_1-a"))
    try:
        return await connection.fetchval(
            "select count(*) from pg_trigger where tgname like 'fluxshard_unique_%'"
        )
    finally:
        await connection.close()


async def test_apply_guards_globally_unique_columns_and_takes_the_guards_away(
    applied, fluxshard, document, databases
):
    await databases.execute(MEMBERS, "shard_0", "shard_1")
    unique, plain = document(with_members(applied)), with_members(applied, "[]")

    before = await fluxshard("map", "lint", unique, "--live", env={})
    applying = await fluxshard("map", "apply", unique, "--reason", "x", "--yes")
    after = await fluxshard("map", "lint", unique, "--live", env={})
    guarded = await guards(databases)
    plain = document(plain.replace("epoch: 1", "epoch: 2"))
    refused = await fluxshard("map", "apply", plain, "--reason", "x", "--yes")
    await databases.execute("drop index public.members_email", "shard_0", "shard_1")
    lifted = await fluxshard("map", "apply", plain, "--reason", "x", "--yes")

    assert before.exit_code == after.exit_code == 0
    assert "[global-unique-unguarded]" in before.stderr
    assert after.stderr == ""
    assert (applying.exit_code, guarded) == (0, 4)
    assert (
        "warning: tables.public.members.global_unique: email is not guarded yet" in applying.stderr
    )
    assert "index members_email does not contain tenant_id" in refused.stderr
    assert (lifted.exit_code, await guards(databases)) == (0, 0)


async def test_apply_refuses_globally_unique_columns_of_a_table_with_rows(
    applied, fluxshard, document, databases
):
    await databases.execute(MEMBERS, "shard_0", "shard_1")
    await databases.execute("insert into public.members values (1, 1, 'a@x')", "shard_1")
    unique = document(with_members(applied))

    refused = await fluxshard("map", "apply", unique, "--reason", "x", "--yes")
    await databases.execute("delete from public.members", "shard_1")
    applying = await fluxshard("map", "apply", unique, "--reason", "x", "--yes")

    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1] == (
        "M104 tables.public.members.global_unique: email cannot become globally unique: "
        "the table has rows, and this release does not look through them"
    )
    assert applying.exit_code == 0


async def test_a_table_that_is_made_after_it_was_placed_is_guarded_by_applying_again(
    applied, fluxshard, document, databases
):
    placed = await fluxshard(
        "map", "apply", document(with_members(applied)), "--reason", "x", "--yes"
    )
    await databases.execute(MEMBERS, "shard_0", "shard_1")
    text = with_members(applied).replace("epoch: 1", "epoch: 2")
    again = await fluxshard("map", "apply", document(text), "--reason", "x", "--yes")

    assert (placed.exit_code, again.exit_code) == (0, 0)
    assert await guards(databases) == 4
