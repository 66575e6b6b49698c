from datetime import UTC, datetime, timedelta

from server.mapchange.costing import moved_before
from server.mapchange.estimate import MovedBefore
from server.moves import Move, State
from shardmap import PinUnit, TenantId
from tests.unit.shardmap.maps import A, B

BEGAN = datetime(2026, 11, 24, 10, tzinfo=UTC)


def move(state, facts, seconds=3):
    unit = PinUnit(TenantId("7"))
    return Move(
        1, "t", "test", (unit,), (unit.tenant,), A, B, state, 0.5,
        facts=facts, created_at=BEGAN, changed_at=BEGAN + timedelta(seconds=seconds),
    )  # fmt: skip


def test_moves_that_have_arrived_tell_how_long_they_took():
    moves = [
        move(State.MOVED, {"bytes": 5_000_000, "pause_s": 0.04}),
        move(State.CLEANED, {"bytes": 5_000_000, "pause_s": 0.04}, 90_000),
        move(State.COPYING, {"bytes": 5_000_000}),
    ]

    assert moved_before(moves) == [MovedBefore(5_000_000, 3.0, 0.04)]
