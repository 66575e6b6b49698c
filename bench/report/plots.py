"""Plots of a result as PNG: axes begin at zero and say their unit, every line is labelled.

Nothing is drawn logarithmically but percentiles, whose axis says so: each step is ten times rarer.
"""

import io
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bench.compare import Comparison
from bench.result import Result, Round, Run
from bench.summary import BUCKET_S, Latencies

COLOURS: Final = (
    "#1f5fa8", "#d1651b", "#2b8a3e", "#8a3ab9", "#c2255c", "#5c6b7a", "#0b7285", "#a07900",
)  # fmt: skip
WIDTH_IN: Final = 9.0
DPI: Final = 110
MOST_TIMELINES: Final = 6
MOST_CURVES: Final = 8

PERCENTILE_TICKS: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


def plots(result: Result) -> dict[str, bytes]:
    """Images by name, those that the result has something for."""
    drawn: dict[str, bytes] = {}
    for name, draw in DRAWN.items():
        figure = draw(result)
        if figure is not None:
            drawn[name] = _png(figure)
    return drawn


def replicas_plot(result: Result) -> Figure | None:
    """Throughput against the number of replicas, with what a perfect gain would be."""
    found: Mapping[str, Any] = result.figures.get("replicas", {})
    if not found:
        return None
    counts = sorted(int(count) for count in found)
    figure, axes = _figure(result, height_in=5.2)
    axes.set_title("Reads against the number of replicas, every server limited alike")
    lines = (
        ("saturated_per_s", "saturated (closed loop)", "o", 7),
        ("kept_per_s", "highest rate that keeps the bound of latency (open loop)", "s", -16),
    )
    one = found.get("1")
    if one is not None:
        top = max(counts)
        axes.plot(
            [0 if 0 in counts else 1, top],
            [one["saturated_per_s"] * n for n in (0 if 0 in counts else 1, top)],
            color="#999999", linestyle=":", label="as many times one replica",
        )  # fmt: skip
    for (key, label, marker, offset), colour in zip(lines, COLOURS, strict=False):
        values = [found[str(count)][key] for count in counts]
        axes.plot(counts, values, marker=marker, color=colour, label=label)
        for count, value in zip(counts, values, strict=True):
            axes.annotate(
                f"{value:,.0f}", (count, value), textcoords="offset points", xytext=(0, offset),
                ha="center", fontsize=8, color=colour,
            )  # fmt: skip
    axes.set_xlabel("replicas (0: the primary reads)")
    axes.set_ylabel("reads per second")
    axes.set_xticks(counts)
    axes.margins(x=0.06)
    _from_zero(axes)
    axes.legend(loc="upper left", frameon=False)
    return figure


def percentiles_plot(result: Result) -> Figure | None:
    """Latency by percentile, a curve for each run."""
    runs = [run for run in result.runs if any(one.answered for one in run.rounds)]
    if not runs:
        return None
    figure, axes = _figure(result, height_in=5.2)
    axes.set_title("Latency by percentile; the lower axis is logarithmic in rarity")
    most = 0.0
    for run, colour in zip(runs[:MOST_CURVES], _colours(), strict=False):
        whole = _whole(run)
        shares = _shares(len(whole))
        axes.plot(
            [_nines(share) for share in shares],
            [whole.at_ms(share) for share in shares],
            color=colour, label=f"{run.name} ({len(whole):,} operations)",
        )  # fmt: skip
        most = max(most, _nines(shares[-1]))
    ticks = [tick for tick in PERCENTILE_TICKS if _nines(tick) <= most + 0.05]
    axes.set_xticks([_nines(tick) for tick in ticks], [f"{tick:g} %" for tick in ticks])
    axes.set_xlim(0, most)
    axes.set_xlabel("share of the operations that were not slower")
    axes.set_ylabel("milliseconds, from when it was due")
    _from_zero(axes)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    if len(runs) > MOST_CURVES:
        axes.annotate(f"and {len(runs) - MOST_CURVES} more runs in the table", (0.99, 0.01),
                      xycoords="axes fraction", ha="right", fontsize=8)  # fmt: skip
    return figure


