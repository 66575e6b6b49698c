"""What surrounds a request's transaction, and what functions wish of its response."""

import json

import pytest
from multidict import CIMultiDict

from router import Deadline, Environment, ResponsesDiffer, RowsTooMany, Schema, Told
from server.exchange import Principal, Reply, Request
from server.rest import surroundings
from server.rest.errors import FeatureMissing
from server.rest.wished import (
    ResponseHeadersInvalid,
    ResponseStatusInvalid,
    heeding,
    wished,
)
from shardmap import ShardId

PLAIN = Schema("1", {})
AWARE = Schema("1", {}, aware=True)


def request(method="GET", path="/rest/v1/orders", **headers):
    pairs = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Request(
        method,
        path,
        "a=eq.1",
        pairs,
        b"",
        "r",
        Deadline.after(9),
        Principal("anon", None, "s", "{}"),
    )


def around(asked, schema=PLAIN, pre_request="", tx_end="commit", *, postgrest=True):
    return surroundings(pre_request, tx_end).of(asked, schema, postgrest=postgrest)


def test_a_database_without_code_that_asks_is_told_nothing():
    assert around(request(X_Trace="1")) is None
    assert around(request(Prefer="return=minimal, tx=rollback, max-affected=1")) is None


def test_code_that_asks_is_told_of_the_request():
    found = around(
        request("PATCH", X_Trace="ü'\\", Cookie='a=1; b="x y"; broken'), AWARE, postgrest=False
    )

    settings = dict(found.settings)
    assert (settings["request.method"], settings["request.path"]) == ("PATCH", "/orders")
    assert json.loads(settings["request.headers"]) == {"x-trace": "ü'\\"}
    assert json.loads(settings["request.cookies"]) == {"a": "1", "b": "x y"}
    assert (found.always, found.before, found.rolled_back) == (False, "", False)


def test_bytes_that_are_no_text_are_replaced():
    found = around(request(X="\udcff"), AWARE)

    assert json.loads(dict(found.settings)["request.headers"]) == {"x": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("check", 'SELECT "check"()'),
        ("auth.check", 'SELECT "auth"."check"()'),
        ('"my schema"."a.b"', 'SELECT "my schema"."a.b"()'),
    ],
)
def test_a_function_may_run_before_each_statement(name, call):
    found = around(request(), pre_request=name)

    assert (found.before, found.always) == (call, True)


def test_a_time_zone_is_a_setting_of_the_transaction():
    found = around(request(Prefer="timezone=Europe/Vienna"))

    assert (found.settings, found.always) == ((("timezone", "Europe/Vienna"),), True)


@pytest.mark.parametrize(
    ("tx_end", "prefer", "rolled_back"),
    [
        ("commit", "tx=rollback", False),
        ("commit-allow-override", "tx=rollback", True),
        ("commit-allow-override", "tx=commit", False),
        ("rollback", "tx=commit", True),
        ("rollback-allow-override", "tx=commit", False),
        ("rollback-allow-override", "return=minimal", True),
    ],
)
def test_the_operator_says_how_writes_end_and_who_may_say_otherwise(tx_end, prefer, rolled_back):
    found = around(request("POST", Prefer=prefer), tx_end=tx_end)

    assert (found is not None and found.rolled_back) == rolled_back


def test_what_is_rolled_back_is_not_kept_under_a_key():
    with pytest.raises(FeatureMissing):
        around(request("POST", Idempotency_Key="k"), tx_end="rollback")


@pytest.mark.parametrize(
    ("method", "path", "prefer", "most"),
    [
        ("PATCH", "/rest/v1/orders", "handling=strict, max-affected=3", 3),
        ("DELETE", "/rest/v1/orders", "handling=strict, max-affected=0", 0),
        ("POST", "/rest/v1/rpc/f", "handling=strict, max-affected=3", 3),
        ("POST", "/rest/v1/orders", "handling=strict, max-affected=3", None),
        ("PATCH", "/rest/v1/orders", "max-affected=3", None),
    ],
)
def test_strict_clients_bound_the_rows_of_updates_deletes_and_calls(method, path, prefer, most):
    found = around(request(method, path, Prefer=prefer))

    assert (None if found is None else found.most_rows) == most


def test_more_rows_than_allowed_are_refused():
    environment = Environment(most_rows=2)

    environment.check_rows(2)
    with pytest.raises(RowsTooMany):
        environment.check_rows(3)


def test_shards_have_to_agree_on_the_response():
    environment = Environment()
    environment.told[ShardId("a")] = Told("201", None)
    assert environment.response() == Told("201", None)

    environment.told[ShardId("b")] = Told(None, None)
    with pytest.raises(ResponsesDiffer):
        environment.response()


def test_status_and_headers_take_the_place_of_ours():
    reply = Reply(200, b"[]", "application/json", (("Vary", "Accept"), ("X", "1")))
    headers = '[{"x": "2"}, {"Set-Cookie": "a=1"}, {"Set-Cookie": "b=2"}, {"content-type": "a/b"}]'

    found = wished(reply, Told("202", headers))

    assert found == Reply(
        202,
        b"[]",
        "a/b",
        (("Vary", "Accept"), ("x", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
    )


def test_a_status_without_a_body_has_none():
    assert wished(Reply(200, b"[]", "a/b"), Told("204", None)) == Reply(204)


@pytest.mark.parametrize("status", ["", "abc", "99", "600", "2000", "-1", "٢٠٠"])
def test_what_is_no_status_is_said(status):
    with pytest.raises(ResponseStatusInvalid):
        wished(Reply(200), Told(status, None))


@pytest.mark.parametrize(
    "headers",
    [
        "{",
        "{}",
        '["a"]',
        '[{"a": 1}]',
        '[{"a": "1", "b": "2"}]',
        '[{"a": "1\\r\\nb: 2"}]',
        '[{"a b": "1"}]',
        '[{"Content-Length": "1"}]',
    ],
)
def test_what_are_no_headers_is_said(headers):
    with pytest.raises(ResponseHeadersInvalid):
        wished(Reply(200), Told(None, headers))


async def test_pieces_of_a_reply_that_is_not_sent_are_closed():
    class Pieces:
        closed = False

        async def close(self):
            self.closed = True

    pieces = Pieces()

    async def handler(asked):
        asked.environment.told[ShardId("a")] = Told("none", None)
        return Reply(200, pieces=pieces)

    with pytest.raises(ResponseStatusInvalid):
        await heeding(handler)(request()._replace(environment=Environment()))

    assert pieces.closed
