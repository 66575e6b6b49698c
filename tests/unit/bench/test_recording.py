import json
import random
from pathlib import Path

import pytest

from bench.errors import ResultUnreadable
from bench.outcome import Outcome
from bench.record import Recorder
from bench.result import Event, Result, Round, Run, read_result, write_result
from bench.summary import Latencies, latencies, series


def recorded(*operations):
    recorder = Recorder()
    for due, took_s, error in operations:
        recorder.add(due, due + took_s, Outcome("read", error, "shard_0/a"))
    return recorder


def test_percentiles_are_those_of_the_sorted_values_within_three_digits():
    chance = random.Random(3)
    took_s = [chance.lognormvariate(-6, 1) for _ in range(20_000)]
    ordered = sorted(took_s)

    found = Latencies.of(took_s)

    for percentile in (50, 90, 99, 99.9):
        exact = ordered[int(len(ordered) * percentile / 100)] * 1000
        assert found.at_ms(percentile) == pytest.approx(exact, rel=2e-2)
    assert found.max_ms == pytest.approx(ordered[-1] * 1000, rel=1e-3)


def test_distributions_of_several_rounds_are_added_and_not_averaged():
    low, high = Latencies.of([0.001] * 99), Latencies.of([1.0])

    whole = low.merged([high])

    assert len(whole) == 100
    assert whole.at_ms(50) == pytest.approx(1, rel=1e-2)
    assert whole.max_ms == pytest.approx(1000, rel=1e-2)
    assert len(low) == 99


def test_failures_are_counted_and_are_in_no_percentile():
    recorder = recorded((0, 0.2, ""), (0.1, 0.001, "503 P202"))

    assert dict(recorder.errors) == {"503 P202": 1}
    assert len(latencies(recorder.samples.values())) == 1


def test_notes_of_several_generators_are_one():
    first, second = recorded((0, 0.1, "")), recorded((0.2, 0.1, ""), (0.3, 0.1, "timeout"))

    merged = Recorder().merge(
        Recorder.from_json(json.loads(json.dumps(one.as_json()))) for one in (first, second)
    )

    assert list(merged.samples["read"].due) == [0, 0.2]
    assert dict(merged.errors) == {"timeout": 1}
    assert dict(merged.served) == {"shard_0/a": 3}


def test_the_series_has_latency_where_it_was_due_and_throughput_where_it_was_answered():
    recorder = recorded((10.05, 0.2, ""), (10.06, 0.01, ""), (10.31, 0.0, "timeout"))

    found = series(recorder, 10.0, 0.4)

    assert [bucket.answered for bucket in found] == [1, 0, 1, 0]
    assert [bucket.failed for bucket in found] == [0, 0, 0, 1]
    assert found[0].max_ms == pytest.approx(200)
    assert found[1].p50_ms is None


def a_result():
    found = Round(
        seed=7,
        seconds=2.0,
        latencies={"read": Latencies.of([0.001, 0.002])},
        errors={"503 P202": 1},
        served={"shard_0/a": 3},
        accounts={"due": 3, "dropped": 1, "late": 2},
        series=series(recorded((0, 0.1, "")), 0, 0.2),
        events=(Event(1.5, "killed"),),
        spent={"seconds": {"fluxshard": 0.5}, "box_busy": 0.25},
    )
    run = Run(name="one", parameters={"clients": 3}, world={"limit": "none"}, rounds=(found,))
    return Result(command="run", title="a title", runs=(run,), figures={"x": 1.5}, notes=("n",))


def test_a_result_is_read_as_it_was_written(tmp_path):
    result = a_result()

    write_result(result, tmp_path / "result.json")

    assert read_result(tmp_path / "result.json").as_json() == result.as_json()


def test_what_was_dropped_counts_as_failed():
    assert a_result().runs[0].rounds[0].failed == 2
    assert a_result().runs[0].rounds[0].rate == 1.0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": "fluxshard-bench/1"}'])
def test_what_is_no_result_is_refused_by_name(text, tmp_path):
    (tmp_path / "x.json").write_text(text)

    with pytest.raises(ResultUnreadable):
        read_result(tmp_path / Path("x.json"))
