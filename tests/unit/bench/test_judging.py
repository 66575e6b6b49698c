"""A drill is judged by its answers, by its audit, and by how soon reads are as before."""

import pytest

from bench.drills.history import Kind, Operation, audit
from bench.drills.judging import Course, judge
from bench.drills.report import course as shown_course
from bench.drills.report import paragraph, round_of

EVENT_S, MENDED_S, END_S = 10.0, 16.0, 18.0


def read(due, took=0.002, status=200, code=""):
    return Operation(Kind.READ, "", due, due + took, status, code, retry_after=False, served="")


def write(due, key, status=201, code="", *, retry_after=False):
    return Operation(Kind.WRITE, key, due, due + 0.01, status, code, retry_after, "")


def steady(since=6.0, until=END_S, rate=100, took=0.002):
    return [read(since + n / rate, took) for n in range(round((until - since) * rate))]


def judged(operations, there=(), *, durable=True, verdicts=None):
    course = Course(
        operations=operations,
        verdicts=verdicts or {"fresh": 1},
        normal_from_s=6.0,
        event_s=EVENT_S,
        mended_s=MENDED_S,
        durable=durable,
    )
    return judge(course, audit(operations, there))


def test_a_drill_without_a_trace_keeps_every_promise():
    found = judged([*steady(), write(11, "a")], ["a"])

    assert (found.broken, found.slow) == ((), ())
    assert found.back_s == 0
    assert found.normal_p99_s == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("operations", "there", "verdicts", "what"),
    [
        ([read(11, status=503, code="P202")], [], {}, "1 reads were answered with 503 P202"),
        ([write(11, "a")], [], {}, "acknowledged and lost"),
        ([write(11, "a")], ["a", "a"], {}, "applied twice"),
        ([], [], {"stale": 2}, "2 reads were stale"),
        ([], [], {"backward": 1}, "1 reads were backward"),
    ],
)
def test_a_broken_promise_is_said(operations, there, verdicts, what):
    found = judged([*steady(), *operations], there, verdicts=verdicts)

    assert [what in sentence for sentence in found.broken] == [True]


def test_refused_writes_break_nothing():
    refused = write(11, "a", 503, "P203", retry_after=True)

    assert judged([*steady(), refused]).broken == ()


def test_what_an_asynchronous_shard_lost_can_be_shown_by_nobody():
    found = judged([*steady(), write(11, "a")], durable=False, verdicts={"stale": 5})

    assert found.broken == ()
    assert found.as_json()["acknowledged_and_lost"] == 1


def test_reads_that_stay_slow_are_said_apart():
    slow = [*steady(until=EVENT_S), *steady(EVENT_S, MENDED_S, took=0.3)]

    found = judged(slow)

    assert found.broken == ()
    assert len(found.slow) == 1
    assert found.back_s is None


def test_reads_may_be_slow_for_two_seconds():
    operations = [
        *steady(until=EVENT_S),
        *steady(EVENT_S, EVENT_S + 1.9, took=0.3),
        *steady(EVENT_S + 1.9),
    ]

    found = judged(operations)

    assert found.slow == ()
    assert found.back_s == pytest.approx(1.9, abs=0.1)


def test_a_drill_is_told_in_words_and_as_the_harness_writes_results():
    found = judged([*steady(), write(11, "a"), write(12, "b", 503, "P203", retry_after=True)], [])

    text = paragraph("replica-killed", "a replica is killed", [found, found])
    told = shown_course(found)
    spent = {"seconds": {"fluxshard": 3.0, "load generator": 1.2}, "box_busy": 0.7}
    result = round_of("replica-killed", found, spent, 1)

    assert "fluxshard 25%, load generator 10% of one core; the whole box 70% busy" in paragraph(
        "replica-killed", "a replica is killed", [found], [result]
    )
    assert "2 acknowledged" in text
    assert "2 x 503 P203" in text
    assert "BROKEN" in text
    assert "<- event" in told
    assert "1 x 503 P203" in told
    assert [(event.at_s, event.name) for event in result.events] == [
        (4.0, "replica-killed"),
        (10.0, "mending"),
    ]
    assert result.errors == {"write 503 P203": 1}
    assert set(result.latencies) == {"read", "write"}
