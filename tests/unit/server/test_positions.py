"""Tokens of what a client has seen: small, signed, and never believed when they are not ours."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Deadline, MapOutdated, Position
from server.errors import PositionInvalid
from server.positions import MAX_CHARS, MAX_SHARDS, Positions
from shardmap import CATALOG, Endpoint, KeyType, Shard, ShardId, ShardMap

A, B = ShardId("a"), ShardId("b")
SECRET = "s" * 40


def shard_map(*shards, epoch=3, cluster_id="c"):
    made = {
        shard: Shard(shard, Endpoint(f"{shard}-1", "localhost", 5432, "x", "u")) for shard in shards
    }
    return ShardMap(
        cluster_id=cluster_id,
        epoch=epoch,
        key_type=KeyType.INTEGER,
        shards=made,
        catalog=Endpoint("catalog", "localhost", 5432, "x", "u"),
        catalog_replicas=(),
        slots=(shards[0],) * 4096,
    )


MAP = shard_map(A, B)


async def never(epoch, deadline):
    raise MapOutdated(CATALOG, str(epoch))


def positions(known=MAP, secret=SECRET, catch_up=never):
    return Positions(secret, lambda: known, catch_up)


places = st.builds(Position, st.integers(0, 4000), st.integers(0, 2**50).map(lambda n: n * 8))


@given(st.lists(st.tuples(st.sampled_from([A, B, CATALOG]), places), min_size=1))
def test_a_token_says_the_highest_position_of_each_shard(reached):
    found = positions().read(positions().write({}, reached)).positions

    assert set(found) == {shard for shard, _ in reached}
    for shard, position in found.items():
        mine = [each for name, each in reached if name == shard]
        assert position == Position(max(p.timeline for p in mine), max(p.lsn for p in mine))


def test_what_the_caller_had_seen_is_in_the_next_token():
    made = positions()

    token = made.write({A: Position(1, 800)}, [(B, Position(2, 80))])

    assert made.read(token).positions == {A: Position(1, 800), B: Position(2, 80)}


def test_a_position_is_rounded_up_and_never_down():
    made = positions()

    assert made.read(made.write({}, [(A, Position(1, 801))])).positions[A].lsn == 808


def test_a_token_of_one_shard_is_small_and_safe_in_urls():
    token = positions().write({}, [(A, Position(1, 2**40))])

    assert len(token) < 40
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_token_that_was_touched_is_refused(at, change):
    token = positions().write({}, [(A, Position(1, 2**40))])
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[at % len(raw)] ^= change

    with pytest.raises(PositionInvalid):
        positions().read(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


@given(st.one_of(st.text(max_size=80), st.binary(max_size=60).map(lambda b: b.hex())))
def test_what_is_no_token_is_refused_by_name(text):
    with pytest.raises(PositionInvalid):
        positions().read(text)


@pytest.mark.parametrize("text", ["", "A" * (MAX_CHARS + 1), "é", "AAAA\n", "===="])
def test_the_edges_of_tokens_are_refused(text):
    with pytest.raises(PositionInvalid):
        positions().read(text)


@pytest.mark.parametrize(
    "other",
    [positions(secret="t" * 40), positions(shard_map(A, B, cluster_id="d"))],
)
def test_a_token_of_another_secret_or_cluster_is_refused(other):
    with pytest.raises(PositionInvalid):
        positions().read(other.write({}, [(A, Position(1, 80))]))


def test_a_token_has_a_bound_whatever_the_number_of_shards():
    shards = [ShardId(f"s{number:03}") for number in range(300)]
    made = positions(shard_map(*shards))

    token = made.write({}, [(shard, Position(4000, 2**52)) for shard in shards])

    assert len(token) <= MAX_CHARS
    assert set(made.read(token).positions) == set(shards[-MAX_SHARDS:])


def test_a_shard_that_has_left_the_map_is_left_out():
    token = positions().write({}, [(A, Position(1, 80)), (B, Position(1, 160))])
    later = positions(replace(shard_map(A, epoch=4), numbers=MAP.numbers))

    assert later.read(token).positions == {A: Position(1, 80)}


async def test_whoever_was_answered_by_a_newer_map_waits_for_it():
    old, new = MAP, shard_map(A, B, ShardId("z"), epoch=4)
    token = positions(new).write({}, [(ShardId("z"), Position(1, 80))])
    in_use = [old]

    async def catch_up(epoch, deadline):
        assert epoch == 4
        in_use.append(new)

    made = Positions(SECRET, lambda: in_use[-1], catch_up)

    assert await made.heeded(token, Deadline.after(1)) == {ShardId("z"): Position(1, 80)}


async def test_whoever_was_answered_by_a_newer_map_is_refused_when_it_does_not_come():
    token = positions(shard_map(A, B, epoch=4)).write({}, [(A, Position(1, 80))])

    with pytest.raises(MapOutdated):
        await positions().heeded(token, Deadline.after(1))
