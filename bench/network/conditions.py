"""What a link does to what passes it: delay, bandwidth, loss; and when each piece is due."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SLICE_S: Final = 0.01
"""A link of limited bandwidth passes pieces of so much time each, as a wire passes packets."""
SMALLEST_SLICE_BYTES: Final = 1_460
"""The payload of one Ethernet frame."""


class Way(StrEnum):
    """One direction of a link."""

    REQUESTS = "requests"
    """From the router to the server."""
    ANSWERS = "answers"
    """From the server to the router."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How one direction of a link is."""

    delay_s: float = 0.0
    """How much later everything arrives."""
    bytes_per_s: float | None = None
    """The bandwidth; None: not limited. All connections of the link share it."""
    lost: bool = False
    """Nothing arrives: no data, no end of a connection, no new connection, and no refusal of one.

    TCP sends again what was lost, so a link that heals delivers what was sent meanwhile.
    """

    @property
    def plain(self) -> bool:
        """Whether everything passes at once."""
        return not self.lost and self.delay_s == 0 and self.bytes_per_s is None


CLEAR: Final = Conditions()
LOST: Final = Conditions(lost=True)


@dataclass(frozen=True, slots=True)
class Link:
    """A port of this machine that leads to one server."""

    name: str
    port: int
    """Where the link listens, on 127.0.0.1."""
    host: str
    """Where the server listens: an address, or the directory of its Unix socket."""
    server_port: int


class Pace:
    """When pieces that pass one direction of a link arrive. They never overtake each other."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self._last = 0.0

    def due(self, size_bytes: int, now: float, conditions: Conditions) -> float:
        """When a piece of that size, sent now, has wholly arrived."""
        sent = now
        if conditions.bytes_per_s is not None:
            self._free_at = max(self._free_at, now) + size_bytes / conditions.bytes_per_s
            sent = self._free_at
        self._last = max(self._last, sent + conditions.delay_s)
        return self._last

    def restart(self) -> None:
        """Forget what is on its way: from now on the conditions are others."""
        self._free_at = self._last = 0.0


def slices(data: bytes, conditions: Conditions) -> Iterator[bytes]:
    """The data in the pieces in which it passes."""
    if conditions.bytes_per_s is None:
        yield data
        return
    size = max(SMALLEST_SLICE_BYTES, int(conditions.bytes_per_s * SLICE_S))
    for at in range(0, len(data), size):
        yield data[at : at + size]
