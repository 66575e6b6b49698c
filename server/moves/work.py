"""What every step of a move works with, and how it waits for its turn."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

from server.moves.errors import MovePaused, PauseTooLong
from server.moves.journal import Journal
from server.moves.request import Limits, Move, Progress
from server.moves.sessions import Places

T = TypeVar("T")

PATIENCE: Final = 100
"""Tries to get a lock that writers hold in turn; half a second each, see `fences.LOCK_TIMEOUT_S`."""
AGAIN_S: Final = 0.2


@dataclass(slots=True)
class Work:
    """The collaborators of the steps, and what an operator wants meanwhile."""

    places: Places
    journal: Journal
    limits: Limits
    observe: Callable[[Progress], None]
    author: str
    repair: bool = False
    pause_wanted: bool = False

    def tell(self, move: Move, **more: Any) -> None:
        """Tell how far the move is."""
        facts = {"rows_expected": move.facts.get("rows", 0), "pause_s": move.facts.get("pause_s")}
        self.observe(
            Progress(move.id, move.title, move.source, move.target, move.state, **{**facts, **more})
        )

    def stop_if_paused(self, move: Move) -> None:
        """Stop where nothing is lost by it.

        Raises:
            MovePaused: An operator wants it.
        """
        if self.pause_wanted:
            raise MovePaused(f"move {move.id} is paused; `fluxshard moves resume {move.id}`")

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of a transaction that waits for writers inside, tried until it gets in.

        Raises:
            PauseTooLong: They were there each time.
        """
        for _ in range(PATIENCE):
            try:
                return await attempt()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(AGAIN_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads movers
        raise PauseTooLong("a transaction stays inside of the unit: end it, and resume")
