"""The errors of the router; a class says what the caller should do.

RouterError
├── QueryRefused                  400  the caller must change the statement   never retry
│   ├── StatementNotUnderstood    P100
│   ├── SeveralStatements         P101
│   ├── UnsupportedAcrossShards   P102
│   ├── TableNotPlaced            P103
│   ├── TenantKeyMissing          P104
│   ├── TenantKeyInvalid          P105
│   ├── FunctionRefused           P106
│   ├── SeveralShardsWritten      P107
│   ├── FilterRequired            P108
│   ├── RowCountUnexpected        P109  the statement was rolled back
│   ├── UniqueNotGuarded          P110  the statement was rolled back
│   ├── ResponsesDiffer, RowsTooMany  see `router.environment`
│   ├── SeveralShardsInTransaction P120
│   ├── ReadOnlyAsked             P121
│   ├── TransactionOver           P122
│   ├── PullUpTooLarge            P130  too many rows for one server
│   └── SessionNeeded             see `router.pooling_errors`
├── AccessRefused                 403  the caller may not                      never retry
│   ├── TenantRequired            P150
│   ├── OtherTenant               P151
│   ├── TenantKeyNull             P152
│   ├── TenantKeyChanged          P153
│   └── ServiceOnly               P154
├── WriteKeyRefused               409, 422  the key of the write is another's
│   ├── WriteKeyInUse             P160  repeat later
│   ├── WriteKeyOfOtherRequest    P161
│   └── WriteKeyOfOtherBody       P162
├── ShardUnavailable              503  the cluster cannot answer now           safe to repeat
│   ├── PoolTimeout               P201
│   ├── ShardDown                 P202
│   ├── PrimaryAway               P203
│   ├── QuorumLost                P204
│   ├── IdentityMismatch          P205
│   ├── CommitOvertaken           P206
│   ├── SchemasDiffer             P207
│   ├── SnapshotBusy              P208
│   ├── PrimariesConflict         P209
│   ├── SchemaUnread              P219  (a ShardDown)
│   ├── MapOutdated               P213
│   ├── PoolQueueFull, PoolerUndeclared   see `router.pooling_errors`
│   └── UnitRefused, MoveUnderWay         see `router.move_errors`
├── DeadlineExceeded              504  P301  the caller's time ran out         reads: repeat; ask for more time
├── SetupRefused                       see `router.setup_errors`             the server does not start
├── DeclarationNotUnderstood           see there as well
├── CommitUnknown                 500  P302  the outcome is not known          look before repeating
├── CommitUnfinished              500  P303  written, not visible everywhere   do not repeat
├── InTransaction                 another of these, with the statement of a transaction that met it
└── StatementFailed               PostgreSQL said no: its SQLSTATE, message, detail and hint pass through

Codes are public, documented in docs/errors.md and never reused.
"""

from shardmap import ShardId


class RouterError(Exception):
    """Anything that keeps the router from answering. `hint` says what would help."""

    code = "P000"
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint


class QueryRefused(RouterError):
    """The statement cannot be answered rightly as it is; nothing was run."""


class StatementNotUnderstood(QueryRefused):
    """The statement does not parse, or is of a kind that is never routed."""

    code = "P100"


class SeveralStatements(QueryRefused):
    """The text holds more than one statement."""

    code = "P101"
    hint = "Send one statement at a time."


class UnsupportedAcrossShards(QueryRefused):
    """The statement is valid SQL that we cannot answer from several shards."""

    code = "P102"

    def __init__(self, construct: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"{construct} cannot run across shards",
            hint=hint or "Name the tenant, so that one shard can answer.",
        )
        self.construct = construct


class TableNotPlaced(QueryRefused):
    """The shard map does not say where the table's rows are."""

    code = "P103"

    def __init__(self, table: str) -> None:
        super().__init__(
            f"the shard map has no placement for table {table}",
            hint="Add it under tables: in the shard map (sharded, reference or global).",
        )
        self.table = table


class TenantKeyMissing(QueryRefused):
    """An insert into a sharded table names no tenant, and none is in context."""

    code = "P104"


class TenantKeyInvalid(QueryRefused):
    """A tenant key is not of the map's key type. Carries PostgreSQL's own 22P02."""

    code = "P105"
    sqlstate = "22P02"


class FunctionRefused(QueryRefused):
    """The statement calls a function that could step outside its session or tenant."""

    code = "P106"


class SeveralShardsWritten(QueryRefused):
    """The write concerns several shards in a form that cannot be run on them together."""

    code = "P107"
    hint = "Write one tenant's rows per request."


class FilterRequired(QueryRefused):
    """An update or delete of a sharded table has neither tenant nor filter."""

    code = "P108"


class RowCountUnexpected(QueryRefused):
    """The statement gave another number of rows than was asked for; a write was rolled back."""

    code = "P109"

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected {expected} row(s), the result contains {found}")
        self.expected = expected
        self.found = found


class UniqueNotGuarded(QueryRefused):
    """A table that is written lacks the triggers for its globally unique columns."""

    code = "P110"
    hint = "`fluxshard map apply` sets its guards, while the table is empty."


class SeveralShardsInTransaction(QueryRefused):
    """The statements of one transaction concern more than one shard."""

    code = "P120"
    hint = "Give each shard's rows a transaction of its own."


