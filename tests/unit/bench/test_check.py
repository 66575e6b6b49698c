"""What the session checker promises, with the check and without it."""

from collections import Counter

from bench.sessions.check import Lagging, Phase, broken_promises
from bench.sessions.guarantees import Tally, Verdict
from bench.sessions.report import lines


def phase(*, fresh=100, stale=0, backward=0, replica=100, primary=0, errors=None, failed=()):
    verdicts = {Verdict.FRESH: fresh, Verdict.STALE: stale, Verdict.BACKWARD: backward}
    roles = Counter(replica=replica, primary=primary)
    return Phase(Tally(Counter(verdicts), roles, Counter(errors or {})), 10, failed, 1.0)


def lagging(writing, quiet, *, checked=True):
    return Lagging(0.05, checked, [writing], [quiet])


def test_fresh_reads_of_replicas_that_caught_up_break_nothing():
    found = [lagging(phase(replica=0, primary=100), phase(replica=95, primary=5))]

    assert broken_promises(found) == []


def test_each_promise_is_named():
    found = [
        lagging(
            phase(stale=2, backward=1, errors={"503 P202": 3}, failed=["503 P203"]),
            phase(replica=50, primary=50),
        )
    ]

    wrong = broken_promises(found)

    assert wrong == [
        "2 reads were stale",
        "1 reads were backward",
        "3 reads failed with 503 P202",
        "replicas that lag by 50 ms answered 50.0% once they had caught up, less than 90%",
    ]


def test_a_control_has_to_find_stale_reads():
    kept = lagging(phase(), phase())
    proving = lagging(phase(stale=7), phase(replica=0), checked=False)
    useless = lagging(phase(), phase(), checked=False)

    assert broken_promises([kept, proving]) == []
    assert broken_promises([kept, useless]) == [
        "no stale read was found in the control: this proves nothing"
    ]


def test_ages_are_told_in_order_fresh_reads_as_0():
    found = lagging(phase(fresh=3, stale=2), phase(fresh=0))
    found.writing[0].tally.ages_ms += [50.0, 10.0]

    assert found.ages_ms() == [0, 0, 0, 10, 50]


def test_tallies_travel_as_json():
    tally = phase(stale=2, errors={"503 P202": 1}).tally

    assert Tally.from_json(tally.as_json()) == tally


def test_the_report_adds_up_and_keeps_the_control_apart():
    found = [
        lagging(phase(stale=1), phase()),
        lagging(phase(), phase(replica=90, primary=10)),
        lagging(phase(stale=9), phase(), checked=False),
    ]

    text = lines(found, {"seconds": {"fluxshard": 2.0, "load generator": 1.0}, "box_busy": 0.5})

    assert text[-3].split() == ["all", "401", "1", "0", "0", "97.3%"]
    assert "load generator 1.0 s" in text[-1]
    assert found[0].figures()["50 ms behind, while writing"]["stale"] == 1
    assert "50 ms behind, control, while writing" in found[2].figures()
