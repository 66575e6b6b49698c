"""Drills for readers: one paragraph each, its course on demand, and the result as all commands have it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.drills.history import Fate, Kind
from bench.drills.judging import Judgement
from bench.outcome import Outcome
from bench.record import Recorder
from bench.result import Event, Round
from bench.sessions.guarantees import Verdict
from bench.summary import latencies, series

SHOWN_BEFORE_S: Final = 1.0
SHOWN_AFTER_S: Final = 2.0


def paragraph(
    name: str, about: str, found: Sequence[Judgement], rounds: Sequence[Round] = ()
) -> str:
    """What came of a drill that was done so many times."""
    reads, writes = (_counted(found, kind) for kind in Kind)
    fates = Counter[Fate]()
    for one in found:
        fates.update(one.audit.fates)
    later = [one.later_p99_s for one in found]
    verdicts = Counter[str]()
    for one in found:
        verdicts.update(one.course.verdicts)
    wrong = verdicts[Verdict.STALE] + verdicts[Verdict.BACKWARD]
    lines = [
        f"{name}, {len(found)} x: {about}",
        f"  reads   {_outcomes(reads)}; {wrong} stale or backward; no"
        f" answer for {max(one.reads_out_s for one in found):.2f} s at most, the slowest took"
        f" {_slowest(found, Kind.READ):.2f} s",
        f"          p99 {_range([one.normal_p99_s for one in found])} before,"
        f" {_range(later)} from 2 s after the event on; as before after {_back(found)}",
        f"  writes  {_outcomes(writes)}; none succeeded for"
        f" {max(one.writes_out_s for one in found):.2f} s at most, the slowest took"
        f" {_slowest(found, Kind.WRITE):.2f} s",
        f"          of {sum(one.audit.writes for one in found)} ids {fates[Fate.ACKNOWLEDGED]}"
        f" acknowledged, {fates[Fate.UNKNOWN]} unknown; of the acknowledged"
        f" {sum(len(one.audit.lost) for one in found)} lost"
        f" ({'quorum' if found[0].course.durable else 'async'}),"
        f" {sum(len(one.audit.twice) for one in found)} applied twice",
    ]
    if rounds:
        lines.append(f"  CPU     {_spent(rounds)}")
    lines += [f"  BROKEN  {number}: {what}" for number, what in _numbered(found, "broken")]
    lines += [f"  SLOW    {number}: {what}" for number, what in _numbered(found, "slow")]
    return "\n".join(lines)


def summed(found: Sequence[Judgement]) -> dict[str, Any]:
    """The figures of a drill over all times that it was done: counts added up, times at worst."""
    rows = [one.as_json() for one in found]

    def worst(name: str) -> float | None:
        values = [row[name] for row in rows]
        return None if None in values else max(values)

    reads, writes = (_counted(found, kind) for kind in Kind)
    verdicts = Counter[str]()
    for one in found:
        verdicts.update(one.course.verdicts)
    return {
        "times": len(found),
        "reads": reads.total(),
        "reads_failed": reads.total() - reads["ok"],
        "stale_or_backward": verdicts[Verdict.STALE] + verdicts[Verdict.BACKWARD],
        "read_p99_normal_ms": worst("read_p99_normal_ms"),
        "read_p99_after_2s_ms": worst("read_p99_after_2s_ms"),
        "back_to_normal_s": worst("back_to_normal_s"),
        "writes": sum(row["write_ids"] for row in rows),
        "acknowledged": sum(row["acknowledged"] for row in rows),
        "unknown": sum(row["unknown"] for row in rows),
        "refusals": sum(count for what, count in writes.items() if what.startswith("503")),
        "slowest_write_s": worst("slowest_write_s"),
        "acknowledged_and_lost": sum(row["acknowledged_and_lost"] for row in rows),
        "applied_twice": sum(row["applied_twice"] for row in rows),
        "broken_promises": sum(len(one.broken) for one in found),
        "slow": sum(len(one.slow) for one in found),
    }


def course(judgement: Judgement) -> str:
    """The tenths of a second around the event and around mending, reads and writes side by side."""
    mended_s = judgement.course.mended_s - judgement.course.event_s
    cells = {(round(one.at_s, 1), one.kind): one for one in judgement.windows}
    lines = ["       s       reads p50    p99 ms      writes p50    p99 ms   errors"]
    for at_s in sorted({at for at, _ in cells}):
        if not any(-SHOWN_BEFORE_S <= at_s - event <= SHOWN_AFTER_S for event in (0.0, mended_s)):
            continue
        row, errors = f"{at_s:8.1f}", Counter[str]()
        for kind in Kind:
            cell = cells.get((at_s, kind))
            if cell is None:
                row += f" {0:7d} {_ms(None)} {_ms(None)}"
            else:
                row += f" {cell.due:7d} {_ms(cell.p50_ms)} {_ms(cell.p99_ms)}"
                errors.update(cell.errors)
        marks = [f"{count} x {what}" for what, count in errors.items()]
        if 0 <= at_s < 0.1:
            marks.append("<- event")
        if 0 <= at_s - mended_s + 0.05 < 0.1:
            marks.append("<- mending")
        lines.append(f"{row}   {', '.join(marks)}".rstrip())
    return "\n".join(lines)


def round_of(name: str, judgement: Judgement, spent: Mapping[str, Any], seed: int) -> Round:
    """The drill as every command of the harness writes what it measured."""
    course = judgement.course
    recorder = Recorder()
    for one in course.operations:
        if one.due_s >= course.normal_from_s:
            error = "" if one.good else f"{one.kind} {one.outcome}"
            recorder.add(one.due_s, one.ended_s, Outcome(one.kind.value, error, one.served))
    begin, end = course.normal_from_s, max(one.due_s for one in course.operations)
    return Round(
        seed=seed,
        seconds=round(end - begin, 3),
        latencies={kind: latencies([found]) for kind, found in recorder.samples.items()},
        errors=dict(recorder.errors),
        served=dict(recorder.served),
        series=series(recorder, begin, end - begin),
        events=(
            Event(round(course.event_s - begin, 3), name),
            Event(round(course.mended_s - begin, 3), "mending"),
        ),
        spent=spent,
    )


def _spent(rounds: Sequence[Round]) -> str:
    """What the lasting parts cost, of one core, and how busy the box was at most."""
    seconds = sum(one.seconds for one in rounds)
    parts = Counter[str]()
    for one in rounds:
        parts.update(one.spent["seconds"])
    busy = max(one.spent["box_busy"] for one in rounds)
    told = ", ".join(f"{part} {spent / seconds:.0%}" for part, spent in parts.items())
    return f"{told} of one core; the whole box {busy:.0%} busy at most"


def _slowest(found: Sequence[Judgement], kind: Kind) -> float:
    return max(one.slowest_s(kind) for one in found)


def _counted(found: Sequence[Judgement], kind: Kind) -> Counter[str]:
    total = Counter[str]()
    for one in found:
        total.update(one.outcomes[kind])
    return total


def _outcomes(counts: Mapping[str, int]) -> str:
    ok = counts.get("ok", 0)
    failed = [f"{count:,} x {what}" for what, count in sorted(counts.items()) if what != "ok"]
    return f"{ok:,} ok, {' and '.join(failed) or 'no error'}"


def _range(seconds: Sequence[float]) -> str:
    low, high = min(seconds) * 1000, max(seconds) * 1000
    return f"{low:.1f} ms" if len(seconds) == 1 else f"{low:.1f} to {high:.1f} ms"


def _back(found: Sequence[Judgement]) -> str:
    times = [one.back_s for one in found]
    if None in times:
        return f"more than it lasted in {times.count(None)} of {len(times)}"
    return f"{max(time for time in times if time is not None):.1f} s at most"


def _numbered(found: Sequence[Judgement], field: str) -> list[tuple[int, str]]:
    return [(number, what) for number, one in enumerate(found, 1) for what in getattr(one, field)]


def _ms(value: float | None) -> str:
    return "        -" if value is None else f"{value:9.1f}"
