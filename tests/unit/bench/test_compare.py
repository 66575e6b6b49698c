from dataclasses import replace

import pytest

from bench.compare import compare, in_words, ratio_of
from bench.errors import NotComparable
from bench.result import Result, Round, Run
from bench.summary import Latencies


def a_round(rate, took_s=0.01):
    return Round(seed=1, seconds=1.0, latencies={"read": Latencies.of([took_s] * rate)})


def a_result(*rates, clients=4, limit="none", cores=2):
    run = Run(
        name="one",
        parameters={"workload": "point-read", "clients": clients},
        world={"limit": limit},
        rounds=tuple(a_round(rate) for rate in rates),
    )
    environment = {"cores": cores, "load_before": 0.1}
    return Result(command="run", title="", runs=(run,), environment=environment)


def rates(comparison):
    (ratio,) = [ratio for ratio in comparison.ratios if ratio.figure == "operations/s"]
    return ratio


def test_a_clear_gain_has_an_interval_above_one():
    ratio = rates(compare(a_result(100, 101, 99, 100), a_result(150, 149, 151, 150)))

    assert ratio.ratio == pytest.approx(1.5)
    assert 1.45 < ratio.low <= ratio.ratio <= ratio.high < 1.55
    assert ratio.interval == "bootstrap"
    assert ratio.differs


def test_rounds_that_scatter_more_than_they_differ_show_no_difference():
    comparison = compare(a_result(80, 120, 100), a_result(118, 83, 105))

    assert not rates(comparison).differs
    assert "no difference shown" in in_words(comparison, ("a", "b"))


def test_few_rounds_give_the_range_that_they_leave_possible():
    ratio = rates(compare(a_result(100, 110), a_result(120)))

    assert (ratio.low, ratio.high) == (120 / 110, 120 / 100)
    assert ratio.interval == "range"


def test_the_same_rounds_give_the_same_interval_each_time():
    assert ratio_of("r", "f", [1, 2, 3], [2, 3, 4]) == ratio_of("r", "f", [1, 2, 3], [2, 3, 4])


@pytest.mark.parametrize(
    "other",
    [
        a_result(100, clients=5),
        a_result(100, limit="service:8ms*2"),
        replace(a_result(100), command="peers"),
        replace(a_result(100), runs=()),
    ],
    ids=["clients", "limit", "command", "nothing in common"],
)
def test_different_things_are_not_compared(other):
    with pytest.raises(NotComparable):
        compare(a_result(100), other)


def test_results_of_different_machines_are_compared_with_a_warning():
    comparison = compare(a_result(100), a_result(100, cores=64))

    assert any("different places" in note for note in comparison.notes)
