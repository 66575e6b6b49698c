"""To which number a sequence is set after an import."""

import pytest

from server.tenants.sequences import beyond
from shardmap import SequenceFact, TableName


def sequence(increment, start=1, last=None, least=1, most=10_000):
    return SequenceFact(
        TableName("public.orders"), "id", "orders_id_seq", "bigint", True, start, increment, least, most, last
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "furthest", "value"),
    [
        (sequence(1), 41, 41),
        (sequence(1, last=50), 41, None),
        (sequence(1, last=41), 41, None),
        (sequence(1, start=100), 41, None),
        (sequence(1, start=41), 41, 41),
        (sequence(16, start=2), 41, 50),
        (sequence(16, start=2, last=18), 50, 50),
        (sequence(16, start=2, last=18), 51, 66),
        (sequence(16, start=2, last=66), 51, None),
        (sequence(-16, start=-2, least=-10_000, most=-1), -41, -50),
        (sequence(-1, start=-1, last=-7, least=-10_000, most=-1), -7, None),
        (sequence(-1, start=-1, last=-7, least=-10_000, most=-1), -9, -9),
        (sequence(16, start=2, most=60), 55, 60),
    ],
)
def test_a_sequence_goes_on_beyond_what_came_in_its_own_steps(found, furthest, value):
    assert beyond(found, furthest) == value


@pytest.mark.parametrize("increment", [1, 16, -3])
def test_no_number_that_follows_is_one_that_came(increment):
    found = sequence(increment, start=5 * increment, least=-10_000)
    for came in range(1, 200):
        furthest = came if increment > 0 else -came
        value = beyond(found, furthest)
        following = found.start if value is None else value + increment
        assert (following - found.start) % increment == 0
        assert following > furthest if increment > 0 else following < furthest
