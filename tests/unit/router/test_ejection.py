"""Replicas on which reads fail: left out for a while, tried out, and trusted again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Ejecting
from router.live.breaker import TRIAL_ANSWERS, Trust
from router.live.choice import FIRST_SHARE, warmth
from router.live.ejection import judge
from router.live.replicas import Standing

RULES = Ejecting()
TRUSTED, EJECTED, ON_TRIAL = Trust.TRUSTED, Trust.EJECTED, Trust.ON_TRIAL


class Shard:
    """Replicas under a clock of our own; probes are well unless a test says otherwise."""

    def __init__(self, replicas=2, *, primary=True, rules=RULES):
        self.now = 100.0
        self.primary = primary
        self.rules = rules
        self.standings = [Standing(alive=True, timeline=1) for _ in range(replicas)]
        self.look()

    def look(self, after_s=0.0):
        self.now += after_s
        for one in self.standings:
            one.proved_at = self.now
        serving = [n for n, one in enumerate(self.standings) if one.breaker.trust is TRUSTED]
        found = judge(self.standings, serving, self.now, self.rules, primary=self.primary)
        return [(one.index, one.trust, one.reason) for one in found]

    def fail(self, index, times=1, *, hard=False):
        for _ in range(times):
            self.standings[index].breaker.failed("it is ill", hard=hard)

    def answer(self, index, times=1):
        for _ in range(times):
            self.standings[index].answered_in(0.001)

    def trust(self):
        return [one.breaker.trust for one in self.standings]


@pytest.fixture
def shard():
    return Shard()


def test_some_failures_in_a_row_eject(shard):
    shard.fail(0, RULES.failures_in_row - 1)
    assert shard.look() == []
    shard.fail(0)
    assert shard.look() == [(0, EJECTED, "failures")]


def test_an_answer_in_between_begins_the_row_anew(shard):
    for _ in range(3):
        shard.fail(0, RULES.failures_in_row - 1)
        shard.answer(0)

    assert shard.look() == []


def test_half_of_the_reads_of_a_while_eject_though_others_are_answered(shard):
    for _ in range(10):
        shard.answer(1)
        shard.fail(0)
        shard.answer(0)

    assert shard.look(1.0) == [(0, EJECTED, "rate")]


def test_too_few_reads_say_nothing(shard):
    for _ in range(9):
        shard.fail(0)
        shard.answer(0)

    assert shard.look(1.0) == []


def test_what_was_before_the_window_does_not_count(shard):
    for _ in range(9):
        shard.fail(0)
        shard.answer(0)
    for _ in range(40):
        shard.look(0.5)
    shard.fail(0)
    shard.answer(0)

    assert shard.look() == []


def test_what_fails_alike_everywhere_is_no_fault_of_one(shard):
    for index in (0, 1):
        shard.fail(index, 30)

    assert shard.look(1.0) == []


def test_lost_connections_eject_whoever_loses_them(shard):
    for index in (0, 1):
        shard.fail(index, RULES.failures_in_row, hard=True)

    assert shard.look() == [(0, EJECTED, "connections"), (1, EJECTED, "connections")]


def test_the_last_one_stays_while_there_is_no_primary():
    shard = Shard(primary=False)
    for index in (0, 1):
        shard.fail(index, RULES.failures_in_row, hard=True)

    assert shard.look() == [(0, EJECTED, "connections")]
    assert shard.look(5.0) == [(0, ON_TRIAL, "")]


@pytest.mark.parametrize(("replicas", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_at_most_half_of_the_replicas_are_ejected_for_failures(replicas, most):
    shard = Shard(replicas + 1, rules=RULES)
    shard.standings[replicas].weight = 0  # a peer that is well and counts for no share
    for index in range(replicas):
        shard.fail(index, RULES.failures_in_row)

    shard.look()

    assert sum(trust is EJECTED for trust in shard.trust()) == most


def test_a_trial_comes_after_its_time_and_after_a_good_probe(shard):
    shard.fail(0, RULES.failures_in_row)
    shard.look()

    assert shard.look(0.5) == []
    shard.standings[0].alive = False
    assert shard.look(5.0) == []
    shard.standings[0].alive = True
    assert shard.look() == [(0, ON_TRIAL, "")]


def test_some_answers_on_trial_bring_it_back_into_a_slow_start(shard):
    shard.fail(0, RULES.failures_in_row)
    shard.look()
    shard.look(1.0)

    shard.answer(0, TRIAL_ANSWERS - 1)
    assert shard.look(0.1) == []
    shard.answer(0)
    assert shard.look(0.1) == [(0, TRUSTED, "")]
    assert warmth(shard.now - shard.standings[0].returned_at, 10.0) == FIRST_SHARE


def test_a_failure_on_trial_ejects_for_twice_as_long_up_to_the_longest(shard):
    shard.fail(0, RULES.failures_in_row)
    shard.look()
    waited = []
    for _ in range(7):
        began = shard.now
        while not shard.look(0.25):
            pass
        waited.append(round(shard.now - began))
        shard.fail(0)
        assert shard.look() == [(0, EJECTED, "trial")]

    assert waited == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(("well_for_s", "next_s"), [(29.0, 2.0), (30.0, 1.0)])
def test_a_long_time_without_an_ejection_is_forgiven(shard, well_for_s, next_s):
    shard.fail(0, RULES.failures_in_row)
    shard.look()
    shard.look(1.0)
    shard.answer(0, TRIAL_ANSWERS)
    shard.look()

    shard.now += well_for_s
    shard.fail(0, RULES.failures_in_row)
    shard.look()

    assert shard.standings[0].breaker.until == shard.now + next_s


def test_a_primary_is_never_ejected(shard):
    shard.standings[0].in_recovery = False
    shard.fail(0, 100, hard=True)

    assert shard.look() == []


@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans(), st.sampled_from([0.0, 0.5, 0.9]))
def test_the_limits_hold_whatever_happens(seed, replicas, primary, bad_share):
    """Random answers and failures on random replicas, for a simulated minute or so."""
    draw = random.Random(seed)
    shard = Shard(replicas, primary=primary)
    for _ in range(300):
        for _ in range(draw.randrange(12)):
            index = draw.randrange(replicas)
            if draw.random() < bad_share:
                shard.fail(index)
            else:
                shard.answer(index)
        shard.look(draw.random() / 2)

        left_out = sum(trust is not TRUSTED for trust in shard.trust())
        assert left_out <= replicas / 2
        assert primary or left_out < replicas
