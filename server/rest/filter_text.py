"""The text of filters and of and/or/not groups, parsed into conditions; shared by both dialects."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.rest import exact_json
from server.rest.errors import FeatureMissing, ParameterMalformed, Spot
from server.rest.filters import (
    Compare,
    Condition,
    Field,
    Group,
    Is,
    Negation,
    Operand,
    Operator,
    Quantifier,
    Step,
    Test,
)
from server.rest.operands import unquoted

MAX_DEPTH: Final = 32
"""How deep groups may nest. SQL parsers recurse; deeper text is an attack, not a question."""

MAX_CONDITIONS: Final = 500
"""How many conditions one request may hold."""

MAX_ITEMS: Final = 1000
"""How many columns a list may name. PostgreSQL takes 1,664."""

MAX_STEPS: Final = 64
"""How long a JSON path may be: no body that we take nests deeper."""

MAX_GROUP_CHARS: Final = 65_536
"""How long the text of a group may be; long lists have their own place, outside of groups."""

LOGIC: Final = frozenset({"or", "and", "not.or", "not.and"})
"""Parameters that are groups, not filters."""

_OPERATION: Final = re.compile(r"(not\.)?([a-z_][a-z0-9_]*)(?:\(([^()]*)\))?\.")
_NESTED: Final = re.compile(r"(not\.)?(and|or)\s*(?=\()")
_NAME: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^".,()])+)\.', re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s*[,)])', re.DOTALL)
_QUOTE_END: Final = re.compile(r'(?:[^"\\]|\\.)*"?', re.DOTALL)
_PLAIN: Final = re.compile(r"[^,)]*")
_SIMPLE: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ARROW: Final = re.compile(r"(->>?)")
_INDEX: Final = re.compile(r"-?[0-9]{1,9}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True, slots=True)
class Grammar:
    """What differs between the dialects' filters."""

    operators: Mapping[str, Operator]
    tests: Mapping[str, Test]
    """By their lower-case names."""
    negated: Mapping[str, str]
    """Operators that are `not.` and another one."""
    extensions: tuple[str, ...] = ()
    """Prefixes of operators that need an extension of PostgreSQL."""
    simple_names: bool = False
    """Columns are plain identifiers; otherwise they may be quoted."""
    brackets: bool = False
    """Values in groups may be `(…)` and `[…]` as well as `{…}`."""
    numeric_json: bool = False
    """Text of JSON is compared as a number when the value is one."""


