"""What writers were told of each of their writes, compared with what is in the database at the end."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

BROKEN: Final = "broken"
"""The connection to the API ended without an answer, which it has no reason for."""
SILENT: Final = "silent"
"""The API gave no answer for longer than it promises."""


class Kind(StrEnum):
    """What an operation does."""

    READ = "read"
    WRITE = "write"


class Fate(StrEnum):
    """What a writer knows of one write."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    """Whoever refused it promised that nothing was written."""
    UNKNOWN = "unknown"
    UNDOCUMENTED = "undocumented"
    """The answer is none of those that a client is told of."""


class Operation(NamedTuple):
    """One request and how it ended."""

    kind: Kind
    key: str
    """Of a write: its unique id, the same for each attempt."""
    due_s: float
    """When it had to be sent, in monotonic seconds: latency counts from here."""
    ended_s: float
    status: int
    """0: no answer."""
    code: str
    """The code of an error; empty for success."""
    retry_after: bool
    served: str
    """Who answered, as the API says."""

    @property
    def good(self) -> bool:
        """Whether it succeeded."""
        return 200 <= self.status < 300

    @property
    def latency_s(self) -> float:
        """From when it was due to its end."""
        return self.ended_s - self.due_s

    @property
    def outcome(self) -> str:
        """`ok`, or what went wrong, in few words."""
        return "ok" if self.good else f"{self.status} {self.code}" if self.status else self.code


def fate(write: Operation) -> Fate:
    """What the answer to one attempt says."""
    if write.good:
        return Fate.ACKNOWLEDGED
    match write.status, write.code, write.retry_after:
        case (503, str(), True) | (504, "P301", _):
            return Fate.REFUSED
        case (500, "COMMIT_UNKNOWN", False) | (409, "IDEMPOTENCY_REQUEST_IN_PROGRESS", True):
            return Fate.UNKNOWN
        case _:
            return Fate.UNDOCUMENTED


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of all writes."""

    writes: int
    fates: Mapping[Fate, int]
    lost: tuple[str, ...]
    """Acknowledged, and not there."""
    twice: tuple[str, ...]
    """There more than once."""
    refused_and_there: tuple[str, ...]
    foreign: tuple[str, ...]
    """There, and never sent."""
    undocumented: Mapping[str, int]
    """Answers that no client is told of."""

    def broken_promises(self, *, durable: bool) -> list[str]:
        """What was promised and is not so, a sentence each. `durable`: nothing acknowledged is lost."""
        wrong = {
            "acknowledged and lost": self.lost if durable else (),
            "applied twice": self.twice,
            "refused and there": self.refused_and_there,
            "there and never sent": self.foreign,
        }
        found = [
            f"{len(keys)} writes {what}, like {keys[0]}" for what, keys in wrong.items() if keys
        ]
        found += [
            f"{count} writes were answered with {outcome}"
            for outcome, count in self.undocumented.items()
        ]
        return found


def settle(attempts: Iterable[Fate]) -> Fate:
    """The fate of a write that was tried several times under one id.

    One acknowledgement is enough. Else one unknown outcome makes the whole unknown.
    """
    found = set(attempts)
    for worst in (Fate.ACKNOWLEDGED, Fate.UNDOCUMENTED, Fate.UNKNOWN):
        if worst in found:
            return worst
    return Fate.REFUSED


def audit(operations: Iterable[Operation], there: Iterable[str]) -> Audit:
    """Compare the writes with the ids of all rows that are in the database now."""
    attempts: dict[str, list[Fate]] = {}
    undocumented: Counter[str] = Counter()
    for one in operations:
        if one.kind is Kind.WRITE:
            told = fate(one)
            attempts.setdefault(one.key, []).append(told)
            if told is Fate.UNDOCUMENTED:
                undocumented[one.outcome] += 1
    fates = {key: settle(told) for key, told in attempts.items()}
    rows = Counter(there)
    return Audit(
        writes=len(fates),
        fates=Counter(fates.values()),
        lost=_sorted(k for k, told in fates.items() if told is Fate.ACKNOWLEDGED and not rows[k]),
        twice=_sorted(key for key, count in rows.items() if count > 1),
        refused_and_there=_sorted(
            k for k, told in fates.items() if told is Fate.REFUSED and rows[k]
        ),
        foreign=_sorted(key for key in rows if key not in fates),
        undocumented=undocumented,
    )


def _sorted(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(keys))
