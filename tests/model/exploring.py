"""Every world that can be reached, breadth first: the shortest way to what must not be.

`python -m tests.model.exploring --writers 2 --leases 4 --without drain` explores as far as one likes.
"""

import argparse
import sys
from collections import deque
from dataclasses import dataclass, fields

from tests.model.moving import Bounds, Model, Rules, World, at_rest, broken_promise, first


@dataclass(frozen=True, slots=True)
class Found:
    """What an exploration came to."""

    worlds: int
    broken: str | None
    """The promise that is broken somewhere, or None."""
    way: tuple[str, ...]
    """How one gets there."""
    stuck: int
    """Worlds from which no way leads to rest, though there are leases left to take."""


def explore(rules: Rules, bounds: Bounds) -> Found:
    """All interleavings within the bounds, or as many as it takes to break a promise."""
    model, start = Model(rules, bounds), first(bounds)
    before: dict[World, tuple[World, str] | None] = {start: None}
    into: dict[World, list[World]] = {}
    todo = deque([start])
    while todo:
        world = todo.popleft()
        broken = broken_promise(world)
        if broken is not None:
            return Found(len(before), broken, _way(before, world), 0)
        for what, after in model.steps(world):
            into.setdefault(after, []).append(world)
            if after not in before:
                before[after] = (world, what)
                todo.append(after)
    rested = [world for world in before if at_rest(world)]
    saved = set(rested)
    todo = deque(rested)
    while todo:
        for world in into.get(todo.popleft(), ()):
            if world not in saved:
                saved.add(world)
                todo.append(world)
    stuck = [world for world in before if world not in saved and world.lease + 2 < bounds.leases]
    way = _way(before, stuck[0]) if stuck else ()
    return Found(len(before), None, way, len(stuck))


def _way(before: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    steps: list[str] = []
    while (came := before[world]) is not None:
        world, what = came
        steps.append(what)
    return tuple(reversed(steps))


def main() -> int:
    """Explore, and print what was found; 1 if a promise is broken or a move cannot end."""
    rules, bounds = [field.name for field in fields(Rules)], Bounds()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=bounds.writers)
    parser.add_argument("--movers", type=int, default=bounds.movers)
    parser.add_argument("--leases", type=int, default=bounds.leases)
    parser.add_argument("--promotions", type=int, default=bounds.promotions)
    parser.add_argument("--without", choices=rules, action="append", default=[])
    asked = parser.parse_args()
    found = explore(
        Rules(**dict.fromkeys(asked.without, False)),
        Bounds(asked.writers, asked.movers, asked.leases, asked.promotions),
    )
    print(f"{found.worlds:,} worlds; {found.broken or 'no promise is broken'}; {found.stuck} stuck")
    for number, what in enumerate(found.way, 1):
        print(f"{number:3} {what}")
    return 1 if found.broken or found.stuck else 0


if __name__ == "__main__":
    sys.exit(main())
