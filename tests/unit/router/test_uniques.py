"""From the notes of a write's shards to what each shard keeps of globally unique values."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import StatementFailed, UniqueNotGuarded
from router.commit.uniques import Value, by_shard, changes, says_taken, violation
from shardmap import Endpoint, KeyType, Shard, ShardId, ShardMap

A, B = ShardId("shard_0"), ShardId("shard_1")
EMAILS, CODES = "public.members(email)", "public.members(nick, code)"
X, Y = "ab" * 32, "cd" * 32
ENDPOINT = Endpoint("a", "h", 5432, "d", "u")
MAP = ShardMap(
    cluster_id="c",
    epoch=1,
    key_type=KeyType.INTEGER,
    shards={A: Shard(A, ENDPOINT), B: Shard(B, replace(ENDPOINT, name="b", host="i"))},
    catalog=ENDPOINT,
    catalog_replicas=(),
    slots=(A, B) * 2048,
)


def note(*lines):
    return "\n".join(json.dumps([name, found]) for name, found in lines)


def test_a_write_that_noted_nothing_keeps_nothing():
    assert changes([None, ""], ()) == {}
    assert by_shard({}, MAP) == {}


def test_changes_of_all_statements_and_shards_are_added_up():
    one = note((EMAILS, {X: 1}), (CODES, {X: 1}))
    other = note((EMAILS, {X: -1, Y: -1}))

    assert changes([one, None, other], ()) == {Value(EMAILS, Y): -1, Value(CODES, X): 1}


def test_two_rows_with_the_same_new_value_are_a_violation_whichever_shards_they_are_on():
    with pytest.raises(StatementFailed) as caught:
        changes([note((EMAILS, {X: 1})), note((EMAILS, {X: 1}))], [EMAILS])

    assert caught.value.sqlstate == "23505"


def test_a_violation_reads_like_postgresqls_own_and_tells_no_value():
    error = violation(CODES)

    assert (error.sqlstate, error.table) == ("23505", "members")
    assert error.constraint == "members_nick_code_global_unique"
    assert error.message == (
        'duplicate key value violates unique constraint "members_nick_code_global_unique"'
    )
    assert error.detail == "Key (nick, code) already exists."


def test_only_our_table_says_that_a_value_is_taken():
    assert says_taken(StatementFailed("23505", "x", table="unique_value"))
    assert not says_taken(StatementFailed("23505", "x", table="members"))
    assert not says_taken(StatementFailed("40P01", "x", table="unique_value"))


def test_a_shard_gives_values_back_before_it_takes_others():
    shard = MAP.slots[Value(EMAILS, X).slot]
    other = next(
        value
        for value in (Value(EMAILS, f"{number:064x}") for number in range(64))
        if MAP.slots[value.slot] == shard
    )

    steps = by_shard({Value(EMAILS, X): 1, other: -1}, MAP)[shard]

    assert [step.sql.partition(" ")[0] for step in steps] == ["DELETE", "INSERT"]
    assert steps[1].sql == (
        "INSERT INTO fluxshard.unique_value (name, digest, slot) VALUES"
        f" ('{EMAILS}', '\\x{X}'::pg_catalog.bytea, {Value(EMAILS, X).slot})"
    )


def test_the_slot_of_a_value_never_changes():
    assert Value(EMAILS, X).slot == 2998
    assert Value(CODES, X).slot == 3604


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.sampled_from([1, -1]), max_size=30))
def test_every_value_is_kept_once_on_the_shard_of_its_slot(found):
    values = {Value(EMAILS, digest.hex()): number for digest, number in found.items()}

    work = by_shard(changes([note((EMAILS, {v.digest: n for v, n in values.items()}))], ()), MAP)

    assert list(work) == sorted(work)
    for value, number in values.items():
        text = "\n".join(step.sql for step in work[MAP.slots[value.slot]])
        assert text.count(value.digest) == 1
        assert sum(step.sql.count(value.digest) for steps in work.values() for step in steps) == 1
        verb = "INSERT" if number > 0 else "DELETE"
        assert any(
            s.sql.startswith(verb) and value.digest in s.sql for s in work[MAP.slots[value.slot]]
        )


def test_every_shard_has_to_note_something_of_every_name():
    silent = note((EMAILS, {}))

    assert changes([silent, silent], [EMAILS]) == {}
    with pytest.raises(UniqueNotGuarded, match=r"members\(nick, code\) is to be globally unique"):
        changes([note((EMAILS, {}), (CODES, {})), silent], [EMAILS, CODES])
