"""A table request as a value, free of HTTP, dialect and parameters: what both parsers make."""

from dataclasses import dataclass
from typing import NamedTuple

from router import Parameter, Routine
from server.rest.filters import Condition, Field
from shardmap import TableName


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the answer: a field, perhaps cast, perhaps renamed. No field means `*`.

    With an aggregate it is that of the field's values, or the number of rows; then the others that
    are shown beside it are what rows are grouped by.
    """

    field: Field | None
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    result: str | None = None
    """What the aggregate is cast to."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of an order; None leaves PostgreSQL's default.

    `relation` names an embed: the key is a column of the one row that it gives.
    """

    field: Field
    descending: bool | None = None
    nulls_first: bool | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Embed:
    """Rows of a related table within each row: an object, or an array of them.

    `relation` is what the client wrote: a table, a foreign key or its column. `limit` and `offset`
    are positions in the list of values.
    """

    relation: str
    outputs: tuple["Item", ...]
    """Without any the relation only filters."""
    alias: str | None = None
    hint: str | None = None
    inner: bool = False
    """Rows without a related one are left out."""
    spread: bool = False
    """Its outputs become outputs of the row that it is in."""
    where: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = ()
    limit: int | None = None
    offset: int | None = None

    @property
    def name(self) -> str:
        """Its key in the row."""
        return self.alias or self.relation


Item = Output | Embed


@dataclass(frozen=True, slots=True)
class Shown:
    """What the rows of an answer look like. No outputs means `*`."""

    outputs: tuple[Item, ...] = ()
    as_text: bool = False
    """Each value as PostgreSQL's text, for CSV."""
    features: bool = False
    """Each row becomes a GeoJSON feature, so one of its columns must be a geometry."""
    truncate: int | None = None
    """Text columns are cut to that many characters."""


@dataclass(frozen=True, slots=True)
class ReadRows:
    """A select. `limited` and `skipped` say whether LIMIT and OFFSET are there, not their values."""

    table: TableName
    shown: Shown = Shown()
    where: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = ()
    limited: bool = False
    skipped: bool = False
    grouped: tuple[Field, ...] = ()
    """What rows are grouped by, besides what is shown beside aggregates."""
    counting: bool = False
    """Its rows are only counted: nothing of them is shown, and they have no order."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """What an upsert does about a row that exists: `updated` is set, or nothing happens."""

    target: tuple[str, ...]
    updated: tuple[str, ...]


Cells = tuple[tuple[int | None, ...], ...]
"""For each row the positions of its columns' values; None: the column's default."""


@dataclass(frozen=True, slots=True)
class InsertRows:
    """An insert of the JSON rows that are value 0. No columns means one row of defaults."""

    table: TableName
    columns: tuple[str, ...]
    conflict: Conflict | None = None
    shown: Shown | None = None
    """None: no RETURNING."""
    cells: Cells | None = None
    """The rows one value at a time, in place of value 0."""
    marked: bool = False
    """Each row that it gives says first whether it was inserted (`MARK`)."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A column and the position of its new value; None sets the column's default."""

    column: str
    value: int | None


@dataclass(frozen=True, slots=True)
class UpdateRows:
    """An update of the rows that fit."""

    table: TableName
    assignments: tuple[Assignment, ...]
    where: tuple[Condition, ...] = ()
    shown: Shown | None = None


@dataclass(frozen=True, slots=True)
class DeleteRows:
    """A delete of the rows that fit."""

    table: TableName
    where: tuple[Condition, ...] = ()
    shown: Shown | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """An argument of a call; `value` is a position in the list of values."""

    parameter: Parameter
    value: int
    as_json: bool = False
    """An array or a composite value comes as JSON, not as PostgreSQL's literal."""
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class CallRoutine:
    """A call of a function, whose rows may be chosen from as a table's are."""

    routine: Routine
    passed: tuple[Passed, ...]
    shown: Shown = Shown()
    where: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = ()
    limited: bool = False
    skipped: bool = False
    apart: bool = False
    """Values of a set come in rows of their own, to be counted, not as one array."""


TableRequest = ReadRows | InsertRows | UpdateRows | DeleteRows | CallRoutine


class Page(NamedTuple):
    """Which rows of an ordered answer are wanted; `limit` None means all from `offset` on."""

    limit: int | None
    offset: int


WHOLE = Page(None, 0)
"""No limit, no offset."""
