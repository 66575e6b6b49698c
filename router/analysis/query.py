"""What analysis knows of a statement before it sees an argument or a shard.

A `Query` is cached by the statement's text, so nothing in it may depend on an argument's value or
on the map's slots, pins and shards: it says *where in the arguments* the tenant keys are.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from router.backends import Access
from router.errors import UnsupportedAcrossShards
from shardmap import KeyType


@dataclass(frozen=True, slots=True)
class Param:
    """A statement argument, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class ParamArray:
    """Every element of an array argument, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class RecordField:
    """One field of every record of a `JsonRows` argument, counted from 0."""

    index: int
    field: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal of the text; None is NULL."""

    value: str | int | None


Source = Param | ParamArray | RecordField | Constant
"""Where tenant keys come from at run time."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The tenant is one of the keys that these sources give. No source: no row matches."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """Each part holds: the tenants that all of them allow."""

    parts: tuple["Scope", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One part holds: the tenants that any of them allows."""

    parts: tuple["Scope", ...]


@dataclass(frozen=True, slots=True)
class Unbounded:
    """Nothing says which tenants are concerned."""


Scope = Keys | Both | Either | Unbounded
"""Which tenants a statement can concern, as an expression over its arguments."""


def names_one(scope: Scope) -> bool:
    """Whether a statement concerns one tenant at most, whatever its arguments are.

    Literals do not count: a template puts a list of any length where it saw one.
    """
    match scope:
        case Keys((Param(),)):
            return True
        case Both(parts):
            return any(names_one(part) for part in parts)
        case _:
            return False


class Target(Enum):
    """Where the statement's tables are."""

    SHARDED = auto()
    """At least one sharded table; the others are reference tables."""
    REFERENCE = auto()
    """Reference tables only: any shard has all rows."""
    GLOBAL = auto()
    """Global tables only: the catalog's database."""
    UNSHARDED = auto()
    """The one shard there is."""
    NOTHING = auto()
    """No table at all."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """How rows of several shards are merged by one hidden column."""

    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class GatherForm:
    """The statement as each of several shards gets it, and how the answers become one.

    `sql` orders, gives `limit + offset` rows, and carries the sort columns behind the others.
    """

    sql: str
    sort: tuple[SortKey, ...]
    limit: Source | None
    offset: Source | None
    rows: str | None = None
    """The same with each row in a row of its own: JSON text or columns, the sort columns, [total].
    None: it cannot be answered in pieces."""
    page: str | None = None
    """`sql` for pages of no more than `WHOLE_ROWS` rows; None: `sql` itself."""
    few: str | None = None
    """`sql`, cut to one row more than `FEW_ROWS`; None: it is not JSON."""


@dataclass(frozen=True, slots=True)
class StreamForm:
    """A read of one shard that returns JSON, where its answer may be too large to be held."""

    capped: str
    """Its answer, cut to one row more than what is answered whole."""
    rows: str
    """The JSON text of each row, in a row of its own, [and the total]."""


Piece = tuple[str | Param, ...]
"""Text with its parameters apart, so that they can be numbered anew."""


@dataclass(frozen=True, slots=True)
class ValueRows:
    """The text of an insert cut at the rows of its VALUES: each shard gets only its own."""

    head: Piece
    rows: tuple[Piece, ...]
    tail: Piece


@dataclass(frozen=True, slots=True)
class Records:
    """The `JsonRows` argument (counted from 0) of an insert, of which each shard gets its own.

    `ordered`: the rows come back in the order in which they are given.
    """

    index: int
    ordered: bool


@dataclass(frozen=True, slots=True)
class SpreadForm:
    """A write as each of several shards runs it: on all its rows, or on those given to it.

    In JSON form `sql` gives one row: an array of the rows' JSON texts, and their number.
    """

    sql: str
    given: ValueRows | Records | None = None


@dataclass(frozen=True, slots=True)
class CopyForm:
    """A write of a reference table: run once, its rows taken over by every other shard.

    `sql` gives the rows as its last column, `follow` takes them as its only argument, see
    `router.backends.Together`.
    """

    table: str
    sql: str
    follow: str


@dataclass(frozen=True, slots=True)
class NotTogether:
    """Why a write cannot be run on several shards: it would not do what one PostgreSQL does."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class PulledTable:
    """A sharded table: what is selected of it on each shard travels as so many arrays."""

    name: str
    sql: str
    arrays: int


class Total(Enum):
    """How integers of several shards become one."""

    ADDED = auto()
    LEAST = auto()
    GREATEST = auto()


@dataclass(frozen=True, slots=True)
class PullUpForm:
    """The statement as one server computes it, over rows fetched from several shards.

    `fetch` takes two arguments of its own before the statement's that it uses. `sql` takes those
    of the statement that are in `args`, then the arrays of all tables, in order.
    """

    fetch: str
    fetch_args: tuple[int, ...]
    tables: tuple[PulledTable, ...]
    sql: str
    args: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TotalsForm:
    """The answer of each shard is one row of integers, and these make the answer of all."""

    columns: tuple[Total, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """The parameter-free facts of one statement for one kind of caller.

    `sql` is what one shard runs: the original text with the tenant predicate spliced in when the
    caller has a tenant, in its answer's form. When it is `scoped`, the tenant follows the
    statement's own `parameters` as one more argument.
    """

    access: Access
    target: Target
    sql: str
    inline_position: bool
    claims: bool
    scope: Scope
    """Which tenants the sharded tables are constrained to by the statement itself. Nobody asks that
    of a statement for a tenant in context: there it is unbounded."""
    required: tuple[Source, ...] = ()
    """Keys that every row must have: with a tenant in context they must be that tenant."""
    changed: tuple[Source, ...] = ()
    """Values that an update gives the tenant column."""
    key_type: KeyType = KeyType.INTEGER
    parameters: int = 0
    scoped: bool = False
    inserts: bool = False
    filtered: bool = True
    """An update or delete has a WHERE clause of its own."""
    gather: GatherForm | None = None
    pull_up: PullUpForm | TotalsForm | None = None
    """How one server answers where the shards cannot each for itself. Both are None also where the
    scope names one tenant at most, and so one shard."""
    leaves_out: bool = False
    """Rows of tenants that are not at home on a shard do not count; takes one argument more."""
    gather_refusal: UnsupportedAcrossShards | None = None
    """What keeps the statement from running on several shards."""
    stream: StreamForm | None = None
    together: SpreadForm | CopyForm | NotTogether | None = None
    """How a write is run on several shards; None: it never is."""
    writes_copies: bool = False
    """A reference table is written, so every shard is concerned."""
    unique: tuple[str, ...] = ()
    """The names of the globally unique columns of the tables that are written."""
    opaque: str | None = None
    """A function that it calls, which may read or write rows that the statement does not name."""
    local: str | None = None
    """A function that it calls, whose answer depends on the shard it runs on."""
    total: bool = False
    """The answer carries the total number of rows."""
    reply: "Reply" = field(default_factory=lambda: Reply.ROWS)


class Reply(Enum):
    """What one shard's rows look like."""

    ROWS = auto()
    """The statement's own rows."""
    ENVELOPE = auto()
    """One row: JSON text, number of rows, and the total when asked."""
    COMMAND = auto()
    """No rows: a write without RETURNING."""
