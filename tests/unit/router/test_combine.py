import json
import math
import random
from decimal import Decimal

import pytest

from router import Access, RowCountUnexpected, Served, ShardQuery, ShardReply
from router.analysis.query import Reply, SortKey, Total
from router.plans.combine import combine
from router.plans.plan import EveryShard, Merge, Plan, Totals
from shardmap import ShardId

A, B = ShardId("a"), ShardId("b")
QUERY = ShardQuery("", (), Access.READ, claims=False)
UP = SortKey(descending=False, nulls_first=False)
DOWN = SortKey(descending=True, nulls_first=True)


def reply(shard, rows, columns=("value", "k0")):
    return ShardReply(rows, len(rows), columns, Served(shard, f"{shard}-a", replica=True))


def merged(shards, *, sort=(UP,), limit=None, offset=0):
    plan = Plan(EveryShard((A, B)), QUERY, Merge(sort, limit, offset), Reply.ROWS, total=False)
    replies = [reply(A, shards[0]), reply(B, shards[1])]
    return [row[0] for row in combine(plan, replies).rows]


def test_rows_are_merged_by_their_hidden_column_which_is_taken_off():
    assert merged([[("x", 1), ("z", 3)], [("y", 2)]]) == ["x", "y", "z"]


def test_nulls_come_last_going_up_and_first_going_down():
    rows = [[("x", 1), ("n", None)], [("y", 2)]]

    assert merged(rows) == ["x", "y", "n"]
    assert merged([list(reversed(rows[0])), rows[1]], sort=(DOWN,)) == ["n", "y", "x"]


def test_nulls_can_be_placed_against_the_direction():
    rows = [[("n", None), ("x", 1)], [("y", 2)]]

    assert merged(rows, sort=(SortKey(descending=False, nulls_first=True),)) == ["n", "x", "y"]
    assert merged(rows, sort=(SortKey(descending=True, nulls_first=False),)) == ["y", "x", "n"]


@pytest.mark.parametrize("nan", [math.nan, Decimal("NaN")])
def test_nan_is_above_every_number_and_below_null(nan):
    top = type(nan)("Infinity")

    assert merged([[("i", top), ("n", None)], [("x", nan)]]) == ["i", "x", "n"]


def test_later_keys_decide_ties_each_in_its_own_direction():
    rows = [[("a", 1, 1), ("b", 1, 3)], [("c", 1, 2), ("d", 2, 9)]]
    plan = Plan(EveryShard((A, B)), QUERY, Merge((UP, DOWN), None, 0), Reply.ROWS, total=False)

    answer = combine(
        plan, [reply(s, r, ("v", "k0", "k1")) for s, r in zip((A, B), rows, strict=True)]
    )

    assert [row[0] for row in answer.rows] == ["b", "c", "a", "d"]


def test_limit_and_offset_cut_the_whole_and_not_each_shard():
    rows = [[(n, n) for n in range(0, 20, 2)], [(n, n) for n in range(1, 20, 2)]]

    assert merged(rows, limit=5, offset=3) == [3, 4, 5, 6, 7]


def test_a_merge_equals_the_sort_of_all_rows():
    seeded = random.Random(7)
    values = [seeded.choice([None, *range(5)]) for _ in range(200)]
    order = sorted(values, key=lambda value: (value is None, value or 0))
    halves = [
        sorted(half, key=lambda v: (v is None, v or 0)) for half in (values[:90], values[90:])
    ]

    assert merged([[(v, v) for v in half] for half in halves]) == order


def envelope(shards, *, limit=None, offset=0, exactly=None):
    merge = Merge((UP,), limit, offset)
    plan = Plan(EveryShard((A, B)), QUERY, merge, Reply.ENVELOPE, total=True)
    replies = [reply(shard, [row]) for shard, row in zip((A, B), shards, strict=True)]
    return combine(plan, replies, exactly)


