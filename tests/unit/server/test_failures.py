from importlib import import_module
from pathlib import Path

import orjson
import pytest

from router import (
    CommitUnknown,
    DeadlineExceeded,
    InTransaction,
    OtherTenant,
    PoolTimeout,
    RouterError,
    RowCountUnexpected,
    StatementFailed,
    TenantKeyInvalid,
    UnsupportedAcrossShards,
)
from server.errors import (
    ConfigurationError,
    CredentialMissing,
    Dialect,
    Failure,
    MethodRefused,
    RouteUnknown,
    ServerError,
    TokenUndecodable,
    failure_of,
    failure_reply,
    row_of,
    sqlstates,
)
from server.errors.table import INTERNAL, TABLE
from server.front import connection
from shardmap import InvalidTenantKey, MapUnavailable, ShardId, ShardMapError

NATIVE, POSTGREST = Dialect.NATIVE, Dialect.POSTGREST
S1 = ShardId("s1")


def descendants(kind):
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


@pytest.mark.parametrize(
    "kind", sorted(descendants(RouterError), key=str), ids=lambda k: k.__name__
)
def test_every_router_error_has_a_row_or_carries_postgresqls_own_code(kind):
    assert kind in {StatementFailed, InTransaction} or row_of(kind) is not None


@pytest.mark.parametrize(
    "kind", sorted(descendants(ShardMapError), key=str), ids=lambda k: k.__name__
)
def test_every_shard_map_error_has_a_row(kind):
    assert row_of(kind) is not None


@pytest.mark.parametrize(
    "kind", sorted(descendants(ServerError), key=str), ids=lambda k: k.__name__
)
def test_every_server_error_states_a_status_that_fits_its_native_and_postgrest_codes(kind):
    assert 300 <= kind.status < 600
    assert kind.code != "INTERNAL_ERROR"
    assert kind.postgrest_code != "PGRSTX00"