def bars_plot(result: Result) -> Figure | None:
    """Throughput of each run, with the least and the most of its rounds."""
    runs = [run for run in result.runs if run.rounds]
    if len(runs) < 2 or result.figures.get("replicas"):
        return None
    figure, axes = _figure(result, height_in=1.6 + 0.45 * len(runs))
    axes.set_title("Operations per second, median round; thin line: least to most", loc="left")
    names = ["\n".join(textwrap.wrap(run.name, 38)) for run in runs]
    for place, (run, colour) in enumerate(zip(runs, _colours(), strict=False)):
        rates = sorted(one.rate for one in run.rounds)
        middle = rates[len(rates) // 2]
        axes.barh(place, middle, color=colour, height=0.6)
        axes.plot([rates[0], rates[-1]], [place, place], color="#222222", linewidth=1.2)
        axes.annotate(f" {middle:,.0f}", (rates[-1], place), va="center", fontsize=9)
    axes.set_yticks(range(len(runs)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(one.rate for run in runs for one in run.rounds))
    axes.set_xlabel("operations per second")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y", visible=False)
    return figure


def timeline_plot(result: Result) -> Figure | None:
    """Throughput and latency over time, with what was done to the world."""
    shown = list(islice(_timelines(result), MOST_TIMELINES))
    if not shown:
        return None
    figure = Figure(figsize=(WIDTH_IN, 0.7 + 2.1 * len(shown)), dpi=DPI, layout="constrained")
    rows = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    figure.suptitle(f"Over time, in tenths of a second\n{_source(result)}", fontsize=9)
    for axes, (run, one) in zip(rows, shown, strict=True):
        _timeline(axes, run, one)
    rows[-1].set_xlabel("seconds of what was measured")
    return figure


def staleness_plot(result: Result) -> Figure | None:
    """How old what reads showed was: `details["staleness"]`, milliseconds by name of the case."""
    found: Mapping[str, Sequence[float]] = result.details.get("staleness", {})
    cases = {name: sorted(values) for name, values in found.items() if values}
    if not cases:
        return None
    figure, axes = _figure(result, height_in=4.6)
    axes.set_title("How old an answer was: time since the write that it does not show")
    for (name, ages_ms), colour in zip(cases.items(), _colours(), strict=False):
        shares = [100 * (n + 1) / len(ages_ms) for n in range(len(ages_ms))]
        axes.step([0.0, *ages_ms], [0.0, *shares], where="post", color=colour,
                  label=name)  # fmt: skip
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("share of reads that were not older, %")
    axes.set_ylim(0, 105)
    axes.set_xlim(left=0)
    axes.legend(loc="lower right", frameon=False)
    return figure


def comparison_png(comparison: Comparison, names: tuple[str, str]) -> bytes:
    """Ratios with their intervals; the line at 1 is: no difference."""
    ratios = comparison.ratios
    figure = Figure(figsize=(WIDTH_IN, 1.4 + 0.3 * len(ratios)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title("B as a share of A, with the interval that the rounds leave", fontsize=11)
    axes.axvline(1, color="#999999", linestyle="--", linewidth=1)
    for place, ratio in enumerate(ratios):
        colour = COLOURS[1] if ratio.differs else COLOURS[5]
        axes.plot([ratio.low, ratio.high], [place, place], color=colour, linewidth=2)
        axes.plot(ratio.ratio, place, "o", color=colour)
        axes.annotate(f"  {ratio.ratio:.2f}", (ratio.high, place), va="center", fontsize=8)
    axes.set_yticks(
        range(len(ratios)), [f"{ratio.run}: {ratio.figure}" for ratio in ratios], fontsize=8
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(1.0, *(ratio.high for ratio in ratios)))
    axes.set_xlabel("B/A; grey: no difference shown")
    axes.grid(axis="x", color="#e3e3e3")
    figure.supxlabel(f"A: {names[0]}   B: {names[1]}", fontsize=7, color="#555555")
    return _png(figure)


DRAWN: Final[Mapping[str, Callable[[Result], Figure | None]]] = {
    "replicas": replicas_plot,
    "throughput": bars_plot,
    "latency": percentiles_plot,
    "staleness": staleness_plot,
    "timeline": timeline_plot,
}


def _timelines(result: Result) -> Iterator[tuple[Run, Round]]:
    """The last round of each run that has a series; of those with events if there are any."""
    having = [(run, run.rounds[-1]) for run in result.runs if run.rounds and run.rounds[-1].series]
    eventful = [(run, one) for run, one in having if one.events]
    yield from eventful or having


def _timeline(axes: Axes, run: Run, one: Round) -> None:
    at = [*(bucket.at_s for bucket in one.series), one.seconds]
    rates = [bucket.answered / BUCKET_S for bucket in one.series]
    rates.append(rates[-1])
    axes.fill_between(at, rates, step="post", color=COLOURS[0], alpha=0.25)
    axes.step(at, rates, where="post", color=COLOURS[0], linewidth=1)
    axes.set_ylabel("answers/s", color=COLOURS[0], fontsize=8)
    axes.set_title(run.name, fontsize=9, loc="left")
    _from_zero(axes)
    axes.set_xlim(0, one.seconds)
    right = axes.twinx()
    known = [(bucket.at_s, bucket.p99_ms) for bucket in one.series if bucket.p99_ms is not None]
    right.plot([x for x, _ in known], [y for _, y in known], color=COLOURS[1], linewidth=1)
    right.set_ylabel("p99, ms", color=COLOURS[1], fontsize=8)
    right.grid(visible=False)
    _from_zero(right)
    failed = [(bucket.at_s, bucket.failed) for bucket in one.series if bucket.failed]
    if failed:
        axes.scatter([x for x, _ in failed], [0 for _ in failed], marker="x", color="#c00000",
                     zorder=5, clip_on=False,
                     label=f"failed ({sum(n for _, n in failed)})")  # fmt: skip
        axes.legend(loc="lower right", fontsize=7, frameon=False)
    for number, event in enumerate(one.events):
        axes.axvline(event.at_s, color="#c00000", linestyle="--", linewidth=1)
        axes.annotate(event.name, (event.at_s, 0.97 - 0.13 * (number % 3)),
                      xycoords=("data", "axes fraction"), xytext=(4, 0),
                      textcoords="offset points", fontsize=8, color="#c00000", va="top",
                      bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
                      )  # fmt: skip


def _figure(result: Result, *, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.supxlabel(_source(result), fontsize=7, color="#555555")
    return figure, axes


def _source(result: Result) -> str:
    where = result.environment
    worlds = list(dict.fromkeys(str(run.world.get("limit", "none")) for run in result.runs))
    limits = f" limit of each server: {' / '.join(worlds)};" if worlds else ""
    return f"{result.title};{limits} {where.get('cores')} cores, {result.made_at[:16]}"


def _from_zero(axes: Axes) -> None:
    axes.set_ylim(0, max(axes.get_ylim()[1] * 1.08, 1e-9))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS


def _whole(run: Run) -> Latencies:
    return Latencies().merged(one.all for one in run.rounds)


def _shares(count: int) -> list[float]:
    """Percentiles that so many operations can tell apart."""
    shares: list[float] = []
    rarity = 1.0
    while True:
        share = 100 * (1 - rarity)
        if rarity * count < 1:
            return shares
        shares.append(share)
        rarity /= 1.12


def _nines(share: float) -> float:
    """Where a percentile is on the axis: 0, 1, 2, 3 for 0, 90, 99 and 99.9 per cent."""
    return -math.log10(1 - share / 100)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
