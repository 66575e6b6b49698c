"""What reads have met on one endpoint lately, and whether it is trusted with more of them.

Pure. An endpoint whose reads fail though its probes are well is *ejected* for a while, the longer
the more often it happens; then it is *on trial*, one read at a time, until it has answered some.
Who is ejected, `ejection` decides, which knows the other endpoints of the shard.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

MARKS: Final = 10
"""Into so many parts the window is divided in which errors are counted."""
TRIAL_ANSWERS: Final = 3
"""So many reads answered on trial, and it is trusted again."""


class Trust(StrEnum):
    """Whether an endpoint is given reads."""

    TRUSTED = "trusted"
    EJECTED = "ejected"
    ON_TRIAL = "on trial"


@dataclass(frozen=True, slots=True)
class Ejecting:
    """When an endpoint is ejected, and for how long."""

    failures_in_row: int = 5
    failed_share: float = 0.5
    """Of the reads within the window …"""
    window_s: float = 10.0
    least_reads: int = 20
    """… if there were so many."""
    first_s: float = 1.0
    """The first time it is ejected for so long, then for twice as long …"""
    longest_s: float = 30.0
    """… up to this; when it was trusted for as long as this, it begins anew."""
    most_share: float = 0.5
    """Of a shard's replicas at most so many are ejected by what reads met on them."""


class _Mark(NamedTuple):
    at: float
    answers: int
    failures: int


@dataclass(slots=True)
class Breaker:
    """Counts of one endpoint, and what follows. Its owner writes the counts on every answer."""

    trust: Trust = Trust.TRUSTED
    answers: int = 0
    failures: int = 0
    in_row: int = 0
    """Failures since the last answer."""
    hard_in_row: int = 0
    """Those of them by which the connection was lost, or none could be made."""
    detail: str = ""
    """The last failure."""
    ejections: int = 0
    until: float = float("-inf")
    _trusted_at: float = float("-inf")
    _trial_from: int = 0
    _marks: deque[_Mark] = field(default_factory=deque)

    def failed(self, detail: str, *, hard: bool) -> None:
        """A read failed in a way that may be the endpoint's fault."""
        self.failures += 1
        self.in_row += 1
        self.hard_in_row = self.hard_in_row + 1 if hard else 0
        self.detail = detail

    def mark(self, now: float, window_s: float) -> None:
        """Note the counts, so that later ones can be told apart; as often as one likes."""
        marks = self._marks
        if not marks or now - marks[-1].at >= window_s / MARKS:
            marks.append(_Mark(now, self.answers, self.failures))
        while len(marks) > 1 and now - marks[1].at >= window_s:
            marks.popleft()

    def lately(self) -> tuple[int, int]:
        """Answers and failures within the window."""
        if not self._marks:
            return self.answers, self.failures
        first = self._marks[0]
        return self.answers - first.answers, self.failures - first.failures

    def eject(self, now: float, rules: Ejecting) -> None:
        """Give it no more reads for a while."""
        if self.trust is Trust.TRUSTED and now - self._trusted_at >= rules.longest_s:
            self.ejections = 0
        self.until = now + min(rules.longest_s, rules.first_s * 2.0 ** min(self.ejections, 30))
        self.ejections += 1
        self.trust = Trust.EJECTED

    def try_out(self) -> None:
        """Let it have one read at a time."""
        self.trust = Trust.ON_TRIAL
        self.in_row = self.hard_in_row = 0
        self._trial_from = self.answers

    @property
    def trial_passed(self) -> bool:
        """Whether it has answered enough on trial."""
        return self.in_row == 0 and self.answers - self._trial_from >= TRIAL_ANSWERS

    def trust_again(self, now: float) -> None:
        """What was before does not count any more, but for how long the next time is."""
        self.trust = Trust.TRUSTED
        self._trusted_at = now
        self._marks.clear()
        self._marks.append(_Mark(now, self.answers, self.failures))
