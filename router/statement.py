"""What goes into the router, and what comes out: the same for one shard or forty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from shardmap import ShardId

WHOLE_ROWS: Final = 1000
"""An answer of so many rows is always given whole, however it is asked for.

Most reads have far fewer, and one round trip answers them. It is also the largest batch of a
stream: larger ones save nothing, and rows of a kilobyte already make a megabyte of it."""


FEW_ROWS: Final = 250
"""Of each of several shards so many rows are asked for in one round trip, before cursors are opened.

Cursors take five round trips to give a first and last batch. More rows would come late where there
are many: then these were in vain."""


SEPARATOR: Final = ", \n "
"""What `json_agg` writes between two rows."""


class Form(Enum):
    """The form in which a caller wants its rows."""

    ROWS = auto()
    """Tuples of Python values."""
    JSON = auto()
    """The text of one JSON array, made by PostgreSQL (`json_agg`)."""


@dataclass(frozen=True, slots=True)
class JsonRows:
    """A JSON array of objects as an argument: the text that PostgreSQL gets, and its reading.

    `rows` is read for tenant keys only, so that numbers keep the digits they were sent with.
    """

    text: str
    rows: Sequence[Mapping[str, Any]]


class Statement(NamedTuple):
    """One SQL statement with `$n` parameters, and the form its answer should have.

    `counted` asks a read for the exact number of rows that it would give without LIMIT and OFFSET,
    in the same snapshot. `exactly` fails the statement, and rolls a write back, when it gives
    another number of rows.
    """

    sql: str
    args: tuple[object, ...] = ()
    form: Form = Form.ROWS
    counted: bool = False
    exactly: int | None = None


class Served(NamedTuple):
    """Who answered for one shard: the evidence behind an answer."""

    shard: ShardId
    endpoint: str
    replica: bool


class Result(NamedTuple):
    """The answer to a statement.

    ROWS: `columns` and `rows`. JSON: `body`, one JSON array. `row_count` is the number of rows
    returned, or changed by a write without RETURNING. `total` answers `Statement.counted`.
    """

    row_count: int
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[object, ...]] = ()
    body: str = "[]"
    total: int | None = None
    served: tuple[Served, ...] = ()


class Piece(NamedTuple):
    """Rows of an answer that comes in pieces, in the order of the answer. Never empty.

    ROWS: `rows`. JSON: `text`, the rows as they stand between the brackets of the array.
    """

    row_count: int
    text: str = ""
    rows: Sequence[tuple[object, ...]] = ()
