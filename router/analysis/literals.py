"""Statements that differ in their literals only: their common shape, and its analysis as a template.

An application that writes values into its SQL sends a new text each time, and each would cost an
analysis. Here the literals that stand where analysis cannot depend on their value (behind a
comparison, in an IN list, in a row of VALUES) are cut out of the text: what is left is the shape.
A shape that comes again is analysed once with markers for the literals; later texts of it are
answered from that, with their own literals put in, exactly as they were written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final, NamedTuple

from router.analysis.query import Constant, Query

_LEXEME: Final = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<string>'(?:[^'\\]|'')*')(?!\s*')
    | (?P<opaque>[eEbBxXnN]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"
        |(?<![\w$])\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$)
    | (?P<number>[0-9]+)(?![\w.$])
    | (?P<word>[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*)
    | (?P<comparison>(?<![-+*/<>=~!@\#%^&|`?])(?:=|<>|!=|<=|>=|<|>)(?![-+*/<>=~!@\#%^&|`?]))
    | (?P<other>[0-9][\w.]*|\$[0-9]+|::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""PostgreSQL's lexemes, coarsely: what is not known for certain is `opaque` or `other`, and then
part of the shape."""

_OPERAND: Final = re.compile(r"(?:[=<>,(]|like)\s*['0-9]", re.IGNORECASE)
"""Where a literal may stand that can be cut out. One that this does not find (a comment is between
them) stays in the text, and the text is analysed for itself."""

_ENDS_VALUE: Final = frozenset({",", ")", ";", ""})
_GOES_ON: Final = frozenset(
    """and or group order limit offset having union intersect except returning on window fetch for
    then else end when where from""".split()
)
"""A literal is cut out only when one of these follows it: it is then a whole operand."""


class Shape(NamedTuple):
    """The text with `?` for literals, and the literals: a list of one, or of all of an IN list."""

    key: str
    literals: tuple[tuple[str, ...], ...]
    spans: tuple[tuple[int, int], ...]


