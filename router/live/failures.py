"""Driver errors as router errors: the one place where asyncpg's and the network's are translated.

Besides the public errors there are seven that the backends use among themselves, to know what may
be tried again and where. Each is a kind of the public error that remains when nothing helps:

ShardDown
└── TryAgain
    ├── EndpointLost      the connection broke: the endpoint may be down, a read goes elsewhere
    ├── RecoveryConflict  replay on a replica cancelled a read: it goes elsewhere
    ├── BehindFloor       the server was restarted and shows less than it did: it goes elsewhere
    └── PlanOutdated      a prepared statement is outdated and was not run: prepare it again
PoolTimeout
└── EndpointFull          the server has no room for our connection: a read goes elsewhere
PrimaryAway
└── NotSent           the write did not leave us: it may be begun again
"""

import json
from dataclasses import dataclass
from typing import Final

import asyncpg

from router.errors import (
    DeadlineExceeded,
    PoolTimeout,
    PrimaryAway,
    RouterError,
    ShardDown,
    StatementFailed,
)
from router.fences import Fence
from router.live.preamble import MARKER
from router.move_errors import UnitHeld, UnitMoved, UnitRefused
from router.pooling_errors import PoolerUndeclared
from shardmap import ShardId

DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
    ValueError,  # a result that Python's types cannot hold, text that is not UTF-8
    OverflowError,
)
"""What the driver raises for reasons outside our own code."""

_GOING_AWAY: Final = frozenset({"57P01", "57P02", "57P03", "57P04"})
"""admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped."""
_SESSION_ENDED: Final = frozenset({"25P03", "25P04", "57P05"})
"""The server ended this session for sitting idle; itself it is well."""
_READ_ONLY: Final = "25006"
_UNDEFINED: Final = "42704"
_FEATURE_NOT_SUPPORTED: Final = "0A000"
"""`BEGIN READ WRITE` during recovery."""
_CANCELED: Final = "57014"
_RETRIABLE_READS: Final = frozenset({"40001", "40P01"})
"""A read in READ COMMITTED meets these only when replay on a replica stands in its way."""
_TROUBLE: Final = frozenset({"53", "57", "58", "XX"})
_HELD: Final = "FX002"
_FENCED: Final = frozenset({"FX001", _HELD})
"""What fences say, see catalogue/fences.sql."""
_NO_SUCH_STATEMENT: Final = "26000"
_OUR_ROLLBACK: Final = frozenset({"08", "53", "57", "58", "F0", "XX"})
"""Classes of errors at COMMIT that do not prove a rollback."""


class TryAgain(ShardDown):
    """The statement left no trace and may run again, on this endpoint or another."""

    def __init__(self, shard: ShardId, endpoint: str, message: str) -> None:
        super().__init__(shard, message)
        self.endpoint = endpoint


class EndpointLost(TryAgain):
    """The connection to the endpoint broke, or none could be made.

    `down`: it is a sign that the endpoint is not well, rather than this one session.
    """

    def __init__(self, shard: ShardId, endpoint: str, message: str, *, down: bool = True) -> None:
        super().__init__(shard, endpoint, message)
        self.down = down


class RecoveryConflict(TryAgain):
    """A replica cancelled the read, because replay had to remove what it was reading."""


class BehindFloor(TryAgain):
    """A server answered a read from before what the reader has seen; its answer is dropped."""


class PlanOutdated(TryAgain):
    """The prepared statement does not fit the schema any more. It was not run."""


class EndpointFull(PoolTimeout):
    """The server is well, and has no room for another connection (SQLSTATE 53300)."""

    def __init__(self, shard: ShardId, endpoint: str) -> None:
        super().__init__(shard, f"connection pool: {endpoint} accepts no more connections")
        self.endpoint = endpoint


ELSEWHERE: Final = (TryAgain, EndpointFull)
"""After these a read may run again, most likely on another endpoint."""


class NotSent(PrimaryAway):
    """The write did not get as far as its statement."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a driver error happened."""

    shard: ShardId
    endpoint: str
    read: bool
    closed: bool
    """The connection is closed now."""
    expired: bool
    """The request's deadline has passed."""


def translated(error: Exception, scene: Scene) -> RouterError:
    """The router's error for one of `DRIVER_ERRORS`.

    Raises:
        Exception: The same, when it says that our own code is wrong.
    """
    match error:
        case TimeoutError():
            return DeadlineExceeded(f"{scene.endpoint} did not answer in time")
        case asyncpg.DataError(severity=None):  # made by the driver: nothing was sent
            return StatementFailed("22P02", str(error))
        case asyncpg.PostgresError():
            return _from_server(error, scene)
        case asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return _from_driver(error, scene)
        case OSError():
            message = f"the connection to {scene.endpoint} broke: {error}"
            return EndpointLost(scene.shard, scene.endpoint, message)
        case _:
            return StatementFailed("22000", f"a value cannot be represented: {error}")


