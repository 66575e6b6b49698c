"""Two results compared: ratios with what is known of their certainty.

Only the same is compared with the same: the workload, the loop, the world and its limits have to be
equal, or the comparison is refused. Rounds are the samples: with three or more on each side the
ratio of means has a bootstrap interval of 95 % (10,000 resamplings of rounds, seeded); with fewer
there is only the range that the rounds leave possible. An interval that holds 1 shows no difference.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.errors import NotComparable
from bench.result import Result, Round, Run

RESAMPLINGS: Final = 10_000
ENOUGH: Final = 3
SEED: Final = 20_261_124

SAME_PARAMETERS: Final = ("workload", "size", "loop", "clients", "rate", "poisson", "replicas")
SAME_WORLD: Final = ("shards", "replicas", "instances", "workers", "limit", "delay_ms")
SAME_PLACE: Final = ("machine", "cores", "processor", "memory_gib", "system", "python")

Measure = Callable[[Round], float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """What B has of a figure as a share of what A has."""

    run: str
    figure: str
    a: float
    b: float
    ratio: float
    low: float
    high: float
    interval: str
    """`bootstrap` or `range`."""

    @property
    def differs(self) -> bool:
        """Whether the interval excludes that both are equal."""
        return not self.low <= 1 <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """All ratios of two results."""

    ratios: Sequence[Ratio]
    notes: Sequence[str]


def compare(a: Result, b: Result) -> Comparison:
    """B against A, run by run.

    Raises:
        NotComparable: They hold nothing that is the same.
    """
    if a.command != b.command:
        raise NotComparable(f"{a.command} and {b.command} measure different things")
    theirs = {run.name: run for run in b.runs}
    pairs = [(run, theirs[run.name]) for run in a.runs if run.name in theirs]
    if not pairs:
        raise NotComparable("the two have no run in common")
    for mine, other in pairs:
        _refuse_different(mine, other)
    ratios = [ratio for mine, other in pairs for ratio in _ratios(mine, other)]
    return Comparison(ratios, _notes(a, b, len(pairs)))


def _refuse_different(a: Run, b: Run) -> None:
    # a rate that was searched for is an outcome, not a condition
    searched = a.parameters.get("what") == "kept"
    names = [name for name in SAME_PARAMETERS if not (searched and name == "rate")]
    for where, keys in (("parameters", names), ("world", SAME_WORLD)):
        mine, other = getattr(a, where), getattr(b, where)
        for key in keys:
            if mine.get(key) != other.get(key):
                raise NotComparable(
                    f"{a.name}: {key} is {mine.get(key)} in one and {other.get(key)} in the other"
                )


def _ratios(a: Run, b: Run) -> list[Ratio]:
    if not (a.rounds and b.rounds):
        return []
    kinds = sorted({kind for one in (*a.rounds, *b.rounds) for kind in one.latencies})
    measures: dict[str, Measure] = {"operations/s": lambda one: one.rate}
    for kind in kinds:
        for percentile in (50.0, 99.0):
            measures[f"{kind} p{percentile:g}, ms"] = _percentile(kind, percentile)
    for part in _parts((*a.rounds, *b.rounds)):
        measures[f"{part}, CPU us"] = _cpu_us(part)
    found = []
    for name, measure in measures.items():
        mine, other = [measure(one) for one in a.rounds], [measure(one) for one in b.rounds]
        if min(*mine, *other) > 0:
            found.append(ratio_of(a.name, name, mine, other))
    return found


def ratio_of(run: str, figure: str, a: Sequence[float], b: Sequence[float]) -> Ratio:
    """The ratio of the means of two sets of rounds, with its interval."""
    if min(len(a), len(b)) >= ENOUGH:
        low, high = _bootstrap(a, b)
        interval = "bootstrap"
    else:
        low, high = min(b) / max(a), max(b) / min(a)
        interval = "range"
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return Ratio(run, figure, mean_a, mean_b, mean_b / mean_a, low, high, interval)


def _bootstrap(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    chance = random.Random(SEED)
    drawn = sorted(
        sum(chance.choices(b, k=len(b))) / len(b) / (sum(chance.choices(a, k=len(a))) / len(a))
        for _ in range(RESAMPLINGS)
    )
    return drawn[round(0.025 * RESAMPLINGS)], drawn[round(0.975 * RESAMPLINGS) - 1]


def _percentile(kind: str, percentile: float) -> Measure:
    def measure(one: Round) -> float:
        found = one.latencies.get(kind)
        return found.at_ms(percentile) if found is not None else 0.0

    return measure


def _cpu_us(part: str) -> Measure:
    def measure(one: Round) -> float:
        spent: Mapping[str, Any] = one.spent.get("seconds", {})
        return float(spent.get(part, 0.0)) / one.answered * 1e6 if one.answered else 0.0

    return measure


def _parts(rounds: Sequence[Round]) -> list[str]:
    return sorted({part for one in rounds for part in one.spent.get("seconds", {})})


def _notes(a: Result, b: Result, pairs: int) -> list[str]:
    notes = []
    apart = [
        f"{key} {a.environment.get(key)} and {b.environment.get(key)}"
        for key in SAME_PLACE
        if a.environment.get(key) != b.environment.get(key)
    ]
    if apart:
        notes.append(f"made in different places, so ratios say little: {'; '.join(apart)}")
    loads = a.environment.get("load_before", 0), b.environment.get("load_before", 0)
    if max(loads) > 1:
        notes.append(f"the machines were not idle before: load {loads[0]:g} and {loads[1]:g}")
    alone = len(a.runs) + len(b.runs) - 2 * pairs
    if alone:
        notes.append(f"{alone} run(s) are in one of the two only")
    return notes


def in_words(comparison: Comparison, names: tuple[str, str]) -> str:
    """The comparison as lines for a terminal."""
    width = max(len(ratio.figure) for ratio in comparison.ratios)
    lines = [f"A: {names[0]}", f"B: {names[1]}"]
    run = None
    for ratio in comparison.ratios:
        if ratio.run != run:
            run = ratio.run
            lines += ["", f"{run}", f"  {'':{width}s} {'A':>11s} {'B':>11s}    B/A"]
        verdict = "" if ratio.differs else "   no difference shown"
        lines.append(
            f"  {ratio.figure:{width}s} {ratio.a:11,.2f} {ratio.b:11,.2f} {ratio.ratio:6.3f}"
            f"   {ratio.low:.3f} to {ratio.high:.3f} ({ratio.interval}){verdict}"
        )
    lines += ["", *(f"note: {note}" for note in comparison.notes)]
    return "\n".join(lines).rstrip()
