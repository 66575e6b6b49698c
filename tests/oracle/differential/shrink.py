"""The smallest statement that still shows a difference."""

from __future__ import annotations

from dataclasses import replace

from .compare import Verdict, judge
from .statements import Case
from .tree import render, shrinks
from .world import Worlds

MOST_TRIALS = 600


async def smallest(worlds: Worlds, case: Case, verdict: Verdict) -> tuple[Case, Verdict]:
    """Drops clauses as long as the same kind of difference remains."""
    trials = 0
    progress = True
    while progress and trials < MOST_TRIALS:
        progress = False
        for smaller in shrinks(case.part):
            trials += 1
            if trials >= MOST_TRIALS:
                break
            candidate = replace(case, part=smaller)
            text = render(smaller)
            if len(text.sql) >= len(render(case.part).sql) and len(text.args) >= len(
                render(case.part).args
            ):
                continue
            found = await judge(worlds, candidate, text)
            if found.difference and kind_of(found) == kind_of(verdict):
                case, verdict, progress = candidate, found, True
                break
    return case, verdict


def kind_of(verdict: Verdict) -> str:
    """What sort of difference it is: one sort never shrinks into another."""
    words = verdict.difference.partition(": ")[2].split(" ")
    return " ".join(words[:2])