def _from_driver(error: Exception, scene: Scene) -> RouterError:
    if isinstance(error, asyncpg.OutdatedSchemaCacheError):
        message = f"a type changed its shape on {scene.endpoint}"
        return PlanOutdated(scene.shard, scene.endpoint, message)
    if scene.closed:
        # The server ended the idle session, which the driver notices in two steps: in between it
        # calls our use of it an internal error. Other sessions may be well.
        message = f"the session on {scene.endpoint} had ended"
        return EndpointLost(scene.shard, scene.endpoint, message, down=False)
    if str(error).startswith("the server expects"):
        return StatementFailed("08P01", str(error))
    raise error


def _from_server(error: asyncpg.PostgresError, scene: Scene) -> RouterError:
    state = error.sqlstate or "XX000"
    if isinstance(error, asyncpg.InvalidCachedStatementError) or state == _NO_SUCH_STATEMENT:
        return PlanOutdated(
            scene.shard, scene.endpoint, f"the statement changed its meaning on {scene.endpoint}"
        )
    if state in _FENCED:
        return _fenced(error, scene)
    if state == _UNDEFINED and f'"{MARKER}' in str(error):
        message = f"the session on {scene.endpoint} is not the one that was opened there:"
        return PoolerUndeclared(scene.shard, f"{message} a pooler shares it in transaction mode")
    if _lost(error, state):
        return EndpointLost(scene.shard, scene.endpoint, f"{scene.endpoint} went away: {error}")
    if state in _SESSION_ENDED:
        return EndpointLost(
            scene.shard, scene.endpoint, f"{scene.endpoint} ended the session", down=False
        )
    if state == _CANCELED and scene.expired:
        return DeadlineExceeded(f"{scene.endpoint} did not answer in time")
    if state in _RETRIABLE_READS and scene.read:
        return RecoveryConflict(
            scene.shard, scene.endpoint, f"replay on {scene.endpoint} interrupted the read"
        )
    if state == _READ_ONLY and not scene.read:
        return PrimaryAway(scene.shard, f"{scene.endpoint} is no longer the primary")
    return StatementFailed(
        state,
        error.message or str(error),
        detail=error.detail,
        hint=error.hint,
        table=error.table_name,
        column=error.column_name,
        constraint=error.constraint_name,
    )


def _fenced(error: asyncpg.PostgresError, scene: Scene) -> UnitRefused:
    """What the fence of a unit said, see catalogue/fences.sql."""
    said = json.loads(error.detail) if error.detail else {}
    fence = None
    if "unit" in said:
        moved_to = said["moved_to"]
        fence = Fence(
            said["unit"],
            said["epoch"],
            said["state"],
            None if moved_to is None else ShardId(moved_to),
        )
    refused = UnitHeld if error.sqlstate == _HELD else UnitMoved
    return refused(scene.shard, f"shard {scene.shard}: {error.message or error}", fence)


def _lost(error: asyncpg.PostgresError, state: str) -> bool:
    """Whether the endpoint is going or gone. 08P01 is not: it is about one message."""
    if state in _GOING_AWAY:
        return True
    return state.startswith("08") and not isinstance(error, asyncpg.ProtocolViolationError)


def says_ill(state: str) -> bool:
    """Whether a read's SQLSTATE may tell of the server's own trouble, not of the statement.

    Insufficient resources, operator intervention, system errors, internal errors.
    """
    return state[:2] in _TROUBLE and state != _CANCELED


def says_read_only(error: Exception) -> bool:
    """Whether a transaction that should write could not begin, because the server is a replica."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in {
        _READ_ONLY,
        _FEATURE_NOT_SUPPORTED,
    }


def proves_rollback(error: Exception) -> bool:
    """Whether an error at COMMIT says that the transaction is gone, with certainty.

    Deferred constraints, triggers and serialization do; a server that goes away does not.
    """
    if not isinstance(error, asyncpg.PostgresError) or error.sqlstate is None:
        return False
    return error.sqlstate[:2] not in _OUR_ROLLBACK


def says_ended(error: Exception) -> bool:
    """Whether COMMIT or ROLLBACK PREPARED found nothing of that name: it has ended before."""
    return isinstance(error, asyncpg.UndefinedObjectError)


def unprepared(error: Exception) -> bool:
    """Whether the database lacks what the bootstrap makes: the identity table or the roles."""
    return isinstance(
        error,
        asyncpg.UndefinedTableError
        | asyncpg.InvalidSchemaNameError
        | asyncpg.InvalidParameterValueError
        | asyncpg.UndefinedObjectError
        | asyncpg.InsufficientPrivilegeError,
    )


def refuses_settings(error: Exception) -> bool:
    """Whether the session was refused for the settings that it came with: PostgreSQL knows them all.

    PgBouncer refuses those that it does not.
    """
    return isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error)


def refuses_connections(error: Exception) -> bool:
    """Whether the server has no room for another connection."""
    return isinstance(error, asyncpg.TooManyConnectionsError)
