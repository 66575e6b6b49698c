"""The errors of the shard map; a class says what the caller should do.

ShardMapError
├── InvalidTenantKey        M101   the value is no key of the map's type       the caller must change it
├── InvalidMap              M102   the document has problems, all listed       the operator must change it
├── MapConflict             M103   somebody else applied a newer epoch         read it again, then retry
├── MapRefused              M104   the change needs what this release lacks    the operator must change it
├── MapUnavailable          M105   neither catalog nor last good copy answers  retry later
├── CredentialsUnavailable  M106   a reference leads to no credentials         the operator must provide them
├── InvalidUrl              M107   the text is no PostgreSQL url we can use    the operator must change it
├── IdentityTaken           M108   the server belongs to another shard         the operator must check the address
├── NumberTaken             M109   the server makes ids with another number    the operator must check the address
└── TablesUnsafe            M110   a statement could touch another tenant's rows  the operator must change the tables

Codes are public, documented and never reused.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ShardMapError(Exception):
    """Anything wrong with a shard map or a key of it."""

    code = "M100"


class InvalidTenantKey(ShardMapError):
    """The value cannot be a tenant key of the map's type."""

    code = "M101"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document: where (a dotted path) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidMap(ShardMapError):
    """The document is no shard map; `problems` lists everything wrong with it."""

    code = "M102"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class MapConflict(ShardMapError):
    """The map in the catalog is newer than the one that the change was made from."""

    code = "M103"

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            f"the change was made from epoch {expected}, the catalog has epoch {found}"
        )
        self.expected = expected
        self.found = found


class MapRefused(ShardMapError):
    """The new map is well-formed, and applying it would orphan data or guess."""

    code = "M104"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class MapUnavailable(ShardMapError):
    """No map could be had: the catalog is away and there is no last good copy."""

    code = "M105"


class CredentialsUnavailable(ShardMapError):
    """A reference such as `env:NAME` or `file:/path` leads to no usable credentials."""

    code = "M106"


class InvalidUrl(ShardMapError):
    """The text is no PostgreSQL url that names one server. The message never repeats the text."""

    code = "M107"


class IdentityTaken(ShardMapError):
    """The server that answers says that it belongs to another cluster or shard."""

    code = "M108"

    def __init__(self, *, expected: tuple[str, str], found: tuple[str, str]) -> None:
        super().__init__(
            f"the server is {found[1]} of cluster {found[0]}, "
            f"not {expected[1]} of cluster {expected[0]}"
        )
        self.expected = expected
        self.found = found


class NumberTaken(ShardMapError):
    """The server makes ids with another number than the map gives it."""

    code = "M109"

    def __init__(self, *, expected: int, found: int) -> None:
        super().__init__(f"the server makes ids as shard number {found}, not {expected}")
        self.expected = expected
        self.found = found


class TablesUnsafe(ShardMapError):
    """Tables are such that a statement could touch another tenant's rows."""

    code = "M110"
