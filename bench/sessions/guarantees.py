"""What a session must see of its own numbered writes, judged from what it was told alone.

A session writes rows numbered upwards; a read shows the highest number that it finds. Before a
read begins, the session knows which writes have been acknowledged and what reads have shown by
then; what the read shows must not be less. Nothing here knows how a router goes about it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self


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

    def next_number(self) -> int:
        """The number of the next write."""
        self.last += 1
        return self.last

    def acknowledged(self, number: int) -> None:
        """The write of that number was answered with success."""
        self.written = max(self.written, number)

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


@dataclass(slots=True)
class Tally:
    """The reads of one phase: what they were, and who answered them."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    by_role: Counter[str] = field(default_factory=Counter)
    """How many were answered by a `replica`, by the `primary`, or by whom nobody knows (`?`)."""
    errors: Counter[str] = field(default_factory=Counter)
    """How many were not answered, by code."""

    @property
    def reads(self) -> int:
        """Those that were answered."""
        return sum(self.verdicts.values())

    @property
    def replica_share(self) -> float:
        """The share of answers that replicas gave; 0 without any."""
        return self.by_role["replica"] / self.reads if self.reads else 0.0

    def as_json(self) -> dict[str, dict[str, int]]:
        """The same for the way from one process to another."""
        return {
            "verdicts": {verdict.value: count for verdict, count in self.verdicts.items()},
            "by_role": dict(self.by_role),
            "errors": dict(self.errors),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Mapping[str, int]]) -> Self:
        """What `as_json` gave."""
        verdicts = {Verdict(verdict): count for verdict, count in found["verdicts"].items()}
        return cls(Counter(verdicts), Counter(found["by_role"]), Counter(found["errors"]))

    @classmethod
    def total(cls, tallies: Iterable["Tally"]) -> "Tally":
        """All of them together."""
        whole = cls()
        for one in tallies:
            whole.verdicts.update(one.verdicts)
            whole.by_role.update(one.by_role)
            whole.errors.update(one.errors)
        return whole
