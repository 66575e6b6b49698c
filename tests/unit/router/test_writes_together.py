import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import StatementNotUnderstood
from router.plans.collected import in_order
from router.plans.spreading import elements

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 1]))
def test_the_elements_of_an_array_are_its_texts(rows, indent):
    texts = [json.dumps(row, indent=indent) for row in rows]

    assert elements(" [\n" + " ,\t".join(texts) + " ] ") == texts


def test_numbers_keep_the_digits_that_were_sent():
    digits = "9" * 5000

    assert elements(f'[{{"n":1.00}},{digits}, 1e999,-0]') == ['{"n":1.00}', digits, "1e999", "-0"]


@pytest.mark.parametrize("text", ["", "{}", "[1", "[1 2]", "[1,,2]", "[" * 100_000, "[nope]"])
def test_what_is_no_array_is_refused(text):
    with pytest.raises(StatementNotUnderstood):
        elements(text)


def test_rows_come_back_in_the_order_of_the_input():
    assert in_order([["a", "c"], ["b"]], (0, 1, 0)) == ["a", "b", "c"]
    assert in_order([[], ["b"]], (1,)) == ["b"]


def test_rows_come_back_by_shard_when_some_are_missing_or_no_order_is_known():
    assert in_order([["a"], ["b"]], (1, 0, 0)) == ["a", "b"]
    assert in_order([["a", "c"], ["b"]], None) == ["a", "c", "b"]
