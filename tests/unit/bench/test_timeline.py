"""A drill's course in tenths of a second, and the moment from which all is as before."""

import pytest

from bench.drills.history import Kind, Operation
from bench.drills.timeline import (
    back_to_normal_s,
    longest_outage_s,
    normal_bound_s,
    p99_s,
    percentile,
    windows,
)


def read(due, took=0.002, status=200, code=""):
    return Operation(Kind.READ, "", due, due + took, status, code, retry_after=False, served="")


def steadily(since, until, took=0.002, rate=100, **answer):
    count = round((until - since) * rate)
    return [read(since + number / rate, took, **answer) for number in range(count)]


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 5), (0.99, 10), (0.9, 9), (0.91, 10), (1.0, 10), (0.01, 1)]
)
def test_percentiles_are_values_that_were_there(share, value):
    assert percentile(range(1, 11), share) == value


def test_nothing_has_no_percentile():
    assert percentile([], 0.5) is None


def test_windows_count_what_was_due_in_them():
    found = windows([*steadily(99.9, 100.1), read(100.05, 0.5, 503, "P202")], event_s=100)

    assert [(round(one.at_s, 1), one.due, one.errors) for one in found] == [
        (-0.1, 10, {}),
        (0.0, 11, {"503 P202": 1}),
    ]
    assert found[0].p99_ms == pytest.approx(2)


def test_errors_count_as_endless_in_a_p99():
    operations = [*steadily(0, 0.9), *(read(0.95, 0.001, 503, "P202") for _ in range(5))]

    assert p99_s(operations, Kind.READ, 0, 1) == float("inf")
    assert p99_s(operations, Kind.READ, 0, 0.9) == pytest.approx(0.002)
    assert p99_s(operations, Kind.WRITE, 0, 1) == 0


def test_all_is_as_before_from_the_last_of_the_slow_ones_on():
    operations = [*steadily(0, 1), *steadily(1, 1.5, took=0.4), *steadily(1.5, 4)]
    bound = normal_bound_s(0.002)

    back = back_to_normal_s(operations, Kind.READ, 1, 4, bound)

    assert 0.4 < back <= 0.5


def test_one_slow_answer_in_a_hundred_is_still_normal():
    operations = [*steadily(0, 4), read(2.0, 0.5)]

    assert back_to_normal_s(operations, Kind.READ, 0, 4, 0.01) == 0


def test_what_stays_slow_is_never_as_before():
    assert back_to_normal_s(steadily(0, 2, took=0.4), Kind.READ, 0, 2, 0.01) is None


def test_an_outage_lasts_from_the_first_failure_to_the_next_success():
    operations = [*steadily(0, 1), *steadily(1, 2, status=503, code="P203"), *steadily(2, 3)]

    assert longest_outage_s(operations, Kind.READ) == pytest.approx(1.002, abs=0.01)
    assert longest_outage_s(operations, Kind.WRITE) == 0
