import pytest

from router import Column, Kind, Schema, SchemasDiffer, ShardReply, Table
from router.catalogue.agreement import agreed, agreed_columns
from router.statement import Served
from shardmap import ShardId, TableName

A, B = ShardId("a"), ShardId("b")
T = TableName("public.t")


def column(name, type_="int4", **changes):
    values = {
        "not_null": True,
        "has_default": False,
        "generated": False,
        "array": False,
        "category": "N",
        "mergeable": True,
    }
    return Column(name, type_, **{**values, **changes})


def table(*columns, name=T, **changes):
    values = {
        "kind": Kind.TABLE,
        "primary_key": ("id",),
        "uniques": (),
        "rls": False,
        "triggered": False,
        "computed_defaults": False,
    }
    return Table(
        name=name,
        schema="public",
        relation="t",
        columns={one.name: one for one in columns},
        **{**values, **changes},
    )


def agreement(*tables, placed=True):
    """What shards a, b … agree on, of which each has one table (or None)."""
    shards = {
        ShardId(name): (one,) if one is not None else ()
        for name, one in zip("abc", tables, strict=False)
    }
    return agreed(shards, lambda _: placed)


def test_a_column_that_only_some_shards_have_is_not_there():
    (found,) = agreement(
        table(column("id"), column("x"), column("y")), table(column("id"), column("y"))
    ).tables

    assert list(found.columns) == ["id", "y"]


def test_a_table_that_only_some_shards_have_is_refused_by_name():
    found = agreement(table(column("id")), None)

    assert found.tables == ()
    assert found.differing == {T: "it is on a and not on b"}


def test_a_column_of_two_types_is_refused_by_name():
    found = agreement(
        table(column("id"), column("n")),
        table(column("id"), column("n", "int8")),
        table(column("id"), column("n", "int8")),
    )

    assert found.differing == {T: "column n is int4 on a and int8 on b, c"}


def test_a_table_that_is_a_view_elsewhere_is_refused_by_name():
    found = agreement(table(column("id")), table(column("id"), kind=Kind.VIEW))

    assert found.differing == {T: "it is a table on a and it is a view on b"}


def test_of_two_forms_the_more_careful_counts():
    careful = {"rls": True, "triggered": True, "computed_defaults": True}
    (found,) = agreement(
        table(column("id"), column("n", has_default=True), uniques=(("id", "n"), ("n",))),
        table(
            column("id"),
            column("n", not_null=False, generated=True, mergeable=False),
            primary_key=("id", "n"),
            uniques=(("n",),),
            **careful,
        ),
    ).tables

    assert found == table(
        column("id"),
        column("n", not_null=False, generated=True, mergeable=False),
        primary_key=(),
        uniques=(("n",),),
        **careful,
    )


def test_a_table_that_need_not_be_everywhere_is_taken_from_where_it_is():
    found = agreement(None, table(column("id")), placed=False)

    assert found.tables == (table(column("id")),)
    assert not found.differing


def test_the_schema_refuses_a_table_that_shards_do_not_agree_on():
    schema = Schema("v", {}, differing={T: "it is on a and not on b"})

    with pytest.raises(SchemasDiffer) as caught:
        schema.table(T)

    assert caught.value.message == (
        "the shards do not agree on table public.t: it is on a and not on b"
    )


def reply(shard, *columns):
    return ShardReply((), 0, columns, Served(shard, f"{shard}-a", False))


def test_rows_of_a_gather_have_the_same_columns_on_every_shard_or_are_refused():
    assert agreed_columns([reply(A, "id", "n"), reply(B, "id", "n")]) == ("id", "n")
    with pytest.raises(SchemasDiffer) as caught:
        agreed_columns([reply(A, "id", "n"), reply(B, "id", "n", "x")])

    assert caught.value.message == "rows of a and b have different columns"
