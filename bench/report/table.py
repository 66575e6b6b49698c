"""A result as a table of plain text: every figure beside what it was made under."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.environment import in_words
from bench.result import Result, Round, Run


def table(result: Result) -> str:
    """The result as lines for a terminal."""
    lines = [result.title, in_words(result.environment), ""]
    for run in result.runs:
        lines += _run(run)
    for name, value in result.figures.items():
        lines += _figures(name, value)
    lines += [f"note: {note}" for note in result.notes]
    return "\n".join(lines)


def median_of(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    """The median over rounds."""
    return statistics.median(value(each) for each in rounds)


def _run(run: Run) -> list[str]:
    rounds = run.rounds
    lines = (
        [run.name, f"  limit {run.world.get('limit_in_words', '')}"] if run.world else [run.name]
    )
    spread = f" ({_range([one.rate for one in rounds])})" if len(rounds) > 1 else ""
    lines.append(
        f"  {median_of(rounds, lambda one: one.rate):,.0f} operations/s{spread},"
        f" {sum(one.failed for one in rounds)} failed"
    )
    kinds = sorted({kind for one in rounds for kind in one.latencies})
    lines += [f"    {kind:12s} {_latencies(rounds, kind)}" for kind in kinds]
    lines += _counted("errors", (one.errors for one in rounds))
    accounts = Counter[str]()
    for one in rounds:
        accounts.update(one.accounts)
    if accounts:
        lines.append("  open loop: " + ", ".join(f"{n} {name}" for name, n in accounts.items()))
    lines += _counted("served by", (one.served for one in rounds))
    lines += [_spent(rounds), ""]
    return lines


def _latencies(rounds: Sequence[Round], kind: str) -> str:
    first, *others = [one.latencies[kind] for one in rounds if kind in one.latencies]
    whole = first.merged(others)
    points = ((50, "p50"), (90, "p90"), (99, "p99"), (99.9, "p99.9"))
    return (
        ", ".join(f"{name} {whole.at_ms(at):.1f}" for at, name in points)
        + f", max {whole.max_ms:.1f} ms of {len(whole):,}"
    )


def _counted(title: str, each: Iterable[object]) -> list[str]:
    total = Counter[str]()
    for one in each:
        total.update(one)  # type: ignore[call-overload]  # counts by name
    if not total:
        return []
    return [f"  {title}: " + ", ".join(f"{name} {n:,}" for name, n in sorted(total.items()))]


def _spent(rounds: Sequence[Round]) -> str:
    seconds = sum(one.seconds for one in rounds if one.spent)
    if not seconds:
        return "  CPU not measured"
    parts = Counter[str]()
    for one in rounds:
        parts.update(one.spent.get("seconds", {}))
    busy = max(one.spent["box_busy"] for one in rounds if one.spent)
    shares = ", ".join(f"{part} {spent / seconds:.0%}" for part, spent in parts.items())
    return f"  CPU, of one core: {shares}; the whole box {busy:.0%} busy at most"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):,.0f} to {max(values):,.0f} in {len(values)} rounds"


def _figures(name: str, value: object) -> list[str]:
    """A figure, or rows of figures under one name as a table."""
    if not isinstance(value, Mapping):
        return [f"{name}: {_figure(value)}"]
    if not value:
        return [f"{name}: none"]
    if not all(isinstance(row, Mapping) for row in value.values()):
        return [f"{name}: " + ", ".join(f"{key} {_figure(each)}" for key, each in value.items())]
    columns = list(dict.fromkeys(key for row in value.values() for key in row))
    cells = [[name, *columns]]
    cells += [
        [key, *(_figure(row.get(column)) for column in columns)] for key, row in value.items()
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return [*lines, ""]


def _figure(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} values" if len(value) > 8 else ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)
