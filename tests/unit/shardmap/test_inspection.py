"""What is wrong with a map's tables, given what a database says about them."""

import importlib.util
from pathlib import Path

import pytest

from shardmap import (
    CATALOG,
    Global,
    KeyType,
    Problem,
    Reference,
    Sharded,
    Unsharded,
    merged,
    table_problems,
    tables_of,
)
from shardmap.inspection import ColumnFact, Facts, ForeignKeyFact, KeyFact, KeyKind

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C

ORDERS, LINES, COUNTRIES, PLANS = (
    "public.orders",
    "public.order_lines",
    "public.countries",
    "public.plans",
)
MAP = maps.two_shards(
    tables={
        ORDERS: Sharded("tenant_id"),
        LINES: Sharded("tenant"),
        COUNTRIES: Reference(),
        PLANS: Global(),
    }
)


def column(table, name="tenant_id", type_="bigint", *, kind="r", not_null=True, by_bytes=True):
    return ColumnFact(table, kind, name, type_, not_null, by_bytes)


COLUMNS = (column(ORDERS), column(LINES, "tenant"), column(COUNTRIES, "code", "text"))


def problems(columns=COLUMNS, keys=(), foreign_keys=(), shard_map=MAP):
    return [str(one) for one in table_problems(shard_map, A, Facts(columns, keys, foreign_keys))]


def test_a_shard_has_all_tables_but_the_global_ones_and_the_catalog_has_those():
    assert tables_of(MAP, A) == (COUNTRIES, LINES, ORDERS)
    assert tables_of(MAP, CATALOG) == (PLANS,)


def test_tables_that_are_as_they_should_be_have_no_problem():
    keys = (
        KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("tenant_id", "id")),
        KeyFact(COUNTRIES, "countries_pkey", KeyKind.PRIMARY, ("code",)),
    )
    foreign_keys = (
        ForeignKeyFact(LINES, "fk1", ORDERS, (("tenant", "tenant_id"), ("order_id", "id"))),
        ForeignKeyFact(ORDERS, "fk2", COUNTRIES, (("country", "code"),)),
        ForeignKeyFact(COUNTRIES, "fk3", COUNTRIES, (("part_of", "code"),)),
    )

    assert problems(keys=keys, foreign_keys=foreign_keys) == []


def test_a_table_that_is_not_there_is_named():
    assert problems(COLUMNS[:2]) == ["tables.public.countries: there is no such table"]


def test_a_tenant_column_that_is_not_there_is_named_with_a_close_one():
    columns = (column(ORDERS, "tenantid"), *COLUMNS[1:])

    assert problems(columns) == [
        "tables.public.orders: has no column tenant_id; did you mean tenantid?"
    ]


@pytest.mark.parametrize(
    ("key_type", "good", "bad"),
    [
        (KeyType.INTEGER, ["smallint", "integer", "bigint"], ["numeric", "text", "uuid"]),
        (KeyType.UUID, ["uuid"], ["text", "bigint"]),
        (KeyType.TEXT, ["text", "character varying"], ["character", "citext", "uuid", "name"]),
    ],
)
def test_the_tenant_column_is_of_the_maps_key_type(key_type, good, bad):
    shard_map = maps.two_shards(key_type=key_type, tables={ORDERS: Sharded("tenant_id")})

    for type_ in good:
        assert problems((column(ORDERS, type_=type_),), shard_map=shard_map) == []
    for type_ in bad:
        (problem,) = problems((column(ORDERS, type_=type_),), shard_map=shard_map)
        assert f"tenant_id is {type_}; a tenant key of type {key_type} is " in problem


def test_a_tenant_column_may_not_be_null_but_that_of_a_view_cannot_say_so():
    nullable = column(ORDERS, not_null=False)
    of_a_view = column(ORDERS, kind="v", not_null=False)

    assert problems((nullable, *COLUMNS[1:])) == [
        (
            "tables.public.orders: tenant_id may be NULL: "
            "alter table public.orders alter tenant_id set not null"
        )
    ]
    assert problems((of_a_view, *COLUMNS[1:])) == []


def test_a_collation_that_finds_different_bytes_equal_is_refused():
    columns = (column(ORDERS, by_bytes=False), *COLUMNS[1:])

    assert "nondeterministic collation" in problems(columns)[0]


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_without_the_tenant_column_is_refused(kind):
    keys = (KeyFact(ORDERS, "orders_key", kind, ("id",)),)

    assert problems(keys=keys) == [
        (
            f"tables.public.orders: the {kind} orders_key does not contain tenant_id, "
            "so it spans tenants"
        )
    ]


def test_a_foreign_key_ties_tenant_to_tenant():
    crossed = ForeignKeyFact(LINES, "fk", ORDERS, (("tenant", "id"), ("order_id", "tenant_id")))

    assert problems(foreign_keys=(crossed,)) == [
        (
            "tables.public.order_lines: the foreign key fk does not tie tenant to "
            "public.orders.tenant_id, so it spans tenants"
        )
    ]


@pytest.mark.parametrize("target", [PLANS, "public.unlisted"])
def test_a_foreign_key_stays_on_the_shard(target):
    leaving = ForeignKeyFact(ORDERS, "fk", target, (("plan", "id"),))

    assert problems(foreign_keys=(leaving,)) == [
        (
            f"tables.public.orders: the foreign key fk refers to {target}, "
            "which is not on the tenant's shard"
        )
    ]


@pytest.mark.parametrize("target", [ORDERS, PLANS])
def test_a_reference_table_depends_on_reference_tables_only(target):
    leaving = ForeignKeyFact(COUNTRIES, "fk", target, (("x", "id"),))

    assert problems(foreign_keys=(leaving,)) == [
        (
            f"tables.public.countries: the foreign key fk refers to {target}, "
            "which is not on every shard"
        )
    ]


def test_unsharded_tables_may_be_as_they_like():
    shard_map = maps.one_shard(tables={ORDERS: Unsharded()})
    keys = (KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("id",)),)

    assert problems(keys=keys, shard_map=shard_map) == []


def test_one_problem_on_several_shards_is_told_once():
    missing = Problem("tables.public.t", "there is no such table")
    other = Problem("tables.public.u", "has no column x")

    assert [str(problem) for problem in merged({A: (missing, other), B: (missing,), C: ()})] == [
        "tables.public.t: there is no such table (on shard_0, shard_1)",
        "tables.public.u: has no column x (on shard_0)",
    ]
