"""Writes are compared with what their writers were told, each attempt by its answer."""

import pytest

from bench.drills.history import Fate, Kind, Operation, audit, fate, settle


def write(key, status=201, code="", *, retry_after=False, due=0.0):
    return Operation(Kind.WRITE, key, due, due + 0.01, status, code, retry_after, "")


REFUSED = {"status": 503, "code": "P203", "retry_after": True}
UNKNOWN = {"status": 500, "code": "COMMIT_UNKNOWN"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, Fate.ACKNOWLEDGED),
        (REFUSED, Fate.REFUSED),
        ({"status": 504, "code": "P301"}, Fate.REFUSED),
        (UNKNOWN, Fate.UNKNOWN),
        (
            {"status": 409, "code": "IDEMPOTENCY_REQUEST_IN_PROGRESS", "retry_after": True},
            Fate.UNKNOWN,
        ),
        ({"status": 0, "code": "broken"}, Fate.UNDOCUMENTED),
        ({"status": 0, "code": "silent"}, Fate.UNDOCUMENTED),
        ({"status": 503, "code": "P203", "retry_after": False}, Fate.UNDOCUMENTED),
        ({"status": 500, "code": "COMMIT_UNKNOWN", "retry_after": True}, Fate.UNDOCUMENTED),
        ({"status": 500, "code": "internal"}, Fate.UNDOCUMENTED),
        ({"status": 409, "code": "23505"}, Fate.UNDOCUMENTED),
    ],
)
def test_an_answer_says_what_became_of_the_write(answer, told):
    assert fate(write("a", **answer)) is told


@pytest.mark.parametrize(
    ("attempts", "whole"),
    [
        ([Fate.REFUSED, Fate.ACKNOWLEDGED], Fate.ACKNOWLEDGED),
        ([Fate.UNKNOWN, Fate.REFUSED], Fate.UNKNOWN),
        ([Fate.REFUSED, Fate.REFUSED], Fate.REFUSED),
        ([Fate.UNDOCUMENTED, Fate.UNKNOWN], Fate.UNDOCUMENTED),
    ],
)
def test_attempts_under_one_id_are_one_write(attempts, whole):
    assert settle(attempts) is whole


def test_a_history_that_the_database_agrees_with_breaks_no_promise():
    told = [write("a"), write("b", **REFUSED), write("c", **UNKNOWN), write("d", **UNKNOWN)]

    found = audit(told, ["a", "d"])

    assert found.writes == 4
    assert found.fates == {Fate.ACKNOWLEDGED: 1, Fate.REFUSED: 1, Fate.UNKNOWN: 2}
    assert found.broken_promises(durable=True) == []


@pytest.mark.parametrize(
    ("told", "there", "what"),
    [
        ([write("a")], [], "acknowledged and lost"),
        ([write("a")], ["a", "a"], "applied twice"),
        ([write("a", **UNKNOWN)], ["a", "a"], "applied twice"),
        ([write("a", **REFUSED)], ["a"], "refused and there"),
        ([], ["a"], "never sent"),
        ([write("a", status=500, code="internal")], [], "answered with 500 internal"),
    ],
)
def test_each_broken_promise_is_named(told, there, what):
    (sentence,) = audit(told, there).broken_promises(durable=True)

    assert what in sentence


def test_loss_is_counted_but_promised_by_no_asynchronous_shard():
    found = audit([write("a")], [])

    assert found.lost == ("a",)
    assert found.broken_promises(durable=False) == []


def test_reads_are_no_writes():
    read = Operation(Kind.READ, "", 0.0, 0.1, 200, "", retry_after=False, served="")

    assert audit([read], []).writes == 0
