"""A query's shape: all of it but the values, or nothing where values cannot be cut out."""

import pytest

from server.rest.native.query import CUTTABLE
from server.rest.shapes import cut


def test_values_are_cut_out_and_decoded():
    found = cut("id=eq.5&note=like.a%25b+c&select=id,note&limit=2&offset=4", CUTTABLE)

    assert found.shape == ("id=eq.", "note=like.", "select=id,note")
    assert found.values == ["5", "a%b c"]
    assert (found.limit, found.offset) == ("2", "4")


def test_queries_that_differ_in_values_only_have_one_shape():
    assert cut("id=eq.5", CUTTABLE).shape == cut("id=eq.6&limit=1", CUTTABLE).shape


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("id=eq.5", "id=gt.5"),
        ("id=eq.5", "note=eq.5"),
        ("id=eq.5&note=eq.5", "note=eq.5&id=eq.5"),
        ("id=is.null", "id=is.true"),
        ("id=in.(5)", "id=eq.(5)"),
        ("select=id", "select=note"),
        ("count=exact", ""),
    ],
)
def test_whatever_changes_the_statement_changes_the_shape(one, other):
    assert cut(one, CUTTABLE).shape != cut(other, CUTTABLE).shape


@pytest.mark.parametrize(
    "query",
    [
        "or=(id.eq.1)",
        "not.and=(id.eq.1)",
        "id=not.eq.5",
        "id.eq=5",
        "data->a=eq.5",
        "note=fts.x",
        "id=bogus.5",
        "id=5",
        "id",
        "limit=1&limit=2",
        "cursor=5",
        "id=eq.5&",
        "id=eq." + "5" * 1100,
    ],
)
def test_what_cannot_be_cut_cleanly_has_no_shape(query):
    assert cut(query, CUTTABLE) is None
