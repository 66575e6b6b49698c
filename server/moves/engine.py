"""The engine: carries one move from the state that the journal has it in to one where it rests.

Each step can be done again by whoever comes next: it makes what is missing, takes away what is there,
and before it changes anything on a shard it holds the shard's fences against newer movers.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from server.moves.beginning import take_over
from server.moves.border import first_of, foreign_errors
from server.moves.errors import (
    LeaseLost,
    MoveAway,
    MoveError,
    MovePaused,
    StreamBroken,
)
from server.moves.journal import Journal
from server.moves.request import PAUSABLE, RESTING, Limits, Move, Progress
from server.moves.sessions import Places
from server.moves.steps import step, stream_broken
from server.moves.work import Work

UNFORESEEN: Final = f"{MoveError.code} an error that nobody foresaw: the log of its server has it"
BEATS: Final = 3
"""How often a lease is renewed within its time."""
FIRST_WAIT_S: Final = 0.2
LAST_WAIT_S: Final = 3.0

Observe = Callable[[Progress], None]


class Engine:
    """Carries moves out, one at a time for each engine; the journal says where they are."""

    def __init__(
        self, places: Places, journal: Journal, limits: Limits, observe: Observe, *, author: str
    ) -> None:
        self._places = places
        self._journal = journal
        self._limits = limits
        self._observe = observe
        self._author = author

    async def carry_out(self, move: int, *, repair: bool = False) -> Move:
        """Bring the move to rest: to its new home, or to the end that was asked for.

        `repair`: rows that differ are put right instead of being reported.

        Raises:
            MoveBusy: Another process carries it out.
            MoveError: It cannot go on; what is done is done, and it can be resumed.
        """
        taken = await self._journal.take(move)
        note = UNFORESEEN
        try:
            ended = await self._carried(taken, repair=repair)
        except (LeaseLost, MoveAway, asyncio.CancelledError):
            note = ""  # anybody may go on, when what is away is back
            raise
        except MoveError as error:
            note = f"{error.code} {error}"
            raise
        else:
            note = ""
            return ended
        finally:
            with suppress(MoveError):  # then the lease runs out by itself
                await self._journal.give_back(taken, note)

    async def _carried(self, move: Move, *, repair: bool) -> Move:
        work = Work(
            self._places, self._journal, self._limits, self._observe, self._author, repair=repair
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                beat = tasks.create_task(self._beating(move, work))
                ended = await self._to_rest(move, work)
                beat.cancel()
        except ExceptionGroup as failures:
            raise first_of(failures, LeaseLost) from None
        return ended

    async def _beating(self, move: Move, work: Work) -> None:
        """Renew the lease for as long as the work goes on; without the catalog the fences guard it."""
        while True:
            await asyncio.sleep(self._journal.lease_s / BEATS)
            try:
                work.pause_wanted = await self._journal.keep(move)
            except MoveAway:
                continue

    async def _to_rest(self, move: Move, work: Work) -> Move:
        claimed = False
        away_since: float | None = None
        wait_s = FIRST_WAIT_S
        while move.state not in RESTING:
            if move.paused and move.state in PAUSABLE:
                raise MovePaused(f"move {move.id} is paused; `fluxshard moves resume {move.id}`")
            try:
                with foreign_errors():
                    if not claimed:
                        await take_over(work, move)
                        claimed = True
                    move = await step(work, move)
            except MoveAway as error:
                now = time.monotonic()
                away_since = away_since or now
                if now - away_since > self._limits.away_s:
                    raise
                work.tell(move, note=str(error))
                await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - spreads movers
                wait_s = min(2 * wait_s, LAST_WAIT_S)
            except StreamBroken as error:
                with foreign_errors():
                    move = await stream_broken(work, move, error)
            else:
                away_since, wait_s = None, FIRST_WAIT_S
                work.tell(move)
        return move
