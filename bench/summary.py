"""Samples summed up: percentiles by HDR histogram, and a series of tenths of a second.

Histograms keep three significant digits from a microsecond to a minute, as Gil Tene's do, and are
written into results in his compressed form, so that any percentile can be asked for later.
"""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from hdrh.histogram import HdrHistogram

from bench.record import Recorder, Samples

LOWEST_US: Final = 1
HIGHEST_US: Final = 60_000_000
DIGITS: Final = 3
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)
BUCKET_S: Final = 0.1


class Latencies:
    """The distribution of latencies."""

    def __init__(self, histogram: HdrHistogram | None = None) -> None:
        self._histogram = histogram or HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)

    @classmethod
    def of(cls, took_s: Iterable[float]) -> Self:
        """Of these, in seconds. What is longer than a minute counts as a minute."""
        latencies = cls()
        record = latencies._histogram.record_value
        for each in took_s:
            record(min(HIGHEST_US, max(LOWEST_US, round(each * 1e6))))
        return latencies

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def at_ms(self, percentile: float) -> float:
        """The latency that `percentile` per cent of the operations did not exceed."""
        if not len(self):
            return math.nan
        return float(self._histogram.get_value_at_percentile(percentile)) / 1000

    @property
    def max_ms(self) -> float:
        """The longest."""
        return float(self._histogram.get_max_value()) / 1000 if len(self) else math.nan

    @property
    def mean_ms(self) -> float:
        """The mean."""
        return float(self._histogram.get_mean_value()) / 1000 if len(self) else math.nan

    def merged(self, others: Iterable["Latencies"]) -> "Latencies":
        """A new distribution of all."""
        whole = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
        for each in (self, *others):
            whole.add(each._histogram)  # noqa: SLF001 - another of its kind
        return Latencies(whole)

    def as_json(self) -> dict[str, Any]:
        """Percentiles for readers, the histogram for programs."""
        return {
            "count": len(self),
            **{f"p{percentile:g}_ms": _known(self.at_ms(percentile)) for percentile in PERCENTILES},
            "max_ms": _known(self.max_ms),
            "mean_ms": _known(self.mean_ms),
            "histogram": self._histogram.encode().decode(),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(HdrHistogram.decode(found["histogram"]))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One tenth of a second of a run."""

    at_s: float
    """Its beginning, counted from the beginning of what is measured."""
    answered: int
    """Operations whose answer came in it."""
    failed: int
    """Operations that were due in it and went wrong."""
    p50_ms: float | None
    """Of operations that were due in it; None: there were none."""
    p99_ms: float | None
    max_ms: float | None


def series(recorder: Recorder, begin: float, seconds: float) -> tuple[Bucket, ...]:
    """The run in tenths of a second, from `begin`."""
    number = math.ceil(round(seconds / BUCKET_S, 6))
    due: list[array[float]] = [array("d") for _ in range(number)]
    answered, failed = [0] * number, [0] * number
    for samples in recorder.samples.values():
        for at, took_s in zip(samples.due, samples.took_s, strict=True):
            index = int((at - begin) / BUCKET_S)
            if 0 <= index < number:
                due[index].append(took_s)
            index = int((at + took_s - begin) / BUCKET_S)
            if 0 <= index < number:
                answered[index] += 1
    for samples in recorder.failed.values():
        for at in samples.due:
            index = int((at - begin) / BUCKET_S)
            if 0 <= index < number:
                failed[index] += 1
    return tuple(
        Bucket(round(i * BUCKET_S, 3), answered[i], failed[i], *_of_bucket(due[i]))
        for i in range(number)
    )


def _of_bucket(took_s: "array[float]") -> tuple[float | None, float | None, float | None]:
    if not took_s:
        return None, None, None
    ordered = sorted(took_s)
    return tuple(  # type: ignore[return-value]  # three
        ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99, 1)
    )


def latencies(samples: Iterable[Samples]) -> Latencies:
    """The distribution over these kinds together."""
    return Latencies.of(each for found in samples for each in found.took_s)


def _known(value: float) -> float | None:
    """A number of JSON, which has no NaN."""
    return None if math.isnan(value) else round(value, 3)
