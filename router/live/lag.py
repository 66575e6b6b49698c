"""How far behind a replica is in time: told from when the primary was where the replica is now.

The age of the last replayed transaction, which PostgreSQL offers, is no lag: on an idle primary it
grows for ever, and jumps to hours when a first transaction comes after hours. What counts is for
how long there has been something that the replica does not show.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from router.live.replicas import Standing

MAX_SAMPLES: Final = 1024
"""Positions that are kept; older ones are thinned out, so that they reach back for hours."""


@dataclass(slots=True)
class Trail:
    """Positions of a primary and when it was there, the oldest first; one timeline only."""

    _lsns: list[int] = field(default_factory=list)
    _since: list[float] = field(default_factory=list)
    """When each position was first seen …"""
    _until: list[float] = field(default_factory=list)
    """… and last: an idle primary stays where it is."""
    _timeline: int = 0

    def note(self, at: float, timeline: int, lsn: int) -> None:
        """The primary was there; `at` is not after it was asked. The same may be told repeatedly."""
        if timeline != self._timeline:  # a promotion: positions of before may be of lost writes
            self._lsns, self._since, self._until = [], [], []
            self._timeline = timeline
        if self._lsns and lsn <= self._lsns[-1]:
            self._until[-1] = max(self._until[-1], at)
            return
        if len(self._lsns) >= MAX_SAMPLES:
            for column in (self._lsns, self._since, self._until):
                del column[2 : MAX_SAMPLES // 2 : 2]  # the first two stay: how far we look back
        self._lsns.append(lsn)
        self._since.append(at)
        self._until.append(at)

    @property
    def empty(self) -> bool:
        """Whether the primary was never seen."""
        return not self._lsns

    def behind_since(self, lsn: int, asked_at: float) -> float | None:
        """Since when a replica that was there at `asked_at` misses something; None: it does not.

        What the primary did later than that is not held against it. The time of the oldest
        position that it does not show, so at most one probe too late.
        """
        index = bisect_right(self._lsns, lsn)
        if index == len(self._lsns) or self._since[index] > asked_at:
            return None
        return self._since[index]

    def looks_back_to(self, lsn: int) -> bool:
        """Whether we saw the primary at the position, or before it."""
        return bool(self._lsns) and self._lsns[0] <= lsn

    def as_of(self, lsn: int) -> float | None:
        """A time for which is certain that whoever is at `lsn` shows all that was flushed then.

        None: nobody knows of any.
        """
        index = bisect_right(self._lsns, lsn)
        return self._until[index - 1] if index else None


def lag_s(trail: Trail, standing: Standing) -> float | None:
    """The lag of a replica as of its last probe; None: neither we nor it can tell.

    What lies before our own time with this primary only the replica can tell: the age of its last
    transaction, which is the most that it can be.
    """
    if trail.empty:
        return standing.replayed_s
    since = trail.behind_since(standing.lsn, standing.probed_at)
    if since is None:
        return 0.0
    seen_s = standing.probed_at - since
    if trail.looks_back_to(standing.lsn) or standing.replayed_s is None:
        return seen_s
    return max(seen_s, standing.replayed_s)
