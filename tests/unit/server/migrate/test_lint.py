import pytest

OLD = "create table orders (tenant_id int not null, id int, primary key (tenant_id, id));"


@pytest.mark.parametrize(
    ("sql", "codes"),
    [
        ("drop table orders", ["L101"]),
        ("drop view if exists v", ["L101"]),
        ("alter table orders drop column total", ["L102"]),
        ("alter table orders drop if exists total cascade", ["L102"]),
        ("alter table orders rename total to sum", ["L103"]),
        ("alter table orders rename column total to sum", ["L103"]),
        ("alter table orders set schema sales", ["L201", "L103"]),
        ("alter table orders alter total type text", ["L104"]),
        ("alter table orders alter column total set data type text", ["L104"]),
        ("alter table orders alter total set not null", ["L105"]),
        ("alter table orders add column x int not null", ["L105"]),
        ("alter table orders add column x uuid default gen_random_uuid()", ["L106"]),
        ("alter table orders add x bigserial", ["L106"]),
        ("alter table orders add x int generated always as (id * 2) stored", ["L106"]),
        (("alter table orders add constraint c foreign key (tenant_id, id) references lines"
         " (tenant_id, id)"), ["L107"]),
        ("alter table orders add check (total > 0)", ["L108"]),
        ("create index on orders (total)", ["L109"]),
        ("drop index orders_total", ["L109"]),
        ("reindex table orders", ["L109"]),
        ("alter table orders add unique (tenant_id, total)", ["L110"]),
        ("alter table orders add constraint e exclude using gist (tenant_id with =, p with &&)",
         ["L110"]),
        ("lock table orders", ["L111"]),
        ("vacuum full orders", ["L112"]),
        ("vacuum (full, verbose) orders", ["L112"]),
        ("cluster orders", ["L112"]),
        ("refresh materialized view v", ["L112"]),
        ("alter table orders detach partition orders_1", ["L112"]),
        ("alter table orders set logged", ["L112"]),
        ("drop function f(int)", ["L113"]),
        ("alter table orders drop constraint c", ["L113"]),
        ("alter table orders add x int; update orders set x = 1", ["L114"]),
        ("create index concurrently i on orders (total); select 1", ["L115"]),
        ("create index concurrently on orders (total)", ["L116"]),
        ("truncate orders", ["L117"]),
        ("create table notes (id int)", ["L201"]),
        ("create table lines (tenant_id int not null, id int primary key)", ["L202"]),
        ("create table lines (tenant_id int not null, id int, unique (id))", ["L202"]),
        (("create table lines (tenant_id int not null, r int4range, exclude using gist"
         " (r with &&, tenant_id with <>))"), ["L202"]),
        ("create unique index concurrently i on orders (total)", ["L202"]),
        ("create view v as select * from orders, plans", ["L203"]),
        ("create table lines (tenant_id int not null, id int references orders (id))", ["L204"]),
        ("create table lines (tenant_id int not null, p int references plans)", ["L204"]),
        ("create table countries (code text primary key, o int references orders)", ["L204"]),
        ("insert into countries values ('de', now())", ["L205"]),
        ("create table lines (id int)", ["L206"]),
        ("create table lines (tenant_id int, id int)", ["L206"]),
        ("insert into orders (tenant_id, id) values (1, 1)", ["L207"]),
        ("set search_path = sales", ["L208"]),
        ("set local role admin", ["L208"]),
    ],
)  # fmt: skip
def test_what_breaks_running_code_stops_traffic_or_mixes_tenants_is_found(world, sql, codes):
    assert [code for code, _ in world.lint_of(sql, after=OLD)] == codes


@pytest.mark.parametrize(
    "sql",
    [
        "alter table orders add column note text",
        "alter table orders add column at timestamptz not null default now()",
        "alter table orders add column x int references countries",
        "alter table orders add column x int check (x > 0)",
        "alter table orders add constraint c check (total > 0) not valid",
        "alter table orders validate constraint c",
        "alter table orders add constraint c foreign key (country) references countries not valid",
        "alter table orders add constraint c unique using index i",
        "alter table orders alter total set default 0, enable row level security",
        "alter table orders rename constraint a to b",
        "create index concurrently orders_total on orders (total)",
        "create unique index concurrently i on orders (lower(note), tenant_id)",
        "drop index concurrently orders_total",
        (
            "create table lines (tenant_id int not null, id int, o int, primary key (tenant_id, id),"
            " foreign key (tenant_id, o) references orders (tenant_id, id)); create index on lines (o);"
            " alter table lines drop column o; alter table lines add unique (tenant_id, o)"
        ),
        "create table lines (tenant_id int, id int, primary key (tenant_id, id))",
        "create table lines (like orders including all)",
        "create table sales.deals (company int not null, id int, primary key (id, company))",
        "create table orders_1 partition of orders for values in (1)",
        "insert into countries values ('de')",
        "create temporary table t (id int primary key)",
        "update orders set total = 0 where total is null",
        "do $$ begin perform 1; end $$",
    ],
)
def test_what_is_safe_is_passed_by(world, sql):
    assert world.lint_of(sql, after=OLD) == []


def test_a_finding_tells_its_line_why_and_what_to_do(world):
    from server.migrate.lint import lint  # noqa: PLC0415 - the value itself, not its summary

    routed = world.routed("\n\nalter table orders\n  add note text,\n  drop column total")
    (found,) = lint([routed], world.sharded(), batch=False)

    assert str(found) == (
        "1_a.sql:5: L102 error: drops the column total of public.orders: running code may still "
        "read or write the column. Release code that no longer uses it first; then allow it: L102."
    )


def test_findings_are_allowed_by_option_or_by_the_file_itself(world):
    from server.migrate.lint import lint  # noqa: PLC0415 - as above

    a_map = world.sharded()
    drop = "drop table orders"

    (by_option,) = lint([world.routed(drop)], a_map, allow={"L101"}, batch=False)
    (by_file,) = lint([world.routed(f"-- fluxshard: allow: L101\n{drop}")], a_map, batch=False)

    assert not by_option.blocks
    assert not by_file.blocks


def test_what_leaves_no_place_to_run_at_cannot_be_allowed(world):
    from server.migrate.lint import lint  # noqa: PLC0415 - as above

    routed = world.routed("create view v as select * from orders, plans")
    (found,) = lint([routed], world.sharded(), allow={"L203"}, batch=False)

    assert found.blocks


def test_tables_that_the_same_batch_makes_are_new_to_its_later_files(world):
    from server.migrate.lint import lint  # noqa: PLC0415 - as above
    from server.migrate.routing import route_all  # noqa: PLC0415

    a_map = world.sharded()
    ups, _ = route_all(a_map, world.migrations(_1_a=OLD, _2_b="create index on orders (total)"))

    assert lint(ups.values(), a_map, batch=True) == ()
    assert [one.code for one in lint(ups.values(), a_map, batch=False)] == ["L109"]


def test_in_one_unsharded_database_nothing_is_said_of_tenants(world):
    sql = "create table notes (id int primary key, other int references things)"

    assert world.lint_of(sql, world.single()) == []
