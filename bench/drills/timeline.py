"""The course of a drill: what happened in each tenth of a second, and when it was as before again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.drills.history import Kind, Operation

WINDOW_S: Final = 0.1
NORMAL_TIMES: Final = 2.0
NORMAL_MORE_S: Final = 0.005
"""A p99 of at most twice the normal one and 5 ms counts as normal: less is noise."""
RARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Window:
    """One tenth of a second. Requests belong to where they were due."""

    at_s: float
    """Its begin, in seconds from the event."""
    kind: Kind
    due: int
    p50_ms: float | None
    p99_ms: float | None
    """Of the answers that succeeded; None: there was none."""
    errors: dict[str, int]
    """By outcome."""

    def as_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "at_s": round(self.at_s, 3),
            "kind": self.kind.value,
            "rate": self.due / WINDOW_S,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "errors": self.errors,
        }


def windows(operations: Iterable[Operation], event_s: float) -> list[Window]:
    """The course, reads and writes apart, in order of time."""
    cells: dict[tuple[int, Kind], list[Operation]] = {}
    for one in operations:
        cells.setdefault((int((one.due_s - event_s) // WINDOW_S), one.kind), []).append(one)
    return [_window(number, kind, cells[number, kind]) for number, kind in sorted(cells)]


def _window(number: int, kind: Kind, found: Sequence[Operation]) -> Window:
    good = sorted(one.latency_s for one in found if one.good)
    return Window(
        at_s=number * WINDOW_S,
        kind=kind,
        due=len(found),
        p50_ms=_ms(percentile(good, 0.5)),
        p99_ms=_ms(percentile(good, 0.99)),
        errors=dict(Counter(one.outcome for one in found if not one.good)),
    )


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest value that so large a share does not exceed; None: there are no values."""
    if not ascending:
        return None
    return ascending[min(len(ascending) - 1, max(0, -int(-len(ascending) * share // 1) - 1))]


def p99_s(operations: Iterable[Operation], kind: Kind, since_s: float, until_s: float) -> float:
    """The p99 of what was due in the time, an error counting as endless; 0 without any."""
    found = sorted(
        one.latency_s if one.good else float("inf")
        for one in operations
        if one.kind is kind and since_s <= one.due_s < until_s
    )
    return percentile(found, 0.99) or 0.0


def normal_bound_s(normal_p99_s: float) -> float:
    """Up to where a p99 counts as normal."""
    return NORMAL_TIMES * normal_p99_s + NORMAL_MORE_S


def back_to_normal_s(
    operations: Iterable[Operation], kind: Kind, event_s: float, until_s: float, bound_s: float
) -> float | None:
    """How long after the event the p99 of everything due from then on is within the bound.

    Found from the end: as long as at most one in a hundred of what follows exceeds the bound, it
    was normal. None: it never was again.
    """
    slow = 0
    found: float | None = None
    ordered = sorted(
        (one for one in operations if one.kind is kind and event_s <= one.due_s < until_s),
        key=lambda one: one.due_s,
        reverse=True,
    )
    for count, one in enumerate(ordered, start=1):
        slow += not one.good or one.latency_s > bound_s
        if slow <= RARE * count:
            found = one.due_s - event_s
    return found


def longest_outage_s(operations: Iterable[Operation], kind: Kind) -> float:
    """The longest time in which nothing that was due succeeded, from the first failure on."""
    longest, failing_since = 0.0, None
    for one in sorted(operations, key=lambda one: one.due_s):
        if one.kind is not kind:
            continue
        if one.good:
            if failing_since is not None:
                longest = max(longest, one.ended_s - failing_since)
            failing_since = None
        elif failing_since is None:
            failing_since = one.due_s
    return longest


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
