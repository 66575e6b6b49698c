import pytest

from bench.search import Bound, Search


def found(search, keeps, noise=()):
    """The rate that a search ends with; `noise` are measurements by number that go wrong."""
    number = 0
    while (rate := search.next_rate) is not None:
        search.told(keeps(rate) and number not in noise)
        number += 1
    return search.low


@pytest.mark.parametrize("true_rate", [55, 80, 97, 99.9])
def test_the_highest_rate_that_is_kept_is_found_nearly(true_rate):
    rate = found(Search(50, 103), lambda asked: asked <= true_rate)

    assert true_rate - 0.03 * 103 <= rate <= true_rate


def test_one_bad_measurement_of_three_changes_nothing():
    calm = found(Search(50, 103), lambda asked: asked <= 90)

    assert found(Search(50, 103), lambda asked: asked <= 90, noise={0}) == calm


def test_a_rate_that_nothing_keeps_is_not_claimed():
    assert found(Search(50, 103), lambda _: False) == 50


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        ({"p99_ms": 99, "answered": 100, "due": 100, "failed": 0}, True),
        ({"p99_ms": 101, "answered": 100, "due": 100, "failed": 0}, False),
        ({"p99_ms": 99, "answered": 97, "due": 100, "failed": 0}, False),
        ({"p99_ms": 99, "answered": 100, "due": 100, "failed": 1}, False),
    ],
)
def test_a_bound_is_kept_only_when_nothing_failed_and_nothing_is_left(measured, kept):
    assert Bound(100).kept(**measured) is kept
