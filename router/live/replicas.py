"""Which endpoints may answer a read, and which is the primary: told from what is known of each.

Pure: what is known of an endpoint is a `Standing`, which probes and answers keep up to date.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from router.live.breaker import Breaker, Trust
from router.live.freshness import Position

EWMA_SHARE: Final = 0.1
"""How much one answer counts in the moving average of latencies: about the last twenty matter."""
OUTLIER: Final = 3.0
"""One answer counts as at most so many times the average: a single slow one (a statement that is
prepared for the first time, a large answer) must not keep an endpoint out of turns for seconds …"""
SMALL_S: Final = 0.001
"""… unless the average is below this."""
FORGETTING: Final = 0.95
"""Per probe, the average of an endpoint that nobody asked shrinks, so that it is tried again."""
PATIENCE: Final = 8
"""An idle endpoint that is passed over for its average is asked after so many turns of its own, in
case it is better by now, then after twice as many, …"""
MOST_PATIENCE: Final = 1024
"""… up to this. After so many at once while its probes tell that it is slower than usual."""
USUAL: Final = 2.0
"""So many times the quickest probe of late is nothing unusual."""
UNLEARNING: Final = 1.0005
"""Per probe, by how much the usual time grows: what lasts for half an hour is usual."""
MIN_LATENCY_S: Final = 0.002
"""Added to each average: differences below it are noise, and queue lengths should decide."""
FIRST_SHARE: Final = 0.1
"""With what share of its weight a replica begins that returns: never none, or it would not warm."""


@dataclass(slots=True)
class Standing:
    """What is known of one endpoint now. The only mutable value here; its owner writes it."""

    weight: int = 1
    zone: str | None = None
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
    """For how long there has been something that it does not show; 0: nothing, as of its last
    probe. None: the primary's past is not known."""
    replayed_s: float | None = None
    """By its own word, the age of the last transaction that it replayed, while more waits to be."""
    as_of: float | None = None
    """It shows everything that the primary had flushed at this monotonic time, at least."""
    probed_at: float = float("-inf")
    """When the last probe began that was answered …"""
    probed_lsn: int = 0
    """… and where it was then."""
    probe_s: float = 0.0
    """How long the last probe took, on a connection that was open …"""
    usual_probe_s: float = float("inf")
    """… and the quickest of late."""
    excess_s: float = 0.0
    """By how much the last two probes were slower than usual: so are reads, for now."""
    latency_s: float = 0.0
    in_flight: int = 0
    answered: bool = False
    """Somebody was answered since the last probe."""
    cold: bool = False
    """It was away, or is new among others: the next good probe begins its slow start."""
    returned_at: float = float("-inf")
    """When its slow start began."""
    share: float = 1.0
    """The part of its weight that it is given now: less than 1 in its slow start."""
    capacity: float = 1.0
    """Its weight, relative to the least weight among the replicas of its shard."""
    turn: float = 0.0
    """Grows by `step` with each read that it is given; see `choice`."""
    step: float = 1.0
    passed: int = 0
    """Turns in a row that it was passed over for its average, while it had nothing to do."""
    patience: int = PATIENCE
    good_s: float = 0.0
    """An answer within this shows that it is as good as others; 0: nobody wants to know."""
    owed: int = 0
    """Turns that it lost so, and has not made up for since it was well again."""
    breaker: Breaker = field(default_factory=Breaker)

    def waited(self, seconds: float) -> None:
        """Somebody waited for so long and got nothing: it is at least as slow."""
        if seconds > self.latency_s:
            self._average(seconds)

    def answered_in(self, seconds: float) -> None:
        """Count one answer that took so long."""
        self._average(seconds)
        breaker = self.breaker
        breaker.answers += 1
        breaker.in_row = breaker.hard_in_row = 0

    def _average(self, seconds: float) -> None:
        latency_s = self.latency_s
        if seconds < self.good_s:  # it was asked whether it is better by now, and it is
            self.latency_s = min(latency_s, (latency_s + seconds) / 2)
            self.passed, self.patience, self.good_s = 0, PATIENCE, 0.0
            self.answered = True
            return
        most_s = OUTLIER * latency_s
        most_s = max(most_s, SMALL_S)
        seconds = min(seconds, most_s)
        self.latency_s = latency_s + (seconds - latency_s) * EWMA_SHARE
        self.answered = True

    def probed_in(self, seconds: float) -> None:
        """Count a probe that took so long: it tells of a slow link or server before readers do."""
        self.usual_probe_s = min(self.usual_probe_s * UNLEARNING, seconds)
        usual_s = USUAL * self.usual_probe_s + MIN_LATENCY_S
        self.excess_s = max(0.0, min(seconds, self.probe_s) - usual_s)
        self.probe_s = seconds

    def fade(self) -> None:
        """Once per probe: let the average of an unused endpoint shrink."""
        if not self.answered:
            self.latency_s *= FORGETTING
        self.answered = False

    def load(self) -> float:
        """What one more read would wait for, in seconds."""
        return (self.latency_s + self.excess_s + MIN_LATENCY_S) * (
            1.0 + self.in_flight / self.capacity
        )

    def rise(self, now: float) -> None:
        """It was proved well."""
        self.alive = True
        if self.cold:
            self.cold = False
            self.returned_at = now


@dataclass(frozen=True, slots=True)
class Limits:
    """What a replica must hold to answer reads at all."""

    proof_age_s: float
    max_lag_bytes: int
    max_lag_s: float


def proven(standing: Standing, now: float, limits: Limits) -> bool:
    """Whether the endpoint is alive by a recent probe."""
    return standing.alive and now - standing.proved_at <= limits.proof_age_s


def has_reached(standing: Standing, floor: Position | None) -> bool:
    """Whether it is known to show everything up to the floor, in timeline and in LSN."""
    if floor is None:
        return True
    return standing.lsn >= floor.lsn and standing.timeline >= floor.timeline


def within_lag(standing: Standing, limits: Limits) -> bool:
    """Whether the replica is near enough to its primary, as far as anybody knows."""
    if standing.lag_bytes is not None and standing.lag_bytes > limits.max_lag_bytes:
        return False
    return standing.lag_s is None or standing.lag_s <= limits.max_lag_s


def candidates(  # noqa: PLR0913 - what is known, and what is asked for
    standings: Sequence[Standing],
    now: float,
    limits: Limits,
    newest_timeline: int,
    excluded: Collection[int] = (),
    *,
    trust: Trust = Trust.TRUSTED,
) -> list[int]:
    """The replicas that may answer, but for freshness, and are trusted so; as indices.

    A replica of an older timeline than the primary's has not followed a promotion, or follows a
    primary that was fenced off.
    """
    return [
        index
        for index, standing in enumerate(standings)
        if standing.in_recovery
        and standing.weight > 0
        and standing.breaker.trust is trust
        and standing.timeline >= newest_timeline
        and proven(standing, now, limits)
        and within_lag(standing, limits)
        and index not in excluded
    ]


def newest_timeline(standings: Sequence[Standing], now: float, limits: Limits, known: int) -> int:
    """The highest timeline that was ever seen, replicas' included.

    Replicas that follow a promoted server prove that it was promoted, also to a router that has
    just started and cannot reach it: the primary that it left behind is not the primary any more.
    """
    seen = (standing.timeline for standing in standings if proven(standing, now, limits))
    return max(known, max(seen, default=0))


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
