"""Statements as trees of text, so that a failing one can shrink clause by clause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: `$n` with its argument when `bound`, else its literal."""

    literal: str
    argument: object = None
    cast: str = ""
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Text made of parts. `smaller` may stand in its place; `marks` say what holds while it stays."""

    parts: tuple[Part, ...]
    smaller: tuple[Part, ...] = ()
    marks: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Seq:
    """Parts with a separator, of which all but `least` may go."""

    items: tuple[Part, ...]
    separator: str = ", "
    least: int = 1


Part = str | Value | Piece | Seq


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text with its arguments. `marks`: `ordered`, `sorted` by outputs, `writes`."""

    sql: str
    args: tuple[object, ...]
    marks: dict[str, tuple[str, ...]]


def piece(*parts: Part, smaller: tuple[Part, ...] = (), **marks: tuple[str, ...]) -> Piece:
    return Piece(parts, smaller, tuple(marks.items()))


def optional(*parts: Part, **marks: tuple[str, ...]) -> Piece:
    """A clause that a statement can do without."""
    return Piece(parts, ("",), tuple(marks.items()))


def render(part: Part) -> Rendered:
    text: list[str] = []
    args: list[object] = []
    marks: dict[str, tuple[str, ...]] = {}
    _render(part, text, args, marks)
    return Rendered("".join(text), tuple(args), marks)


def _render(
    part: Part, text: list[str], args: list[object], marks: dict[str, tuple[str, ...]]
) -> None:
    match part:
        case str():
            text.append(part)
        case Value():
            if part.bound:
                args.append(part.argument)
                text.append(f"${len(args)}{part.cast}")
            else:
                text.append(part.literal)
        case Piece():
            marks.update(part.marks)
            for each in part.parts:
                _render(each, text, args, marks)
        case Seq():
            for number, each in enumerate(part.items):
                if number:
                    text.append(part.separator)
                _render(each, text, args, marks)


def varied(part: Part) -> Part:
    """The same statement with other literals."""
    match part:
        case Value(bound=False):
            return Value(_other(part.literal))
        case Piece():
            return Piece(tuple(map(varied, part.parts)), part.smaller, part.marks)
        case Seq():
            return Seq(tuple(map(varied, part.items)), part.separator, part.least)
        case _:
            return part


def _other(literal: str) -> str:
    """Another whole number, or another text, of the same type."""
    if (number := re.fullmatch(r"(\d+)(::\w+)?", literal)) is not None:
        return f"{(int(number[1]) + 4) % 13}{number[2] or ''}"
    if (text := re.fullmatch(r"'((?:[^']|'')*)'(::text)?", literal)) is not None:
        return f"'{OTHERS.get(text[1], 'paid')}'{text[2] or ''}"
    return literal


OTHERS = {"paid": "a", "a": "A", "A": "it''s", "it''s": "new", "new": "", "": "ä", "done": "br"}


def shrinks(part: Part) -> Iterator[Part]:
    """Trees that are one step smaller, those with the most gone first."""
    match part:
        case Value(bound=True):
            yield Value(part.literal)
        case Piece():
            yield from part.smaller
            for number, each in enumerate(part.parts):
                for new in shrinks(each):
                    parts = (*part.parts[:number], new, *part.parts[number + 1 :])
                    yield Piece(parts, part.smaller, part.marks)
        case Seq():
            yield from _shorter(part)
            for number, each in enumerate(part.items):
                for new in shrinks(each):
                    items = (*part.items[:number], new, *part.items[number + 1 :])
                    yield Seq(items, part.separator, part.least)


def _shorter(seq: Seq) -> Iterator[Seq]:
    count = len(seq.items)
    if count - seq.least > 1:
        yield Seq(seq.items[: max(seq.least, 1)], seq.separator, seq.least)
    if count > seq.least:
        for number in range(count):
            items = (*seq.items[:number], *seq.items[number + 1 :])
            yield Seq(items, seq.separator, seq.least)
