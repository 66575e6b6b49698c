"""The session checker finds stale and backward reads, and nothing else."""

import pytest

from bench.sessions.guarantees import Register, Tally, Verdict


def register(*written, last=None):
    found = Register()
    for number in written:
        found.last = max(found.last, number)
        found.acknowledged(number)
    if last is not None:
        found.last = last
    return found


def test_numbers_are_given_out_upwards():
    found = Register()

    assert [found.next_number() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("shown", [3, 4])
def test_a_read_that_shows_all_acknowledged_writes_is_fresh(shown):
    found = register(1, 2, 3, last=4)

    assert found.judge(found.expected(), shown) is Verdict.FRESH


@pytest.mark.parametrize("shown", [0, 2])
def test_a_read_that_misses_an_acknowledged_write_is_stale(shown):
    found = register(1, 2, 3)

    assert found.judge(found.expected(), shown) is Verdict.STALE


def test_a_write_acknowledged_while_the_read_is_on_its_way_need_not_be_shown():
    found = register(1)
    expected = found.expected()
    found.acknowledged(2)

    assert found.judge(expected, 1) is Verdict.FRESH
    assert found.judge(found.expected(), 1) is Verdict.STALE


def test_acknowledgements_that_arrive_out_of_order_lower_nothing():
    found = register(5)
    found.acknowledged(4)

    assert found.expected().written == 5


def test_a_read_older_than_an_earlier_read_is_backward():
    found = register(1, last=2)
    found.judge(found.expected(), 2)  # not acknowledged yet, and seen

    assert found.judge(found.expected(), 1) is Verdict.BACKWARD


def test_a_read_that_overlaps_a_fresher_one_is_not_backward():
    found = register(1, last=2)
    one, other = found.expected(), found.expected()

    assert found.judge(one, 2) is Verdict.FRESH
    assert found.judge(other, 1) is Verdict.FRESH
    assert found.expected().seen == 2


def test_a_stale_read_is_as_old_as_the_oldest_write_that_it_does_not_show():
    found = Register()
    for number, at_s in ((1, 10.0), (3, 12.0), (2, 11.0)):
        found.acknowledged(number, at_s)

    assert [found.age_s(shown, 15.0) for shown in (0, 1, 2, 3, 4)] == [5, 4, 3, 0, 0]
    assert found.age_s(1, 10.5) == 0  # acknowledged after the read began


def test_tallies_add_up_and_tell_the_share_of_replicas():
    one, other = Tally(), Tally()
    one.verdicts.update({Verdict.FRESH: 3, Verdict.STALE: 1})
    one.by_role.update({"replica": 4})
    other.verdicts.update({Verdict.BACKWARD: 1, Verdict.FRESH: 3})
    other.by_role.update({"replica": 2, "primary": 2})
    other.errors.update({"503 P202": 1})

    whole = Tally.total([one, other])

    assert (whole.reads, whole.verdicts[Verdict.STALE], whole.verdicts[Verdict.BACKWARD]) == (
        8,
        1,
        1,
    )
    assert whole.replica_share == 0.75
    assert whole.errors == {"503 P202": 1}
    assert Tally().replica_share == 0
