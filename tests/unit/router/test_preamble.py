"""The SQL text around statements: literals that stay literals, roles that are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Deadline, QueryContext, StatementFailed
from router.live.preamble import begin, clean, quote_identifier, quote_literal, set_role
from shardmap import TenantId


def context(role="authenticated", claims="{}", tenant=None):
    return QueryContext(role, tenant, "s", claims, Deadline(0.0))


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("", "''"),
        ("plain", "'plain'"),
        ("it's", "'it''s'"),
        ("back\\slash", " E'back\\\\slash'"),
        ("\\'; DROP TABLE t; --", " E'\\\\''; DROP TABLE t; --'"),
        ("$1 $$ é 😀\n", "'$1 $$ é 😀\n'"),
    ],
)
def test_a_literal_holds_its_text(text, literal):
    assert quote_literal(text) == literal


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_literal_ends_only_at_its_end(text):
    literal = quote_literal(text).removeprefix(" E")

    inner = literal[1:-1].replace("''", "")
    assert literal[0] == literal[-1] == "'"
    assert "'" not in inner
    if "\\" in text:
        assert len(inner) - len(inner.rstrip("\\")) == 2 * (
            len(text.replace("'", "")) - len(text.replace("'", "").rstrip("\\"))
        )


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfff"])
def test_text_that_postgresql_cannot_hold_is_refused(text):
    for quote in (quote_literal, quote_identifier):
        with pytest.raises(StatementFailed) as caught:
            quote(text)
        assert caught.value.sqlstate == "22021"


def test_an_identifier_is_quoted():
    assert quote_identifier('a"b') == '"a""b"'
    with pytest.raises(StatementFailed):
        quote_identifier("")


@pytest.mark.parametrize("role", ["", "none", "a\0", "\0", "\ud800", "x" * 64, "ä" * 32])
def test_what_no_role_is_called_is_refused(role):
    for use in (set_role, clean):
        with pytest.raises(StatementFailed):
            use(role)
    with pytest.raises(StatementFailed):
        begin(context(role), write=False, timeout_ms=1)


def test_the_message_before_a_statement_is_local_to_its_transaction():
    message = begin(
        context(claims='{"a": "it\'s"}', tenant=TenantId("7")), write=True, timeout_ms=1500
    )

    assert message == (
        "BEGIN READ WRITE; SET LOCAL statement_timeout = 1500; SET LOCAL row_security = on;"
        " SELECT pg_catalog.set_config('role', 'authenticated', true),"
        " pg_catalog.set_config('request.jwt.claims', '{\"a\": \"it''s\"}', true),"
        " pg_catalog.set_config('fluxshard.tenant', '7', true)"
    )


def test_a_read_begins_read_only_and_never_without_a_limit():
    message = begin(context(), write=False, timeout_ms=0)

    assert message.startswith("BEGIN READ ONLY; SET LOCAL statement_timeout = 1;")
