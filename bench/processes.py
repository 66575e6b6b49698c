"""What processes and the whole machine spend, from /proc."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_s(*pids: int) -> float:
    """CPU seconds of processes and their descendants; ended ones count where they were reaped."""
    stats = _stats()
    found = (*pids, *_below(pids, stats))
    ticks = sum(int(field) for pid in found if pid in stats for field in stats[pid][11:15])
    return ticks / TICKS


def descendants(*pids: int) -> list[int]:
    """The children of processes, and theirs."""
    return _below(pids, _stats())


@dataclass(frozen=True, slots=True)
class BoxTimes:
    """CPU seconds of the machine since it started."""

    busy_s: float
    all_s: float


def box_times() -> BoxTimes:
    """Of all processors together, other people's processes included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return BoxTimes((sum(fields) - idle) / TICKS, sum(fields) / TICKS)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds by part of the world over some time, and how busy the whole box was."""

    by_part: Mapping[str, float]
    box_busy: float
    """Share of all processors' time; 1: saturated."""

    def as_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "seconds": {part: round(spent, 3) for part, spent in self.by_part.items()},
            "box_busy": round(self.box_busy, 4),
        }


class Meter:
    """Measures what parts of a world spend between two moments."""

    def __init__(self, parts: Mapping[str, tuple[int, ...]]) -> None:
        self._parts = parts
        self._before = {part: cpu_s(*pids) for part, pids in parts.items()}
        self._box = box_times()

    def spent(self) -> Spent:
        """Since it was made."""
        box = box_times()
        over = box.all_s - self._box.all_s
        return Spent(
            {part: cpu_s(*pids) - self._before[part] for part, pids in self._parts.items()},
            (box.busy_s - self._box.busy_s) / over if over > 0 else 0.0,
        )


def _stats() -> dict[int, list[str]]:
    """The fields of every process's `stat` behind its name: state, parent and so on."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                found[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
    return found


def _below(pids: Iterable[int], stats: Mapping[int, list[str]]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    found, queue = [], list(pids)
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
