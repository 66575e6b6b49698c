"""`RAISE SQLSTATE 'PGRST'`: errors by which code of users says the whole response.

Its message is a JSON object of `code`, `message`, `details` and `hint`, its detail one of `status`,
`headers` and `status_text`.
"""

from typing import Any, Final

import orjson

from router import StatementFailed
from server.errors.failure import Failure

SQLSTATE: Final = "PGRST"

_MESSAGE_HINT: Final = (
    "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys:"
    " 'details', 'hint'."
)
_DETAIL_HINT: Final = (
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key:"
    " 'status_text'."
)
_FRAMING: Final = frozenset({"connection", "content-length", "date", "transfer-encoding"})
"""Headers that say how the response travels, which is the server's to say."""


def raised(error: StatementFailed) -> Failure:
    """The failure as the code that raised it wrote it; PGRST121 where it cannot be read."""
    message = _object(error.message)
    if message is None or not _texts(message, ("code", "message"), ("details", "hint")):
        return _unread(f"Invalid JSON value for MESSAGE: '{error.message}'", _MESSAGE_HINT)
    if error.detail is None:
        return _unread("DETAIL is missing in the RAISE statement", _DETAIL_HINT)
    detail = _object(error.detail)
    status = None if detail is None else detail.get("status")
    headers = None if detail is None else _headers(detail.get("headers"))
    reason = None if detail is None else detail.get("status_text", "")
    if (
        type(status) is not int
        or not 200 <= status <= 599
        or headers is None
        or not (isinstance(reason, str) and reason.isprintable())
    ):
        return _unread(f"Invalid JSON value for DETAIL: '{error.detail}'", _DETAIL_HINT)
    return Failure(
        status,
        message["code"],
        message["message"],
        details=message.get("details"),
        hint=message.get("hint"),
        headers=headers,
        reason=reason,
    )


def _unread(details: str, hint: str) -> Failure:
    return Failure(
        500,
        "PGRST121",
        "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error",
        details=details,
        hint=hint,
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _texts(found: dict[str, Any], needed: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    return all(isinstance(found.get(name), str) for name in needed) and all(
        isinstance(found.get(name), str | None) for name in allowed
    )


def _headers(found: object) -> tuple[tuple[str, str], ...] | None:
    """The headers; None where they are none."""
    if not isinstance(found, dict):
        return None
    for name, value in found.items():
        if not (isinstance(value, str) and value.isprintable() and name.isascii()):
            return None
        if not name.replace("-", "").replace("_", "").isalnum() or name.lower() in _FRAMING:
            return None
    return tuple(found.items())
