"""Who may answer a read, who of them does, and who is the primary."""

import random

import pytest

from router import Position
from router.live.replicas import Limits, Standing, candidates, choose, leaders

NOW = 100.0
LIMITS = Limits(proof_age_s=1.0, max_lag_bytes=1000, max_lag_s=10.0)


def replica(**facts):
    return Standing(**{"alive": True, "proved_at": NOW - 0.1, "timeline": 1, "lsn": 500, **facts})


def primary(**facts):
    return replica(in_recovery=False, **facts)


def may_answer(*standings, newest=1, excluded=()):
    return candidates(standings, NOW, LIMITS, newest, excluded)


def test_a_replica_that_was_just_proved_may_answer():
    assert may_answer(replica()) == [0]


@pytest.mark.parametrize(
    "facts",
    [
        {"alive": False},
        {"proved_at": NOW - 1.01},
        {"in_recovery": False},
        {"timeline": 0},
        {"weight": 0},
        {"lag_bytes": 1001},
        {"lag_s": 10.1},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_one_that_is_not_as_it_should_be_may_not(facts):
    assert may_answer(replica(**facts), replica()) == [1]


def test_a_lag_that_nobody_knows_is_no_reason_against_it():
    assert may_answer(replica(lag_bytes=None, lag_s=None)) == [0]


def test_an_excluded_one_may_not_answer():
    assert may_answer(replica(), replica(), excluded=(0,)) == [1]


@pytest.mark.parametrize(
    ("floor", "chosen"),
    [
        (None, 0),
        (Position(1, 500), 0),
        (Position(1, 501), None),
        (Position(2, 1), None),
        (Position(0, 500), 0),
    ],
)
def test_only_one_that_has_reached_the_floor_is_chosen(floor, chosen):
    assert choose([replica()], [0], floor, random.random) == chosen


def test_of_two_the_less_loaded_is_chosen():
    idle, busy = replica(latency_s=0.01), replica(latency_s=0.01, in_flight=3)
    quick, slow = replica(latency_s=0.001), replica(latency_s=0.01)
    strong, weak = replica(latency_s=0.01, weight=3), replica(latency_s=0.01)

    for better, worse in ((idle, busy), (quick, slow), (strong, weak)):
        assert choose([better, worse], [0, 1], None, random.random) == 0
        assert choose([worse, better], [0, 1], None, random.random) == 1


def test_of_many_the_worst_is_never_chosen_and_every_other_is():
    standings = [replica(latency_s=0.001 * n) for n in range(1, 6)]
    draw = random.Random(7).random

    chosen = {choose(standings, range(5), None, draw) for _ in range(500)}

    assert chosen == {0, 1, 2, 3}


def test_load_spreads_over_equal_replicas():
    standings = [replica() for _ in range(4)]
    draw = random.Random(7).random

    for _ in range(400):
        index = choose(standings, range(4), None, draw)
        standings[index].in_flight += 1

    assert max(s.in_flight for s in standings) - min(s.in_flight for s in standings) <= 3


def test_the_average_of_an_unused_endpoint_fades():
    slow = replica()
    slow.answered_in(1.0)
    slow.fade()
    before = slow.latency_s

    for _ in range(100):
        slow.fade()

    assert slow.latency_s < before / 100


def primaries(*standings, newest=0):
    return leaders(standings, NOW, LIMITS, newest)


def test_the_primary_is_the_one_out_of_recovery():
    assert primaries(replica(), primary(), replica()) == [1]


def test_a_primary_that_was_not_proved_is_none():
    assert primaries(primary(proved_at=NOW - 2), replica()) == []
    assert primaries(primary(alive=False)) == []


def test_of_two_the_newer_timeline_leads():
    assert primaries(primary(timeline=1), primary(timeline=2)) == [1]


def test_two_on_one_timeline_are_told_as_two():
    assert primaries(primary(timeline=2), primary(timeline=2)) == [0, 1]


def test_one_left_behind_by_a_promotion_never_leads_again():
    assert primaries(primary(timeline=1), newest=2) == []
