"""What several parts of one write come to, by stand-ins for the shards that run them."""

import asyncio
from types import SimpleNamespace

import pytest

from router import StatementFailed
from router.commit.parts import ran_together

PART = SimpleNamespace(query=None, shard="s")


class Seat:
    """Fails as it is told, after so many turns of the loop."""

    def __init__(self, sqlstate=None, turns=0):
        self.sqlstate, self.turns = sqlstate, turns
        self.cancelled = False

    async def run(self, *_, **__):
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.sqlstate is not None:
            raise StatementFailed(self.sqlstate, "no")
        return SimpleNamespace(affected=1, columns=())


async def failed(*seats):
    write = SimpleNamespace(parts=[PART] * len(seats), copied=None, unique=(), exactly=None)
    with pytest.raises(StatementFailed) as failure:
        await ran_together(write, seats)
    return failure.value.sqlstate


@pytest.mark.parametrize(("first", "second"), [(0, 5), (5, 0)])
async def test_of_violated_constraints_the_foreign_key_is_named_last(first, second):
    assert await failed(Seat("23503", first), Seat("23505", second)) == "23505"
    assert await failed(Seat("23505", first), Seat("23503", second)) == "23505"
    assert await failed(Seat("23502", first), Seat("23505", second)) == "23502"
    assert await failed(Seat("23503", first), Seat(None, second)) == "23503"


async def test_any_other_failure_cancels_the_parts_that_run():
    slow = Seat("23505", 1000)

    assert await failed(Seat("40001"), slow) == "40001"
    assert slow.cancelled
