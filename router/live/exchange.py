"""How floors reach other instances: the narrow seam to whatever they share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from router.live.freshness import Position
from shardmap import ShardId


class FloorExchange(Protocol):
    """Tells other instances of floors that were raised here, and learns of theirs.

    Without one, the floors of this process (and of the workers of its port) are all there are.
    Nothing here raises but cancellation: what cannot be reached is reported, never guessed.
    """

    retention_s: float
    """How long a floor is remembered at least. What nobody knows any more must be replayed by then."""

    async def learn(self, owners: Sequence[str], shard: ShardId) -> bool:
        """Join what others raised for the owners into the floors here.

        False: it cannot be known now, so that only the primary is certain to be fresh.
        """
        ...

    async def publish(self, owners: Sequence[str], shard: ShardId, position: Position) -> bool:
        """Let every later `learn` of every instance find the position; call before acknowledging.

        False: it could not be told to the others yet; it is told as soon as they can be reached.
        """
        ...

    def on_forgotten(self, callback: Callable[[], None]) -> None:
        """Call back whenever floors may have been lost, or kept from others for a while."""
        ...
