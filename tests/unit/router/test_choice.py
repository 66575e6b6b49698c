"""Which of the replicas that may answer a read does: spread, weights, zones, slow start."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Position, ReplicaChoice
from router.live.choice import SLACK, Chooser, warmth
from router.live.replicas import Standing

POLICIES = list(ReplicaChoice)
NOW = 100.0
SLOW_START_S = 10.0


def replica(**facts):
    return Standing(**{"alive": True, "timeline": 1, "lsn": 500, "latency_s": 0.001, **facts})


class Shard:
    """Replicas, a chooser, and reads that take as long as each replica needs for them."""

    def __init__(self, *standings, policy=ReplicaChoice.POWER_OF_TWO, zone=None, seed=7):
        self.standings = standings
        self.random = random.Random(seed)
        self.chooser = Chooser(standings, policy, zone, self.random.random)
        self.among = [index for index, one in enumerate(standings) if one.weight]
        self.counts = Counter()
        self.weigh()

    def weigh(self, now=NOW):
        self.chooser.weigh(self.among, now, SLOW_START_S)

    def choose(self, floor=None):
        index = self.chooser.choose(self.among, floor)
        if index is not None:
            self.counts[index] += 1
        return index

    def one_by_one(self, reads, latency_s=None):
        """Each read is answered before the next; replies take about `latency_s`."""
        for _ in range(reads):
            index = self.choose()
            if latency_s is not None:
                self.standings[index].answered_in(self.random.expovariate(1 / latency_s))

    def served(self, reads, clients, service_s):
        """So many clients ask again as soon as they are answered. Each replica works on one read
        at a time, for the replica's own `service_s` on average."""
        now, free_at = 0.0, [0.0] * len(self.standings)
        running = []
        for asked in range(reads + clients):
            if asked >= clients:
                running.sort()
                now, began, index = running.pop(0)
                self.standings[index].in_flight -= 1
                self.standings[index].answered_in(now - began)
            index = self.choose()
            self.standings[index].in_flight += 1
            service = self.random.expovariate(1 / service_s[index])
            free_at[index] = max(now, free_at[index]) + service
            running.append((free_at[index], now, index))

    def shares(self):
        total = self.counts.total()
        return [self.counts[index] / total for index in range(len(self.standings))]


@pytest.fixture(params=POLICIES)
def policy(request):
    return request.param


def test_the_only_one_that_may_answer_is_chosen(policy):
    assert Shard(replica(), policy=policy).choose() == 0
    assert Shard(policy=policy).choose() is None


@pytest.mark.parametrize(
    ("floor", "chosen"),
    [
        (None, 0),
        (Position(1, 500), 0),
        (Position(1, 501), None),
        (Position(2, 1), None),
        (Position(0, 500), 0),
    ],
)
def test_only_one_that_has_reached_the_floor_is_chosen(policy, floor, chosen):
    assert Shard(replica(), policy=policy).choose(floor) == chosen


def test_one_that_is_behind_is_passed_over_and_the_others_share_its_reads(policy):
    shard = Shard(replica(lsn=1), replica(), replica(), policy=policy)

    for _ in range(100):
        shard.choose(Position(1, 400))

    assert shard.counts == {1: 50, 2: 50}


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_equal_replicas_get_equal_shares_of_reads_that_come_one_by_one(policy, count):
    shard = Shard(*(replica() for _ in range(count)), policy=policy)

    shard.one_by_one(100 * count)

    assert set(shard.counts.values()) == {100}


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("clients", [1, 4, 32])
def test_equal_replicas_spread_within_five_percent_under_noise(policy, count, clients):
    shard = Shard(*(replica() for _ in range(count)), policy=policy)

    shard.served(8000, clients, [0.001] * count)

    assert all(abs(share * count - 1) < 0.05 for share in shard.shares()), shard.shares()


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.sampled_from(POLICIES))
def test_weights_are_respected_by_every_policy(weights, policy):
    shard = Shard(*(replica(weight=weight) for weight in weights), policy=policy)

    shard.one_by_one(2000)

    for index, weight in enumerate(weights):
        exact = 2000 * weight / sum(weights)
        assert abs(shard.counts[index] - exact) <= 0.05 * exact + 2


def test_weights_are_respected_under_load(policy):
    shard = Shard(replica(weight=3), replica(), policy=policy)

    shard.served(8000, 16, [0.001, 0.003])

    assert shard.shares()[0] == pytest.approx(0.75, abs=0.05)


def test_the_busy_one_is_passed_over_by_those_who_look_at_load():
    for policy in (ReplicaChoice.POWER_OF_TWO, ReplicaChoice.LEAST_CONNECTIONS):
        shard = Shard(replica(in_flight=9), replica(), policy=policy)

        shard.one_by_one(100)

        assert shard.counts == {1: 100}


def test_round_robin_looks_at_no_load():
    shard = Shard(replica(in_flight=9), replica(), policy=ReplicaChoice.ROUND_ROBIN)

    shard.one_by_one(100)

    assert shard.counts == {0: 50, 1: 50}


def test_a_replica_far_slower_than_its_peers_gets_next_to_nothing():
    shard = Shard(replica(), replica(), replica())

    shard.served(6000, 6, [0.001, 0.001, 0.02])

    assert shard.shares()[2] < 0.05


def test_the_slowest_of_many_is_not_chosen_and_no_other_gets_all():
    shard = Shard(*(replica(latency_s=0.001 * n) for n in (1, 1, 1, 9)))

    shard.one_by_one(3000)

    assert 0 < shard.counts[3] < 10  # it is looked at more and more seldom
    assert max(shard.shares()) < 0.4


