"""Warnings about relations that parameters do not call by their aliases."""

import pytest

from server.rest.page import Limits
from server.rest.postgrest.query import postgrest_query
from server.rest.query_text import pairs

SAID = "'books' is called 'b' in select: filter by that name"


def warnings_of(query):
    return postgrest_query(pairs(query), Limits()).warnings


@pytest.mark.parametrize(
    "query",
    [
        "select=id,b:books(id)&books.id=eq.1",
        "select=id,b:books(id)&books.order=id",
        "select=id,b:books(id)&books=not.is.null",
        "select=id,b:books(id)&or=(books.is.null,id.eq.1)",
        "select=id,b:books(id)&order=books(id)",
        "select=id,a:authors(b:books(id))&a.books.id=eq.1",
        "select=id,a:authors(b:books(id))&a.books=is.null",
    ],
)
def test_a_relation_that_has_an_alias_is_called_by_it(query):
    assert SAID in warnings_of(query)


@pytest.mark.parametrize(
    "query",
    [
        "select=id,b:books(id)&b.id=eq.1&b=not.is.null&order=b(id)",
        "select=id,books(id)&books.id=eq.1",
        "select=id,b:books!x(id),books!y(id)&books.id=eq.1",
        "select=id,b:books(id)&books_id=is.null",
    ],
)
def test_nothing_is_said_of_names_that_are_right(query):
    assert warnings_of(query) == ()
