"""What a shard's past proves: what replicas must have reached, and what promotions left behind."""

import pytest

from router import Position
from router.live.history import Reach, ShardHistory, read_history_file
from shardmap import ShardId

SHARD = ShardId("shard_0")


def test_replicas_answer_at_once_when_nothing_is_demanded():
    assert ShardHistory().admits(0)


def test_after_a_demand_nobody_is_admitted_until_a_later_probe_of_the_primary():
    history = ShardHistory()
    history.demand_proof(10.0)

    assert not history.primary_seen("a", 9.9, 1, 500)
    assert not history.admits(10**9)
    assert history.primary_seen("a", 10.1, 1, 600)
    assert not history.admits(599)
    assert history.admits(600)


def test_a_later_demand_does_not_forget_what_an_earlier_one_found():
    history = ShardHistory()
    history.demand_proof(1.0)
    history.primary_seen("a", 1.0, 1, 600)
    history.demand_proof(2.0)
    history.primary_seen("b", 2.0, 2, 400)

    assert not history.admits(500)


def promoted(replayed=900, found=1000):
    """A shard whose endpoint b was promoted from timeline 1 to 2."""
    history = ShardHistory()
    history.primary_seen("a", 1.0, 1, 950)
    history._replayed["b"] = replayed
    history.primary_seen("b", 2.0, 2, found)
    return history


@pytest.mark.parametrize(
    ("lsn", "reach"),
    [(900, Reach.HELD), (901, Reach.UNPROVEN), (1000, Reach.UNPROVEN), (1001, Reach.LOST)],
)
def test_without_the_history_file_the_end_of_a_timeline_is_known_by_bounds(lsn, reach):
    assert promoted().reach(Position(1, lsn)) is reach


@pytest.mark.parametrize(("lsn", "reach"), [(940, Reach.HELD), (941, Reach.LOST)])
def test_with_the_history_file_it_is_known_exactly(lsn, reach):
    history = promoted()
    history.learn_ends({1: 940})

    assert history.reach(Position(1, lsn)) is reach


def test_a_floor_on_the_current_timeline_is_held_by_it():
    assert promoted().reach(Position(2, 10**9)) is Reach.HELD


def test_a_floor_of_a_timeline_that_nobody_knows_of_is_not_proven():
    history = ShardHistory()
    history.primary_seen("a", 1.0, 7, 1000)

    assert history.reach(Position(3, 1)) is Reach.UNPROVEN


def test_a_loss_is_said_aloud_once_and_counted_each_time():
    history = promoted()
    floors = [Position(1, 5000), Position(1, 6000), Position(1, 1)]

    found = [history.beyond(SHARD, floor, quorum=False) for floor in floors]

    assert [one is not None and one.first for one in found] == [True, False, False]
    assert found[0].lost
    assert found[0].ended == (900, 1000)
    assert history.found_beyond == 2


def test_a_history_file_lists_every_ancestor():
    text = (
        "# comments are ignored\n"
        "1\t0/3000148\tno recovery target specified\n"
        "\n"
        "2\t1A/FF\tbefore 2026-01-01 00:00:00+00\n"
    )

    assert read_history_file(text) == {1: 0x3000148, 2: (0x1A << 32) | 0xFF}
