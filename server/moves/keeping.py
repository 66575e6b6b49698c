"""A running server's part: it goes on with moves whose process is gone, and ends their retention."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from router import TaskOwner
from server.moves.errors import LeaseLost, MoveAway, MoveBusy, MoveError
from server.moves.request import Abandoned, Move, Progress

LOOK_S: Final = 5.0
"""How often the journal is looked at: a tenant between two homes waits for it at most so long, and
for the dead mover's lease before it."""
UNFORESEEN: Final = MoveError.code


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

Observe = Callable[[Progress], None]
Work = Callable[[int, Observe], Awaitable[Move]]
"""What is done with a move."""


class KeptMoves(Protocol):
    """The moves of the map in force, as a keeper needs them. See `Moves`."""

    async def abandoned(self) -> tuple[Abandoned, ...]:
        """Moves under way whose mover is gone, the urgent ones first."""
        ...

    async def expired(self, retention_s: float) -> tuple[int, ...]:
        """Moves that have been at their new home for longer than this."""
        ...

    async def carry_out(self, move: int, observe: Observe) -> Move:
        """Bring a move to rest."""
        ...

    async def clean(self, move: int, observe: Observe) -> Move:
        """End the retention of a move."""
        ...

    async def note_failure(self, move: int, note: str) -> None:
        """Write down why nobody should go on with a move blindly."""
        ...


class MoveKeeper:
    """Looks at the journal now and then. Owns its tasks, from entering the context to leaving it.

    Moves that may have no open home are carried out at once, each in a task of its own; of all others
    one at a time. Servers of one cluster may all have a keeper: a move's lease is taken by one of
    them. While the catalog is away nothing is done, and nothing said: the map's watch says so.
    """

    def __init__(
        self,
        moves: Callable[[], KeptMoves],
        observe: Callable[[MoveFact], None],
        *,
        retention_s: float,
        look_s: float = LOOK_S,
    ) -> None:
        self._moves = moves
        self._observe = observe
        self._retention_s = retention_s
        self._look_s = look_s
        self._tasks = TaskOwner()
        self._under_way: dict[int, bool] = {}
        """Moves that this keeper carries out; whether each is urgent."""

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
            except MoveError as error:  # the catalog refuses to be looked at: as long as it does
                self._observe(MoveNotKept(0, error.code, str(error)))

    async def _look(self) -> None:
        moves = self._moves()
        for one in await moves.abandoned():
            self._begin(one, moves, moves.carry_out)
        if self._retention_s:
            for move in await moves.expired(self._retention_s):
                self._begin(Abandoned(move, urgent=False), moves, moves.clean)

    def _begin(self, one: Abandoned, moves: KeptMoves, work: Work) -> None:
        """Carry it out in a task, unless it is under way or has to wait for another."""
        waits = not one.urgent and not all(self._under_way.values())
        if one.move in self._under_way or waits:
            return
        self._under_way[one.move] = one.urgent
        self._tasks.start(self._carry(one.move, moves, work), name=f"move {one.move}")

    async def _carry(self, move: int, moves: KeptMoves, work: Work) -> None:
        try:
            ended = await work(move, _nothing)
        except (MoveBusy, LeaseLost):
            return  # another server was faster
        except MoveAway as error:
            self._observe(MoveNotKept(move, error.code, str(error)))
        except MoveError as error:
            await self._failed(moves, MoveNotKept(move, error.code, str(error)))
        except Exception as error:  # noqa: BLE001 - the outermost place: see below
            # Nobody is above this task who could answer for the error, and other moves must not
            # wait for ever because of a mistake in this one: it is told, counted and written down,
            # so that no other server runs into it blindly.
            reason = f"{type(error).__name__}: {error}"
            context = {"message": f"move {move} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            await self._failed(moves, MoveNotKept(move, UNFORESEEN, reason))
        else:
            self._observe(MoveKept(ended.id, ended.title, ended.state.value))
        finally:
            del self._under_way[move]

    async def _failed(self, moves: KeptMoves, fact: MoveNotKept) -> None:
        self._observe(fact)
        try:
            await moves.note_failure(fact.move, f"{fact.code} {fact.reason}")
        except MoveError as error:  # it is tried again, and then noted
            self._observe(MoveNotKept(fact.move, error.code, str(error)))


def _nothing(_: Progress) -> None:
    """The journal has every transition."""
