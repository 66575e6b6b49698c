"""The limit of what is in flight, with a server that is computed: it converges, and harms nobody."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest

from router.live.in_flight import FIND_OUT_S, InFlightLimit

CEILING = 24
LEAST = 2


@dataclass
class Server:
    """Serves `slots` statements at a time, first come first served; each also takes `away_s`."""

    slots: int
    away_s: float = 0.0
    free: list[float] = field(default_factory=list)

    def ends(self, now, service_s):
        while len(self.free) >= self.slots and self.free[0] <= now:
            heapq.heappop(self.free)
        begin = now
        if len(self.free) >= self.slots:
            begin = heapq.heappop(self.free)
        heapq.heappush(self.free, begin + service_s)
        return begin + service_s + self.away_s


@dataclass(frozen=True)
class Client:
    """Asks again as soon as it is answered; `texts` yields what, and how long it takes alone."""

    texts: object
    began_s: float = 0.0
    until_s: float = float("inf")
    limit: int = 0
    """By which of the limits (one of each worker) it is let in."""


class Run:
    """Clients before limits before one server, in virtual time, which starts at 1,000 s."""

    def __init__(self, limits, server, clients, seconds, changes=()):
        self.limits, self.server = limits, server
        self.answered = []
        self.most = [(1000.0, limit.most) for limit in limits]
        self._busy = [0] * len(limits)
        self._waiting = [[] for _ in limits]
        self._events = []
        self._number = itertools.count()
        for client in clients:
            self._at(client.began_s, self._ask, client)
        for when_s, change in changes:
            self._at(when_s, change, server)
        while self._events and self._events[0][0] <= seconds:
            now, _, what, argument = heapq.heappop(self._events)
            what(now, argument)

    def rate(self, begin, end):
        return sum(begin <= at < end for at, _ in self.answered) / (end - begin)

    def range(self, begin, end):
        """Between which limits it was, all workers together counted one by one."""
        before = [most for at, most in self.most if at - 1000 <= begin]
        during = [most for at, most in self.most if begin < at - 1000 <= end]
        seen = [*before[-1:], *during]
        return min(seen), max(seen)

    def _at(self, when, what, argument):
        heapq.heappush(self._events, (when, next(self._number), what, argument))

    def _ask(self, now, client):
        if now >= client.until_s:
            return
        which = client.limit
        if self._busy[which] >= self.limits[which].most:
            self._waiting[which].append(client)
            return
        self._busy[which] += 1
        text, service_s = next(client.texts)
        among = self._busy[which]
        ends = self.server.ends(now, service_s)
        self._at(ends, self._answer, (client, text, now, among))

    def _answer(self, now, asked):
        client, text, began, among = asked
        which = client.limit
        limit = self.limits[which]
        self._busy[which] -= 1
        self.answered.append((now, text))
        if limit.answered(text, now - began, among, now + 1000):
            self.most.append((now + 1000, limit.most))
        self._at(now, self._ask, client)
        waiting = self._waiting[which]
        for _ in range(min(len(waiting), limit.most - self._busy[which])):
            self._ask(now, waiting.pop(0))


def always(text, service_s):
    return itertools.repeat((text, service_s))


def quiet_then_flood(text, service_s, clients=100, at=5.0, **more):
    """One client alone, and after a while many."""
    alone = Client(always(text, service_s))
    return [alone, *(Client(always(text, service_s), at, **more) for _ in range(clients))]


@pytest.mark.parametrize(
    ("slots", "service_s"), [(4, 0.02), (2, 0.02), (8, 0.01), (4, 0.1), (2, 0.008), (16, 0.05)]
)
def test_it_converges_to_little_more_than_a_server_serves_at_a_time_and_loses_nothing(
    slots, service_s
):
    limit = InFlightLimit(CEILING, LEAST)

    run = Run([limit], Server(slots), quiet_then_flood("q", service_s), 15)

    lowest, highest = run.range(7, 15)
    assert lowest >= slots
    assert highest <= 2 * slots + 1
    assert run.rate(7, 15) == pytest.approx(slots / service_s, rel=0.03)


def test_it_takes_no_half_second_of_a_flood():
    limit = InFlightLimit(CEILING, LEAST)

    run = Run([limit], Server(4), quiet_then_flood("q", 0.02), 6)

    assert run.range(0, 5) == (CEILING, CEILING)
    assert run.range(5.5, 6)[1] <= 7


def test_a_server_that_serves_all_of_a_burst_is_not_limited():
    limit = InFlightLimit(CEILING, LEAST)

    run = Run([limit], Server(CEILING), quiet_then_flood("q", 0.05), 10)

    assert run.range(0, 10) == (CEILING, CEILING)


def test_slow_statements_beside_quick_ones_do_not_limit_a_server_that_serves_both():
    limit = InFlightLimit(CEILING, LEAST)
    reports = [Client(always("report", 2.0), 1.0 + number / 8) for number in range(8)]
    reads = [Client(always("point", 0.001), 2.0) for _ in range(10)]

    run = Run([limit], Server(CEILING), [Client(always("point", 0.001)), *reports, *reads], 20)

    assert run.range(0, 20) == (CEILING, CEILING)


def test_a_few_that_wait_for_locks_do_not_limit_the_others():
    limit = InFlightLimit(CEILING, LEAST)
    text = itertools.cycle([("update", 0.002)] * 9 + [("update", 1.0)])
    learned = Client(always("update", 0.002), until_s=1.0)

    run = Run([limit], Server(CEILING), [learned, *(Client(text, 1.0) for _ in range(20))], 10)

    assert run.range(0, 10) == (CEILING, CEILING)


def test_waits_of_milliseconds_limit_nothing():
    limit = InFlightLimit(CEILING, LEAST)

    run = Run([limit], Server(1), quiet_then_flood("q", 0.0002), 7)

    assert run.range(0, 7) == (CEILING, CEILING)


def test_a_network_that_became_slower_is_learned_within_four_seconds():
    limit = InFlightLimit(CEILING, LEAST)

    def further(_, server):
        server.away_s = 0.05

    run = Run(
        [limit], Server(64), quiet_then_flood("q", 0.01, clients=20), 15, changes=[(7, further)]
    )

    assert run.range(0, 7) == (CEILING, CEILING)
    assert run.range(7, 9)[0] < CEILING
    assert run.range(11, 15) == (CEILING, CEILING)


def test_moments_in_which_others_make_the_server_slow_cost_little():
    limit = InFlightLimit(CEILING, LEAST)

    def slower(_, server):
        server.away_s = 0.02

    def as_before(_, server):
        server.away_s = 0.0

    moments = [(7 + number / 2, slower) for number in range(16)]
    moments += [(7.1 + number / 2, as_before) for number in range(16)]
    run = Run([limit], Server(4), quiet_then_flood("q", 0.02), 15, changes=moments)

    assert run.range(7, 15)[0] >= 5
    assert run.rate(7, 15) > 0.9 * 4 / 0.02


def test_statements_whose_times_are_by_chance_keep_a_server_busy():
    limit = InFlightLimit(CEILING, LEAST)
    chance = random.Random(1)
    texts = (("q", chance.expovariate(1 / 0.02)) for _ in itertools.count())
    flood = [Client(texts, 5.0) for _ in range(100)]

    run = Run([limit], Server(4), [Client(texts), *flood], 20)

    assert run.range(7, 20)[1] <= 16
    assert run.rate(7, 20) > 0.9 * 4 / 0.02


def test_it_grows_with_a_server_that_can_do_more():
    limit = InFlightLimit(CEILING, LEAST)

    def larger(_, server):
        server.slots = 16

    run = Run([limit], Server(4), quiet_then_flood("q", 0.02), 20, changes=[(10, larger)])

    assert run.range(9, 10)[1] <= 7
    assert run.range(12, 20)[0] >= 16
    assert run.rate(13, 20) == pytest.approx(800, rel=0.03)


def test_a_flood_from_the_first_moment_is_found_out_about():
    limit = InFlightLimit(CEILING, LEAST)
    flood = [Client(always("q", 0.02)) for _ in range(100)]

    run = Run([limit], Server(4), flood, 10)

    assert run.range(2, 10)[1] <= 9
    assert run.rate(2, 10) == pytest.approx(200, rel=0.03)


def test_a_cold_start_of_a_busy_and_healthy_server_costs_a_moment_once():
    limit = InFlightLimit(CEILING, LEAST)
    clients = [Client(always("q", 0.05)) for _ in range(20)]

    run = Run([limit], Server(64), clients, 60)

    assert run.range(2, 60) == (CEILING, CEILING)
    assert run.rate(0, 3) > 0.6 * 20 / 0.05


def test_texts_without_end_are_tried_ever_more_seldom_and_otherwise_run():
    limit = InFlightLimit(CEILING, LEAST)
    texts = ((f"select {number}", 0.05) for number in itertools.count())
    clients = [Client(texts) for _ in range(20)]

    run = Run([limit], Server(64), clients, 4 * FIND_OUT_S)

    tried = [at for at, most in run.most if most == LEAST]
    assert 1 <= len(tried) <= 3
    assert run.rate(0, 4 * FIND_OUT_S) > 0.9 * 20 / 0.05


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_that_know_nothing_of_each_other_share_a_server(workers):
    limits = [InFlightLimit(CEILING // workers, LEAST) for _ in range(workers)]
    clients = [
        client
        for worker in range(workers)
        for client in quiet_then_flood("q", 0.02, clients=50, limit=worker)[1:]
    ]
    quiet = Client(always("q", 0.02), limit=0)

    run = Run(limits, Server(8), [quiet, *clients], 15)

    assert run.rate(7, 15) == pytest.approx(400, rel=0.03)
    assert all(limit.least <= limit.most <= limit.ceiling for limit in limits)


def test_it_never_goes_below_the_least_nor_above_the_ceiling():
    limit = InFlightLimit(6, 3)

    run = Run([limit], Server(1), quiet_then_flood("q", 0.05), 20)

    assert run.range(0, 20) == (3, 6)


def test_with_the_ceiling_as_its_least_it_never_limits():
    limit = InFlightLimit(CEILING, CEILING)

    run = Run([limit], Server(1), quiet_then_flood("q", 0.05), 20)

    assert run.range(0, 20) == (CEILING, CEILING)


def test_what_was_known_of_an_endpoint_can_be_forgotten():
    limit = InFlightLimit(CEILING, LEAST)
    Run([limit], Server(4), quiet_then_flood("q", 0.02), 7)
    assert limit.most < CEILING

    limit.lift()

    assert limit.most == CEILING
