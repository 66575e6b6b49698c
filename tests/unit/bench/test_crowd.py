"""What the users of a drill ask next follows from what they were told."""

import json

import pytest

from bench.drills.crowd import PAUSE_S, Crowd, Habits
from bench.drills.history import Kind
from bench.http import Reply
from bench.sessions.guarantees import Verdict
from bench.sessions.users import User, Who, error_code, role_of, shown

CREATED = Reply(201, b"HTTP/1.1 201 Created\r\n", b"")
REFUSED = Reply(503, b"HTTP/1.1 503 \r\nRetry-After: 1\r\n", b'{"code":"P203"}')
UNKNOWN = Reply(500, b"HTTP/1.1 500 \r\n", b'{"code":"COMMIT_UNKNOWN"}')


def rows(*numbers):
    body = json.dumps([{"number": number} for number in numbers]).encode()
    return Reply(200, b"HTTP/1.1 200 OK\r\nX-Served-By: shard_0/shard_0-b (replica)\r\n", body)


def crowd(**habits):
    return Crowd([User(Who("ada", 7, "token"))], Habits(**habits))


def test_a_refused_write_is_tried_again_under_its_id_when_its_pause_is_over():
    users = crowd(write_share=1.0)
    first = users.next_errand(0.0)
    users.told(first, REFUSED, 0.0, 0.1)

    early, late = users.next_errand(0.2), users.next_errand(0.1 + PAUSE_S)

    assert early.key != first.key
    assert (late.key, late.number, late.request) == (first.key, first.number, first.request)


@pytest.mark.parametrize(("repeat", "again"), [(False, False), (True, True)])
def test_a_write_of_unknown_outcome_is_repeated_only_with_an_idempotency_key(repeat, again):
    users = crowd(write_share=1.0, repeat_unknown=repeat)
    first = users.next_errand(0.0)
    users.told(first, UNKNOWN, 0.0, 0.0)

    later = users.next_errand(PAUSE_S)

    assert (later.key == first.key) is again
    assert (f"Idempotency-Key: {first.key}".encode() in first.request) is repeat


def test_a_read_is_judged_by_what_its_user_knew_when_it_began():
    users = crowd(write_share=1.0)
    write = users.next_errand(0.0)
    users.told(write, CREATED, 0.0, 0.1)
    reading = Crowd(users._users, Habits(write_share=0.0))
    early = reading.next_errand(0.2)

    told = [reading.told(early, reply, 0.2, 0.3)[1] for reply in (rows(1), rows(), rows(2))]
    backward = reading.told(reading.next_errand(0.4), rows(1), 0.4, 0.5)[1]

    assert told == [Verdict.FRESH, Verdict.STALE, Verdict.FRESH]
    assert backward == Verdict.BACKWARD


def test_a_request_is_noted_with_its_answer():
    users = crowd(write_share=1.0)
    errand = users.next_errand(0.0)

    operation, verdict = users.told(errand, REFUSED, 0.0, 0.25)

    assert operation.kind is Kind.WRITE
    assert operation.outcome == "503 P203"
    assert (operation.key, operation.retry_after, operation.latency_s) == (errand.key, True, 0.25)
    assert verdict == ""


def test_the_same_seed_asks_the_same():
    one, other = crowd(seed=3), crowd(seed=3)

    assert [one.next_errand(0).request for _ in range(50)] == [
        other.next_errand(0).request for _ in range(50)
    ]


def test_a_write_is_a_whole_request_of_its_row():
    user = User(Who("ada", 7, "token"))

    head, _, body = user.write(3, "k").partition(b"\r\n\r\n")

    assert head.startswith(b"POST /rest/v1/entries HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"author": "ada", "number": 3, "id": "k"}


def test_answers_are_read():
    assert shown(rows()) == 0
    assert shown(rows(4)) == 4
    assert role_of("shard_0/shard_0-b (replica)") == "replica"
    assert role_of("") == "?"
    assert error_code(REFUSED) == "P203"
    assert error_code(Reply(0, b"", b"timeout")) == "silent"
    assert error_code(Reply(0, b"", b"ConnectionResetError")) == "broken"
    assert error_code(Reply(502, b"", b"no json")) == ""
