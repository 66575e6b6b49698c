"""Whether a primary's commits are still being confirmed, told from its standbys' positions.

A connected standby proves nothing: one that is frozen keeps its connection for a minute while
every commit waits for it. What counts is that what was flushed a while ago has arrived by now.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_NEEDED: Final = re.compile(r"\s*(?:(?:ANY|FIRST)\s+)?(\d+)\s*\(", re.IGNORECASE)
_CONFIRMING: Final = frozenset({"sync", "quorum"})
HIDDEN: Final = "?"
"""The state of a standby that the login role is not allowed to see."""
MAX_SAMPLES: Final = 64


def needed(synchronous_standby_names: str) -> int:
    """How many standbys have to confirm a commit: 0 when it waits for none."""
    if not synchronous_standby_names.strip():
        return 0
    match = _NEEDED.match(synchronous_standby_names)
    return int(match[1]) if match is not None else 1


def confirmed(count: int, states: Sequence[str], flush_lsns: Sequence[int | None]) -> int | None:
    """Up to which LSN `count` standbys confirm: 0 when there are too few, None when hidden."""
    lsns = sorted(
        (
            lsn
            for state, lsn in zip(states, flush_lsns, strict=True)
            if state in _CONFIRMING and lsn is not None
        ),
        reverse=True,
    )
    if len(lsns) >= count:
        return lsns[count - 1]
    return None if HIDDEN in states else 0


@dataclass(slots=True)
class Quorum:
    """The primary's flushed positions that wait for confirmation, the oldest first."""

    _waiting: deque[tuple[float, int]] = field(default_factory=deque)

    def forget(self) -> None:
        """Start over: it is not known, or nothing has to be confirmed."""
        self._waiting.clear()

    def sample(self, at: float, flushed: int, confirmed_lsn: int) -> None:
        """Take in one probe of the primary."""
        while self._waiting and self._waiting[0][1] <= confirmed_lsn:
            self._waiting.popleft()
        if flushed <= confirmed_lsn:
            self._waiting.clear()
        elif not self._waiting or self._waiting[-1][1] < flushed:
            if len(self._waiting) >= MAX_SAMPLES:
                self._waiting.pop()
            self._waiting.append((at, flushed))

    def waiting_s(self, now: float) -> float:
        """For how long the oldest unconfirmed position has been waiting."""
        return now - self._waiting[0][0] if self._waiting else 0.0