@pytest.mark.parametrize(
    ("error", "native", "postgrest"),
    [
        (UnsupportedAcrossShards("OFFSET"), (400, "P102"), (400, "PGRST127")),
        (OtherTenant("no"), (403, "P151"), (403, "P151")),
        (TenantKeyInvalid("no"), (400, "INVALID_INPUT"), (400, "22P02")),
        (RowCountUnexpected(1, 3), (400, "P109"), (406, "PGRST116")),
        (PoolTimeout(S1, "connection pool of s1 is busy"), (503, "P201"), (503, "P201")),
        (DeadlineExceeded("late"), (504, "P301"), (504, "P301")),
        (CommitUnknown("lost"), (500, "COMMIT_UNKNOWN"), (500, "COMMIT_UNKNOWN")),
        (InvalidTenantKey("no"), (400, "INVALID_INPUT"), (400, "22P02")),
        (MapUnavailable("away"), (503, "M105"), (503, "M105")),
        (RouteUnknown(), (404, "NOT_FOUND"), (404, "PGRST125")),
        (MethodRefused("PUT", ["GET"]), (405, "METHOD_NOT_ALLOWED"), (405, "PGRST117")),
        (CredentialMissing(), (401, "AUTHENTICATION_REQUIRED"), (401, "PGRST302")),
        (TokenUndecodable("no"), (401, "AUTHENTICATION_REQUIRED"), (401, "PGRST301")),
        (ZeroDivisionError("secret"), (500, "INTERNAL_ERROR"), (500, "PGRSTX00")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_has_a_status_and_code_in_each_dialect(error, native, postgrest):
    in_native, in_postgrest = failure_of(error, NATIVE), failure_of(error, POSTGREST)

    assert (in_native.status, in_native.code) == native
    assert (in_postgrest.status, in_postgrest.code) == postgrest


def test_a_refusal_keeps_our_code_and_message_in_the_details_of_postgrest():
    failure = failure_of(UnsupportedAcrossShards("DISTINCT ON"), POSTGREST)

    assert failure.message == "Feature not implemented"
    assert failure.details == "P102: DISTINCT ON cannot run across shards"
    assert failure.hint == "Name the tenant, so that one shard can answer."


def test_a_row_count_that_is_not_one_is_told_as_postgrest_tells_it():
    failure = failure_of(RowCountUnexpected(1, 0), POSTGREST)

    assert failure.message == "Cannot coerce the result to a single JSON object"
    assert failure.details == "The result contains 0 rows"


@pytest.mark.parametrize("dialect", Dialect)
def test_an_unavailable_shard_asks_to_come_again(dialect):
    failure = failure_of(PoolTimeout(S1, "busy"), dialect)

    assert ("Retry-After", "1") in failure.headers


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("error", [CommitUnknown("lost"), DeadlineExceeded("late")])
def test_an_unknown_outcome_never_asks_to_come_again(error, dialect):
    assert failure_of(error, dialect).headers == ()


def test_the_text_of_an_unforeseen_error_stays_inside():
    for dialect in Dialect:
        assert "secret" not in str(failure_of(ZeroDivisionError("secret"), dialect))


@pytest.mark.parametrize(
    ("sqlstate", "message", "native", "postgrest"),
    [
        ("23505", "duplicate key", (409, "DUPLICATE_KEY"), 409),
        ("23503", "foreign key", (409, "FOREIGN_KEY_VIOLATION"), 409),
        ("23502", "null value", (400, "NOT_NULL_VIOLATION"), 400),
        ("23514", "check", (400, "CHECK_VIOLATION"), 400),
        ("22P02", "invalid input syntax", (400, "INVALID_INPUT"), 400),
        ("22003", "out of range", (400, "INVALID_INPUT"), 400),
        ("42703", "column", (400, "INVALID_INPUT"), 400),
        ("42883", "operator does not exist", (400, "INVALID_INPUT"), 404),
        ("42883", "function xmlagg(json) does not exist", (400, "INVALID_INPUT"), 406),
        ("42P01", "relation", (404, "NOT_FOUND"), 404),
        ("42P17", "infinite recursion", (500, "DATABASE_ERROR"), 500),
        ("42501", "policy", (403, "RLS_POLICY_VIOLATION"), 403),
        ("25006", "read-only", (405, "READ_ONLY"), 405),
        ("21000", "UPDATE requires a WHERE clause", (400, "INVALID_INPUT"), 400),
        ("21000", "more than one row", (400, "INVALID_INPUT"), 500),
        ("22023", 'role "x" does not exist', (400, "INVALID_INPUT"), 401),
        ("53300", "too many clients", (503, "DATABASE_UNAVAILABLE"), 503),
        ("53400", "limit", (500, "DATABASE_ERROR"), 500),
        ("57P01", "admin shutdown", (503, "DATABASE_UNAVAILABLE"), 503),
        ("57014", "cancelled", (500, "DATABASE_ERROR"), 500),
        ("40001", "serialization", (500, "DATABASE_ERROR"), 500),
        ("P0001", "raised", (400, "RAISED"), 400),
        ("P0002", "no data", (500, "DATABASE_ERROR"), 500),
        ("PT418", "teapot", (418, "RAISED"), 418),
        ("PT999", "no status", (500, "DATABASE_ERROR"), 400),
        ("XX000", "internal", (500, "DATABASE_ERROR"), 500),
    ],
)
def test_a_sqlstate_has_its_status(sqlstate, message, native, postgrest):
    error = StatementFailed(sqlstate, message, detail="d", hint="h")

    in_native = failure_of(error, NATIVE, role="authenticated", operation="insert records")
    in_postgrest = failure_of(error, POSTGREST, role="authenticated")

    assert (in_native.status, in_native.code) == native
    assert (in_native.details, in_native.hint) == ("d", "h")
    assert in_postgrest == Failure(
        postgrest, sqlstate, message, "d", "h", headers=in_postgrest.headers
    )
    for failure in (in_native, in_postgrest):
        assert (("Retry-After", "1") in failure.headers) == (failure.status == 503)


def test_a_database_error_without_a_code_of_its_own_names_the_operation():
    error = StatementFailed("XX000", "cache lookup failed")

    failure = failure_of(error, NATIVE, operation="insert records")

    assert (failure.title, failure.message) == ("Failed to insert records", "cache lookup failed")


@pytest.mark.parametrize("dialect", Dialect)
def test_a_privilege_that_anon_lacks_means_log_in(dialect):
    failure = failure_of(StatementFailed("42501", "denied"), dialect, role="anon")

    assert failure.status == 401
    assert failure.headers == (("WWW-Authenticate", "Bearer"),)


def test_a_native_body_has_its_error_as_text_and_omits_what_is_not_known():
    reply = failure_reply(Failure(404, "NOT_FOUND", "Not found"), NATIVE, "r-1")

    assert reply.content_type == "application/json"
    assert orjson.loads(reply.body) == {
        "error": "Not found",
        "code": "NOT_FOUND",
        "message": "Not found",
        "request_id": "r-1",
    }


def test_a_native_body_shows_hint_and_details():
    reply = failure_reply(Failure(400, "P102", "no", "d", "h", "title"), NATIVE, "r-1")

    assert orjson.loads(reply.body) == {
        "error": "title",
        "code": "P102",
        "message": "no",
        "hint": "h",
        "details": "d",
        "request_id": "r-1",
    }


def test_a_postgrest_body_always_has_its_four_keys_and_names_the_code_in_a_header():
    reply = failure_reply(Failure(404, "PGRST125", "no", headers=(("A", "b"),)), POSTGREST, "r-1")

    assert reply.content_type == "application/json; charset=utf-8"
    assert reply.headers == (("A", "b"), ("Proxy-Status", "fluxshard; error=PGRST125"))
    assert orjson.loads(reply.body) == {
        "code": "PGRST125",
        "message": "no",
        "details": None,
        "hint": None,
    }


def test_a_bad_token_is_answered_with_a_challenge_that_stays_one_quoted_string():
    failure = failure_of(TokenUndecodable('the "kid" is odd'), POSTGREST)

    assert failure.headers == (
        (
            "WWW-Authenticate",
            'Bearer error="invalid_token", error_description="the \'kid\' is odd"',
        ),
    )


DOCS = (Path(__file__).parents[3] / "docs" / "errors.md").read_text("utf-8")


def codes():
    import_module("server.rest")
    import_module("server.rpc")
    for kind in (*descendants(RouterError), *descendants(ShardMapError)):
        if kind.code not in {"P000", "P302", "P400"}:
            yield kind.code
    for kind in descendants(ServerError):
        yield from (kind.code, kind.postgrest_code)
    for kind in descendants(ConfigurationError):
        yield kind.code
    for row in TABLE.values():
        yield from filter(None, (row.code, row.postgrest_code))
    for dialect in Dialect:
        yield INTERNAL[dialect].code
    for _, code in (*sqlstates._NATIVE_EXACT.values(), *sqlstates._NATIVE_CLASS.values()):
        yield code
    for _, _, code in connection._KINDS:
        yield code


@pytest.mark.parametrize("code", sorted(set(codes())))
def test_every_code_is_documented(code):
    assert f"`{code}`" in DOCS


def test_no_code_stands_for_two_router_or_map_errors():
    own = [
        kind.code
        for kind in (*descendants(RouterError), *descendants(ShardMapError))
        if "code" in vars(kind)
    ]

    assert len(own) == len(set(own))


def test_an_error_within_a_transaction_looks_like_itself_and_says_which_statement_met_it():
    error = InTransaction(2, StatementFailed("23505", "there is one", detail="Key (id)=(1)"))

    failure = failure_of(error, Dialect.NATIVE)

    assert (failure.status, failure.code) == (409, "DUPLICATE_KEY")
    assert failure.details == {"statement": 2, "details": "Key (id)=(1)"}
