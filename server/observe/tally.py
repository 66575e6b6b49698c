"""What was counted so far: plain numbers that are cheap to raise, and can be added up.

A process counts in its own `Tally`. Raising prometheus_client's metrics instead would cost about
20 us for each request (two families of counters and four histograms, in shared memory), which is
most of what the request itself costs.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

DURATION_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BUCKETS_BYTES: Final = tuple(100.0 * 10**power for power in range(8))

Labels = tuple[str, ...]


class Histogram:
    """How many values fell into each bucket, and their sum. `counts` has one more for +Inf."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value in the first bucket whose bound is not below it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def add(self, counts: Iterable[int], total: float) -> None:
        """Add another histogram of the same bounds."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, counts, strict=True)]
        self.total += total

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound as text, and how many values are not above it, as Prometheus wants it."""
        found, buckets = 0, []
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), self.counts, strict=True):
            found += count
            buckets.append((bound, float(found)))
        return buckets


class Requests:
    """The requests of one method, route and status."""

    __slots__ = ("received_bytes", "seconds", "sent_bytes")

    def __init__(self) -> None:
        self.seconds = Histogram(DURATION_BUCKETS_S)
        self.received_bytes = Histogram(SIZE_BUCKETS_BYTES)
        self.sent_bytes = Histogram(SIZE_BUCKETS_BYTES)


@dataclass(slots=True)
class Tally:
    """Everything that only grows."""

    requests: dict[Labels, Requests] = field(default_factory=dict)
    """By method, route and status."""
    statements: dict[Labels, Histogram] = field(default_factory=dict)
    """Seconds, by operation, shard and endpoint."""
    counts: dict[tuple[str, Labels], float] = field(default_factory=dict)
    """By the name of a family, and its labels."""

    def request(self, labels: Labels) -> Requests:
        """The requests of these labels."""
        found = self.requests.get(labels)
        if found is None:
            found = self.requests[labels] = Requests()
        return found

    def statement(self, labels: Labels) -> Histogram:
        """The statements of these labels."""
        found = self.statements.get(labels)
        if found is None:
            found = self.statements[labels] = Histogram(DURATION_BUCKETS_S)
        return found

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Raise a counter."""
        key = (name, labels)
        self.counts[key] = self.counts.get(key, 0) + by

    def snapshot(self) -> dict[str, Any]:
        """The tally as plain JSON values."""
        return {
            "requests": [
                [
                    labels,
                    [
                        [histogram.counts, histogram.total]
                        for histogram in (found.seconds, found.received_bytes, found.sent_bytes)
                    ],
                ]
                for labels, found in self.requests.items()
            ],
            "statements": [
                [labels, [found.counts, found.total]] for labels, found in self.statements.items()
            ],
            "counts": [[name, labels, value] for (name, labels), value in self.counts.items()],
        }

    def add(self, snapshot: Mapping[str, Any]) -> None:
        """Add the snapshot of another process."""
        for labels, (seconds, received, sent) in snapshot["requests"]:
            found = self.request(tuple(labels))
            found.seconds.add(*seconds)
            found.received_bytes.add(*received)
            found.sent_bytes.add(*sent)
        for labels, histogram in snapshot["statements"]:
            self.statement(tuple(labels)).add(*histogram)
        for name, labels, value in snapshot["counts"]:
            self.count(name, *labels, by=value)

    @classmethod
    def of(cls, snapshots: Iterable[Mapping[str, Any]]) -> Self:
        """The sum of snapshots."""
        tally = cls()
        for snapshot in snapshots:
            tally.add(snapshot)
        return tally
