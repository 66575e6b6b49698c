"""A procedure: an SQL text with named parameters, and what its file says about it.

    -- @fluxbase:description Orders over a total
    -- @fluxbase:require-role authenticated
    -- @fluxbase:input {"least": "number", "note?": "text"}
    SELECT * FROM orders WHERE total >= $least AND ($note::text IS NULL OR note = $note)

A name with `?` may be left out, and is NULL then.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from server.configuration.forms import DURATION

CALLER: Final = ("caller_id", "caller_role", "caller_email")
"""Parameters that the server fills in: who calls."""

_ANNOTATION: Final = re.compile(
    r"^[ \t]*--[ \t]*@fluxbase:([a-z-]+)[ \t]*(.*?)[ \t]*$", re.MULTILINE
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_PARTS: Final = re.compile(
    r"""
    --[^\n]* | /\*.*?\*/                        # comments
    | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' # strings
    | "(?:[^"]|"")*"                            # names
    | \$(?P<tag>[A-Za-z_][A-Za-z0-9_]*)?\$.*?\$(?(tag)(?P=tag))\$
    | (?<![A-Za-z0-9_$])\$(?P<parameter>[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_WRITING: Final = re.compile(r"\b(?:insert|update|delete|merge|call)\b", re.IGNORECASE)
_KNOWN: Final = frozenset(
    {
        "name",
        "namespace",
        "description",
        "input",
        "output",
        "require-role",
        "public",
        "max-execution-time",
        "version",
        "allowed-tables",
        "allowed-schemas",
        "disable-execution-logs",
    }
)


class ProcedureMalformed(ValueError):
    """The text of a file is no procedure; the message says why."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """One procedure. `sql` has `$1`, `$2` … for `parameters`, in their order."""

    namespace: str
    name: str
    sql: str
    parameters: tuple[str, ...]
    description: str | None = None
    inputs: tuple[tuple[str, str], ...] | None = None
    """Names with their types, `?` behind those that may be left out; None: nothing is said."""
    outputs: tuple[tuple[str, str], ...] | None = None
    roles: tuple[str, ...] = ()
    """Who may call it; none: everybody who is signed in."""
    public: bool = False
    """Everybody may."""
    timeout_s: float | None = None
    version: int = 1

    @property
    def writes(self) -> bool:
        """Whether it may write: what it gives is then answered whatever it is."""
        return _WRITING.search(self.sql) is not None

    @property
    def optional(self) -> frozenset[str]:
        """Parameters that may be left out."""
        names = (name for name, _ in self.inputs or ())
        return frozenset(name.removesuffix("?") for name in names if name.endswith("?"))

    @property
    def accepted(self) -> frozenset[str]:
        """Parameters that a caller may give."""
        said = (name.removesuffix("?") for name, _ in self.inputs or ())
        return frozenset((*said, *self.parameters)) - frozenset(CALLER)


def read_procedure(namespace: str, name: str, text: str) -> Procedure:
    """What the text of a file is. Its place gives the names, unless it says others.

    Raises:
        ProcedureMalformed: It says something that is not understood, or no SQL.
    """
    said: dict[str, str] = {}
    for found in _ANNOTATION.finditer(text):
        key, value = found[1], found[2]
        if key not in _KNOWN:
            raise ProcedureMalformed(f"@fluxbase:{key} is not known here")
        said[key] = value
    sql, parameters = numbered(_ANNOTATION.sub("", text).strip().rstrip(";").rstrip())
    if not sql:
        raise ProcedureMalformed("there is no SQL in it")
    made = Procedure(
        said.get("namespace") or namespace,
        said.get("name") or name,
        sql,
        parameters,
        said.get("description"),
        _types(said, "input"),
        _types(said, "output"),
        tuple(role.strip() for role in said.get("require-role", "").split(",") if role.strip()),
        _truth(said, "public"),
        _duration(said, "max-execution-time"),
        _version(said),
    )
    for each in (made.namespace, made.name):
        if _NAME.fullmatch(each) is None:
            raise ProcedureMalformed(f"{each!r} is no name")
    return made


def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The text with a number for each `$name`, outside of strings and comments, and the names."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found["parameter"]
        if name is None:
            return found[0]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PARTS.sub(number, sql), tuple(names)


def _types(said: dict[str, str], key: str) -> tuple[tuple[str, str], ...] | None:
    text = said.get(key)
    if text is None or text == "any":
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ProcedureMalformed(f"@fluxbase:{key} is not JSON on one line") from error
    if not isinstance(found, dict) or not all(isinstance(kind, str) for kind in found.values()):
        raise ProcedureMalformed(f"@fluxbase:{key} is no object of names and types")
    return tuple(found.items())


def _truth(said: dict[str, str], key: str) -> bool:
    value = said.get(key, "false").lower()
    if value not in {"true", "false"}:
        raise ProcedureMalformed(f"@fluxbase:{key} is neither true nor false")
    return value == "true"


def _duration(said: dict[str, str], key: str) -> float | None:
    if key not in said:
        return None
    try:
        return DURATION.parse(said[key])
    except ValueError as error:
        raise ProcedureMalformed(f"@fluxbase:{key} {error}") from error


def _version(said: dict[str, str]) -> int:
    text = said.get("version", "1")
    if not text.isdecimal():
        raise ProcedureMalformed("@fluxbase:version is no number")
    return int(text)
