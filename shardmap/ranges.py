"""Sets of slots as people write them: `0-511, 1024`."""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from shardmap.slots import SLOTS

_PART: Final = re.compile(r"\s*([0-9]{1,4})\s*(?:-\s*([0-9]{1,4})\s*)?", re.ASCII)


def parse_ranges(text: str) -> tuple[int, ...]:
    """The slots of a list of numbers and inclusive ranges, in the order written.

    An empty text is no slot. Repetitions stay: whoever asks decides what they mean.

    Raises:
        ValueError: A part is neither, ends before it starts, or leaves [0, 4095].
    """
    slots: list[int] = []
    for part in text.split(",") if text.strip() else ():
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f'"{part.strip()[:40]}" is no slot or range of slots such as 0-511')
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last >= SLOTS:
            raise ValueError(f"slot {last} is beyond the last one, {SLOTS - 1}")
        if last < first:
            raise ValueError(f"the range {first}-{last} ends before it starts")
        slots.extend(range(first, last + 1))
    return tuple(slots)


def format_ranges(slots: Iterable[int]) -> str:
    """The shortest text that `parse_ranges` reads back as these slots, ascending."""
    ordered = sorted(set(slots))
    if not ordered:
        return ""
    starts = [ordered[0]]
    ends = []
    for before, after in pairwise(ordered):
        if after != before + 1:
            ends.append(before)
            starts.append(after)
    ends.append(ordered[-1])
    return ", ".join(
        str(start) if start == end else f"{start}-{end}"
        for start, end in zip(starts, ends, strict=True)
    )
