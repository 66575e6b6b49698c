"""The seam to whoever keeps floors for all instances."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class StoreAway(Exception):
    """The store cannot be reached, or did not answer as it should."""


class Kept(NamedTuple):
    """What the store says in one round trip."""

    memory: str
    """Another text than before: it has forgotten everything in between."""
    cells: Sequence[int]
    """What was asked for, in its order; 0: nothing is known."""


class FloorStore(Protocol):
    """Keeps the highest floor of each name, for a while. Used by one caller at a time."""

    async def exchange(self, wanted: Sequence[bytes], raised: Mapping[bytes, int]) -> Kept:
        """Raise floors, and give others. It connects when it has to.

        Floors are cells as `router` packs them; the higher of two is the higher timeline with the
        higher position, each by itself, whoever comes first.

        Raises:
            StoreAway: It did not; some may have been raised.
        """
        ...

    async def tidy(self) -> None:
        """Forget what is older than it has to be kept.

        Raises:
            StoreAway: It cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Leave it. Harmless when repeated; the next exchange connects anew."""
        ...
