"""Reading a mapping field by field, gathering every problem with its path instead of stopping."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from shardmap.errors import Problem
from shardmap.markup import Plain, dotted

Choice = TypeVar("Choice", bound=StrEnum)


class Fields:
    """One mapping of a document, read by asking for its keys.

    A reader returns None when the key is absent, null or wrong; wrong and missing keys are added
    to `problems`, so the caller goes on and checks `problems` once at the end. `close` reports
    the keys that nobody asked for.
    """

    __slots__ = ("_asked", "_members", "path", "problems")

    def __init__(self, value: Plain, path: str, problems: list[Problem]) -> None:
        """Whatever is no mapping is reported and then read as an empty one."""
        self.path = path
        self.problems = problems
        self._asked: dict[str, None] = {}
        if isinstance(value, dict):
            self._members = value
        else:
            self._members = {}
            problems.append(
                Problem(path or "document", f"must be a mapping of names to values{_found(value)}")
            )

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def report(self, key: str, message: str) -> None:
        """Add a problem of one key."""
        self.problems.append(Problem(dotted(self.path, key), message))

    def value(self, key: str) -> Plain:
        """The key's value as it is; None when absent."""
        self._asked[key] = None
        return self._members.get(key)

    def require(self, key: str) -> Plain:
        """The key's value; absent or null is a problem."""
        value = self.value(key)
        if value is None:
            self.report(key, "is missing")
        return value

    def text(self, key: str, pattern: re.Pattern[str] | None = None, what: str = "") -> str | None:
        """A text; `what` describes those that match the pattern. A number counts as its digits."""
        value = self.value(key)
        if value is None:
            return None
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str):
            self.report(key, f"must be a text{_found(value)}")
            return None
        if not text or not text.isprintable():
            self.report(key, "must be a printable text that is not empty")
            return None
        if pattern is not None and pattern.fullmatch(text) is None:
            self.report(key, f"must be {what}{_found(text)}")
            return None
        return text

    def required_text(
        self, key: str, pattern: re.Pattern[str] | None = None, what: str = ""
    ) -> str | None:
        """The same; absent or null is a problem."""
        return None if self.require(key) is None else self.text(key, pattern, what)

    def integer(self, key: str, allowed: range) -> int | None:
        """An integer in a range."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            bounds = f"an integer from {allowed.start} to {allowed.stop - 1}"
            self.report(key, f"must be {bounds}{_found(value)}")
            return None
        return value

    def choice(self, key: str, choices: type[Choice]) -> Choice | None:
        """A member of an enumeration, by its value."""
        value = self.value(key)
        if value is None:
            return None
        if value not in set(choices):
            names = [str(choice) for choice in choices]
            self.report(key, f"must be one of {', '.join(names)}{suggestion(value, names)}")
            return None
        return choices(value)

    def fields(self, key: str) -> "Fields":
        """A mapping below; absent or null reads as an empty one."""
        value = self.value(key)
        return Fields({} if value is None else value, dotted(self.path, key), self.problems)

    def items(self, key: str) -> Iterator[tuple[str, Plain]]:
        """The members of a list, each with its path; absent or null is an empty list."""
        value = self.value(key)
        if value is not None and not isinstance(value, list):
            self.report(key, f"must be a list{_found(value)}")
        elif value is not None:
            path = dotted(self.path, key)
            for index, member in enumerate(value):
                yield dotted(path, index), member

    def texts(self, key: str) -> Iterator[tuple[str, ...]]:
        """The members of a list, each a text or a list of texts."""
        for path, value in self.items(key):
            member = value if isinstance(value, list) else [value]
            names = [name for name in member if isinstance(name, str) and name.isprintable()]
            if member and names == member and all(names):
                yield tuple(names)
            else:
                self.problems.append(Problem(path, "must be a name or a list of names"))

    def members(self) -> Iterator[tuple[str, str, Plain]]:
        """Each key with its path and value, for mappings whose keys are names."""
        for key, value in self._members.items():
            self._asked[key] = None
            yield key, dotted(self.path, key), value

    def close(self) -> None:
        """Report the keys that are unknown here."""
        for key in self._members:
            if key not in self._asked:
                self.report(key[:80], f"is unknown here{suggestion(key, list(self._asked))}")


def suggestion(word: Plain, known: Sequence[str]) -> str:
    """`; did you mean …?`, or nothing when no known word is close."""
    close = get_close_matches(str(word)[:80], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _found(value: Plain) -> str:
    """What is there instead, kept short. Texts are shown: secrets never come this far."""
    match value:
        case None:
            return ", not nothing"
        case bool():
            return f", not {str(value).lower()}"
        case int():
            return f", not {value}"
        case str():
            return f', not "{value[:40]}{"…" if len(value) > 40 else ""}"'
        case list():
            return ", not a list"
        case dict():
            return ", not a mapping"
