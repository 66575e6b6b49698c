"""Neighbours of trouble are judged by their own figures of before."""

import pytest

from bench.neighbours.fairness import Trouble, bound
from bench.result import Round
from bench.summary import Latencies


def measured(took_s, *, errors=None):
    spent = {"seconds": {"load generator": 0.5, "fluxshard": 1.0}, "box_busy": 0.5}
    return Round(
        seed=1,
        seconds=5.0,
        latencies={"read": Latencies.of([took_s] * 100)},
        errors=errors or {},
        spent=spent,
    )


def trouble(before, meanwhile):
    return Trouble(
        "flood", "one floods", {"near": before}, {"near": meanwhile}, {"the one": measured(1.0)}
    )


def test_twice_the_normal_p99_and_5_ms_is_still_nothing():
    assert bound(measured(0.010)) == pytest.approx(25, abs=0.1)
    assert trouble(measured(0.010), measured(0.0249)).broken == []


def test_more_than_that_is_a_broken_promise():
    (what,) = trouble(measured(0.010), measured(0.026)).broken

    assert "p99 of near was 26.0 ms, above 25.0" in what


def test_a_neighbour_that_is_refused_is_a_broken_promise():
    (what,) = trouble(measured(0.010), measured(0.010, errors={"503 P211": 2})).broken

    assert "2 requests of near failed" in what


def test_neighbours_whom_nobody_answered_noticed_something():
    silent = Round(seed=1, seconds=5.0, latencies={}, spent=measured(0.01).spent)

    found = trouble(measured(0.010), silent)

    assert found.broken
    assert found.figures()["flood: near"]["p99_meanwhile_ms"] is None


def test_the_generators_own_cpu_is_told():
    found = trouble(measured(0.010), measured(0.010))

    assert "load generators 20%" in "\n".join(found.lines())
    assert found.as_json()["bounds_ms"]["near"] == pytest.approx(25, abs=0.1)
