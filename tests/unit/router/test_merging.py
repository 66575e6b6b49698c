import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.analysis.query import SortKey
from router.plans.merging import Merging
from router.plans.order import sort_rows

VALUES = st.one_of(
    st.none(), st.integers(0, 5), st.sampled_from([math.nan, math.inf, Decimal("NaN")])
)
TEXTS = st.sampled_from([None, "", "a", "b"])
KEYS = st.builds(SortKey, descending=st.booleans(), nulls_first=st.booleans())
UP = SortKey(descending=False, nulls_first=False)


def merged(sources, sort, *, batch, limit=None, offset=0, first=1):
    """All rows of the sources, fed in batches of so many."""
    merging = Merging(len(sources), sort, first, limit=limit, offset=offset)
    waiting = [list(rows) for rows in sources]
    taken, held = [], 0
    while not merging.done:
        for source in tuple(merging.wanting()):
            merging.feed(source, waiting[source][:batch])
            waiting[source] = waiting[source][batch:]
        held = max(held, sum(map(len, merging._rows)))
        taken += merging.take()
    assert held <= batch * len(sources)
    return taken, sum(map(len, waiting))


@given(st.data())
def test_a_merge_by_batches_gives_what_a_sort_of_all_rows_gives(data):
    sort = data.draw(st.lists(KEYS, max_size=2))
    rows = st.lists(st.tuples(VALUES, TEXTS), max_size=12)
    drawn = data.draw(st.lists(rows, min_size=1, max_size=4))
    sources = [
        [((source, index), *row) for index, row in enumerate(rows)]
        for source, rows in enumerate(drawn)
    ]
    for rows in sources:
        sort_rows(rows, sort, 1)
    expected = [row for rows in sources for row in rows]
    sort_rows(expected, sort, 1)
    limit = data.draw(st.one_of(st.none(), st.integers(0, 30)))
    offset = data.draw(st.integers(0, 30))

    found, _ = merged(sources, sort, batch=data.draw(st.integers(1, 5)), limit=limit, offset=offset)

    end = None if limit is None else offset + limit
    assert [row[0] for row in found] == [row[0] for row in expected[offset:end]]


def test_no_more_is_asked_for_than_the_limit_needs():
    sources = [[(n, n) for n in range(0, 100, 2)], [(n, n) for n in range(1, 100, 2)]]

    found, unread = merged(sources, [UP], batch=5, limit=4)

    assert found == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert unread == 90


def test_a_limit_of_nothing_asks_for_nothing():
    merging = Merging(2, [UP], 1, limit=0, offset=0)

    assert merging.done


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_rows_with_equal_keys_stay_in_the_order_of_their_shards(batch):
    sources = [[(f"{name}{n}", 1) for n in range(5)] for name in "abc"]

    found, _ = merged(sources, [UP], batch=batch)

    assert [row[0] for row in found] == [f"{name}{n}" for name in "abc" for n in range(5)]
