import pytest

from bench.errors import LimitUnavailable
from bench.limits import Capacity, CpuQuota, ServiceTime, Unlimited, read_limit, written
from bench.messages import Requests

EACH_10_MS_TWO_AT_A_TIME = ServiceTime(2, 0.010)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("none", Unlimited()),
        ("service:8ms*2", ServiceTime(2, 0.008)),
        ("service:0.5ms*1~", ServiceTime(1, 0.0005, exponential=True)),
        ("cpu:20%", CpuQuota(0.2)),
    ],
)
def test_a_limit_is_read_as_it_is_written(text, limit):
    assert read_limit(text) == limit
    assert written(limit) == text


@pytest.mark.parametrize("text", ["", "service:0ms", "service:8ms*0", "cpu:0%", "cpu:20"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(LimitUnavailable):
        read_limit(text)


def test_requests_beyond_the_slots_wait_for_the_first_that_is_free():
    capacity = Capacity(EACH_10_MS_TWO_AT_A_TIME, seed=1)

    turns = [capacity.turn(1.0) for _ in range(3)]

    assert [turn.begin for turn in turns] == [1.0, 1.0, pytest.approx(1.010)]
    assert turns[-1].end == pytest.approx(1.020)


def test_a_limited_server_serves_its_capacity_and_not_more_however_late_the_requests_come():
    capacity = Capacity(EACH_10_MS_TWO_AT_A_TIME, seed=1)

    ends = [capacity.turn(0.0003 * number).end for number in range(2_000)]

    assert sum(end <= 5 for end in ends) == pytest.approx(5 * 200, abs=2)


def test_an_idle_server_saves_nothing_up():
    capacity = Capacity(EACH_10_MS_TWO_AT_A_TIME, seed=1)
    capacity.turn(0)

    turns = [capacity.turn(100.0) for _ in range(4)]

    assert max(turn.end for turn in turns) == pytest.approx(100.020)


def test_exponential_service_has_the_same_mean_and_the_same_seed_gives_the_same():
    def ends(seed):
        capacity = Capacity(ServiceTime(1, 0.010, exponential=True), seed)
        return [capacity.turn(0).end for _ in range(20_000)]

    assert ends(5)[-1] / 20_000 == pytest.approx(0.010, rel=0.03)
    assert ends(5) == ends(5)
    assert ends(5) != ends(6)


def message(kind, body=b""):
    return kind.encode() + (len(body) + 4).to_bytes(4) + body


STARTUP = (12).to_bytes(4) + (196608).to_bytes(4) + b"\0\0\0\0"
SSL = (8).to_bytes(4) + (80877103).to_bytes(4)
EXTENDED = message("P", b"x") + message("B", b"yy") + message("E") + message("S")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_requests_end_at_sync_and_query_whatever_the_packets(size):
    stream = STARTUP + message("p", b"secret") + EXTENDED + message("Q", b"SELECT 1\0") + EXTENDED
    requests = Requests()

    cuts = [
        cut for at in range(0, len(stream), size) for cut in requests.feed(stream[at : at + size])
    ]

    assert b"".join(cut.data for cut in cuts) == stream
    assert [cut.data for cut in cuts if cut.counted] == [
        EXTENDED, message("Q", b"SELECT 1\0"), EXTENDED,
    ]  # fmt: skip


def test_a_request_for_encryption_comes_before_the_startup_packet():
    cuts = Requests().feed(SSL + STARTUP + message("X"))

    assert [cut.data for cut in cuts] == [SSL, STARTUP, message("X")]
    assert not any(cut.counted for cut in cuts)


def test_copied_data_and_flushes_take_no_turn():
    requests = Requests()
    requests.feed(STARTUP)

    cuts = requests.feed(message("d", b"row") + message("c") + message("P") + message("H"))

    assert [cut.counted for cut in cuts] == [False, False, False]
