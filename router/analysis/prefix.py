"""EXPLAIN before a statement: taken off, so that the statement is analysed, and put back."""

import re
from typing import Final, NamedTuple

from router.errors import StatementNotUnderstood

_SPACE: Final = r"(?:[ \t\n\r\f\v]|--[^\n\r]*(?:[\n\r]|$)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)"

_EXPLAIN: Final = re.compile(
    rf"{_SPACE}*EXPLAIN(?:{_SPACE}*\((?P<options>[^()]*)\){_SPACE}*"
    rf"|{_SPACE}+(?P<analyze>ANALYZE{_SPACE}+)?(?:VERBOSE{_SPACE}+)?)",
    re.IGNORECASE,
)

_OPTIONS: Final = frozenset(
    "analyze verbose costs settings generic_plan buffers wal timing summary memory serialize"
    " format".split()
)


class Explained(NamedTuple):
    """The text of EXPLAIN with its options, and whether it runs the statement."""

    text: str
    runs: bool


def explain_prefix(sql: str) -> Explained | None:
    """The EXPLAIN that a text begins with; None: it begins with none.

    Raises:
        StatementNotUnderstood: It has options that are not known.
    """
    match = _EXPLAIN.match(sql)
    if match is None:
        return None
    options = match["options"]
    if options is None:
        return Explained(match[0], match["analyze"] is not None)
    runs = False
    for option in options.split(","):
        words = option.lower().split()
        if not words or len(words) > 2 or words[0] not in _OPTIONS or not _is_word(words[-1]):
            raise StatementNotUnderstood("an option of EXPLAIN is not understood")
        runs = runs or (words[0] == "analyze" and words[-1] not in {"off", "false", "0"})
    return Explained(match[0], runs)


def _is_word(text: str) -> bool:
    return text.isascii() and text.replace("_", "").isalnum()
