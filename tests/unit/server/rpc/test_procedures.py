import json

import pytest

from server.exchange import Principal
from server.rpc.call import arguments, caller_of, may_call, params_of
from server.rpc.errors import ProcedureAsync, ProcedureInputInvalid, ProceduresInvalid
from server.rpc.library import load_procedures
from server.rpc.procedure import ProcedureMalformed, numbered, read_procedure
from server.rpc_settings import RpcSettings
from shardmap import TenantId


def who(role="authenticated", **claims):
    return Principal(role, TenantId("1"), "s", json.dumps({"role": role, **claims}))


@pytest.mark.parametrize(
    ("sql", "expected", "names"),
    [
        ("SELECT $a, $b, $a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT '$a', \"$a\", $a", "SELECT '$a', \"$a\", $1", ("a",)),
        ("SELECT 'it''s $a', $a", "SELECT 'it''s $a', $1", ("a",)),
        (r"SELECT E'\'$a', $b", r"SELECT E'\'$a', $1", ("b",)),
        ("SELECT $$ $a $$, $x$ $a $$ $x$, $a", "SELECT $$ $a $$, $x$ $a $$ $x$, $1", ("a",)),
        ("SELECT 1 -- $a\n, $b /* $c */", "SELECT 1 -- $a\n, $1 /* $c */", ("b",)),
        ("SELECT $a::int, name$b", "SELECT $1::int, name$b", ("a",)),
    ],
)
def test_names_become_numbers_outside_of_strings_and_comments(sql, expected, names):
    assert numbered(sql) == (expected, names)


def test_a_file_says_what_its_procedure_is():
    found = read_procedure(
        "default",
        "file",
        """
        -- @fluxbase:name named
        -- @fluxbase:description What it does
        -- @fluxbase:input {"a": "int", "b?": "text"}
        -- @fluxbase:require-role admin, editor
        -- @fluxbase:max-execution-time 5s
        -- @fluxbase:version 3
        SELECT $a, $b, $caller_id;
        """,
    )

    assert (found.namespace, found.name, found.description) == ("default", "named", "What it does")
    assert found.sql == "SELECT $1, $2, $3"
    assert found.roles == ("admin", "editor")
    assert (found.timeout_s, found.version, found.public, found.writes) == (5.0, 3, False, False)
    assert found.accepted == {"a", "b"}
    assert found.optional == {"b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- @fluxbase:schedule * * * * *\nSELECT 1", "@fluxbase:schedule is not known here"),
        ("-- @fluxbase:input [1]\nSELECT 1", "@fluxbase:input is no object of names and types"),
        ("-- @fluxbase:input {\nSELECT 1", "@fluxbase:input is not JSON on one line"),
        ("-- @fluxbase:public perhaps\nSELECT 1", "@fluxbase:public is neither true nor false"),
        ("-- @fluxbase:version new\nSELECT 1", "@fluxbase:version is no number"),
        ("-- @fluxbase:name a b\nSELECT 1", "'a b' is no name"),
        ("-- @fluxbase:name a", "there is no SQL in it"),
    ],
)
def test_a_file_that_is_not_understood_says_why(text, message):
    with pytest.raises(ProcedureMalformed) as caught:
        read_procedure("default", "file", text)

    assert str(caught.value) == message


def test_all_problems_of_a_directory_are_told_together(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "a.sql").write_text("")
    (tmp_path / "b.sql").write_text("-- @fluxbase:max-execution-time 9m\nSELECT 1")
    (tmp_path / "shop" / "c.sql").write_text("SELECT 1")
    (tmp_path / "shop" / "d.sql").write_text("-- @fluxbase:name c\nSELECT 1")

    with pytest.raises(ProceduresInvalid) as caught:
        load_procedures(RpcSettings(directory=str(tmp_path)))

    assert [problem.message for problem in caught.value.problems] == [
        "there is no SQL in it",
        "@fluxbase:max-execution-time is over FLUXBASE_RPC_MAX_MAX_EXECUTION_TIME",
        "shop.c is there twice",
    ]


def test_without_a_directory_there_are_no_procedures(tmp_path):
    assert load_procedures(RpcSettings(directory=str(tmp_path / "none"))) == {}


def test_roles_are_those_of_the_token():
    for_managers = read_procedure("n", "p", "-- @fluxbase:require-role manager\nSELECT 1")
    for_users = read_procedure("n", "p", "SELECT 1")
    for_all = read_procedure("n", "p", "-- @fluxbase:public true\nSELECT 1")

    manager = caller_of(Principal("authenticated", None, "s", '{"role": "manager"}'))
    user, anon, service = (
        caller_of(who(role)) for role in ("authenticated", "anon", "service_role")
    )

    def may(caller):
        return [may_call(procedure, caller) for procedure in (for_managers, for_users, for_all)]

    assert may(manager) == may(service) == [True, True, True]
    assert may(user) == [False, True, True]
    assert may(anon) == [False, False, True]


def test_values_go_where_their_names_are_and_callers_cannot_be_forged():
    procedure = read_procedure(
        "n", "p", '-- @fluxbase:input {"a": "int", "b?": "text"}\nSELECT $b, $caller_id, $a'
    )
    caller = caller_of(who(sub="u1"))

    assert arguments(procedure, params_of(b'{"params": {"a": 1.50}}'), caller) == (
        None,
        "u1",
        "1.50",
    )
    for params in ({}, {"a": 1, "x": 2}, {"a": 1, "caller_id": "other"}):
        with pytest.raises(ProcedureInputInvalid):
            arguments(procedure, params, caller)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[", ProcedureInputInvalid),
        (b"[]", ProcedureInputInvalid),
        (b'{"a": 1}', ProcedureInputInvalid),
        (b'{"params": []}', ProcedureInputInvalid),
        (b'{"async": "yes"}', ProcedureInputInvalid),
        (b'{"async": true}', ProcedureAsync),
        (b"\xff", ProcedureInputInvalid),
    ],
)
def test_other_bodies_are_refused(body, error):
    with pytest.raises(error):
        params_of(body)
