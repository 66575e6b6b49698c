"""Runs a range of statements in one process, with databases of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import uvloop

from .compare import judge
from .keys import STYLES, style_of
from .report import Report, described
from .shrink import kind_of, smallest
from .statements import Case
from .statements import case as case_of
from .tree import render, varied
from .world import Worlds, open_worlds

MINIMISED = 60
"""Differences of one run that are made small; the others are written as they were made."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one process does. `url` holds the word DATABASE."""

    seed: str
    numbers: range
    counts: tuple[int, ...]
    url: str
    prefix: str
    modes: tuple[str, ...] = ()


def run_part(task: Task) -> Report:
    return uvloop.run(_run(task))


async def _run(task: Task) -> Report:
    async with AsyncExitStack() as stack:

        def url(database: str) -> str:
            return task.url.replace("DATABASE", database)

        worlds = {
            name: await open_worlds(stack, url, f"{task.prefix}_{name}", task.counts, keys)
            for name, keys in STYLES.items()
        }
        return await run_statements(worlds, task.seed, task.numbers, task.modes)


async def run_statements(
    worlds: Mapping[str, Worlds], seed: str, numbers: Iterable[int], modes: Sequence[str] = ()
) -> Report:
    """Run the statements of these numbers; differences are minimised as they are met."""
    report = Report(seed)
    seen: dict[str, int] = {}
    for number in numbers:
        made = case_of(seed, number, style_of(number))
        if not modes or made.mode.value in modes:
            for each in versions(made):
                await _one(worlds[made.keys.name], each, report, seen)
    return report


def versions(case: Case) -> Iterator[Case]:
    """The statement, and for some of them the same with other literals, again and again."""
    yield case
    if case.number % 12 == 0:
        for _ in range(3):
            case = replace(case, part=varied(case.part))
            yield case


async def _one(worlds: Worlds, case: Case, report: Report, seen: dict[str, int]) -> None:
    text = render(case.part)
    verdict = await judge(worlds, case, text)
    report.add(case, verdict)
    if verdict.difference:
        kind = f"{case.mode} {kind_of(verdict)}"
        seen[kind] = seen.get(kind, 0) + 1
        if len(report.differences) < MINIMISED and seen[kind] <= MINIMISED // 3:
            case, verdict = await smallest(worlds, case, verdict)
        report.differences.append(described(case, verdict, text.sql))


__all__ = ["Task", "run_part", "run_statements"]
