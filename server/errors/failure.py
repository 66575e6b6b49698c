"""A failed request as values: status, code and texts, and its body in either dialect."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import orjson

from server.exchange import Reply

NATIVE_TYPE: Final = "application/json"
POSTGREST_TYPE: Final = "application/json; charset=utf-8"


class Dialect(Enum):
    """Whose error bodies a route speaks."""

    NATIVE = auto()
    """`{"error": text, "code", "message", "hint"?, "details"?, "request_id"}`."""
    POSTGREST = auto()
    """`{"code", "message", "details", "hint"}`, always these four."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told. `title` is the native body's `error` where it is not the message.

    `details` is any JSON value, mostly text.
    """

    status: int
    code: str
    message: str
    details: object = None
    hint: str | None = None
    title: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    """Of the status line; empty: the usual one."""


def failure_reply(failure: Failure, dialect: Dialect, request_id: str) -> Reply:
    """The failure as a whole response of the dialect."""
    match dialect:
        case Dialect.NATIVE:
            return Reply(
                failure.status,
                orjson.dumps(_native_body(failure, request_id)),
                NATIVE_TYPE,
                failure.headers,
                reason=failure.reason,
            )
        case Dialect.POSTGREST:
            body = {
                "code": failure.code,
                "message": failure.message,
                "details": failure.details,
                "hint": failure.hint,
            }
            code = failure.code if failure.code.isprintable() else "?"
            proxy_status = ("Proxy-Status", f"fluxshard; error={code}")
            return Reply(
                failure.status,
                orjson.dumps(body),
                POSTGREST_TYPE,
                (*failure.headers, proxy_status),
                reason=failure.reason,
            )


def _native_body(failure: Failure, request_id: str) -> dict[str, object]:
    body: dict[str, object] = {
        "error": failure.title or failure.message,
        "code": failure.code,
        "message": failure.message,
    }
    if failure.hint is not None:
        body["hint"] = failure.hint
    if failure.details is not None:
        body["details"] = failure.details
    body["request_id"] = request_id
    return body
