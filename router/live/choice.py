"""Which replica answers a read: by turns of weight, unless another one is clearly less busy.

Pure. Three policies share what makes them fair: each replica has a *turn*, which grows by a step
with every read that it is given, the smaller the greater its weight. Whoever has the lowest turn
is next, so that equal replicas get equal numbers however few reads there are.

power-of-two       next in turn, or one drawn at random if that is clearly less busy. Drawn, not
                   the best of all: many routers that know of each other's load only by latency
                   would all run to the best at once (Mitzenmacher, 2001)
least-connections  the fewest reads in flight by weight; of several, whose turn it is
round-robin        whose turn it is, whatever it has to do

Replicas of the router's own zone go before others, unless all of them are clearly busier.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from router.live.freshness import Position
from router.live.replicas import FIRST_SHARE, MIN_LATENCY_S, MOST_PATIENCE, PATIENCE, Standing

CLEARLY: Final = 1.5
"""A replica with so many times the load of another is busier: below it the averages are noise."""
SPILL: Final = 2.0
"""The same for replicas of the own zone against one of another: reads leave the zone later."""
SLACK: Final = 32.0
"""How many reads a replica may catch up on that could not have its turn (behind, or away)."""

MOST_OWED: Final = 1024
"""The same for turns lost to an average that was bad for a while: noise evens out in the long run,
and a replica that was slow for an hour is not run over."""


class ReplicaChoice(StrEnum):
    """How the replica for a read is chosen."""

    POWER_OF_TWO = "power-of-two"
    LEAST_CONNECTIONS = "least-connections"
    ROUND_ROBIN = "round-robin"


class Chooser:
    """Chooses among the replicas of one shard; it keeps nothing but whose turn it is.

    `draw` gives numbers in [0, 1).
    """

    def __init__(
        self,
        standings: Sequence[Standing],
        policy: ReplicaChoice,
        zone: str | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._standings = standings
        self._policy = policy
        self._zone = zone
        self._draw = draw
        self._turn = max((standing.turn for standing in standings), default=0.0)
        """The highest turn that was ever had."""
        self._warming = False
        """Some replica is in its slow start."""
        match policy:
            case ReplicaChoice.POWER_OF_TWO:
                self._of = self._power_of_two
            case ReplicaChoice.LEAST_CONNECTIONS:
                self._of = self._least_connections
            case ReplicaChoice.ROUND_ROBIN:
                self._of = self._round_robin

    def weigh(self, among: Sequence[int], now: float, slow_start_s: float) -> None:
        """Work out what the choice needs of those that may answer: after each probe."""
        standings = [self._standings[index] for index in among]
        least = min((standing.weight for standing in standings), default=1)
        self._warming = False
        for standing in standings:
            standing.share = warmth(now - standing.returned_at, slow_start_s)
            standing.capacity = standing.weight / least
            standing.step = 1 / (standing.capacity * standing.share)
            self._warming |= standing.share < 1

    def choose(self, among: Sequence[int], floor: Position | None) -> int | None:
        """One of the replicas that are fresh; None: nobody is.

        Fresh: known to show everything up to the floor, in timeline and in LSN.
        """
        standings = self._standings
        if floor is None:
            fresh = among
        else:
            timeline, lsn = floor.timeline, floor.lsn
            fresh = [
                index
                for index in among
                if standings[index].lsn >= lsn and standings[index].timeline >= timeline
            ]
        if len(fresh) > 1:
            if self._warming:
                fresh = self._due(fresh)
            chosen = self._of(fresh) if self._zone is None else self._by_zone(fresh)
        elif fresh:
            chosen = fresh[0]
        else:
            return None
        standing = standings[chosen]
        turn = standing.turn
        if turn > self._turn:
            self._turn = turn
        elif turn <= self._turn - SLACK:
            turn = self._turn
        standing.turn = turn + standing.step
        return chosen

    def next(self, among: Sequence[int]) -> int | None:
        """Whom a reader would be given who has seen nothing yet; nobody has had a turn by that."""
        copies = [replace(standing) for standing in self._standings]
        other = Chooser(copies, self._policy, self._zone, self._draw)
        other._turn, other._warming = self._turn, self._warming
        return other.choose(among, None)

    def _power_of_two(self, fresh: Sequence[int]) -> int:
        standings = self._standings
        count = len(fresh)
        if count < 2:
            return fresh[0]
        if count == 2:
            first, other = fresh
            if standings[other].turn < standings[first].turn:
                first, other = other, first
        else:
            first = self._round_robin(fresh)
            drawn = int(self._draw() * (count - 1))
            other = fresh[drawn]
            if other == first:
                other = fresh[-1]
        one = standings[first]
        if one.load() <= CLEARLY * standings[other].load():
            if one.passed:
                one.passed, one.patience = 0, PATIENCE
            if one.owed:
                one.owed -= 1
                one.turn -= one.step  # this one costs no turn
            return first
        if not one.in_flight:  # else we shall know soon enough
            one.passed += 1
            one.owed = min(one.owed + 1, MOST_OWED)
            if one.passed > (MOST_PATIENCE if one.excess_s else one.patience):
                one.passed, one.patience = 1, min(2 * one.patience, MOST_PATIENCE)
                one.good_s = CLEARLY * (standings[other].latency_s + MIN_LATENCY_S) - MIN_LATENCY_S
                return first
        one.turn += one.step  # it had its turn
        return other

    def _least_connections(self, fresh: Sequence[int]) -> int:
        standings = self._standings

        def busy(index: int) -> tuple[float, float]:
            standing = standings[index]
            return standing.in_flight / standing.capacity, standing.turn

        return min(fresh, key=busy)

    def _round_robin(self, fresh: Sequence[int]) -> int:
        standings = self._standings
        first = fresh[0]
        least = standings[first].turn
        for index in fresh:
            turn = standings[index].turn
            if turn < least:
                first, least = index, turn
        return first

    def _by_zone(self, fresh: Sequence[int]) -> int:
        """One of the own zone, unless all of them are clearly busier than one of another zone."""
        standings, zone = self._standings, self._zone
        near = [index for index in fresh if standings[index].zone == zone]
        if not near or len(near) == len(fresh):
            return self._of(fresh)
        chosen = self._of(near)
        far = [index for index in fresh if standings[index].zone != zone]
        drawn = standings[far[int(self._draw() * len(far))]]
        if not _spills(standings[chosen], drawn):
            return chosen
        chosen = min(near, key=lambda index: standings[index].load())
        return self._of(far) if _spills(standings[chosen], drawn) else chosen

    def _due(self, fresh: Sequence[int]) -> Sequence[int]:
        """Without those in their slow start whose turn it is not: for them it comes more seldom."""
        standings = self._standings
        due = [
            index
            for index in fresh
            if standings[index].share >= 1 or standings[index].turn <= self._turn
        ]
        return due or fresh


def _spills(near: Standing, far: Standing) -> bool:
    """Whether a replica of another zone is so much less busy that a read should leave the zone.

    Of one that is seldom asked the average is old or none: it counts as no faster than ours.
    """
    latency_s = max(near.latency_s, far.latency_s)
    return near.load() > SPILL * (latency_s + MIN_LATENCY_S) * (1 + far.in_flight / far.capacity)


def warmth(since_s: float, slow_start_s: float) -> float:
    """The share of its weight for a replica that returned so long ago: a line from 0.1 to 1."""
    if since_s >= slow_start_s:
        return 1.0
    return max(FIRST_SHARE, since_s / slow_start_s)
