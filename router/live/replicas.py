"""Which endpoint answers a read: the power of two choices among replicas that are fresh enough.

Pure: what is known of an endpoint is a `Standing`, which probes and answers keep up to date.
Two random candidates and the better of them avoid herding on the best (Mitzenmacher, 2001).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from router.live.freshness import Position

EWMA_SHARE: Final = 0.2
"""How much one answer counts in the moving average of latencies: about the last ten matter."""
FORGETTING: Final = 0.95
"""Per probe, the average of an endpoint that nobody asked shrinks, so that it is tried again."""
MIN_LATENCY_S: Final = 0.000_2
"""Added to each average: differences below it are noise, and queue lengths should decide."""


@dataclass(slots=True)
class Standing:
    """What is known of one endpoint now. The only mutable value here; its owner writes it."""

    weight: int = 1
    alive: bool = False
    """The last probe was good, and nothing failed since."""
    proved_at: float = float("-inf")
    """When the last good probe began, in monotonic seconds."""
    in_recovery: bool = True
    timeline: int = 0
    lsn: int = 0
    """It has replayed (or, as primary, flushed) at least as far."""
    lag_bytes: int | None = None
    """Behind the primary's last known position; None: the primary's is not known."""
    lag_s: float | None = None
    """Age of the last replayed transaction while some received WAL waits; else 0."""
    latency_s: float = 0.0
    in_flight: int = 0
    answered: bool = False
    """Somebody was answered since the last probe."""

    def answered_in(self, seconds: float) -> None:
        """Count one answer that took so long."""
        self.latency_s += (seconds - self.latency_s) * EWMA_SHARE
        self.answered = True

    def fade(self) -> None:
        """Once per probe: let the average of an unused endpoint shrink."""
        if not self.answered:
            self.latency_s *= FORGETTING
        self.answered = False

    def load(self) -> float:
        """What a new request would wait for, in weighted seconds. Not for weight 0."""
        return (self.latency_s + MIN_LATENCY_S) * (self.in_flight + 1) / self.weight


@dataclass(frozen=True, slots=True)
class Limits:
    """What a replica must hold to answer reads at all."""

    proof_age_s: float
    max_lag_bytes: int
    max_lag_s: float


def proven(standing: Standing, now: float, limits: Limits) -> bool:
    """Whether the endpoint is alive by a recent probe."""
    return standing.alive and now - standing.proved_at <= limits.proof_age_s


def within_lag(standing: Standing, limits: Limits) -> bool:
    """Whether the replica is near enough to its primary, as far as anybody knows."""
    if standing.lag_bytes is not None and standing.lag_bytes > limits.max_lag_bytes:
        return False
    return standing.lag_s is None or standing.lag_s <= limits.max_lag_s


def candidates(
    standings: Sequence[Standing],
    now: float,
    limits: Limits,
    newest_timeline: int,
    excluded: Collection[int] = (),
) -> list[int]:
    """The replicas that may answer, but for freshness; as indices.

    A replica of an older timeline than the primary's has not followed a promotion, or follows a
    primary that was fenced off.
    """
    return [
        index
        for index, standing in enumerate(standings)
        if standing.in_recovery
        and standing.weight > 0
        and standing.timeline >= newest_timeline
        and proven(standing, now, limits)
        and within_lag(standing, limits)
        and index not in excluded
    ]


def choose(
    standings: Sequence[Standing],
    among: Sequence[int],
    floor: Position | None,
    draw: Callable[[], float],
) -> int | None:
    """The less loaded of two fresh candidates drawn at random; None: nobody is fresh enough.

    Fresh: known to show everything up to the floor, in timeline and in LSN.

    `draw` gives numbers in [0, 1).
    """
    if floor is None:
        fresh = among
    else:
        timeline, lsn = floor.timeline, floor.lsn
        fresh = [
            index
            for index in among
            if standings[index].lsn >= lsn and standings[index].timeline >= timeline
        ]
    count = len(fresh)
    if count < 2:
        return fresh[0] if fresh else None
    if count == 2:
        one, other = fresh
    else:
        first = int(draw() * count)
        second = int(draw() * (count - 1))
        one, other = fresh[first], fresh[second + (second >= first)]
    return one if standings[one].load() <= standings[other].load() else other


def leaders(
    standings: Sequence[Standing], now: float, limits: Limits, newest_timeline: int
) -> list[int]:
    """The endpoints that could be the primary: out of recovery, on the highest timeline.

    One is the primary. None: it is away. Two: both were promoted and their data parted, so neither
    may be used. An endpoint of a timeline older than one that had a primary before is fenced off:
    it is what a promotion left behind.
    """
    live = [
        index
        for index, standing in enumerate(standings)
        if not standing.in_recovery
        and standing.timeline >= newest_timeline
        and proven(standing, now, limits)
    ]
    newest = max((standings[index].timeline for index in live), default=0)
    return [index for index in live if standings[index].timeline == newest]
