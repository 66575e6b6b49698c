"""Where settings are given: a file of NAME=value lines, and over it the environment."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.configuration.postgrest_names import environment_name
from shardmap import Problem

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r"}
_AFTER_QUOTE: Final = re.compile(r"\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as text, and where it came from, for messages."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Every value given, with the problems of the file."""

    values: Mapping[str, Given]
    problems: tuple[Problem, ...] = ()


def sources(environ: Mapping[str, str], file: Path | None) -> Sources:
    """The values of the file, overridden by those of the environment.

    An empty value counts as not given, because that is what `NAME=` in compose files means.
    """
    values: dict[str, Given] = {}
    problems: list[Problem] = []
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except OSError as error:
            problems.append(Problem(str(file), error.strerror or "cannot be read"))
        except UnicodeDecodeError:
            problems.append(Problem(str(file), "is not UTF-8"))
        else:
            given, problems = parse_file(text, str(file))
            values.update(given)
    values.update({name: Given(text, "environment") for name, text in environ.items()})
    return Sources(
        {name: given for name, given in values.items() if given.text.strip()}, tuple(problems)
    )


def parse_file(text: str, name: str) -> tuple[dict[str, Given], list[Problem]]:
    r"""Values and problems of a file of `NAME=value` lines.

    `#` begins a comment at a line's start or after a blank. Values may be quoted: 'as it is', or
    "with \n, \t, \" and \\". `export ` before a name is allowed, so a shell can read the file.
    """
    values: dict[str, Given] = {}
    problems: list[Problem] = []
    for number, line in _lines(text):
        place = f"{name}:{number}"
        match = _LINE.fullmatch(line)
        if match is None:
            problems.append(Problem(place, "is not NAME=value"))
            continue
        key, written = match.groups()
        if not _NAME.fullmatch(key):  # in the file of a PostgREST
            named = environment_name(key)
            if named is None:
                problems.append(Problem(place, f"{key} is no name of a setting"))
                continue
            key = named
        try:
            value = _value(written)
        except ValueError as error:
            problems.append(Problem(place, f"{key}: {error}"))
            continue
        if key in values:
            problems.append(Problem(place, f"{key} is given twice"))
        values[key] = Given(value, place)
    return values, problems


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _value(written: str) -> str:
    if not written or written[0] not in "\"'":
        return re.split(r"\s#", written, maxsplit=1)[0].strip()
    quote = written[0]
    end = _closing(written, quote)
    if not _AFTER_QUOTE.fullmatch(written, end + 1):
        raise ValueError("there is text after the closing quote")
    inner = written[1:end]
    if quote == "'":
        return inner
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), inner)


def _closing(written: str, quote: str) -> int:
    position = 1
    while position < len(written):
        if written[position] == "\\" and quote == '"':
            position += 1
        elif written[position] == quote:
            return position
        position += 1
    raise ValueError("the closing quote is missing")