def test_json_texts_are_joined_as_json_agg_joins_them_and_totals_are_added():
    answer = envelope([(['{"a":1}', '{"a":3}'], [1, 3], 5), (['{"a":2}'], [2], 7)], limit=2)

    assert answer.body == '[{"a":1}, \n {"a":2}]'
    assert (answer.row_count, answer.total) == (2, 12)


def test_shards_without_rows_add_nothing_but_their_total():
    answer = envelope([(None, None, 0), (None, None, 4)])

    assert (answer.body, answer.row_count, answer.total) == ("[]", 0, 4)


def test_a_gather_with_another_number_of_rows_than_asked_is_refused():
    with pytest.raises(RowCountUnexpected) as caught:
        envelope([(["{}"], [1], 1), (["{}"], [2], 1)], exactly=1)

    assert caught.value.found == 2


def totalled(rows, *, how, form=Reply.ROWS, columns=("n", "n")):
    plan = Plan(EveryShard((A, B)), QUERY, Totals(how), form, total=False)
    return combine(plan, [reply(A, [rows[0]], columns), reply(B, [rows[1]], columns)])


def test_integers_of_all_shards_are_added_or_the_first_or_last_of_them_is_taken():
    how = (Total.ADDED, Total.LEAST, Total.GREATEST)

    answer = totalled([(2, 5, 5), (3, 4, 4)], how=how, columns=("count", "min", "max"))

    assert (answer.rows, answer.columns) == ([(5, 4, 5)], ("count", "min", "max"))
    assert answer.row_count == 1


def test_a_shard_without_rows_adds_nothing_and_no_rows_at_all_are_null():
    how = (Total.ADDED, Total.LEAST)

    assert totalled([(None, 3), (Decimal(10**30), None)], how=how).rows == [(Decimal(10**30), 3)]
    assert totalled([(None, None), (None, None)], how=how).rows == [(None, None)]


def test_long_sums_keep_all_their_digits():
    (total, _), *_ = totalled(
        [(Decimal(10**40 + 1), 0), (Decimal(10**40 + 2), 0)], how=(Total.ADDED, Total.ADDED)
    ).rows

    assert str(total) == str(2 * 10**40 + 3)


@pytest.mark.parametrize(
    ("here", "there", "total"),
    [
        ("1.50", "2.5", "4.00"),
        ("0.0000000000", "0", "0.0000000000"),
        ("123456789012345678901234567890.1", "0.00000000000000000000000000000009", None),
        ("1.5", "NaN", "NaN"),
        ("Infinity", "1.5", "Infinity"),
        ("Infinity", "-Infinity", "NaN"),
    ],
)
def test_sums_of_numerics_have_all_digits_and_the_scale_of_the_longest(here, there, total):
    expected = total or "123456789012345678901234567890.10000000000000000000000000000009"

    ((found,),) = totalled(
        [(Decimal(here),), (Decimal(there),)], how=(Total.ADDED,), columns=("sum",)
    ).rows
    bodies = [
        f'[{{"sum":{each if Decimal(each).is_finite() else json.dumps(each)}}}]'
        for each in (here, there)
    ]
    body = totalled([(each, 1) for each in bodies], how=(Total.ADDED,), form=Reply.ENVELOPE).body

    assert format(found, "f") == expected
    assert (
        body == f'[{{"sum":{expected if Decimal(expected).is_finite() else json.dumps(expected)}}}]'
    )


def test_totals_in_json_keep_the_names_of_columns_even_of_two_that_have_one():
    bodies = [
        '[{"a\\"\\n\\u0001é":1,"count":null,"count":7}]',
        '[{"a\\"\\n\\u0001é":2,"count":5,"count":1}]',
    ]

    answer = totalled([(body, 1) for body in bodies], how=(Total.ADDED,) * 3, form=Reply.ENVELOPE)

    assert answer.body == '[{"a\\"\\n\\u0001é":3,"count":5,"count":8}]'
