"""Conditions on rows as a tree without values: what REST filters mean in either dialect.

A leaf holds the *position* of its value in a list kept beside the tree, so that two requests that
differ in values only have equal trees, and one SQL text serves both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a JSON path: a key, or an index as decimal text."""

    key: str
    index: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or what a JSON path finds in it; `as_text` when the last arrow is `->>`."""

    column: str
    path: tuple[Step, ...] = ()
    as_text: bool = False


class Operand(Enum):
    """How the text of a filter's value becomes the right side of its operator."""

    LITERAL = auto()
    """PostgreSQL's own literal of the column's type."""
    SPELLED = auto()
    """The same; for array columns `(x,y)` and `["x","y"]` mean `{x,y}`."""
    TEXT = auto()
    """Text as given: a pattern or a regular expression."""
    STARRED = auto()
    """A pattern in which `*` means `%`."""
    LIST = auto()
    """`(a,"b,c",d)`: values of the column's type."""
    GEOMETRY = auto()
    """A geometry as GeoJSON or WKT, the second argument of a function of PostGIS."""
    QUERY = auto()
    """The argument of a full text query function."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A binary operator of the API. `sql` is the operator, or the function that makes a tsquery."""

    sql: str
    operand: Operand
    quantified: bool = False
    """`(any)` and `(all)` may follow it."""


class Quantifier(StrEnum):
    """Whether one, or each, element of an array must compare true."""

    ANY = "any"
    ALL = "all"


class Test(StrEnum):
    """What `is` can ask; the value is the SQL behind the operand."""

    __test__ = False  # the name is the API's, not a test case's

    NULL = "IS NULL"
    NOT_NULL = "IS NOT NULL"
    TRUE = "IS TRUE"
    FALSE = "IS FALSE"
    UNKNOWN = "IS UNKNOWN"


@dataclass(frozen=True, slots=True)
class Compare:
    """`field operator value`; `value` is a position in the list of values."""

    field: Field
    operator: Operator
    value: int
    quantifier: Quantifier | None = None
    language: str | None = None
    """Text search configuration of a full text query."""
    numeric: bool = False
    """Compare JSON text as numbers."""


@dataclass(frozen=True, slots=True)
class Is:
    """`field IS …`."""

    field: Field
    test: Test


@dataclass(frozen=True, slots=True)
class Unrelated:
    """The embed of that name is empty."""

    relation: str


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions, all of which (`every`) or any of which must hold."""

    members: tuple["Condition", ...]
    every: bool


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a condition (NULL stays NULL)."""

    condition: "Condition"


Condition = Compare | Is | Unrelated | Group | Negation

_RANGES: Final = {"sl": "<<", "sr": ">>", "nxr": "&<", "nxl": "&>", "adj": "-|-"}
_ORDERED: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

POSTGREST_OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {name: Operator(sql, Operand.LITERAL, quantified=True) for name, sql in _ORDERED.items()}
    | {name: Operator(sql, Operand.LITERAL) for name, sql in _RANGES.items()}
    | {
        "neq": Operator("<>", Operand.LITERAL),
        "isdistinct": Operator("IS DISTINCT FROM", Operand.LITERAL),
        "cs": Operator("@>", Operand.LITERAL),
        "cd": Operator("<@", Operand.LITERAL),
        "ov": Operator("&&", Operand.LITERAL),
        "like": Operator("LIKE", Operand.STARRED, quantified=True),
        "ilike": Operator("ILIKE", Operand.STARRED, quantified=True),
        "match": Operator("~", Operand.TEXT, quantified=True),
        "imatch": Operator("~*", Operand.TEXT, quantified=True),
        "in": Operator("=", Operand.LIST),
        "fts": Operator("to_tsquery", Operand.QUERY),
        "plfts": Operator("plainto_tsquery", Operand.QUERY),
        "phfts": Operator("phraseto_tsquery", Operand.QUERY),
        "wfts": Operator("websearch_to_tsquery", Operand.QUERY),
    }
)

NATIVE_OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {name: Operator(sql, Operand.SPELLED) for name, sql in (_ORDERED | _RANGES).items()}
    | {
        "neq": Operator("<>", Operand.SPELLED),
        "cs": Operator("@>", Operand.SPELLED),
        "cd": Operator("<@", Operand.SPELLED),
        "ov": Operator("&&", Operand.SPELLED),
        "like": Operator("LIKE", Operand.TEXT),
        "ilike": Operator("ILIKE", Operand.TEXT),
        "in": Operator("=", Operand.LIST),
        **{
            f"st_{name}": Operator(f"st_{name}", Operand.GEOMETRY)
            for name in ("intersects", "contains", "within", "touches", "crosses", "overlaps")
        },
        "fts": Operator("plainto_tsquery", Operand.QUERY),
        "plfts": Operator("phraseto_tsquery", Operand.QUERY),
        "wfts": Operator("websearch_to_tsquery", Operand.QUERY),
    }
)
