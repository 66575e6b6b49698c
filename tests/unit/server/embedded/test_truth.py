import pytest

from server.embedded import DataMissing, SplitBrain
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.truth import Facts, primary_of

SHARD = ShardRecord("s", "a", (ServerRecord("a", 1), ServerRecord("b", 2), ServerRecord("c", 3)))

NOTHING = Facts(usable=False, standby=False, running=False, timeline=0)


def primary(timeline, *, running=False):
    return Facts(usable=True, standby=False, running=running, timeline=timeline)


def standby(timeline, *, running=False):
    return Facts(usable=True, standby=True, running=running, timeline=timeline)


def found(a, b, c):
    return primary_of(SHARD, {"a": a, "b": b, "c": c})


@pytest.mark.parametrize("running", [True, False])
def test_the_recorded_primary_is_the_primary(running):
    assert found(primary(1, running=running), standby(1), standby(1)) == "a"


def test_a_new_shard_gets_its_recorded_primary():
    assert found(NOTHING, NOTHING, NOTHING) == "a"


def test_an_interrupted_promotion_is_finished_although_the_old_primary_looks_like_one():
    assert found(standby(1), primary(1), standby(1)) == "a"


def test_an_older_primary_that_is_stopped_is_no_rival():
    assert found(primary(2, running=True), primary(1), standby(2)) == "a"


def test_a_replica_promoted_by_other_hands_is_taken_for_the_primary_when_the_old_one_is_down():
    assert found(primary(1), primary(2, running=True), standby(2, running=True)) == "b"


@pytest.mark.parametrize(
    "facts",
    [
        (primary(1, running=True), primary(2), standby(1)),
        (primary(2, running=True), primary(1, running=True), standby(2)),
        (primary(1, running=True), primary(2, running=True), standby(2)),
        (standby(1), primary(1, running=True), standby(1)),
        (primary(1), primary(1), standby(1)),
        (primary(1), primary(2), primary(2)),
        (primary(1), primary(2), primary(3)),
    ],
)
def test_two_servers_with_a_claim_are_a_split_brain(facts):
    with pytest.raises(SplitBrain):
        found(*facts)


def test_a_primary_without_data_is_never_made_anew_beside_replicas_with_data():
    with pytest.raises(DataMissing):
        found(NOTHING, standby(1), NOTHING)


def test_a_primary_whose_data_is_gone_is_not_replaced_by_an_older_primary():
    with pytest.raises(DataMissing):
        found(NOTHING, primary(1), NOTHING)
