"""Where a token names its role: a path into its claims, as PostgREST writes it.

`.role`, `$.role`, `.a."https://x/y".roles[0]`, `.roles[?(@ == "editor")]`, and at its end a part of
the text found, `[1:-1]`. Filters choose the first text of a list: `==`, `!=`, `^==` (begins with),
`==^` (ends with) and `*==` (contains).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_COMPARED: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "==": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "^==": lambda found, wanted: found.startswith(wanted),
    "==^": lambda found, wanted: found.endswith(wanted),
    "*==": lambda found, wanted: wanted in found,
}
_KEY: Final = re.compile(r"\.([A-Za-z0-9_$@]+)")
_QUOTED_KEY: Final = re.compile(r"\.\"((?:[^\"\\]|\\.)*)\"|\[\s*(?:\"([^\"]*)\"|'([^']*)')\s*\]")
_INDEX: Final = re.compile(r"\[\s*(-?[0-9]{1,9})\s*\]")
_SLICE: Final = re.compile(r"\[\s*(-?[0-9]{1,9})?\s*:\s*(-?[0-9]{1,9})?\s*\]")
_FILTER: Final = re.compile(
    r"\[\s*\?\s*(\()?\s*@\s*(\^==|==\^|\*==|==|!=)\s*(?:\"([^\"]*)\"|'([^']*)')\s*(?(1)\))\s*\]"
)


@dataclass(frozen=True, slots=True)
class Member:
    """The member of an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a list, from its end when negative."""

    index: int


@dataclass(frozen=True, slots=True)
class First:
    """The first text of a list that compares so."""

    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text."""

    start: int | None
    stop: int | None


Step = Member | Element | First | Part


@dataclass(frozen=True, slots=True)
class RolePath:
    """The steps from the claims to the role, in order."""

    steps: tuple[Step, ...]

    def find(self, claims: Mapping[str, Any]) -> Any:
        """What is there; None when there is nothing."""
        found: Any = claims
        for step in self.steps:
            match step:
                case Member(name):
                    found = found.get(name) if isinstance(found, Mapping) else None
                case Element(index):
                    found = _element(found, index)
                case First(operator, text):
                    found = _first(found, operator, text)
                case Part(start, stop):
                    found = found[start:stop] or None if isinstance(found, str) else None
            if found is None:
                return None
        return found


def role_path(text: str) -> RolePath:
    """The path that the text writes.

    Raises:
        ValueError: It is none; says where it stops to be one.
    """
    written = text.strip()
    at = 1 if written.startswith("$") else 0
    steps: list[Step] = []
    while at < len(written):
        step, at_next = _step(written, at)
        if step is None or (steps and isinstance(steps[-1], Part)):
            raise ValueError(
                f"{text!r} is no path to a role: it is not understood at {written[at:]!r}"
            )
        steps.append(step)
        at = at_next
    if not steps:
        raise ValueError(f"{text!r} is no path to a role; write it like .role")
    return RolePath(tuple(steps))


def _step(text: str, at: int) -> tuple[Step | None, int]:
    if match := _KEY.match(text, at):
        return Member(match[1]), match.end()
    if match := _QUOTED_KEY.match(text, at):
        name = next(group for group in match.groups() if group is not None)
        return Member(re.sub(r"\\(.)", r"\1", name)), match.end()
    if match := _INDEX.match(text, at):
        return Element(int(match[1])), match.end()
    if match := _FILTER.match(text, at):
        return First(match[2], match[3] if match[3] is not None else match[4]), match.end()
    if match := _SLICE.match(text, at):
        start, stop = (None if each is None else int(each) for each in match.groups())
        return Part(start, stop), match.end()
    return None, at


def _element(found: object, index: int) -> Any:
    if not isinstance(found, list) or not -len(found) <= index < len(found):
        return None
    return found[index]


def _first(found: object, operator: str, text: str) -> Any:
    if not isinstance(found, list):
        return None
    compared = _COMPARED[operator]
    return next((each for each in found if isinstance(each, str) and compared(each, text)), None)
