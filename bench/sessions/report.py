"""What the session checker found, for readers."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.sessions.check import Lagging, Phase
from bench.sessions.guarantees import Verdict


def lines(found: Sequence[Lagging], spent: Mapping[str, Any]) -> list[str]:
    """A line for each delay and phase, and one for all."""
    rows = ["replicas lag  phase             reads    stale  backward   errors   by replicas"]
    for one in found:
        lag = f"{one.delay_s * 1000:g} ms"
        if not one.checked:
            lag += "*"
        rows += [
            _row(lag, "while writing", one.writing),
            _row("", "once caught up", one.quiet),
        ]
    rows.append(_row("all", "", [one.whole for one in found if one.checked]))
    if not all(one.checked for one in found):
        rows.append("* the control: reads that ask for no freshness, counted apart")
    seconds: Mapping[str, float] = spent["seconds"]
    parts = [f"{part} {value:.1f} s" for part, value in seconds.items()]
    rows.append(f"CPU: {', '.join(parts)}; the whole box {spent['box_busy']:.0%} busy")
    return rows


def _row(lag: str, name: str, phases: Sequence[Phase]) -> str:
    tally = Phase.total(phases).tally
    return (
        f"{lag:>12}  {name:14}  {tally.reads:7,}  {tally.verdicts[Verdict.STALE]:7,}"
        f"  {tally.verdicts[Verdict.BACKWARD]:8,}  {tally.errors.total():7,}"
        f"  {tally.replica_share:12.1%}"
    )
