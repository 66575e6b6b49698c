"""What a shard's primaries were seen to do: where their timelines ended, what replicas must reach.

From it follows what a position proves: that a replica has reached what nobody remembers any more,
or that a promotion left behind what a reader was promised.
Pure: whoever probes tells it what was seen, with the times of `time.monotonic`.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final, Protocol

from router.live.freshness import Position
from router.live.replicas import Standing
from router.observe import FloorBeyondTimeline
from shardmap import ShardId

_PARENT: Final = re.compile(r"\s*([0-9]+)\s+([0-9A-Fa-f]+)/([0-9A-Fa-f]+)(?:\s.*)?")


class Reach(Enum):
    """What the current timeline holds of a position that was promised on an older one."""

    HELD = auto()
    """It comes before the older one's end, so it is part of the current one."""
    LOST = auto()
    """It comes after the end: the promotion left it behind."""
    UNPROVEN = auto()
    """The end is not known exactly enough to say."""


class Watched(Protocol):
    """What a probe of a primary finds besides its standing."""

    ancestry: Mapping[int, int] | None
    """Where the ancestors of its timeline ended; None: it cannot be read."""


class Member(Protocol):
    """An endpoint of the shard."""

    name: str
    standing: Standing

    @property
    def monitor(self) -> Watched:
        """Who watches it."""
        ...


class ShardHistory:
    """Of one shard, for as long as this process knows it."""

    def __init__(self) -> None:
        self.timeline = 0
        """The highest timeline that a primary was seen on."""
        self.entry_lsn = 0
        """What a replica must have reached to answer anybody."""
        self._ends: dict[int, tuple[int, int]] = {}
        """The end of each older timeline lies between these two positions."""
        self._replayed: dict[str, int] = {}
        """How far each endpoint had come when it was last seen as a replica."""
        self.primary_at: float | None = None
        """When the last probe began that found the one primary."""
        self._demanded_at: float | None = None
        self._said: set[int] = set()
        """Timelines of which it was said aloud that readers were promised more of them."""
        self.found_beyond = 0
        """How often readers were found whose floor a promotion may have left behind."""

    def note(self, members: Sequence[Member], leading: Sequence[int]) -> bool:
        """Take in what the last probes have found; whether that settles what was demanded.

        `leading` are those that claim to be the primary now.
        """
        for member in members:
            if member.standing.alive and member.standing.in_recovery:
                self._replayed[member.name] = member.standing.lsn
        if len(leading) != 1:  # of two the data parted: nothing can be told from either's position
            return False
        leader = members[leading[0]]
        standing = leader.standing
        settled = self.primary_seen(
            leader.name, standing.probed_at, standing.timeline, standing.lsn
        )
        if leader.monitor.ancestry is not None:
            self.learn_ends(leader.monitor.ancestry)
        return settled

    def primary_seen(self, endpoint: str, began: float, timeline: int, lsn: int) -> bool:
        """A probe found the one primary here; whether that settles what was demanded."""
        if timeline > self.timeline:
            if self.timeline:
                self._ends.setdefault(self.timeline, (self._replayed.get(endpoint, 0), lsn))
            self.timeline = timeline
        elif timeline < self.timeline:
            return False
        self.primary_at = began
        if self._demanded_at is None or began < self._demanded_at:
            return False
        self._demanded_at = None
        self.entry_lsn = max(self.entry_lsn, lsn)
        return True

    def learn_ends(self, ends: Mapping[int, int]) -> None:
        """The current timeline's own account of where its ancestors ended."""
        for timeline, lsn in ends.items():
            self._ends[timeline] = (lsn, lsn)

    def demand_proof(self, now: float) -> None:
        """From now on replicas answer when they have reached where the primary is after now.

        For whenever what readers were promised may have been forgotten, and for a shard that
        became home of tenants: what was there before now is below that position.
        """
        self._demanded_at = now

    def admits(self, lsn: int) -> bool:
        """Whether a replica that has come so far may answer at all."""
        return self._demanded_at is None and lsn >= self.entry_lsn

    def reach(self, floor: Position) -> Reach:
        """What the current timeline holds of a position."""
        if floor.timeline >= self.timeline:
            return Reach.HELD
        low, high = self._ends.get(floor.timeline, (0, (1 << 64) - 1))
        if floor.lsn <= low:
            return Reach.HELD
        return Reach.LOST if floor.lsn > high else Reach.UNPROVEN

    def beyond(
        self, shard: ShardId, floor: Position, *, quorum: bool
    ) -> FloorBeyondTimeline | None:
        """What is to be said of a floor that may be of what a promotion has left behind."""
        reach = self.reach(floor)
        if reach is Reach.HELD:
            return None
        self.found_beyond += 1
        first = floor.timeline not in self._said
        self._said.add(floor.timeline)
        return FloorBeyondTimeline(
            shard,
            floor,
            self.timeline,
            self._ends.get(floor.timeline),
            lost=reach is Reach.LOST,
            quorum=quorum,
            first=first,
        )


def read_history_file(text: str) -> dict[int, int]:
    """A timeline's history file: where each of its ancestors ended.

    Lines of parent, position of the switch, and a reason; see `src/backend/access/transam/
    timeline.c` of PostgreSQL. Lines of another form are comments.
    """
    ends: dict[int, int] = {}
    for line in text.splitlines():
        found = _PARENT.fullmatch(line)
        if found is not None:
            ends[int(found[1])] = (int(found[2], 16) << 32) | int(found[3], 16)
    return ends
