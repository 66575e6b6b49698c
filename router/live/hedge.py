"""When a read that is not answered is sent to a second replica as well, and how many are.

Pure. A budget holds the second ones to a share of all reads, so that an overload, in which every
read is late, is not doubled (Dean and Barroso, The Tail at Scale, 2013).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

REMEMBERED: Final = 512
"""Of so many reads the quantile is taken: a percentile of 95 stands on the 25 slowest of them."""
LEAST_READS: Final = 64
"""Before so many were seen there is no quantile, and nothing is hedged."""
EVERY: Final = 32
"""The quantile is worked out anew after so many reads."""
MAX_SAVED: Final = 10.0
"""So many second reads may be saved up for, and come together."""


@dataclass(frozen=True, slots=True)
class HedgeAfter:
    """A fixed time, or the quantile of the shard's own reads."""

    seconds: float | None = None
    quantile: float | None = None


@dataclass(slots=True)
class Hedge:
    """The hedging of one shard's reads. `share` of its reads may be sent twice."""

    after: HedgeAfter
    share: float
    _saved: float = 0.0
    _took_s: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _reads: int = 0
    _quantile_s: float | None = None

    def delay_s(self) -> float | None:
        """How long to wait for the first answer; None: as long as it takes. Counts a read."""
        self._saved = min(MAX_SAVED, self._saved + self.share)
        return self.after.seconds if self.after.quantile is None else self._quantile_s

    def spend(self) -> bool:
        """Whether one more read may be sent twice: then it counts."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def took(self, seconds: float) -> None:
        """A read was answered, by whomever, after so long."""
        if self.after.quantile is None:
            return
        self._took_s.append(seconds)
        self._reads += 1
        if self._reads >= LEAST_READS and self._reads % EVERY == 0:
            found = sorted(self._took_s)
            self._quantile_s = found[min(len(found) - 1, int(len(found) * self.after.quantile))]