class FilterReader:
    """Parses the filters of one request, and collects their values in order."""

    __slots__ = ("_conditions", "grammar", "values")

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.values: list[Any] = []
        self._conditions = 0

    def field(self, text: str, parameter: str = "filter") -> Field:
        """A column, or a JSON path `column->key->0->>key`.

        Raises:
            ParameterMalformed: It is neither.
        """
        if ">" not in text:
            return Field(self._name(text, Spot(parameter, text)))
        column, *rest = _ARROW.split(text, MAX_STEPS + 1)
        if len(rest) > 2 * MAX_STEPS:
            raise ParameterMalformed(Spot(parameter, text), f"at most {MAX_STEPS} steps")
        steps: list[Step] = []
        position = len(column)
        as_text = False
        for arrow, key in zip(rest[::2], rest[1::2], strict=True):
            spot = Spot(parameter, text, position)
            if as_text:
                raise ParameterMalformed(spot, "nothing after ->>")
            key_text = _unquoted_name(key.strip())
            if not key_text:
                raise ParameterMalformed(
                    Spot(parameter, text, position + len(arrow)), "a key or an index"
                )
            steps.append(Step(key_text, index=_INDEX.fullmatch(key) is not None))
            as_text = arrow == "->>"
            position += len(arrow) + len(key)
        return Field(self._name(column, Spot(parameter, text)), tuple(steps), as_text)

    def filter(self, field: Field, text: str) -> Condition:
        """A field and `[not.]operator.value`.

        Raises:
            ParameterMalformed: There is no operator, or not with this value.
            FeatureMissing: The operator needs an extension.
        """
        found = self.operator(text)
        return self.operation(field, found, Spot("filter", text), text[found.end() :])

    def operator(self, text: str) -> re.Match[str]:
        """The `[not.]operator.` that a filter's text begins with: `not.`, name and modifier.

        Raises:
            ParameterMalformed: There is none.
        """
        found = _OPERATION.match(text)
        if found is None:
            raise ParameterMalformed(Spot("filter", text), self._expected())
        return found

    def operation(self, field: Field, found: re.Match[str], spot: Spot, value: Any) -> Condition:
        """The condition of a matched operator and its value."""
        name, modifier = found[2], found[3]
        negate = found[1] is not None
        if name in self.grammar.negated:
            name, negate = self.grammar.negated[name], not negate
        at = Spot(spot.parameter, spot.text, found.start(2))
        condition = (
            self._test(field, value, modifier, Spot(at.parameter, at.text, found.end()))
            if name == "is"
            else self._comparison(field, (name, modifier), value, at)
        )
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise ParameterMalformed(at, f"at most {MAX_CONDITIONS} conditions", found="one more")
        return Negation(condition) if negate else condition

    def group(self, key: str, text: str) -> Condition:
        """The group that a parameter `or`, `and`, `not.or` or `not.and` means.

        Raises:
            ParameterMalformed: The text is no list of conditions in parentheses.
        """
        if len(text) > MAX_GROUP_CHARS:
            raise ParameterMalformed(
                Spot("logic tree", text), f"at most {MAX_GROUP_CHARS} characters", found="more"
            )
        start = len(text) - len(text.lstrip())
        members, end = self._members(text, start, 1)
        if text[end:].strip():
            raise ParameterMalformed(Spot("logic tree", text, end), "end of input")
        group = Group(members, every=key.endswith("and"))
        return Negation(group) if key.startswith("not.") else group

    def _members(self, text: str, position: int, depth: int) -> tuple[tuple[Condition, ...], int]:
        if text[position : position + 1] != "(":
            raise ParameterMalformed(Spot("logic tree", text, position), '"("')
        if depth > MAX_DEPTH:
            raise ParameterMalformed(
                Spot("logic tree", text, position), f"at most {MAX_DEPTH} groups in each other"
            )
        members: list[Condition] = []
        while True:
            member, position = self._member(text, position + 1, depth)
            members.append(member)
            position = _unspaced(text, position)
            match text[position : position + 1]:
                case ",":
                    continue
                case ")":
                    return tuple(members), position + 1
                case _:
                    raise ParameterMalformed(Spot("logic tree", text, position), '"," or ")"')

    def _member(self, text: str, position: int, depth: int) -> tuple[Condition, int]:
        position = _unspaced(text, position)
        nested = _NESTED.match(text, position)
        if nested is not None:
            members, end = self._members(text, nested.end(), depth + 1)
            group = Group(members, every=nested[2] == "and")
            return (Negation(group) if nested[1] else group), end
        name = _NAME.match(text, position)
        if name is None:
            raise ParameterMalformed(Spot("logic tree", text, position), "a field and an operator")
        spot = Spot("logic tree", text, name.end())
        found = _OPERATION.match(text, spot.position)
        if found is None:
            raise ParameterMalformed(spot, self._expected())
        value, end = self._value(text, found.end(), found[2])
        return self.operation(self.field(name[1].strip(), "logic tree"), found, spot, value), end

    def _value(self, text: str, position: int, operator: str) -> tuple[str, int]:
        """The value of one member, which ends at a comma or a parenthesis outside of it."""
        quoted = _QUOTED.match(text, position)
        if quoted is not None:
            return unquoted(quoted[1]), quoted.end()
        first = text[position : position + 1]
        listed = self.grammar.negated.get(operator, operator) == "in"
        if (
            first == "{"
            or (first == "(" and listed)
            or (self.grammar.brackets and first in {"(", "["})
        ):
            end = _closing(text, position)
            return text[position:end], end
        end = _PLAIN.match(text, position).end()  # type: ignore[union-attr] # matches nothing, too
        return text[position:end], end

    def _comparison(
        self, field: Field, operator: tuple[str, str | None], value: Any, spot: Spot
    ) -> Condition:
        name, modifier = operator
        meant = self.grammar.operators.get(name)
        if meant is None:
            if name.startswith(self.grammar.extensions):
                raise FeatureMissing(f"The operator {name}")
            raise ParameterMalformed(spot, self._expected(), found=f'"{name}"')
        numeric = (
            self.grammar.numeric_json
            and field.as_text
            and meant.sql in {">", ">=", "<", "<="}
            and _NUMBER.fullmatch(str(value)) is not None
        )
        quantifier = language = None
        if modifier is not None:
            if meant.operand is Operand.QUERY:
                language = modifier
            elif meant.quantified and modifier in {"any", "all"}:
                quantifier = Quantifier(modifier)
            else:
                raise ParameterMalformed(spot, f'"." after {name}', found=f'"({modifier})"')
        self.values.append(value)
        return Compare(field, meant, len(self.values) - 1, quantifier, language, numeric)

    def _test(self, field: Field, value: Any, modifier: str | None, spot: Spot) -> Condition:
        name = exact_json.dumps(value) if value is None or isinstance(value, bool) else value
        test = self.grammar.tests.get(name.lower()) if isinstance(name, str) else None
        if test is None or modifier is not None:
            raise ParameterMalformed(spot, f"one of {', '.join(self.grammar.tests)}")
        return Is(field, test)

    def _name(self, text: str, spot: Spot) -> str:
        if self.grammar.simple_names:
            if _SIMPLE.fullmatch(text) is None:
                raise ParameterMalformed(spot, "a column name (letters, digits, _)")
            return text
        name = _unquoted_name(text.strip())
        if not name or (name == text.strip() and not name.isprintable()):
            raise ParameterMalformed(spot, "a column name")
        return name

    def _expected(self) -> str:
        names = (*self.grammar.operators, *self.grammar.negated, "is")
        return f"operator ({', '.join(names)})"


def is_operation(value: str, grammar: Grammar) -> bool:
    """Whether a value has the form of a filter: `[not.]operator.operand`."""
    found = _OPERATION.match(value)
    return found is not None and (found[2] == "is" or found[2] in grammar.operators)


def _unquoted_name(text: str) -> str:
    if len(text) >= 2 and text[0] == '"' == text[-1]:
        return unquoted(text[1:-1])
    return text


def _unspaced(text: str, position: int) -> int:
    while text[position : position + 1].isspace():
        position += 1
    return position


def _closing(text: str, position: int) -> int:
    """The offset behind the bracket that closes the one at `position`.

    A parenthesis or square bracket is closed by either, as ranges are (`[1,5)`); a brace by a
    brace. Double quotes count where an element may start, so `(a"b,c)` holds a plain quote.
    """
    opening, closing = ("{", "}") if text[position] == "{" else ("([", ")]")
    depth = 0
    before = ""
    index = position
    while index < len(text):
        char = text[index]
        if char == '"' and before in "([{,:":
            index = _QUOTE_END.match(text, index + 1).end()  # type: ignore[union-attr] # as above
            before = char
            continue
        depth += (char in opening) - (char in closing)
        if depth == 0:
            return index + 1
        if not char.isspace():
            before = char
        index += 1
    raise ParameterMalformed(Spot("logic tree", text, len(text)), f'"{closing[0]}"')
