"""When commits count as confirmed, and since when they are not."""

import pytest

from router.live.quorum import Quorum, confirmed, needed


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ("", 0),
        ("  ", 0),
        ("a", 1),
        ("*", 1),
        ("a, b", 1),
        ('"shard_0-b", "shard_0-c"', 1),
        ("2 (a, b, c)", 2),
        ("ANY 1 (a, b)", 1),
        ("any 3 (*)", 3),
        ("FIRST 2 (a, b)", 2),
    ],
)
def test_how_many_standbys_a_commit_needs(names, count):
    assert needed(names) == count


def test_the_position_that_enough_standbys_have():
    states, lsns = ["quorum", "quorum", "async", "sync"], [30, 20, 99, 10]

    assert [confirmed(count, states, lsns) for count in (1, 2, 3, 4)] == [30, 20, 10, 0]


def test_standbys_that_have_said_nothing_yet_do_not_count():
    assert confirmed(1, ["quorum", "quorum"], [None, None]) == 0


def test_what_the_login_role_may_not_see_is_unknown():
    assert confirmed(1, ["?", "?"], [None, None]) is None
    assert confirmed(1, [], []) == 0


def test_what_arrives_between_probes_was_never_late():
    quorum = Quorum()

    for second in range(10):
        quorum.sample(second, 100 * second + 50, 100 * second)

    assert quorum.waiting_s(10) <= 1


def test_a_position_that_nobody_confirms_ages():
    quorum = Quorum()
    quorum.sample(0, 100, 100)

    for second in range(1, 10):
        quorum.sample(second, 100 + second, 100)

    assert quorum.waiting_s(10) == 9


def test_an_idle_primary_with_its_standby_gone_is_not_confirmed():
    quorum = Quorum()
    quorum.sample(0, 100, 100)

    for second in range(1, 5):
        quorum.sample(second, 100, 0)

    assert quorum.waiting_s(5) == 4


def test_confirmation_ends_the_wait():
    quorum = Quorum()
    for second in range(200):
        quorum.sample(second, 100 + second, 0)

    quorum.sample(200, 300, 300)

    assert quorum.waiting_s(999) == 0
    quorum.sample(201, 400, 300)
    quorum.forget()
    assert quorum.waiting_s(999) == 0
