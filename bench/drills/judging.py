"""Whether a drill kept what is promised: sentences about what it did not, and the figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.drills.history import Audit, Fate, Kind, Operation
from bench.drills.timeline import (
    Window,
    back_to_normal_s,
    longest_outage_s,
    normal_bound_s,
    p99_s,
    windows,
)
from bench.sessions.guarantees import Verdict

NORMAL_AGAIN_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Course:
    """What happened in one drill, and when; seconds of one clock."""

    operations: Sequence[Operation]
    verdicts: Mapping[str, int]
    normal_from_s: float
    event_s: float
    mended_s: float
    """When mending began: what the event brought about lasted from `event_s` to here."""
    durable: bool
    """The shard promises to lose nothing that it acknowledged."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The figures of one drill, and the promises that it broke."""

    course: Course
    audit: Audit
    outcomes: Mapping[Kind, Mapping[str, int]]
    normal_p99_s: float
    bound_s: float
    """Up to here a p99 counts as normal."""
    later_p99_s: float
    """Of reads due from two seconds after the event until it was mended."""
    back_s: float | None
    """How long after the event reads were as before; None: they were not while it lasted."""
    reads_out_s: float
    writes_out_s: float
    """The longest times in which none succeeded."""
    broken: tuple[str, ...]
    """Promises that were not kept."""
    slow: tuple[str, ...]
    """Promises of time that were not kept; a machine that is busy otherwise breaks them too."""

    def slowest_s(self, kind: Kind) -> float:
        """The longest that one request took, from when it was due to success."""
        return max(
            (one.latency_s for one in self.course.operations if one.kind is kind and one.good),
            default=0.0,
        )

    @property
    def windows(self) -> list[Window]:
        """The course in tenths of a second, the event at 0."""
        return windows(self.course.operations, self.course.event_s)

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        audit, course = self.audit, self.course
        return {
            "broken_promises": list(self.broken),
            "slow": list(self.slow),
            "reads": dict(self.outcomes.get(Kind.READ, {})),
            "writes": dict(self.outcomes.get(Kind.WRITE, {})),
            "verdicts": dict(course.verdicts),
            "read_p99_normal_ms": _ms(self.normal_p99_s),
            "read_p99_bound_ms": _ms(self.bound_s),
            "read_p99_after_2s_ms": _ms(self.later_p99_s),
            "back_to_normal_s": None if self.back_s is None else round(self.back_s, 3),
            "longest_read_outage_s": round(self.reads_out_s, 3),
            "longest_write_outage_s": round(self.writes_out_s, 3),
            "slowest_read_s": round(self.slowest_s(Kind.READ), 3),
            "slowest_write_s": round(self.slowest_s(Kind.WRITE), 3),
            "write_ids": audit.writes,
            "acknowledged": audit.fates.get(Fate.ACKNOWLEDGED, 0),
            "refused": audit.fates.get(Fate.REFUSED, 0),
            "unknown": audit.fates.get(Fate.UNKNOWN, 0),
            "acknowledged_and_lost": len(audit.lost),
            "applied_twice": len(audit.twice),
            "durability": "quorum" if course.durable else "async",
            "mended_at_s": round(course.mended_s - course.event_s, 3),
            "timeline": [window.as_json() for window in self.windows],
        }


def judge(course: Course, audit: Audit) -> Judgement:
    """Compare what happened with what is promised."""
    operations, event_s = course.operations, course.event_s
    normal = p99_s(operations, Kind.READ, course.normal_from_s, event_s)
    bound = normal_bound_s(normal)
    later = p99_s(operations, Kind.READ, event_s + NORMAL_AGAIN_WITHIN_S, course.mended_s)
    back = back_to_normal_s(operations, Kind.READ, event_s, course.mended_s, bound)
    outcomes = {
        kind: Counter(one.outcome for one in operations if one.kind is kind) for kind in Kind
    }
    return Judgement(
        course=course,
        audit=audit,
        outcomes=outcomes,
        normal_p99_s=normal,
        bound_s=bound,
        later_p99_s=later,
        back_s=back,
        reads_out_s=longest_outage_s(operations, Kind.READ),
        writes_out_s=longest_outage_s(operations, Kind.WRITE),
        broken=tuple(_broken(course, audit, outcomes)),
        slow=tuple(_slow(later, bound)),
    )


def _broken(course: Course, audit: Audit, outcomes: Mapping[Kind, Mapping[str, int]]) -> list[str]:
    found = [
        f"{count} reads were answered with {outcome}"
        for outcome, count in outcomes[Kind.READ].items()
        if outcome != "ok"
    ]
    found += audit.broken_promises(durable=course.durable)
    lost = bool(audit.lost) and not course.durable
    found += [
        f"{course.verdicts[verdict]} reads were {verdict}"
        for verdict in (Verdict.STALE, Verdict.BACKWARD)
        # a write that a shard without durability has lost can be shown by nobody
        if course.verdicts.get(verdict, 0) and not lost
    ]
    return found


def _slow(later_s: float, bound_s: float) -> list[str]:
    if later_s <= bound_s:
        return []
    return [
        f"p99 of reads {NORMAL_AGAIN_WITHIN_S:g} s after the event was"
        f" {later_s * 1000:.1f} ms, above {bound_s * 1000:.1f}"
    ]


def _ms(seconds: float) -> float | None:
    """A number of JSON, which has nothing endless."""
    return None if seconds == float("inf") else round(seconds * 1000, 2)
