"""Which columns of a view are columns of tables."""

from dataclasses import replace

import pytest

from router import Column, Kind, Schema, Table, view_columns
from shardmap import TableName


def relation(name, columns, definition=None):
    schema, _, plain = name.partition(".")
    return Table(
        name=TableName(name),
        schema=schema,
        relation=plain,
        kind=Kind.TABLE if definition is None else Kind.VIEW,
        columns={
            each: Column(each, "int4", False, False, False, False, "N", True) for each in columns
        },
        primary_key=(),
        uniques=(),
        rls=False,
        triggered=False,
        computed_defaults=False,
        definition=definition,
    )


A = relation("public.a", ["id", "b_id", "n"])
B = relation("own.b", ["id", "n"])


def shown(definition, columns, *others):
    view = relation("public.v", columns, definition)
    tables = {each.name: each for each in (A, B, view, *others)}
    return dict(view_columns(view, Schema("1", tables)))


@pytest.mark.parametrize(
    ("definition", "columns", "expected"),
    [
        ("SELECT a.id AS x, a.n FROM a", ["x", "n"], {"x": "public.a.id", "n": "public.a.n"}),
        ("SELECT a.id, a.n + 1 AS n FROM a", ["id", "n"], {"id": "public.a.id"}),
        (
            "SELECT a.id, b.n FROM a LEFT JOIN own.b ON b.id = a.b_id",
            ["id", "n"],
            {"id": "public.a.id", "n": "own.b.n"},
        ),
        ("SELECT a.b_id, count(*) AS n FROM a GROUP BY a.b_id", ["b", "n"], {"b": "public.a.b_id"}),
        ("WITH w AS (SELECT a.id FROM a) SELECT w.id FROM w", ["id"], {"id": "public.a.id"}),
        ("SELECT a.id FROM a UNION SELECT b.id FROM own.b", ["id"], {}),
        ("SELECT what FROM nothing that ( parses", ["id"], {}),
    ],
)
def test_a_column_that_is_shown_as_it_is_has_its_table(definition, columns, expected):
    found = shown(definition, columns)

    assert {name: ".".join(origin) for name, origin in found.items()} == expected


def test_views_over_views_lead_to_the_table_and_circles_to_nothing():
    inner = relation("public.w", ["y"], "SELECT a.id AS y FROM a")
    circle = relation("public.w", ["y"], "SELECT v.x AS y FROM v")

    assert shown("SELECT w.y AS x FROM w", ["x"], inner) == {"x": ("public.a", "id")}
    assert shown("SELECT w.y AS x FROM w", ["x"], circle) == {}
    assert view_columns(replace(inner, definition=None), Schema("1", {})) == {}
