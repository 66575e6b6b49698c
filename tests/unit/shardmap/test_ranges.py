"""Slots as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardmap.ranges import format_ranges, parse_ranges


@given(st.sets(st.integers(0, 4095)))
def test_what_is_written_is_read_back(slots):
    assert set(parse_ranges(format_ranges(slots))) == slots


@pytest.mark.parametrize(
    ("text", "slots"),
    [("", ()), ("  ", ()), ("7", (7,)), ("0-2,4", (0, 1, 2, 4)), (" 4 ,\n 0 - 1 ", (4, 0, 1))],
)
def test_blanks_and_order_do_not_matter(text, slots):
    assert parse_ranges(text) == slots


def test_neighbours_are_written_as_one_range():
    assert format_ranges([5, 3, 4, 1, 9, 8]) == "1, 3-5, 8-9"


@pytest.mark.parametrize("text", ["x", "1-", "-1", "1,,2", "4096", "0-4096", "5-4", "1-2-3", "٣"])
def test_what_is_no_slot_is_refused(text):
    with pytest.raises(ValueError, match=r"slot|range"):
        parse_ranges(text)
