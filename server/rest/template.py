"""A statement without its values: SQL text, and where each argument comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from router import SESSION, Consistency, Form, Statement
from server.rest.operands import Convert
from server.rest.request import WHOLE, Page


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument that is part of the request's shape: a step of a JSON path, a language."""

    value: object


@dataclass(frozen=True, slots=True)
class Given:
    """An argument made from one of the request's values."""

    position: int
    convert: Convert


@dataclass(frozen=True, slots=True)
class Limit:
    """The page's limit."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The page's offset."""


Slot = Constant | Given | Limit | Offset


@dataclass(frozen=True, slots=True)
class Template:
    """SQL with `$n` parameters; slot n-1 says what the argument is."""

    sql: str
    slots: tuple[Slot, ...]
    form: Form
    names: tuple[str, ...] = ()
    """The columns of rows of text."""
    consistency: Consistency = SESSION
    """How fresh its rows are, unless the caller says otherwise."""

    def statement(
        self,
        values: Sequence[Any] = (),
        page: Page = WHOLE,
        *,
        counted: bool = False,
        exactly: int | None = None,
    ) -> Statement:
        """The statement with these values.

        Raises:
            ParameterMalformed: A value has not the form that its operator needs.
        """
        args: list[object] = []
        for slot in self.slots:
            if type(slot) is Given:  # by far the most frequent
                args.append(slot.convert(values[slot.position]))
            elif type(slot) is Limit:
                args.append(page.limit)
            elif type(slot) is Offset:
                args.append(page.offset)
            elif type(slot) is Constant:
                args.append(slot.value)
        return Statement(self.sql, tuple(args), self.form, counted, exactly)


class Draft:
    """The slots of a template in the making."""

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots: list[Slot] = []

    def param(self, slot: Slot) -> str:
        """The next parameter, `$n`. What follows it in the text must be a space, `)` or `::`."""
        self.slots.append(slot)
        return f"${len(self.slots)}"

    def template(self, sql: str, form: Form, names: tuple[str, ...] = ()) -> Template:
        """The finished template."""
        return Template(sql, tuple(self.slots), form, names)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
