"""The one table from errors to HTTP: status, code and message in either dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from router import (
    AccessRefused,
    CommitUnfinished,
    CommitUnknown,
    DeadlineExceeded,
    DeclarationNotUnderstood,
    InTransaction,
    QueryRefused,
    RouterError,
    RowCountUnexpected,
    RowsTooMany,
    SchemaUnread,
    SetupRefused,
    ShardUnavailable,
    StatementFailed,
    TenantKeyInvalid,
    WriteKeyInUse,
    WriteKeyOfOtherBody,
    WriteKeyOfOtherRequest,
    WriteKeyRefused,
)
from server.errors.failure import Dialect, Failure
from server.errors.sqlstates import RETRY_AFTER, native_failure, postgrest_failure
from server.errors.tree import ServerError
from shardmap import (
    CredentialsUnavailable,
    IdentityTaken,
    InvalidMap,
    InvalidTenantKey,
    InvalidUrl,
    MapConflict,
    MapRefused,
    MapUnavailable,
    NumberTaken,
    ShardMapError,
    TablesUnsafe,
)

ANON: Final = "anon"
"""The role whose missing privilege means "log in" (401), not "you may not" (403)."""


@dataclass(frozen=True, slots=True)
class Row:
    """How errors of one class look. None: the error's own code, or the same as the native API.

    Where `postgrest_message` takes the message's place, code and message go into `details`.
    """

    status: int
    code: str | None = None
    postgrest_status: int | None = None
    postgrest_code: str | None = None
    postgrest_message: str | None = None
    retry: bool = False
    """Nothing was changed and it passes by itself: `Retry-After` is sent."""


TABLE: Final[Mapping[type[Exception], Row]] = MappingProxyType(
    {
        QueryRefused: Row(
            400, postgrest_code="PGRST127", postgrest_message="Feature not implemented"
        ),
        TenantKeyInvalid: Row(400, code="INVALID_INPUT", postgrest_code="22P02"),
        RowCountUnexpected: Row(
            400,
            postgrest_status=406,
            postgrest_code="PGRST116",
            postgrest_message="Cannot coerce the result to a single JSON object",
        ),
        RowsTooMany: Row(
            400,
            postgrest_code="PGRST124",
            postgrest_message="Query result exceeds max-affected preference constraint",
        ),
        AccessRefused: Row(403),
        WriteKeyRefused: Row(409),
        WriteKeyInUse: Row(
            409,
            code="IDEMPOTENCY_REQUEST_IN_PROGRESS",
            postgrest_code="IDEMPOTENCY_REQUEST_IN_PROGRESS",
            retry=True,
        ),
        WriteKeyOfOtherRequest: Row(
            422, code="IDEMPOTENCY_KEY_MISMATCH", postgrest_code="IDEMPOTENCY_KEY_MISMATCH"
        ),
        WriteKeyOfOtherBody: Row(
            422,
            code="IDEMPOTENCY_REQUEST_BODY_MISMATCH",
            postgrest_code="IDEMPOTENCY_REQUEST_BODY_MISMATCH",
        ),
        ShardUnavailable: Row(503, retry=True),
        SchemaUnread: Row(
            503,
            postgrest_code="PGRST002",
            postgrest_message="Could not query the database for the schema cache. Retrying.",
            retry=True,
        ),
        DeadlineExceeded: Row(504),
        CommitUnknown: Row(500, code="COMMIT_UNKNOWN", postgrest_code="COMMIT_UNKNOWN"),
        CommitUnfinished: Row(500, code="COMMIT_UNFINISHED", postgrest_code="COMMIT_UNFINISHED"),
        SetupRefused: Row(500),
        DeclarationNotUnderstood: Row(400),
        InvalidTenantKey: Row(400, code="INVALID_INPUT", postgrest_code="22P02"),
        InvalidMap: Row(400),
        MapRefused: Row(400),
        MapConflict: Row(409),
        MapUnavailable: Row(503, retry=True),
        CredentialsUnavailable: Row(503, retry=True),
        InvalidUrl: Row(400),
        IdentityTaken: Row(409),
        NumberTaken: Row(409),
        TablesUnsafe: Row(409),
    }
)
"""A class that is not listed is answered as the nearest of its parents that is."""

INTERNAL: Final = MappingProxyType(
    {
        Dialect.NATIVE: Failure(500, "INTERNAL_ERROR", "Internal server error"),
        Dialect.POSTGREST: Failure(500, "PGRSTX00", "Internal server error"),
    }
)
"""The answer to what nobody foresaw. Its text stays in the log."""


def failure_of(
    error: Exception, dialect: Dialect, *, role: str = "", operation: str = "run the statement"
) -> Failure:
    """What the client is told about the error. `role` is the caller's, where it is known.

    `operation` completes the native text "Failed to …" of database errors without own code.
    """
    match error:
        case ServerError():
            return _own(error, dialect)
        case InTransaction():
            found = failure_of(error.failure, dialect, role=role, operation=operation)
            details = {"statement": error.statement, "details": found.details}
            return replace(found, details=details)
        case StatementFailed():
            if dialect is Dialect.NATIVE:
                return native_failure(error, anonymous=role == ANON, operation=operation)
            return postgrest_failure(error, anonymous=role == ANON)
        case RouterError() | ShardMapError() if (row := row_of(type(error))) is not None:
            return _tabled(error, row, dialect)
        case _:
            return INTERNAL[dialect]


def row_of(kind: type[Exception]) -> Row | None:
    """The row that holds for a class of errors: its own, else that of the nearest parent."""
    for ancestor in kind.__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return None


def foreseen(error: Exception) -> bool:
    """Whether the error has a place in the table; if not, it is a mistake in this program."""
    if isinstance(error, InTransaction):
        return foreseen(error.failure)
    return isinstance(error, ServerError | StatementFailed) or row_of(type(error)) is not None


def _tabled(error: RouterError | ShardMapError, row: Row, dialect: Dialect) -> Failure:
    message = error.message if isinstance(error, RouterError) else str(error)
    hint = error.hint if isinstance(error, RouterError) else None
    headers = _retry_after(error) if row.retry else ()
    if dialect is Dialect.NATIVE:
        code = row.code or error.code
        details = None if row.code is None else error.code
        return Failure(row.status, code, message, details=details, hint=hint, headers=headers)
    return Failure(
        row.postgrest_status or row.status,
        row.postgrest_code or error.code,
        row.postgrest_message or message,
        details=_postgrest_details(error, row, message),
        hint=hint,
        headers=headers,
    )


def _postgrest_details(error: RouterError | ShardMapError, row: Row, message: str) -> str | None:
    if isinstance(error, RowCountUnexpected):
        return f"The result contains {error.found} rows"
    if isinstance(error, RowsTooMany):
        return f"The query affects {error.found} rows"
    if row.postgrest_code is None:
        return None
    return error.code if row.postgrest_message is None else f"{error.code}: {message}"


def _own(error: ServerError, dialect: Dialect) -> Failure:
    native = dialect is Dialect.NATIVE
    return Failure(
        error.status,
        error.code if native else error.postgrest_code,
        error.message if native else error.postgrest_message or error.message,
        details=error.details,
        hint=error.hint,
        headers=error.headers,
    )


def _retry_after(error: Exception) -> tuple[tuple[str, str], ...]:
    if isinstance(error, ShardUnavailable):
        return (("Retry-After", str(error.retry_after_s)),)
    return RETRY_AFTER
