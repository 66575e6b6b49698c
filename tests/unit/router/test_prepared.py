import pytest

from router.commit.prepared import MAX_BYTES, GlobalId, abandoned, forgettable
from shardmap import ShardId

A, B = ShardId("shard_0"), ShardId("shard_1")


def gid(cluster="c", transaction="0" * 32, role="service_role"):
    return GlobalId(cluster, transaction, A, role)


def test_a_name_says_all_that_a_stranger_needs():
    made = GlobalId.new("c-1.x_y", A, "authenticated")

    assert GlobalId.read(str(made)) == made
    assert GlobalId.new("c", A, "anon") != GlobalId.new("c", A, "anon")


@pytest.mark.parametrize("role", ["clerk", "Clerk: '1'", "ä" * 31])
def test_a_name_may_hold_any_role(role):
    made = GlobalId.new(f"c-{'0' * 36}", A, role)

    assert GlobalId.read(str(made)) == made
    assert len(str(made)) <= MAX_BYTES


def test_the_longest_name_fits():
    longest = GlobalId("c" * 63, "0" * 32, ShardId("s" * 63), "authenticated")

    assert len(str(longest)) <= MAX_BYTES


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "fluxshard:c:0:shard_0:anon",
        f"fluxshard:c:{'0' * 32}:shard_0:postgres",
        f"fluxshard:c:{'0' * 32}:shard_0:anon; DROP",
        f"fluxshard:c:{'0' * 32}:shard_0:.bm9uZQ",
        f"fluxshard:c:{'0' * 32}:shard_0:.!",
        f"fluxshard:c:{'0' * 32}:anon",
    ],
)
def test_names_of_others_are_not_read(name):
    assert GlobalId.read(name) is None


def test_old_ones_of_our_cluster_are_abandoned_unless_they_are_in_flight_here():
    old, young, own = gid(transaction="1" * 32), gid(transaction="2" * 32), gid()
    found = [
        (str(old), 6.0),
        (str(young), 4.0),
        (str(own), 60.0),
        (str(gid(cluster="other")), 60.0),
        ("somebody's", 60.0),
    ]

    ended = abandoned(found, "c", {own.transaction}, old_s=5.0)

    assert [(one.gid, one.age_s) for one in ended] == [(old, 6.0)]


def test_a_decision_is_forgotten_once_no_participant_can_ask_for_it():
    decided = {"a": (A, B), "b": (A, B), "c": (A, "gone"), "undone": ()}

    assert forgettable(decided, {A: {"b"}, B: set()}) == ("a", "undone")
    assert forgettable(decided, {A: set()}) == ("undone",)
