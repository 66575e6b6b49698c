"""What PostgreSQL says about a statement before it runs: the types of its parameters and columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from router.live.preamble import quote_identifier

_OWN: str = "pg_catalog"


class OutputColumn(NamedTuple):
    """One column of a statement's rows: its name as written, and its type's."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Description:
    """A statement's parameters, in order, by types fit for a cast; and the columns of its rows."""

    parameters: tuple[str, ...]
    columns: tuple[OutputColumn, ...]


class NamedType(Protocol):
    """A type as the driver knows it: arrays are called `element[]`."""

    @property
    def name(self) -> str:
        """Without its schema."""
        ...

    @property
    def schema(self) -> str:
        """`pg_catalog` for PostgreSQL's own."""
        ...


def description(
    parameters: Sequence[NamedType], columns: Sequence[tuple[str, NamedType]]
) -> Description:
    """The description in our terms."""
    return Description(
        tuple(map(spelled, parameters)),
        tuple(OutputColumn(name, _shown(kind)) for name, kind in columns),
    )


def spelled(kind: NamedType) -> str:
    """The type as SQL, fit for a cast.

    `bit` and `char` are quoted, because unquoted they mean one bit and one character.
    """
    name, brackets = kind.name.removesuffix("[]"), "[]" * kind.name.endswith("[]")
    if kind.schema != _OWN:
        return f"{quote_identifier(kind.schema)}.{quote_identifier(name)}{brackets}"
    return f"{quote_identifier(name) if name in {'bit', 'char'} else name}{brackets}"


def _shown(kind: NamedType) -> str:
    return kind.name if kind.schema == _OWN else f"{kind.schema}.{kind.name}"
