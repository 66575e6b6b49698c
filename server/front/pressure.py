"""Whether a worker has more requests than CPU, and how many may wait for it: decided once per tick.

The event loop's own lag says that there is too much to do; how long requests then stand in the
queue says whether it only piled up for a moment. A queue in which somebody has waited for longer
than the target, all through an interval, is a standing one (CoDel: Nichols and Jacobson, 2012): it
helps nobody, and is cut to what can be served within the target, at the rate of now.
"""

from dataclasses import dataclass
from typing import Final

TICK_S: Final = 0.05
ENGAGE_LAG_S: Final = 0.01
"""Lag that is worth turns: about fifty small requests at once. Below, taking them as they come is
as fair, and costs nothing."""
ENGAGE_TICKS: Final = 2
"""In a row: one may be a collection of garbage, or a large answer."""
RELEASE_TICKS: Final = 20
"""Without lag, in a row, before turns end."""
INTERVAL_TICKS: Final = 10
"""For how long a queue must have stood to be a standing one."""
RATE_SHARE: Final = 0.3
"""How much one tick counts in the moving average of what is served."""
LEAST_LIMIT: Final = 32
"""So many may always wait: the rate is not known better than that."""


@dataclass(slots=True)
class Pressure:
    """One worker's. `target_s` 0: nobody is ever turned away."""

    target_s: float
    engaged: bool = False
    """Requests take turns."""
    limit: int | None = None
    """The most that may wait; None: there is no standing queue."""
    _hot: int = 0
    _cool: int = 0
    _standing: int = 0
    _rate: float = 0.0

    def tick(self, lag_s: float, longest_s: float, served: int, waiting: int) -> None:
        """Take in what happened since the last tick.

        `longest_s` is how long has waited who waits longest; `served` is how many were let in.
        """
        hot = lag_s >= ENGAGE_LAG_S
        self._hot = self._hot + 1 if hot else 0
        self._cool = 0 if hot or waiting else self._cool + 1
        if self._hot >= ENGAGE_TICKS:
            self.engaged = True
        elif self._cool >= RELEASE_TICKS:
            self.engaged = False
        per_s = served / (TICK_S + lag_s)
        self._rate += (per_s - self._rate) * RATE_SHARE if self._rate else per_s
        self._judge(longest_s)

    def _judge(self, longest_s: float) -> None:
        if not self.target_s:
            return
        self._standing = self._standing + 1 if longest_s > self.target_s else 0
        if self._standing >= INTERVAL_TICKS or (self.limit is not None and self._standing):
            self.limit = max(LEAST_LIMIT, int(self._rate * self.target_s))
        elif longest_s < self.target_s / 2:
            self.limit = None