class _Lexeme(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Operand(NamedTuple):
    """A literal, or the literals of a list, by first and last lexeme."""

    first: int
    last: int
    values: tuple[str, ...]
    listed: bool = False


def shape_of(sql: str) -> Shape | None:
    """The shape of a text; None when no literal can be cut out of it. Linear in the text."""
    if _OPERAND.search(sql) is None:
        return None
    lexemes = [
        _Lexeme(match.lastgroup or "", match[0], match.start(), match.end())
        for match in _LEXEME.finditer(sql)
        if match.lastgroup != "space"
    ]
    if any(lexeme.text.startswith("$") and lexeme.kind == "opaque" for lexeme in lexemes):
        return None  # a dollar quote: what is in it is text
    if any(lexeme.text in {"'", '"'} for lexeme in lexemes):
        return None  # a quote that does not end as we read it
    spans, literals, marks = [], [], []
    for operand in _operands(lexemes):
        spans.append((lexemes[operand.first].start, lexemes[operand.last].end))
        literals.append(operand.values)
        marks.append(lexemes[operand.first].kind[0] + ("*" if operand.listed else ""))
    if not spans:
        return None
    pieces, at = [], 0
    for (start, end), mark in zip(spans, marks, strict=True):
        pieces.append(sql[at:start])
        pieces.append(f"\0{mark}\0")
        at = end
    pieces.append(sql[at:])
    return Shape("".join(pieces), tuple(literals), tuple(spans))


def _operands(lexemes: Sequence[_Lexeme]) -> list[_Operand]:
    """Each literal, or list of literals, that can be cut out."""
    found = []
    in_values = _rows_of_values(lexemes)
    at = 0
    while at < len(lexemes):
        lexeme = lexemes[at]
        if lexeme.kind in {"string", "number"} and _is_whole(lexemes, at):
            before = lexemes[at - 1] if at else None
            if at in in_values or (before is not None and _compares(before)):
                found.append(_Operand(at, at, (lexeme.text,)))
            elif _begins_list(lexemes, at):
                last = _list_end(lexemes, at)
                if last is not None:
                    values = tuple(one.text for one in lexemes[at : last + 1 : 2])
                    found.append(_Operand(at, last, values, listed=True))
                    at = last
        at += 1
    return found


def _is_whole(lexemes: Sequence[_Lexeme], at: int) -> bool:
    """Whether nothing is done to the literal: no cast, no arithmetic, no sign before it."""
    after = lexemes[at + 1] if at + 1 < len(lexemes) else None
    return (
        after is None
        or after.text in _ENDS_VALUE
        or (after.kind == "word" and after.text.lower() in _GOES_ON)
    )


def _compares(before: _Lexeme) -> bool:
    return before.kind == "comparison" or (
        before.kind == "word" and before.text.lower() in {"like", "ilike"}
    )


def _begins_list(lexemes: Sequence[_Lexeme], at: int) -> bool:
    return at >= 2 and lexemes[at - 1].text == "(" and lexemes[at - 2].text.lower() == "in"


def _list_end(lexemes: Sequence[_Lexeme], at: int) -> int | None:
    """The last literal of a list of literals of one kind, up to its parenthesis."""
    kind = lexemes[at].kind
    while at < len(lexemes) and lexemes[at].kind == kind:
        if at + 1 >= len(lexemes) or lexemes[at + 1].text not in {",", ")"}:
            return None
        if lexemes[at + 1].text == ")":
            return at
        at += 2
    return None


def _rows_of_values(lexemes: Sequence[_Lexeme]) -> frozenset[int]:
    """Literals that are whole items of rows behind VALUES, in parentheses right behind it."""
    found: set[int] = set()
    at = 0
    while at < len(lexemes):
        if lexemes[at].kind == "word" and lexemes[at].text.lower() == "values":
            at += 1
            while at < len(lexemes) and lexemes[at].text == "(":
                at = _row(lexemes, at, found)
                if at < len(lexemes) and lexemes[at].text == ",":
                    at += 1
        else:
            at += 1
    return frozenset(found)


def _row(lexemes: Sequence[_Lexeme], opening: int, found: set[int]) -> int:
    """Behind the closing parenthesis of the row that opens here."""
    depth, at = 0, opening
    while at < len(lexemes):
        text = lexemes[at].text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        elif (
            depth == 1
            and lexemes[at].kind in {"string", "number"}
            and lexemes[at - 1].text in {"(", ","}
        ):
            found.add(at)
        at += 1
    return at


# Templates: a Query with markers where the literals were

_FIRST_NUMBER: Final = 7_770_001_234_000_000
_STRING: Final = "\ue0f1{}\ue0f2"


@dataclass(frozen=True, slots=True)
class Template:
    """The analysis of a shape. Its markers stand for the literals of the text at hand."""

    query: Query
    markers: tuple[str, ...]
    """As written in texts: with quotes where the literals have some."""
    constants: tuple[str | int, ...]
    """The same as values, as `Constant` holds them."""


def marked(sql: str, shape: Shape) -> tuple[str, tuple[str, ...], tuple[str | int, ...]] | None:
    """The text with one marker for each literal or list, and the markers; None: one is taken."""
    if "\ue0f1" in sql or str(_FIRST_NUMBER)[:10] in sql:
        return None
    pieces, at = [], 0
    markers: list[str] = []
    constants: list[str | int] = []
    for index, ((start, end), values) in enumerate(zip(shape.spans, shape.literals, strict=True)):
        constant: str | int
        if values[0].startswith("'"):
            constant = _STRING.format(index)
            marker = f"'{constant}'"
        else:
            constant = _FIRST_NUMBER + index
            marker = str(constant)
        pieces += [sql[at:start], marker]
        markers.append(marker)
        constants.append(constant)
        at = end
    pieces.append(sql[at:])
    return "".join(pieces), tuple(markers), tuple(constants)


def filled(template: Template, sql: str, shape: Shape) -> Query:
    """The analysis of this text: the template's with the text's own literals."""
    texts = tuple(sql[start:end] for start, end in shape.spans)
    return _Filling(template, texts, shape.literals).query()


class _Filling:
    """Puts literals where markers are, in texts and in constants."""

    def __init__(
        self, template: Template, texts: Sequence[str], literals: Sequence[Sequence[str]]
    ) -> None:
        self._template = template
        self._texts = dict(zip(template.markers, texts, strict=True))
        self._pattern = re.compile("|".join(re.escape(marker) for marker in template.markers))
        self._values = {
            constant: tuple(_value(literal) for literal in found)
            for constant, found in zip(template.constants, literals, strict=True)
        }

    def query(self) -> Query:
        query: Query = self._put(self._template.query)
        return query

    def _put(self, value: Any) -> Any:
        """The value with markers replaced; the same object where there are none."""
        if type(value) is str:  # an enum of strings is none
            return self._text(value)
        if isinstance(value, Constant):
            (one,) = self._constants(value)
            return one
        if isinstance(value, tuple):
            return self._items(value)
        if is_dataclass(value) and not isinstance(value, type | Enum):
            changed = {
                field.name: new
                for field in fields(value)
                if (new := self._put(old := getattr(value, field.name))) is not old
            }
            return replace(value, **changed) if changed else value
        return value

    def _items(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        found: list[Any] = []
        for item in items:
            if isinstance(item, Constant):
                found.extend(self._constants(item))
            else:
                found.append(self._put(item))
        if len(found) == len(items) and all(
            new is old for new, old in zip(found, items, strict=True)
        ):
            return items
        return type(items)(*found) if hasattr(items, "_fields") else tuple(found)

    def _constants(self, constant: Constant) -> tuple[Constant, ...]:
        values = self._values.get(constant.value) if constant.value is not None else None
        return (constant,) if values is None else tuple(map(Constant, values))

    def _text(self, text: str) -> str:
        if self._pattern.search(text) is None:
            return text
        return self._pattern.sub(lambda match: self._texts[match[0]], text)


def _value(literal: str) -> str | int:
    """A literal as analysis reads it."""
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else int(literal)
