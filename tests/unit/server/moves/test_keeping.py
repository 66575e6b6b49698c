"""A keeper survives what goes wrong with one move, and lets nothing wait that is urgent."""

import asyncio

import pytest

from server.moves import Abandoned, MoveKeeper, MoveKept, MoveNotKept, ServerRefused, State
from shardmap import PinUnit, TenantId
from tests.unit.server.moves.journalled import a_move


class Journalled:
    """A twin of `Moves`: abandoned moves that end as they are told to."""

    def __init__(self, *abandoned, ends=None):
        self.left = list(abandoned)
        self.ends = ends or {}
        self.begun = []
        self.notes = {}

    async def abandoned(self):
        return tuple(self.left)

    async def expired(self, _):
        return ()

    async def carry_out(self, move, _):
        self.begun.append(move)
        end = self.ends.get(move)
        if isinstance(end, asyncio.Event):
            await end.wait()
        self.left = [one for one in self.left if one.move != move]
        if isinstance(end, Exception):
            raise end
        return a_move(PinUnit(TenantId("7")), number=move, state=State.MOVED)

    async def clean(self, move, observe):
        raise AssertionError("nothing has expired")

    async def note_failure(self, move, note):
        self.notes[move] = note


@pytest.fixture
def keeping(eventually):
    async def until(moves, condition):
        facts = []
        async with MoveKeeper(lambda: moves, facts.append, retention_s=0.1, look_s=0.001):

            async def met():
                return condition(moves, facts)

            await eventually(met)
        return facts

    return until


def calm(number):
    return Abandoned(number, urgent=False)


def urgent(number):
    return Abandoned(number, urgent=True)


async def test_an_error_that_nobody_foresaw_is_told_and_noted_and_ends_one_move_only(keeping):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    mistake = ZeroDivisionError("a mistake of ours")
    moves = Journalled(calm(1), calm(2), ends={1: mistake})

    facts = await keeping(moves, lambda _, facts: len(facts) == 2)

    assert facts == [
        MoveNotKept(1, "V100", "ZeroDivisionError: a mistake of ours"),
        MoveKept(2, "tenant 7", "moved"),
    ]
    assert moves.notes == {1: "V100 ZeroDivisionError: a mistake of ours"}
    assert [context["exception"] for context in told] == [mistake]


async def test_what_a_server_refuses_is_told_by_its_code_and_noted(keeping):
    moves = Journalled(calm(1), ends={1: ServerRefused("42501: permission denied")})

    facts = await keeping(moves, lambda moves, _: moves.notes)

    assert facts == [MoveNotKept(1, "V113", "42501: permission denied")]
    assert moves.notes == {1: "V113 42501: permission denied"}


async def test_urgent_moves_do_not_wait_for_one_that_takes_hours_and_others_do(keeping):
    hours = asyncio.Event()
    moves = Journalled(calm(1), ends={1: hours, 3: hours})

    def under_way(moves, _):
        if moves.begun == [1]:
            moves.left += [calm(2), urgent(3), urgent(4)]
        return len(moves.begun) == 3

    await keeping(moves, under_way)

    assert moves.begun == [1, 3, 4]


async def test_a_catalog_that_refuses_to_be_looked_at_is_told_and_looked_at_again(keeping):
    moves = Journalled(calm(1))
    looked = moves.abandoned
    refusals = [ServerRefused("42501: permission denied")]

    async def abandoned():
        if refusals:
            raise refusals.pop()
        return await looked()

    moves.abandoned = abandoned

    facts = await keeping(moves, lambda _, facts: len(facts) == 2)

    assert facts == [
        MoveNotKept(0, "V113", "42501: permission denied"),
        MoveKept(1, "tenant 7", "moved"),
    ]
