"""What the ring proposes: fair shares, few moves, and always the same."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardmap import SLOTS, ShardId, fair_shares, propose

FEW = settings(max_examples=8, deadline=None)  # a proposal takes up to 0.1 s


def shards(count):
    return {ShardId(f"shard_{number}"): 1 for number in range(count)}


def moved(before, after):
    return sum(old != new for old, new in zip(before, after, strict=True))


@st.composite
def weighted(draw, least=1, most=16):
    names = draw(
        st.lists(
            st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).map(ShardId),
            min_size=least,
            max_size=most,
            unique=True,
        )
    )
    return {name: draw(st.integers(1, 100)) for name in names}


@FEW
@given(st.integers(1, 16))
def test_equal_shards_get_equal_shares_within_five_per_cent(count):
    owned = Counter(propose(shards(count)))

    fair = SLOTS / count
    assert len(owned) == count
    assert all(abs(slots - fair) <= 0.05 * fair for slots in owned.values())


@FEW
@given(st.integers(1, 15), st.integers(1, 15))
def test_growing_moves_close_to_the_minimum_and_ends_fair(before, more):
    after = min(before + more, 16)
    old = propose(shards(before))

    new = propose(shards(after), old)

    least = SLOTS * (after - before) / after
    fair = SLOTS / after
    assert moved(old, new) <= 1.1 * least + after
    assert all(abs(slots - fair) <= 0.05 * fair for slots in Counter(new).values())


def test_from_two_shards_to_four_just_half_of_the_slots_move():
    old = propose(shards(2))

    assert moved(old, propose(shards(4), old)) == 2048


@FEW
@given(weighted(least=2), st.data())
def test_removing_a_shard_moves_only_its_slots(weights, data):
    old = propose(weights)
    leaver = data.draw(st.sampled_from(sorted(weights)))

    new = propose({shard: weight for shard, weight in weights.items() if shard != leaver}, old)

    assert all(before == after for before, after in zip(old, new, strict=True) if before != leaver)
    assert leaver not in new


@FEW
@given(weighted(least=2), st.data())
def test_a_shard_of_weight_zero_gets_and_keeps_nothing(weights, data):
    old = propose(weights)
    idle = data.draw(st.sampled_from(sorted(weights)))

    assert idle not in propose({**weights, idle: 0}, old)
    assert idle not in propose({**weights, idle: 0})


@FEW
@given(weighted())
def test_a_joining_shard_takes_slots_and_nobody_else_does(weights):
    old = propose(weights)
    joined = ShardId("new_shard")

    new = propose({**weights, joined: 50}, old)

    assert all(after == joined for before, after in zip(old, new, strict=True) if before != after)


@FEW
@given(weighted(), st.integers())
def test_the_proposal_depends_on_nothing_but_names_and_weights(weights, seed):
    shuffled = list(weights.items())
    Random(seed).shuffle(shuffled)

    assert propose(dict(shuffled)) == propose(weights)


@FEW
@given(weighted())
def test_what_was_proposed_is_proposed_again(weights):
    slots = propose(weights)

    assert propose(weights, slots) == slots


@FEW
@given(weighted())
def test_shares_follow_weights_within_one_slot_of_rounding(weights):
    shares = fair_shares(weights)

    total = sum(weights.values())
    assert sum(shares.values()) == SLOTS
    assert all(
        abs(shares[shard] - SLOTS * weight / total) < 1.5 for shard, weight in weights.items()
    )
    assert Counter(propose(weights)) == Counter(shares)


@FEW
@given(weighted(), st.integers())
def test_from_any_table_only_the_excess_moves(weights, seed):
    random = Random(seed)
    names = sorted(weights)
    current = tuple(random.choice(names) for _ in range(SLOTS))

    new = propose(weights, current)

    shares = fair_shares(weights)
    excess = sum(max(0, owned - shares[shard]) for shard, owned in Counter(current).items())
    assert moved(current, new) == excess


def test_a_growing_cluster_comes_close_to_what_the_ring_would_give_it_from_scratch():
    grown = propose(shards(4), propose(shards(2)))
    fresh = propose(shards(4))

    assert moved(grown, fresh) < 0.1 * SLOTS


def test_without_any_weight_nothing_can_be_proposed():
    with pytest.raises(ValueError, match="no shard has a weight above 0"):
        propose({ShardId("a"): 0})


def test_every_release_proposes_the_same_first_map():
    # Instances of two releases that seed a map at the same time must make the same one.
    slots = propose(shards(3))

    assert [int(shard[-1]) for shard in slots[:12]] == [1, 0, 1, 0, 2, 1, 1, 2, 2, 0, 1, 1]
