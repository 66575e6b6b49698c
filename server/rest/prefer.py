"""The Prefer header (RFC 7240): what a client would like, and what of it was done."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from multidict import MultiMapping

from router import Consistency, read_consistency

_VALUES: Final = {
    "resolution": frozenset({"merge-duplicates", "ignore-duplicates"}),
    "missing": frozenset({"default", "null"}),
    "return": frozenset({"representation", "minimal", "headers-only"}),
    "count": frozenset({"exact", "planned", "estimated"}),
    "tx": frozenset({"commit", "rollback"}),
    "handling": frozenset({"strict", "lenient"}),
}
_MAX_AFFECTED: Final = re.compile(r"[0-9]{1,18}")

HEADER: Final = "Prefer"

ORDER: Final = (
    "resolution",
    "missing",
    "return",
    "count",
    "tx",
    "handling",
    "timezone",
    "max-affected",
    "consistency",
)
"""In which order applied preferences are reported."""


_OF_EACH: Final = ("tx", "handling", "timezone")
"""What every method honours."""

SNAPSHOT: Final = "snapshot"


class Return(StrEnum):
    """What a write sends back."""

    REPRESENTATION = "representation"
    MINIMAL = "minimal"
    HEADERS_ONLY = "headers-only"


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of one request. None: not given."""

    resolution: str | None = None
    missing: str | None = None
    returns: Return | None = None
    count: str | None = None
    tx: str | None = None
    handling: str | None = None
    timezone: str | None = None
    max_affected: int | None = None
    snapshot: bool = False
    """Reads of several shards see writes on several shards wholly, or not at all."""
    consistency: Consistency | None = None
    """How fresh reads are."""
    invalid: tuple[str, ...] = ()
    """What we do not know, as sent."""

    @property
    def strict(self) -> bool:
        """Whether unknown preferences are errors."""
        return self.handling == "strict"

    @property
    def consistent(self) -> str | None:
        """What a read was asked to be, as it is reported when it was."""
        if self.snapshot:
            return SNAPSHOT
        return None if self.consistency is None else self.consistency.text()

    @property
    def merge(self) -> bool:
        """Whether duplicates are merged into the rows that exist."""
        return self.resolution == "merge-duplicates"

    @property
    def ignore(self) -> bool:
        """Whether duplicates are left out."""
        return self.resolution == "ignore-duplicates"

    @property
    def defaults(self) -> bool:
        """Whether keys that are missing get the column's default."""
        return self.missing == "default"


NONE: Final = Preferences()


def preferences_of(headers: Mapping[str, str]) -> Preferences:
    """What the headers of that name ask for together; the first of each kind counts."""
    first = headers.get(HEADER)
    if first is None:
        return NONE
    if isinstance(headers, MultiMapping):
        return preferences(", ".join(headers.getall(HEADER)))
    return preferences(first)


def preferences(header: str | None) -> Preferences:
    """What the header asks for; the first of each kind counts."""
    if header is None:
        return NONE
    found: dict[str, str] = {}
    invalid: list[str] = []
    for name, value in _items(header):
        if not _known(name, value):
            invalid.append(f"{name}={value}" if value else name)
        else:
            found.setdefault(name, value)
    returns = found.get("return")
    max_affected = found.get("max-affected")
    consistency = found.get("consistency")
    return Preferences(
        resolution=found.get("resolution"),
        missing=found.get("missing"),
        returns=None if returns is None else Return(returns),
        count=found.get("count"),
        tx=found.get("tx"),
        handling=found.get("handling"),
        timezone=found.get("timezone"),
        max_affected=None if max_affected is None else int(max_affected),
        snapshot=consistency == SNAPSHOT,
        consistency=None if consistency is None else read_consistency(consistency),
        invalid=tuple(invalid),
    )


def reported(
    prefer: Preferences, *names: str, consistent: str | None = None
) -> tuple[tuple[str, str], ...]:
    """The `Preference-Applied` header of a method that honours the preferences of these names."""
    bounded = prefer.strict and prefer.max_affected is not None
    given = {
        "resolution": prefer.resolution,
        "missing": prefer.missing,
        "return": prefer.returns,
        "count": prefer.count,
        "tx": prefer.tx,
        "handling": prefer.handling,
        "timezone": prefer.timezone,
        "max-affected": str(prefer.max_affected) if bounded else None,
    }
    pairs = ((name, given[name]) for name in (*names, *_OF_EACH))
    return applied((*pairs, ("consistency", consistent)))


def applied(pairs: Iterable[tuple[str, str | None]]) -> tuple[tuple[str, str], ...]:
    """The `Preference-Applied` header of what was honoured, in the fixed order."""
    given = {name: value for name, value in pairs if value is not None}
    if not given:
        return ()
    text = ", ".join(f"{name}={given[name]}" for name in ORDER if name in given)
    return (("Preference-Applied", text),)


def _items(header: str) -> Iterator[tuple[str, str]]:
    for item in header.split(","):
        # parameters behind a semicolon are none of ours
        name, _, value = item.partition(";")[0].partition("=")
        if name.strip():
            yield name.strip().lower(), value.strip().strip('"')


def _known(name: str, value: str) -> bool:
    if name == "timezone":
        return bool(value)
    if name == "max-affected":
        return _MAX_AFFECTED.fullmatch(value) is not None
    if name == "consistency":
        return value == SNAPSHOT or read_consistency(value) is not None
    return value in _VALUES.get(name, ())
