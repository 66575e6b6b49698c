"""A tally and the gauges of all workers as the text that Prometheus reads."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from server.observe.families import COUNTERS, GAUGES, Joining
from server.observe.tally import SIZE_BUCKETS_BYTES, Histogram, Labels, Tally

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SERVICE: Final = "fluxshard"
"""Value of the label `service` of the families that the scaling guide names."""

_REQUEST: Final = ("method", "path", "status")
_STATEMENT: Final = ("operation", "shard", "endpoint")

Gauges = Mapping[tuple[str, Labels], float]
"""Values of one worker, by the name of a family and its labels."""


def joined(workers: Iterable[Gauges]) -> dict[tuple[str, Labels], float]:
    """The gauges of all workers as one."""
    joining = {family.name: family.joining for family in GAUGES}
    found: dict[tuple[str, Labels], float] = {}
    for gauges in workers:
        for key, value in gauges.items():
            if key not in found:
                found[key] = value
                continue
            match joining[key[0]]:
                case Joining.SUM:
                    found[key] += value
                case Joining.MOST:
                    found[key] = max(found[key], value)
                case Joining.LEAST:
                    found[key] = min(found[key], value)
    return found


def exposition(tally: Tally, gauges: Gauges) -> bytes:
    """The text of all families."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(tally, gauges))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, tally: Tally, gauges: Gauges) -> None:
        self._tally = tally
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Every family, also those without a value yet."""
        yield from self._requests()
        yield from self._statements()
        for family in COUNTERS:
            counter = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
            for (name, labels), value in self._tally.counts.items():
                if name == family.name:
                    counter.add_metric(labels, value)
            yield counter
        for family in GAUGES:
            gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
            for (name, labels), value in self._gauges.items():
                if name == family.name:
                    gauge.add_metric(labels, value)
            yield gauge

    def _requests(self) -> Iterable[Metric]:
        requests = self._tally.requests
        received: dict[Labels, Histogram] = {}
        for (method, path, _), found in requests.items():
            sizes = received.setdefault((method, path), Histogram(SIZE_BUCKETS_BYTES))
            sizes.add(found.received_bytes.counts, found.received_bytes.total)
        seconds = {labels: found.seconds for labels, found in requests.items()}
        sent = {labels: found.sent_bytes for labels, found in requests.items()}
        guide = {(SERVICE, *labels): found for labels, found in seconds.items()}

        answered, took = "HTTP requests answered", "Seconds from request to response"
        yield _counter("http_requests", answered, ("service", *_REQUEST), guide)
        yield _histogram("http_request_duration_seconds", took, ("service", *_REQUEST), guide)
        yield _counter("fluxbase_http_requests", answered, _REQUEST, seconds)
        yield _histogram("fluxbase_http_request_duration_seconds", took, _REQUEST, seconds)
        yield _histogram(
            "fluxbase_http_request_size_bytes", "Bytes of request bodies", _REQUEST[:2], received
        )
        yield _histogram(
            "fluxbase_http_response_size_bytes", "Bytes of response bodies", _REQUEST, sent
        )

    def _statements(self) -> Iterable[Metric]:
        statements = self._tally.statements
        yield _counter("fluxbase_db_queries", "Statements answered", _STATEMENT, statements)
        yield _histogram(
            "fluxbase_db_query_duration_seconds", "Seconds per statement", _STATEMENT, statements
        )


def _counter(
    name: str, meaning: str, labels: tuple[str, ...], values: Mapping[Labels, Histogram]
) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for given, histogram in values.items():
        family.add_metric(given, histogram.count)
    return family


def _histogram(
    name: str, meaning: str, labels: tuple[str, ...], values: Mapping[Labels, Histogram]
) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=labels)
    for given, histogram in values.items():
        family.add_metric(given, histogram.cumulative(), histogram.total)
    return family


def gauges_snapshot(gauges: Gauges) -> list[list[Any]]:
    """Gauges as plain JSON values."""
    return [[name, labels, value] for (name, labels), value in gauges.items()]


def gauges_of(snapshot: Iterable[Iterable[Any]]) -> dict[tuple[str, Labels], float]:
    """Gauges from plain JSON values."""
    return {(name, tuple(labels)): value for name, labels, value in snapshot}
