"""What the session checker promises, with the check and without it."""

from collections import Counter

from bench.sessions.check import Lagging, Phase, broken_promises
from bench.sessions.guarantees import Tally, Verdict
from bench.sessions.report import lines


def phase(*, fresh=100, stale=0, backward=0, replica=100, primary=0, errors=None, failed=()):
    verdicts = {Verdict.FRESH: fresh, Verdict.STALE: stale, Verdict.BACKWARD: backward}
    roles = Counter(replica=replica, primary=primary)
    return Phase(Tally(Counter(verdicts), roles, Counter(errors or {})), 10, failed, 1.0)


def lagging(writing, quiet):
    return Lagging(0.05, [writing], [quiet])


def test_fresh_reads_of_replicas_that_caught_up_break_nothing():
    found = [lagging(phase(replica=0, primary=100), phase(replica=95, primary=5))]

    assert broken_promises(found, checked=True) == []


def test_each_promise_is_named():
    found = [
        lagging(
            phase(stale=2, backward=1, errors={"503 P202": 3}, failed=["503 P203"]),
            phase(replica=50, primary=50),
        )
    ]

    wrong = broken_promises(found, checked=True)

    assert wrong == [
        "2 reads were stale",
        "1 reads were backward",
        "3 reads failed with 503 P202",
        "1 writes failed with 503 P203",
        "replicas that lag by 50 ms answered 50.0% once they had caught up, less than 90%",
    ]


def test_without_the_check_stale_reads_have_to_be_found():
    proving = [lagging(phase(stale=7), phase())]
    useless = [lagging(phase(), phase())]

    assert broken_promises(proving, checked=False) == []
    assert "proves nothing" in broken_promises(useless, checked=False)[0]


def test_tallies_travel_as_json():
    tally = phase(stale=2, errors={"503 P202": 1}).tally

    assert Tally.from_json(tally.as_json()) == tally


def test_the_report_adds_up():
    found = [lagging(phase(stale=1), phase()), lagging(phase(), phase(replica=90, primary=10))]

    text = lines(found, {"seconds": {"fluxshard": 2.0}, "load generator": 1.0, "box_busy": 0.5})

    assert len(text) == 7
    assert text[-2].split() == ["all", "401", "1", "0", "0", "97.3%"]
    assert found[0].as_json()["while_writing"]["stale"] == 1
