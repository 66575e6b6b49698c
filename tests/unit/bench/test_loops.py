import asyncio
import itertools
import random
from pathlib import Path

import pytest

from bench.loops import Phases, closed_loop, constant, open_loop, poisson
from bench.outcome import Outcome
from bench.record import Recorder


def _load(name):
    import importlib.util  # noqa: PLC0415 - tests are no package

    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = _load("virtual_time").run


def clients(number, took_s):
    """So many clients whose operations take what `took_s` says next."""

    async def work():
        await asyncio.sleep(next(took_s))
        return Outcome("read")

    return [work] * number


def took_ms(recorder):
    return [round(each * 1000) for each in recorder.samples["read"].took_s]


def test_a_closed_loop_sends_the_next_operation_when_the_last_is_answered():
    recorder = Recorder()

    run(
        lambda clock: closed_loop(
            clients(2, itertools.repeat(0.1)), Phases(0, 0, 1.05), recorder, clock
        )
    )

    assert took_ms(recorder) == [100] * 20


def test_what_is_answered_while_warming_up_or_after_the_end_does_not_count():
    recorder = Recorder()

    run(
        lambda clock: closed_loop(
            clients(1, itertools.repeat(0.1)), Phases(0, 0.45, 0.5), recorder, clock
        )
    )

    assert [round(due, 1) for due in recorder.samples["read"].due] == [0.4, 0.5, 0.6, 0.7, 0.8]


def test_a_stall_counts_for_every_arrival_that_it_delays_in_an_open_loop():
    recorder = Recorder()
    first_stalls = itertools.chain([0.5], itertools.repeat(0))

    accounts = run(
        lambda clock: open_loop(
            clients(1, first_stalls), constant(10, 0), Phases(0, 0, 1), recorder, bound=100,
            clock=clock,
        )
    )  # fmt: skip

    assert took_ms(recorder) == [500, 400, 300, 200, 100, 0, 0, 0, 0, 0]
    assert accounts.as_json() == {
        "due": 10, "sent": 10, "answered": 10, "late": 4, "dropped": 0, "waiting": 0,
        "unanswered": 0,
    }  # fmt: skip


def test_the_same_stall_is_one_slow_operation_in_a_closed_loop():
    recorder = Recorder()
    first_stalls = itertools.chain([0.5], itertools.repeat(0.1))

    run(lambda clock: closed_loop(clients(1, first_stalls), Phases(0, 0, 0.95), recorder, clock))

    assert took_ms(recorder) == [500, 100, 100, 100, 100]


def test_arrivals_beyond_the_bound_are_dropped_and_counted():
    recorder = Recorder()

    accounts = run(
        lambda clock: open_loop(
            clients(1, itertools.repeat(0.5)), constant(10, 0), Phases(0, 0, 1), recorder, bound=2,
            clock=clock,
        )
    )  # fmt: skip

    assert accounts.due == 10
    assert accounts.sent + accounts.dropped + accounts.waiting == 10
    assert accounts.dropped > 0
    assert accounts.waiting <= 2


def test_what_is_never_answered_is_counted_and_the_loop_ends():
    recorder = Recorder()

    accounts = run(
        lambda clock: open_loop(
            clients(3, itertools.repeat(1e6)), constant(10, 0), Phases(0, 0, 1), recorder, bound=99,
            clock=clock,
        )
    )  # fmt: skip

    assert (accounts.sent, accounts.answered, accounts.unanswered) == (3, 0, 3)
    assert accounts.waiting == 7
    assert recorder.samples == {}


def test_arrivals_at_a_constant_rate_do_not_drift():
    times = itertools.islice(constant(3, 5), 30_001)

    assert list(times)[-1] == 5 + 30_000 / 3


def test_arrivals_by_chance_have_the_rate_that_was_asked_for():
    times = list(itertools.islice(poisson(100, 0, random.Random(1)), 10_000))

    assert times[-1] == pytest.approx(100, rel=0.05)
    assert times == sorted(times)
