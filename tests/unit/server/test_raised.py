"""`RAISE SQLSTATE 'PGRST'`: code of users says the whole response."""

import json

import pytest

from router import StatementFailed
from server.errors import Dialect, failure_of, failure_reply
from server.front.encode import encode

MESSAGE = {"code": "123", "message": "no", "details": "d", "hint": "h"}
DETAIL = {"status": 402, "headers": {"X-Pay": "1"}, "status_text": "Pay first"}


def answered(message, detail, dialect=Dialect.POSTGREST):
    return failure_reply(
        failure_of(StatementFailed("PGRST", message, detail=detail), dialect), dialect, "r"
    )


def test_it_is_answered_as_it_was_raised():
    reply = answered(json.dumps(MESSAGE), json.dumps(DETAIL))

    assert (reply.status, json.loads(reply.body)) == (402, MESSAGE)
    assert dict(reply.headers) == {"X-Pay": "1", "Proxy-Status": "fluxshard; error=123"}
    head, _ = encode(reply, minor=1, head=False, keep_alive=True, date="d", request_id="r")
    assert head.startswith(b"HTTP/1.1 402 Pay first\r\n")


def test_the_native_api_says_the_same_in_its_own_form():
    reply = answered(json.dumps(MESSAGE), json.dumps(DETAIL), Dialect.NATIVE)

    assert reply.status == 402
    assert json.loads(reply.body) == {
        "error": "no", "code": "123", "message": "no", "details": "d", "hint": "h",
        "request_id": "r",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "detail", "details", "hint"),
    [
        ("no json", json.dumps(DETAIL), "Invalid JSON value for MESSAGE: 'no json'", "MESSAGE"),
        ('{"code": "1"}', None, 'Invalid JSON value for MESSAGE: \'{"code": "1"}\'', "MESSAGE"),
        (json.dumps(MESSAGE), None, "DETAIL is missing in the RAISE statement", "DETAIL"),
        (json.dumps(MESSAGE), "[]", "Invalid JSON value for DETAIL: '[]'", "DETAIL"),
        (json.dumps(MESSAGE), '{"status": 1, "headers": {}}', None, "DETAIL"),
        (json.dumps(MESSAGE), '{"status": 400, "headers": {"a": "b\\r\\n"}}', None, "DETAIL"),
    ],
)
def test_what_cannot_be_read_is_said(message, detail, details, hint):
    reply = answered(message, detail)

    body = json.loads(reply.body)
    assert (reply.status, body["code"]) == (500, "PGRST121")
    assert body["message"] == "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    assert details is None or body["details"] == details
    assert body["hint"].startswith(f"{hint} must be a JSON object")
