"""Who may answer a read, and who is the primary."""

import pytest

from router.live.replicas import Limits, Standing, candidates, leaders, newest_timeline

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


def test_replicas_of_a_newer_timeline_prove_that_a_primary_was_left_behind():
    standings = [primary(timeline=1), replica(timeline=2)]

    newest = newest_timeline(standings, NOW, LIMITS, 0)

    assert newest == 2
    assert leaders(standings, NOW, LIMITS, newest) == []


def test_a_timeline_once_seen_is_not_forgotten():
    assert newest_timeline([primary(timeline=1)], NOW, LIMITS, 3) == 3
