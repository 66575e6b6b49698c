"""When a late read is sent twice, and how many are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import HedgeAfter
from router.live.hedge import LEAST_READS, MAX_SAVED, Hedge

FIXED = HedgeAfter(seconds=0.05)
P95 = HedgeAfter(quantile=0.95)


def test_a_fixed_time_is_waited_from_the_first_read_on():
    assert Hedge(FIXED, share=0.05).delay_s() == 0.05


def test_before_enough_reads_were_seen_there_is_no_percentile():
    hedge = Hedge(P95, share=0.05)

    for _ in range(LEAST_READS - 1):
        assert hedge.delay_s() is None
        hedge.took(0.001)
    hedge.took(0.001)

    assert hedge.delay_s() == 0.001


def test_the_percentile_is_that_of_the_reads_and_follows_them():
    hedge, draw = Hedge(P95, share=0.05), random.Random(7)

    for _ in range(1000):
        hedge.took(draw.random())
    assert hedge.delay_s() == pytest.approx(0.95, abs=0.03)
    for _ in range(1000):
        hedge.took(draw.random() / 10)
    assert hedge.delay_s() == pytest.approx(0.095, abs=0.003)


@given(st.integers(1, 5000), st.sampled_from([0.01, 0.05, 0.5, 1.0]))
def test_no_more_than_the_share_of_all_reads_is_sent_twice(reads, share):
    """Even if every single read is late."""
    hedge, twice = Hedge(FIXED, share), 0

    for _ in range(reads):
        hedge.delay_s()
        twice += hedge.spend()

    assert share * reads - 1 - 1e-6 <= twice <= share * reads + 1e-6


def test_what_is_saved_up_is_bounded():
    hedge = Hedge(FIXED, share=0.05)
    for _ in range(100_000):
        hedge.delay_s()

    assert sum(hedge.spend() for _ in range(1000)) == MAX_SAVED
