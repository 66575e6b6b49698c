"""The files of a directory as migrations: names, order, checksums and directives.

`NNNN_name.sql` or `NNNN_name.up.sql`, and `NNNN_name.down.sql` to undo it. What a file may say of
itself stands at its top, before the first statement:

    -- fluxshard: only: shards            (or catalog, or all)
    -- fluxshard: no-transaction
    -- fluxshard: lock-timeout: 2s
    -- fluxshard: statement-timeout: 10m
    -- fluxshard: allow: L102, L109
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from server.configuration.forms import DURATION
from server.migrate.errors import FilesRefused
from server.migrate.places import ALL, CATALOG_ONLY, SHARDS_ONLY, Places
from server.migrate.scan import Statement, Unreadable, statements_of

MOST_VERSIONS: Final = 2**63 - 1

_NAME: Final = re.compile(r"([0-9]{1,19})_([A-Za-z0-9][A-Za-z0-9_.-]*?)(\.up|\.down)?\.sql")
_DIRECTIVE: Final = re.compile(r"\s*--\s*fluxshard:\s*(.*?)\s*")
_CODE: Final = re.compile(r"L[0-9]{3}")
_ONLY: Final[Mapping[str, Places]] = {
    "shards": SHARDS_ONLY,
    "catalog": CATALOG_ONLY,
    "all": ALL,
}


@dataclass(frozen=True, slots=True)
class Directives:
    """What a file says of itself."""

    only: Places | None = None
    """Where all of its statements run; None: where their tables are."""
    in_transaction: bool = True
    lock_timeout_s: float | None = None
    statement_timeout_s: float | None = None
    allow: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Script:
    """One file. Its checksum is that of its statements: comments and directives may change."""

    file: str
    directives: Directives
    statements: tuple[Statement, ...]
    checksum: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One version: how it is done, and how it is undone."""

    version: int
    name: str
    up: Script
    down: Script | None

    def __str__(self) -> str:
        return self.up.file.removesuffix(".sql").removesuffix(".up")


def read_migrations(contents: Mapping[str, bytes]) -> tuple[Migration, ...]:
    """The migrations of these files, in order of version. Files that are no `.sql` are ignored.

    Raises:
        FilesRefused: With every problem, each with its file.
    """
    problems: list[str] = []
    ups: dict[int, tuple[str, Script]] = {}
    downs: dict[int, tuple[str, Script]] = {}
    for file in sorted(name for name in contents if name.endswith(".sql")):
        match = _NAME.fullmatch(file)
        if match is None or int(match[1]) > MOST_VERSIONS:
            problems.append(
                f"{file}: is not named like 0001_create_orders.sql (or .up.sql, .down.sql)"
            )
            continue
        script = _script(file, contents[file], problems)
        side = downs if match[3] == ".down" else ups
        version = int(match[1])
        if version in side:
            problems.append(f"{file}: has the same version as {side[version][1].file}")
        elif script is not None:
            side[version] = (match[2], script)
    for version, (name, script) in downs.items():
        if version not in ups:
            problems.append(f"{script.file}: undoes a version that has no file of its own")
        elif ups[version][0] != name:
            problems.append(f"{script.file}: has another name than {ups[version][1].file}")
    if problems:
        raise FilesRefused(*problems)
    return tuple(
        Migration(version, name, script, downs[version][1] if version in downs else None)
        for version, (name, script) in sorted(ups.items())
    )


def checksum_of(statements: Iterable[Statement]) -> str:
    """A hash of what is run: the statements' texts, whatever stands between them."""
    digest = hashlib.sha256()
    for statement in statements:
        digest.update(statement.text.encode())
        digest.update(b"\0;")
    return digest.hexdigest()


def _script(file: str, content: bytes, problems: list[str]) -> Script | None:
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        problems.append(f"{file}: is not UTF-8")
        return None
    before = len(problems)
    try:
        statements = _unwrapped(statements_of(text))
    except Unreadable as error:
        problems.append(f"{file}:{error.line}: {error}")
        return None
    first = statements[0].line if statements else text.count("\n") + 2
    directives = _directives(file, text.split("\n"), first, problems)
    if not statements:
        problems.append(f"{file}: holds no statement")
    if len(problems) > before:
        return None
    return Script(file, directives, statements, checksum_of(statements))


def _unwrapped(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Without the BEGIN and COMMIT around a whole file: it runs in a transaction anyway.

    Raises:
        Unreadable: Transactions are begun or ended elsewhere.
    """
    if len(statements) > 2 and _controls(statements[0]) == "begin":
        ends = _controls(statements[-1])
        if ends == "commit":
            statements = statements[1:-1]
    for statement in statements:
        if _controls(statement):
            raise Unreadable(
                statement.line,
                f"{statement.tokens[0].text.upper()} begins or ends a transaction; a file is one "
                "transaction by itself, or several with no-transaction",
            )
    return statements


def _controls(statement: Statement) -> str | None:
    """`begin`, `commit` or `other`, if the statement is about transactions."""
    words = tuple(token.text for token in statement.tokens[:2])
    match words:
        case ("begin", *_) | ("start", "transaction"):
            return "begin"
        case ("commit" | "end",) | ("commit" | "end", "work" | "transaction"):
            return "commit"
        case ("commit" | "end" | "rollback" | "abort" | "savepoint" | "release", *_):
            return "other"
        case ("prepare", "transaction"):
            return "other"
    return None


def _directives(file: str, lines: list[str], first: int, problems: list[str]) -> Directives:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _DIRECTIVE.fullmatch(line)
        if match is None:
            continue
        name, _, value = (part.strip() for part in match[1].partition(":"))
        if number > first:
            problems.append(f"{file}:{number}: a directive stands before the first statement")
        elif name in found:
            problems.append(f"{file}:{number}: {name} is said twice")
        else:
            found[name] = value
    values: dict[str, object] = {}
    for name, value in found.items():
        try:
            values.update(_directive(name, value))
        except ValueError as error:
            problems.append(f"{file}: the directive {name!r}: {error}")
    return Directives(**values)  # type: ignore[arg-type]  # names and values come in pairs


def _directive(name: str, value: str) -> dict[str, object]:
    match name:
        case "only":
            if value not in _ONLY:
                raise ValueError(f"is {', '.join(_ONLY)}, not {value!r}")
            return {"only": _ONLY[value]}
        case "no-transaction":
            if value:
                raise ValueError("has no value")
            return {"in_transaction": False}
        case "lock-timeout" | "statement-timeout":
            return {name.replace("-", "_") + "_s": DURATION.parse(value)}
        case "allow":
            codes = [code.strip() for code in value.split(",")]
            if not all(_CODE.fullmatch(code) for code in codes):
                raise ValueError("is a list of codes of the lint, as in: allow: L102, L109")
            return {"allow": frozenset(codes)}
    raise ValueError("means nothing; known are only, no-transaction, lock-timeout, "
                     "statement-timeout and allow")  # fmt: skip
