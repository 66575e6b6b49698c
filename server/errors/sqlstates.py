"""PostgreSQL's SQLSTATEs as HTTP statuses and codes, for both dialects.

The statuses under /rest/v1 are those of PostgREST; `code` there is the SQLSTATE itself. The
native codes are those of the Fluxbase SDK, with `DATABASE_ERROR` for what it does not name.
"""

import re
from typing import Final

from router import StatementFailed
from server.errors.failure import Failure
from server.errors.raised import SQLSTATE, raised

RETRY_AFTER: Final = (("Retry-After", "1"),)
"""For failures that changed nothing and pass by themselves."""

CHALLENGE: Final = (("WWW-Authenticate", "Bearer"),)

_POSTGREST_EXACT: Final = {
    "22023": 400,
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "42P01": 404,
    "42P17": 500,
    "42883": 404,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
}

_POSTGREST_CLASS: Final = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "21": 500,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}

_NATIVE_EXACT: Final = {
    "23502": (400, "NOT_NULL_VIOLATION"),
    "23503": (409, "FOREIGN_KEY_VIOLATION"),
    "23505": (409, "DUPLICATE_KEY"),
    "23514": (400, "CHECK_VIOLATION"),
    "23P01": (409, "EXCLUSION_VIOLATION"),
    "25006": (405, "READ_ONLY"),
    "42P01": (404, "NOT_FOUND"),
    "42P17": (500, "DATABASE_ERROR"),
    "44000": (400, "CHECK_VIOLATION"),
    "53400": (500, "DATABASE_ERROR"),
    "57P01": (503, "DATABASE_UNAVAILABLE"),
    "P0001": (400, "RAISED"),
}

_NATIVE_CLASS: Final = {
    "08": (503, "DATABASE_UNAVAILABLE"),
    "0A": (400, "INVALID_INPUT"),
    "21": (400, "INVALID_INPUT"),
    "22": (400, "INVALID_INPUT"),
    "42": (400, "INVALID_INPUT"),
    "53": (503, "DATABASE_UNAVAILABLE"),
}

_OWN_STATUS: Final = re.compile(r"PT([2-5][0-9][0-9])")

_POLICY: Final = "42501"
"""insufficient_privilege: a policy's WITH CHECK failed, or a grant is missing."""


def native_failure(error: StatementFailed, *, anonymous: bool, operation: str) -> Failure:
    """The native answer to a statement that PostgreSQL refused.

    `operation` completes "Failed to …", the text of every error without a code of its own.
    """
    if error.sqlstate == SQLSTATE:
        return raised(error)
    if error.sqlstate == _POLICY:
        status, code = (
            (401, "AUTHENTICATION_REQUIRED") if anonymous else (403, "RLS_POLICY_VIOLATION")
        )
    elif own := _OWN_STATUS.fullmatch(error.sqlstate):
        status, code = int(own[1]), "RAISED"
    else:
        status, code = _NATIVE_EXACT.get(error.sqlstate) or _NATIVE_CLASS.get(
            error.sqlstate[:2], (500, "DATABASE_ERROR")
        )
    return Failure(
        status,
        code,
        error.message,
        details=error.detail,
        hint=error.hint,
        title=f"Failed to {operation}" if status >= 500 else None,
        headers=_headers(status),
    )


def postgrest_failure(error: StatementFailed, *, anonymous: bool) -> Failure:
    """The answer of the /rest/v1 dialect: PostgreSQL's own four fields, PostgREST's status."""
    if error.sqlstate == SQLSTATE:
        return raised(error)
    status = _postgrest_status(error, anonymous=anonymous)
    return Failure(
        status,
        error.sqlstate,
        error.message,
        details=error.detail,
        hint=error.hint,
        headers=_headers(status),
    )


def _postgrest_status(error: StatementFailed, *, anonymous: bool) -> int:
    sqlstate, message = error.sqlstate, error.message
    if own := _OWN_STATUS.fullmatch(sqlstate):
        return int(own[1])
    match sqlstate:
        case "42501":
            return 401 if anonymous else 403
        case "21000" if message.endswith("requires a WHERE clause"):
            return 400
        case "22023" if message.startswith("role ") and message.endswith("does not exist"):
            return 401
        case "42883" if message.startswith("function xmlagg("):
            return 406
    return _POSTGREST_EXACT.get(sqlstate) or _POSTGREST_CLASS.get(sqlstate[:2], 400)


def _headers(status: int) -> tuple[tuple[str, str], ...]:
    match status:
        case 503:
            return RETRY_AFTER
        case 401:
            return CHALLENGE
        case _:
            return ()
