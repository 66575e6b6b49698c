"""What a session must see of its own numbered writes, judged from what it was told alone.

A session writes rows numbered upwards; a read shows the highest number that it finds. Before a
read begins, the session knows which writes have been acknowledged and what reads have shown by
then; what the read shows must not be less. Nothing here knows how a router goes about it.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self


class Verdict(StrEnum):
    """What a read was."""

    FRESH = "fresh"
    STALE = "stale"
    """A write that was acknowledged before the read began is not shown."""
    BACKWARD = "backward"
    """What an earlier read had shown before this one began is not shown."""


class Expected(NamedTuple):
    """What a read has to show at least, taken when it begins."""

    written: int
    """The highest number acknowledged by then; 0: none."""
    seen: int
    """The highest number shown by then."""


@dataclass(slots=True)
class Register:
    """What one session has written and seen."""

    last: int = 0
    """The highest number that was given out."""
    written: int = 0
    seen: int = 0
    _acknowledged: list[tuple[int, float]] = field(default_factory=list)
    """Numbers and when each was acknowledged, in ascending order."""

    def next_number(self) -> int:
        """The number of the next write."""
        self.last += 1
        return self.last

    def acknowledged(self, number: int, at_s: float = 0.0) -> None:
        """The write of that number was answered with success."""
        self.written = max(self.written, number)
        insort(self._acknowledged, (number, at_s))

    def expected(self) -> Expected:
        """What a read that begins now has to show."""
        return Expected(self.written, self.seen)

    def judge(self, expected: Expected, shown: int) -> Verdict:
        """The read that began with `expected` has shown `shown`; 0: no row at all."""
        self.seen = max(self.seen, shown)
        if shown < expected.written:
            return Verdict.STALE
        if shown < expected.seen:
            return Verdict.BACKWARD
        return Verdict.FRESH

    def age_s(self, shown: int, began_s: float) -> float:
        """For how long the oldest write that a read does not show had been acknowledged.

        0 when it shows all that were acknowledged before the read began.
        """
        at = bisect_left(self._acknowledged, (shown + 1, 0.0))
        if at == len(self._acknowledged):
            return 0.0
        return max(0.0, began_s - self._acknowledged[at][1])


@dataclass(slots=True)
class Tally:
    """The reads of one phase: what they were, and who answered them."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    by_role: Counter[str] = field(default_factory=Counter)
    """How many were answered by a `replica`, by the `primary`, or by whom nobody knows (`?`)."""
    errors: Counter[str] = field(default_factory=Counter)
    """How many were not answered, by code."""
    ages_ms: list[float] = field(default_factory=list)
    """Of each stale read: for how long it had been so."""

    @property
    def reads(self) -> int:
        """Those that were answered."""
        return sum(self.verdicts.values())

    @property
    def replica_share(self) -> float:
        """The share of answers that replicas gave; 0 without any."""
        return self.by_role["replica"] / self.reads if self.reads else 0.0

    def as_json(self) -> dict[str, Any]:
        """The same for the way from one process to another."""
        return {
            "verdicts": {verdict.value: count for verdict, count in self.verdicts.items()},
            "by_role": dict(self.by_role),
            "errors": dict(self.errors),
            "ages_ms": [round(age, 2) for age in self.ages_ms],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        verdicts = {Verdict(verdict): count for verdict, count in found["verdicts"].items()}
        return cls(
            Counter(verdicts),
            Counter(found["by_role"]),
            Counter(found["errors"]),
            list(found["ages_ms"]),
        )

    @classmethod
    def total(cls, tallies: Iterable["Tally"]) -> "Tally":
        """All of them together."""
        whole = cls()
        for one in tallies:
            whole.verdicts.update(one.verdicts)
            whole.by_role.update(one.by_role)
            whole.errors.update(one.errors)
            whole.ages_ms += one.ages_ms
        return whole
