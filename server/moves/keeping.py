"""A running server's part: it goes on with moves whose process is gone, and ends their retention."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from router import TaskOwner
from server.moves.errors import MoveAway, MoveBusy, MoveError
from server.moves.request import Move, Progress
from server.moves.running import Moves
from server.moves.sessions import Places
from shardmap import ShardMap

LOOK_S: Final = 5.0
"""How often the journal is looked at: a tenant between two homes waits for it at most so long, and
for the dead mover's lease before it."""


@dataclass(frozen=True, slots=True)
class MoveKept:
    """A move was brought to rest that nobody was carrying out."""

    move: int
    title: str
    state: str


@dataclass(frozen=True, slots=True)
class MoveNotKept:
    """A move could not be gone on with; the journal says why, and an operator has to look."""

    move: int
    code: str
    reason: str


MoveFact = MoveKept | MoveNotKept

Work = Callable[[int, Callable[[Progress], None]], Awaitable[Move]]
"""What is done with a move."""


class MoveKeeper:
    """Looks at the journal now and then. Owns one task, from entering the context to leaving it.

    Servers of one cluster may all have one: a move's lease is taken by one of them. While the
    catalog is away nothing is done, and nothing said: the map's watch says so.
    """

    def __init__(
        self,
        current_map: Callable[[], ShardMap],
        environ: Mapping[str, str],
        observe: Callable[[MoveFact], None],
        *,
        retention_s: float,
        look_s: float = LOOK_S,
    ) -> None:
        self._current_map = current_map
        self._environ = environ
        self._observe = observe
        self._retention_s = retention_s
        self._look_s = look_s
        self._tasks = TaskOwner()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), name="moves")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_s * random.uniform(0.5, 1))  # noqa: S311 - spreads servers
            try:
                await self._look()
            except MoveAway:
                continue

    async def _look(self) -> None:
        moves = Moves(Places(self._current_map(), self._environ))
        for move in await moves.journal.abandoned():
            await self._carry(move, moves.carry_out)
        if self._retention_s:
            for move in await moves.journal.expired(self._retention_s):
                await self._carry(move, moves.clean)

    async def _carry(self, move: int, work: Work) -> None:
        try:
            ended = await work(move, _nothing)
        except MoveBusy:
            return  # another server was faster
        except MoveError as error:
            self._observe(MoveNotKept(move, error.code, str(error)))
        else:
            self._observe(MoveKept(ended.id, ended.title, ended.state.value))


def _nothing(_: Progress) -> None:
    """The journal has every transition."""
