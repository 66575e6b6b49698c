"""The SQL text around a statement: what opens, ends and cleans a session's transaction.

These texts go out as one simple-protocol message each, so their values are literals. A message of
its own before the statement is what PostgreSQL enforces: role and claims set inside the statement
itself come too late for it.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from router.context import QueryContext
from router.errors import StatementFailed
from router.fences import ALL, Entries

ROLES: Final = ("anon", "authenticated", "service_role")
"""The PostgreSQL roles that Fluxshard makes. Statements run as these or others, never as the login role."""

LOGIN: Final = "\0login"
"""For the role of a session that runs as the login role: for our own work, and behind a pooler, where
each transaction says its role. No PostgreSQL name holds NUL, so nobody can ask for it by name."""

MOST_NAME_BYTES: Final = 63
"""PostgreSQL cuts longer names, which would make them somebody else's."""

MARKER: Final = "fluxshard.session_"
"""How the settings begin by which a session behind a pooler is recognised."""

COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"

_SESSION_DEFAULTS: Final = (
    # RESET ALL restores what the startup packet set. It spares the role, which comes after.
    "RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *;"
    " SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP"
)

_NUL: Final = "22021"
"""`character_not_in_repertoire`: what PostgreSQL says about text that it cannot hold."""


def quote_literal(text: str) -> str:
    r"""The text as an SQL literal, right whatever `standard_conforming_strings` says.

    With a backslash in it it becomes an `E''` literal, as libpq's PQescapeLiteral makes it.

    Raises:
        StatementFailed: 22021, for NUL and lone surrogates, which no PostgreSQL text can hold.
    """
    if "\0" in text:
        raise StatementFailed(_NUL, "text for PostgreSQL cannot contain NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StatementFailed(_NUL, "text for PostgreSQL cannot contain surrogates") from error
    quoted = text.replace("'", "''")
    if "\\" in quoted:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def quote_identifier(name: str) -> str:
    """The name as a quoted SQL identifier.

    Raises:
        StatementFailed: 22021, as for literals; 42602 for an empty name.
    """
    if not name:
        raise StatementFailed("42602", "a name cannot be empty")
    quote_literal(name)
    return '"' + name.replace('"', '""') + '"'


def check_role(role: str) -> None:
    """Refuse what no PostgreSQL role is called; whether there is one of that name, PostgreSQL says.

    `none` is what SET ROLE calls the login role.

    Raises:
        StatementFailed: 22023, as PostgreSQL says it of roles that are not there.
    """
    if role in {"", "none"} or "\0" in role or not _fits(role):
        shown = role.encode(errors="replace").decode().replace("\0", "?")
        raise StatementFailed("22023", f'role "{shown}" does not exist')


def _fits(role: str) -> bool:
    try:
        return len(role.encode()) <= MOST_NAME_BYTES
    except UnicodeEncodeError:
        return False


def set_role(role: str) -> str:
    """The statement that makes the session run as a role; `LOGIN` is the login role.

    Raises:
        StatementFailed: 22023, when no role is called so.
    """
    if role == LOGIN:
        return "SET ROLE NONE"
    check_role(role)
    return f"SET ROLE {quote_identifier(role)}"


def begin(  # noqa: PLR0913 - what a transaction begins with
    context: QueryContext,
    *,
    write: bool,
    timeout_ms: int,
    isolation: str = "",
    opening: str = "",
    entries: Entries = (),
) -> str:
    """The message before the statement: transaction, time limit, fences, role and claims.

    `opening` is what a session behind a pooler says first in each transaction. The units are entered
    as the login role, in a statement of their own: as a part of the write they would be looked at
    too late, or not at all.

    Everything is local to the transaction. `fluxshard.tenant` carries the tenant, whatever the
    claim is called that it came from. `isolation` is a level's name; the session's is read committed.

    Raises:
        StatementFailed: No role is called so, or a value is no PostgreSQL text.
    """
    check_role(context.role)
    mode = "READ WRITE" if write else "READ ONLY"
    isolation = isolation or ("read committed" if opening else "")
    level = f"ISOLATION LEVEL {isolation.upper()}, " if isolation else ""
    tenant = quote_literal(context.tenant or "")
    entered = f" {entering(entries)};" if entries else ""
    return (
        f"BEGIN {level}{mode};{opening} SET LOCAL statement_timeout = {max(1, timeout_ms)};"
        f"{entered} SET LOCAL row_security = on;"
        f" SELECT pg_catalog.set_config('role', {quote_literal(context.role)}, true),"
        f" pg_catalog.set_config('request.jwt.claims', {quote_literal(context.claims)}, true),"
        f" pg_catalog.set_config('fluxshard.tenant', {tenant}, true){_surrounded(context)}"
    )


def _surrounded(context: QueryContext) -> str:
    """The rest of that message: the request's own settings, and the function that runs first."""
    environment = context.environment
    if environment is None:
        return ""
    settings = "".join(
        f", pg_catalog.set_config({quote_literal(name)}, {quote_literal(value)}, true)"
        for name, value in environment.settings
    )
    return f"{settings}; {environment.before}" if environment.before else settings


def opening(schemas: Sequence[str], marker: str) -> str:
    """The settings of a session that a pooler may change behind our back, for one transaction.

    They are those that other sessions get when they are opened. Temporary tables come last in the
    search path, or those that somebody else left behind would hide ours. `marker` is a setting of
    the session that PostgreSQL does not know elsewhere: asking for it fails there.
    """
    path = ", ".join((*map(quote_identifier, schemas), "pg_temp"))
    settings = (
        f"search_path = {path}",
        "standard_conforming_strings = on",
        "extra_float_digits = 1",
        "synchronous_commit = on",
        "timezone = 'UTC'",
        "jit = off",
    )
    local = " ".join(f"SET LOCAL {setting};" for setting in settings)
    found = f" SELECT pg_catalog.current_setting({quote_literal(marker)});" if marker else ""
    return f"{found} {local}"


@lru_cache(maxsize=8192)
def entering(entries: Entries) -> str:
    """Enter these units, as the login role, which it leaves behind.

    Raises:
        StatementFailed: 22021, as for literals.
    """
    calls = ", ".join(
        f"fluxshard.enter_all({entry.epoch})"
        if entry.unit == ALL
        else f"fluxshard.enter({quote_literal(entry.unit)}, {entry.epoch})"
        for entry in entries
    )
    return f"{as_login()}; SELECT {calls}"


def as_login() -> str:
    """For the rest of the transaction: run as the login role, which owns Fluxshard's own tables."""
    return "SET LOCAL ROLE NONE"


def as_role(role: str) -> str:
    """For the rest of the transaction: run as the caller's role again (deferred triggers do).

    Raises:
        StatementFailed: 22023, when no role is called so.
    """
    return set_role(role).replace("SET", "SET LOCAL", 1)


def taking_turns(name: str) -> str:
    """Wait until no other transaction of the database holds this name; ours does until its end.

    A prepared transaction goes on holding it, also over a crash.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"fluxshard").digest()
    return f"SELECT pg_catalog.pg_advisory_xact_lock({int.from_bytes(digest, signed=True)})"


_GATE: Final = int.from_bytes(
    hashlib.blake2b(b"gate", digest_size=8, person=b"fluxshard").digest(), signed=True
)
GATE_WAIT_MS: Final = 200
"""A snapshot that waits for one gate keeps others shut, and may wait for what waits for them."""
PASS_GATE: Final = f"SELECT pg_catalog.pg_advisory_xact_lock_shared({_GATE})"
"""In a transaction that is going to be prepared: hold the gate until it has ended."""
SHUT_GATE: Final = (
    f"SET LOCAL lock_timeout = {GATE_WAIT_MS}; SELECT pg_catalog.pg_advisory_lock({_GATE})"
)
"""Wait until nothing is prepared, and let nobody prepare; the session's, so it outlives BEGIN."""
OPEN_GATE: Final = f"SELECT pg_catalog.pg_advisory_unlock({_GATE})"


def clean(role: str) -> str:
    """The session as it was when it was opened for the role, whatever a statement did to it."""
    return f"{_SESSION_DEFAULTS}; {set_role(role)}"


def commit_and_clean(role: str) -> str:
    """COMMIT, then a clean session: for transactions that may have run code of users."""
    return f"{COMMIT}; {clean(role)}"


def rollback_and_clean(role: str) -> str:
    """ROLLBACK, then a clean session. Harmless outside a transaction: a warning."""
    return f"{ROLLBACK}; {clean(role)}"
