import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.migrate.scan import Unreadable, statements_of


def texts(sql):
    return [statement.text for statement in statements_of(sql)]


@pytest.mark.parametrize(
    "sql",
    [
        "select ';'",
        "select e'it\\';s'",
        'select ";"',
        "select $$;$$",
        "select $a$ $$ ; $b$ $a$",
        "select /* ; /* ; */ ; */ 1",
        "select 1 -- ;\n + 1",
        "create rule r as on insert to t do (delete from a; delete from b)",
        "create function f() returns int language sql begin atomic select 1; select 2; end",
        "create function f() returns int begin atomic select case when true then 1 end; end",
        "select 'a'\n'b;'",
        "select 'it''s;'",
    ],
)
def test_a_semicolon_inside_something_ends_no_statement(sql):
    assert texts(f"{sql}; select 2") == [sql, "select 2"]


def test_statements_know_their_lines_and_comments_between_them_are_left_out():
    found = statements_of("-- one\n\nselect 1;\n/* two\n*/ select\n 2;;\n")

    assert [(one.text, one.line) for one in found] == [("select 1", 3), ("select\n 2", 5)]
    assert found[1].line_at(found[1].text.index("2")) == 6


@pytest.mark.parametrize(
    ("sql", "line", "message"),
    [
        ("select 1;\nselect 'a", 2, "' is not closed"),
        ('\nselect "a', 2, '" is not closed'),
        ("select $x$ $y$", 1, "$x$ is not closed"),
        ("/* /* */ select 1", 1, "/* is not closed"),
        ("\\d orders", 1, "a psql command is no SQL, and is not run here"),
        ("copy t from stdin;", 1, "COPY with data in the file is psql's; use INSERT"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(sql, line, message):
    with pytest.raises(Unreadable) as caught:
        statements_of(sql)

    assert (caught.value.line, str(caught.value)) == (line, message)


@given(st.text(alphabet="ab'\"$;()/*-\\ \nEe_1", max_size=60))
def test_any_text_is_either_read_or_refused(sql):
    try:
        found = statements_of(sql)
    except Unreadable:
        return

    for statement in found:
        assert statement.text in sql