class ReadOnlyAsked(QueryRefused):
    """The caller asked for reads only, and the statement is not known to only read."""

    code = "P121"


class TransactionOver(QueryRefused):
    """The transaction has failed or ended: it takes no more statements and cannot be committed."""

    code = "P122"
    hint = "Roll it back and begin another."


class PullUpTooLarge(QueryRefused):
    """The rows that one server would need to compute the answer are more than is allowed."""

    code = "P130"
    hint = (
        "Name the tenant, or filter each table by itself, so that fewer rows are needed; an"
        " operator can raise FLUXSHARD_PULL_UP_ROWS and FLUXSHARD_PULL_UP_BYTES."
    )


class AccessRefused(RouterError):
    """The caller may not do this. Nothing was run."""


class TenantRequired(AccessRefused):
    """A sharded table was named by a caller that has no tenant and is no service."""

    code = "P150"
    hint = "Use a token that carries the tenant claim."


class OtherTenant(AccessRefused):
    """The statement requires rows of another tenant than the caller's."""

    code = "P151"


class TenantKeyNull(AccessRefused):
    """A row of a sharded table was given NULL as its tenant key."""

    code = "P152"


class TenantKeyChanged(AccessRefused):
    """An update would change the tenant key of rows."""

    code = "P153"
    hint = "Moving a row to another tenant is an insert and a delete."


class ServiceOnly(AccessRefused):
    """Only the service role may do this."""

    code = "P154"


class ShardUnavailable(RouterError):
    """The cluster cannot answer now. Nothing was written; repeating is safe."""

    retry_after_s = 1

    def __init__(self, shard: ShardId, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.shard = shard


class PoolTimeout(ShardUnavailable):
    """No connection of the connection pool came free in time."""

    code = "P201"


class ShardDown(ShardUnavailable):
    """No endpoint of the shard that could answer is reachable."""

    code = "P202"


class SchemaUnread(ShardDown):
    """Since this process began no database could be asked what tables there are."""

    code = "P219"


class PrimaryAway(ShardUnavailable):
    """The shard has no writable primary at the moment. The write was not sent."""

    code = "P203"


class QuorumLost(ShardUnavailable):
    """No standby confirms the shard's commits, so a new write is not begun."""

    code = "P204"


class IdentityMismatch(ShardUnavailable):
    """The server that answers at an endpoint belongs to another cluster or shard."""

    code = "P205"


class CommitOvertaken(ShardUnavailable):
    """A commit on several shards took so long that recovery rolled it back everywhere."""

    code = "P206"


class SchemasDiffer(ShardUnavailable):
    """Shards have a table in ways that contradict each other: a migration is under way.

    Or they write values in formats that contradict each other (`DateStyle` and such).
    """

    code = "P207"
    hint = "It passes when the migration is on every shard; `fluxshard migrate check` names it all."


class SnapshotBusy(ShardUnavailable):
    """Writes on several shards kept a snapshot of them from being taken."""

    code = "P208"


class PrimariesConflict(ShardUnavailable):
    """Several servers of the shard claim to be its primary, on one timeline. Nothing was sent."""

    code = "P209"
    hint = "An operator has to decide which server's writes are kept, and stop the other one."


class MapOutdated(ShardUnavailable):
    """Others use a newer shard map, which cannot be had here: tenants may have moved."""

    code = "P213"


class WriteKeyRefused(RouterError):
    """The write was not run because of the key that it came with."""


class WriteKeyInUse(WriteKeyRefused):
    """The first request with the key is still running."""

    code = "P160"
    hint = "Repeat it later: you get the answer of the first one."

    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is still running")


class WriteKeyOfOtherRequest(WriteKeyRefused):
    """The key was given to a request with another method or path."""

    code = "P161"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another method or path")


class WriteKeyOfOtherBody(WriteKeyRefused):
    """The key was given to a request with another body."""

    code = "P162"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another request body")


class DeadlineExceeded(RouterError):
    """The request's time ran out. A read changed nothing; a write was rolled back."""

    code = "P301"


class CommitUnknown(RouterError):
    """The server was lost while it committed: the write is wholly there, or wholly not."""

    code = "P302"
    hint = (
        "Look whether the write is there before repeating it; one with an Idempotency-Key can be"
        " repeated."
    )


class CommitUnfinished(RouterError):
    """The write is committed on every shard, and one of them does not show it yet."""

    code = "P303"
    hint = "Do not repeat it: it appears there by itself."


class InTransaction(RouterError):
    """One statement of a transaction met an error. Nothing of the transaction remains."""

    def __init__(self, statement: int, failure: RouterError) -> None:
        """`statement` counts from 0."""
        super().__init__(failure.message, hint=failure.hint)
        self.code = failure.code
        self.statement = statement
        self.failure = failure


class StatementFailed(RouterError):
    """PostgreSQL refused the statement; nothing of it remains."""

    code = "P400"

    def __init__(  # noqa: PLR0913 - the fields of PostgreSQL's error message
        self,
        sqlstate: str,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        table: str | None = None,
        column: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
        self.detail = detail
        self.table = table
        self.column = column
        self.constraint = constraint