def test_many_routers_that_see_only_latencies_do_not_all_run_to_the_best():
    latencies = [0.001, 0.001, 0.001, 0.000_5]
    routers = [Shard(*map(_slow, latencies), seed=seed) for seed in range(50)]

    chosen = Counter(router.choose() for router in routers for _ in range(20))

    assert max(chosen.values()) < 0.6 * chosen.total()


def _slow(latency_s):
    return replica(latency_s=latency_s)


def test_replicas_of_the_own_zone_are_preferred(policy):
    shard = Shard(
        replica(zone="a"), replica(zone="b"), replica(zone="a"), replica(), policy=policy, zone="a"
    )

    shard.one_by_one(1000)

    assert shard.counts == {0: 500, 2: 500}


def test_without_a_zone_of_our_own_all_are_alike():
    shard = Shard(replica(zone="a"), replica(zone="b"))

    shard.one_by_one(100)

    assert shard.counts == {0: 50, 1: 50}


def test_when_none_of_the_own_zone_is_fresh_the_others_answer():
    shard = Shard(replica(zone="a", lsn=1), replica(zone="b"), zone="a")

    assert shard.choose(Position(1, 400)) == 1


def test_reads_leave_the_zone_when_all_its_replicas_are_clearly_busier():
    near, far = replica(zone="a"), replica(zone="b")
    shard = Shard(near, far, zone="a")

    near.in_flight = 1
    assert shard.choose() == 0
    near.in_flight = 5
    assert shard.choose() == 1


def test_a_replica_of_another_zone_that_nobody_asks_does_not_look_faster():
    shard = Shard(replica(zone="a", latency_s=0.05), replica(zone="b", latency_s=0.0), zone="a")

    shard.one_by_one(100)

    assert shard.counts == {0: 100}


def test_one_idle_replica_in_the_zone_keeps_its_reads_there():
    busy, idle, far = replica(zone="a", in_flight=9), replica(zone="a"), replica(zone="b")
    shard = Shard(busy, idle, far, zone="a")

    shard.one_by_one(100)

    assert shard.counts == {1: 100}


def test_the_share_of_one_that_returns_grows_from_a_tenth_to_all():
    assert [warmth(since_s, 10.0) for since_s in (0.0, 0.5, 2.0, 7.5, 10.0, 99.0)] == [
        0.1, 0.1, 0.2, 0.75, 1.0, 1.0,
    ]  # fmt: skip
    assert warmth(0.0, 0.0) == 1.0


@pytest.mark.parametrize("since_s", [0.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("zone", [None, "a"])
def test_one_that_returns_gets_its_growing_share(policy, since_s, zone):
    returned = replica(returned_at=NOW - since_s, zone="a")
    shard = Shard(returned, *(replica(zone="a") for _ in range(3)), policy=policy, zone=zone)

    shard.one_by_one(6000)

    share = warmth(since_s, SLOW_START_S)
    assert shard.shares()[0] == pytest.approx(share / (share + 3), rel=0.1)


def test_slow_start_holds_also_while_the_others_are_busy():
    returned = replica(returned_at=NOW)
    shard = Shard(returned, *(replica(in_flight=8) for _ in range(3)))

    shard.one_by_one(600)

    assert 0.01 < shard.shares()[0] < 0.06


def test_those_that_return_together_share_everything(policy):
    shard = Shard(replica(returned_at=NOW), replica(returned_at=NOW), policy=policy)

    shard.one_by_one(100)

    assert shard.counts == {0: 50, 1: 50}


@given(st.integers(0, 10_000))
def test_one_that_was_away_catches_up_on_little(missed):
    away, there = replica(), replica()
    shard = Shard(away, there, policy=ReplicaChoice.ROUND_ROBIN)
    shard.among = [1]
    shard.one_by_one(missed)
    shard.among = [0, 1]
    shard.counts.clear()

    shard.one_by_one(100)

    assert shard.counts[0] - shard.counts[1] <= SLACK + 1


def test_looking_who_is_next_takes_nobodys_turn(policy):
    shard = Shard(replica(), replica(weight=2), replica(), policy=policy)

    for _ in range(10):
        assert shard.chooser.next(shard.among) is not None

    assert [one.turn for one in shard.standings] == [0, 0, 0]


@pytest.mark.parametrize("reads", [20, 500])
def test_one_that_was_slow_for_a_moment_is_tried_again_and_made_up_to(reads):
    slow, other = replica(latency_s=0.02), replica()
    shard = Shard(slow, other)
    for _ in range(reads):  # nobody asks it but to see whether it is better
        shard.choose()

    shard.one_by_one(4000, latency_s=0.001)

    assert abs(shard.counts[0] - shard.counts[1]) <= 0.05 * shard.counts.total()


def test_a_replica_that_stays_slow_is_asked_more_and_more_seldom():
    slow, other = replica(), replica()
    shard = Shard(slow, other)
    asked = []

    for n in range(20_000):
        index = shard.choose()
        if index == 0:
            asked.append(n)
        shard.standings[index].answered_in(0.05 if index == 0 else 0.001)

    assert len(asked) < 50
    assert asked[-1] - asked[-2] > 1000


def test_a_replica_whose_probes_became_slow_is_not_asked_until_they_are_quick_again():
    slow, other = replica(), replica()
    shard = Shard(slow, other)
    for probe_s in (0.003, 0.2, 0.2):
        slow.probed_in(probe_s)

    shard.one_by_one(1000)
    assert shard.counts[0] == 0

    slow.probed_in(0.003)
    shard.one_by_one(20)
    assert shard.counts[0] > 0


def test_one_slow_probe_or_one_that_is_always_slow_keeps_nobody_from_reads():
    once, far = replica(), replica()

    for probe_s in (0.003, 0.2, 0.003):
        once.probed_in(probe_s)
        assert not once.excess_s
    for _ in range(10):
        far.probed_in(0.03)
        assert not far.excess_s
