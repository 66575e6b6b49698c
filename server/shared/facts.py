"""Facts about shared state; nobody formats here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SharedLost:
    """The shared state cannot be reached. Reported once per outage."""

    reason: str


@dataclass(frozen=True, slots=True)
class SharedFound:
    """It answers again; so many floors had waited to be published."""

    waiting: int


@dataclass(frozen=True, slots=True)
class FloorUnpublished:
    """A write was acknowledged, or a read answered, before others could learn of its floor."""


@dataclass(frozen=True, slots=True)
class FloorNotLearned:
    """A reader's floor could not be looked up: the primary answers."""


SharedFact = SharedLost | SharedFound | FloorUnpublished | FloorNotLearned
