"""The highest rate of arrivals that keeps a bound, found by bisection; decides, measures nothing.

A rate counts as kept when two of three measurements keep it: one stall of a shared machine neither
makes nor breaks a figure, and the rule is the same for everything that is compared.
"""

from dataclasses import dataclass, field
from typing import Final

NEEDED: Final = 2
NEAR_THE_TOP: Final = 0.7


@dataclass(frozen=True, slots=True)
class Bound:
    """What a measurement has to keep, for its rate to count."""

    p99_ms: float
    answered: float = 0.98
    """Share of the arrivals that were due; none may fail."""

    def kept(self, *, p99_ms: float, answered: int, due: int, failed: int) -> bool:
        """Whether a measurement keeps it."""
        return failed == 0 and answered >= self.answered * due and p99_ms <= self.p99_ms

    def __str__(self) -> str:
        return f"p99 of at most {self.p99_ms:g} ms from when each was due, none failed"


@dataclass(slots=True)
class Search:
    """Divides the way between a rate that is kept and one that is not, until they are near."""

    low: float
    """Taken as kept; 0 says nothing."""
    high: float
    """Taken as not kept."""
    near: float = 0.03
    """How far apart, as a share of `high`, they may be at the end."""
    _votes: list[bool] = field(default_factory=list)

    @property
    def next_rate(self) -> float | None:
        """What to measure next; None: found."""
        if self.high - self.low <= self.near * self.high:
            return None
        return self._at

    @property
    def _at(self) -> float:
        """Nearer to what is not kept: of most systems the answer is there."""
        return self.low + NEAR_THE_TOP * (self.high - self.low)

    def told(self, kept: bool) -> None:  # noqa: FBT001 - the answer to a question
        """A measurement of `next_rate` has kept the bound, or not."""
        self._votes.append(kept)
        if self._votes.count(kept) < NEEDED:
            return
        at = self._at
        if kept:
            self.low = at
        else:
            self.high = at
        self._votes.clear()
